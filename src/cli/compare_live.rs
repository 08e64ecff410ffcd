//! `deadheat compare --live`: two variants of a scenario's cases, raced in turns.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::Failure;
use super::args::{CompareArgs, Limits, Selection};
use super::output::Output;
use super::progress::Progress;
use super::run::{
    cores, new_report, not_provided, overdue, provide, shut_down, sources, sweep, tear_down, with_dead_servers,
};
use super::select::{self, Purpose};
use super::{compare, limits, signals};
use crate::compare::{LivePair, compare_live, html};
use crate::judge::RunVerdict;
use crate::model::{Action, Case};
use crate::plan::PlannedScenario;
use crate::report::schema::{Comparison, Report};
use crate::report::sinks::{create_folder, write_file};
use crate::report::{RunFolder, SinkError, run_name};
use crate::run::{self, Event, LiveSide, OpenTargets, PlannedPair, Stop, Turns};
use crate::secrets::{redacted, shown};

/// What one side sets.
struct Variant<'a> {
    /// As it was written, for people.
    name: String,
    /// Params and axes.
    settings: Vec<(String, String)>,
    /// URLs by target.
    urls: BTreeMap<&'a str, &'a str>,
}

pub(super) fn exec(args: &CompareArgs, output: &Output) -> Result<Comparison, Failure> {
    let scenario = args.live.as_deref().expect("without BASE and HEAD, the command line requires --live");
    if scenario.is_dir() {
        let message =
            format!("`--live` races one scenario, and `{}` is a directory; name a file in it", scenario.display());
        return Err(Failure::new(RunVerdict::Usage, message));
    }
    let run = run::namespace_prefix();
    let variants = [&args.set_base, &args.set_head].map(|set| variant(set));
    let planned = [("b", &variants[0]), ("h", &variants[1])]
        .map(|(side, variant)| plan(args, scenario, (side, variant), &run, output));
    let [base, head] = planned;
    let cases = pair_cases(base?, head?, &variants)?;
    compare::known_thresholds(args, &metrics(&cases))?;
    let report = new_report(args.seed);
    let name = format!("{}-live", run_name(&report.run.started, report.run.git.as_ref()));
    let folder = create_folder(&args.reports, &name).map_err(environment)?;
    let side = |index: usize, side: &str, suffix: &str| -> Result<LiveSide, Failure> {
        let mut report: Report = report.clone();
        report.not_raced = cases.iter().map(|pair| pair[index].id.clone()).collect();
        report.run.id = format!("{}/{side}", folder.file_name().unwrap_or_default().to_string_lossy());
        let folder = RunFolder::create(&folder, side).map_err(environment)?;
        Ok(LiveSide { report, folder, run: format!("{run}{suffix}") })
    };
    let mut sides = [side(0, "base", "b")?, side(1, "head", "h")?];
    let runtime = limits::runtime()?;
    let names = variants.each_ref().map(|variant| variant.name.as_str());
    let ended = runtime.block_on(race(args, &cases, names, &mut sides, &run, output));
    let verdict = ended.as_ref().map_or_else(|failure| failure.verdict, |comparison| comparison.verdict.into());
    shut_down(runtime, verdict);
    let comparison = ended?;
    let json = serde_json::to_string_pretty(&comparison).expect("comparisons have text keys only");
    write_file(&folder, "comparison.json", &format!("{json}\n")).map_err(environment)?;
    write_file(&folder, "comparison.html", &html::render(&comparison)).map_err(environment)?;
    output.note(&format!("comparison and both reports: {}", folder.display()));
    Ok(comparison)
}

fn environment(error: SinkError) -> Failure {
    Failure::new(RunVerdict::Environment, error)
}

fn variant(set: &[(String, String)]) -> Variant<'_> {
    let mut variant = Variant { name: String::new(), settings: Vec::new(), urls: BTreeMap::new() };
    let mut words = Vec::new();
    for (name, value) in set {
        match name.strip_prefix("target:") {
            Some(target) => {
                words.push(format!("{name}={}", redacted(value)));
                variant.urls.insert(target, value);
            }
            None => {
                words.push(format!("{name}={}", shown(value)));
                variant.settings.push((name.clone(), value.clone()));
            }
        }
    }
    variant.name = if words.is_empty() { "as it is".to_owned() } else { words.join(" ") };
    variant
}

/// The scenario's cases as one variant has them.
fn plan(
    args: &CompareArgs,
    scenario: &Path,
    (side, variant): (&str, &Variant<'_>),
    run: &str,
    output: &Output,
) -> Result<Vec<Arc<Case>>, Failure> {
    let run = &format!("{run}{side}");
    let selection = Selection {
        paths: vec![scenario.to_owned()],
        tag: Vec::new(),
        filter: args.filter.clone(),
        param: args.param.iter().chain(&variant.settings).cloned().collect(),
        limits: Limits { max_cases: args.max_cases, allow_outside: args.allow_outside },
    };
    let option = if side == "b" { "--base" } else { "--head" };
    let purpose = Purpose::Variant { option, settings: &variant.settings };
    let planned = select::plan(&selection, Some(args.rounds), run, purpose, output)?;
    let mut cases: Vec<Arc<Case>> =
        planned.into_iter().flat_map(|scenario: PlannedScenario| scenario.cases).map(|planned| planned.case).collect();
    for (target, url) in &variant.urls {
        let mut known = false;
        for case in &mut cases {
            let case = Arc::get_mut(case).expect("nobody else has a case that was just planned");
            for spec in case.targets.iter_mut().filter(|spec| spec.name == *target) {
                spec.url = Some((*url).to_owned());
                known = true;
            }
        }
        if !known {
            let message = format!("`target:{target}=…` names no target of `{}`", scenario.display());
            return Err(Failure::new(RunVerdict::Usage, message));
        }
        if args.target.iter().any(|(name, _)| name == target) {
            let message =
                format!("`--target {target}=…` is for both variants, and `target:{target}=…` for one: say one of them");
            return Err(Failure::new(RunVerdict::Usage, message));
        }
    }
    Ok(cases)
}

/// Each case of HEAD with the case of BASE that has the same place in the matrix, but for the axes that a variant sets. No case of either is left out.
fn pair_cases(
    base: Vec<Arc<Case>>,
    head: Vec<Arc<Case>>,
    variants: &[Variant<'_>; 2],
) -> Result<Vec<[Arc<Case>; 2]>, Failure> {
    let is_set = |name: &str| variants.iter().any(|variant| variant.settings.iter().any(|(set, _)| set == name));
    let place = |case: &Case| -> Vec<String> {
        case.axes.iter().filter(|(name, _)| !is_set(name)).map(|(name, value)| format!("{name}={value}")).collect()
    };
    let at = |cases: &[Arc<Case>], wanted: &Case| -> Vec<Arc<Case>> {
        cases.iter().filter(|case| place(case) == place(wanted)).cloned().collect()
    };
    let mut pairs = Vec::new();
    for (case, side) in head.iter().map(|case| (case, "HEAD")).chain(base.iter().map(|case| (case, "BASE"))) {
        match (at(&base, case).as_slice(), at(&head, case).as_slice()) {
            ([base], [head]) if side == "HEAD" => pairs.push([base.clone(), head.clone()]),
            ([_], [_]) => {}
            _ => {
                let message = format!(
                    "`{}` of {side} has no single counterpart in the other variant; give each axis that `--base` or `--head` sets one value on both sides, or leave cases out with `--filter`",
                    case.id
                );
                return Err(Failure::new(RunVerdict::Usage, message));
            }
        }
    }
    Ok(pairs)
}

/// The metrics that a race of these cases can have.
fn metrics(cases: &[[Arc<Case>; 2]]) -> BTreeSet<String> {
    let mut steps = BTreeSet::new();
    for case in cases.iter().flatten() {
        let called = case.groups.iter().flat_map(|group| &group.steps);
        steps.extend(called.filter(|step| matches!(step.action, Action::Call { .. })).map(|step| step.name.as_str()));
        if case.workers.iter().any(|worker| worker.transaction.is_some()) {
            steps.extend(["begin", "commit"]);
        }
    }
    let of_steps = steps.iter().flat_map(|step| ["p50", "p99"].map(|quantile| format!("{step}.{quantile}")));
    of_steps.chain(["makespan", "p50", "p99"].map(str::to_owned)).collect()
}

async fn race(
    args: &CompareArgs,
    cases: &[[Arc<Case>; 2]],
    names: [&str; 2],
    sides: &mut [LiveSide; 2],
    run: &str,
    output: &Output,
) -> Result<Comparison, Failure> {
    let stop = Stop::default();
    signals::listen(stop.clone(), *output)
        .map_err(|error| Failure::new(RunVerdict::Environment, format!("cannot listen for Ctrl-C: {error}")))?;
    sweep(output, &stop).await;
    let mut progress = Progress::new(*output, false);
    let open = OpenTargets::default();
    let ended = {
        let mut on_event = |event: Event<'_>| progress.on_event(event);
        let racing = provide_and_race(args, cases, sides, &stop, &open, &mut on_event, output);
        tokio::select! {
            ended = racing => ended,
            () = overdue(&stop) => Err(Failure::new(RunVerdict::Interrupted, "")),
        }
    };
    progress.end();
    tear_down(&open, run, output).await;
    if let Err(Failure { verdict, message }) = &ended {
        // What ended the races is the error to tell, also if a report cannot hold it.
        drop(sides.each_mut().map(|side| side.end(*verdict, message)));
    }
    let pairs = ended?;
    if pairs.is_empty() && !stop.is_asked() {
        return Err(Failure::new(RunVerdict::Inconclusive, "every case was skipped; nothing was compared"));
    }
    let seed = sides[1].report.run.seed;
    let mut comparison = compare_live(&sides[1].report.run, names, &pairs, &compare::options(args, seed));
    if stop.is_asked() {
        comparison.verdict = RunVerdict::Interrupted.into();
        comparison.reasons.insert(0, "interrupted: not all rounds were raced".to_owned());
    }
    Ok(comparison)
}

async fn provide_and_race(
    args: &CompareArgs,
    cases: &[[Arc<Case>; 2]],
    sides: &mut [LiveSide; 2],
    stop: &Stop,
    open: &OpenTargets,
    on_event: &mut (dyn FnMut(Event<'_>) + Send),
    output: &Output,
) -> Result<Vec<LivePair>, Failure> {
    let all = cases.iter().flatten().map(AsRef::as_ref);
    let sources = sources(&args.target, args.allow_remote);
    sources.check(all.clone()).map_err(not_provided)?;
    let cores = cores()?;
    let endpoints = provide(sources, 2, all, stop).await?;
    let mut pairs = Vec::new();
    for [base, head] in cases {
        let sources =
            |case: &Case| case.targets.iter().map(|target| endpoints.source(target)).collect::<Result<Vec<_>, _>>();
        match (sources(base), sources(head)) {
            (Ok(of_base), Ok(of_head)) => {
                pairs.push(PlannedPair { base: (base.clone(), of_base), head: (head.clone(), of_head) });
            }
            (Err(missing), _) | (_, Err(missing)) => {
                output.warning(&format!("`{}` is skipped: {missing}", head.id));
                let [base_side, head_side] = sides;
                base_side.skip(base, &missing);
                head_side.skip(head, &missing);
            }
        }
    }
    let seed = sides[1].report.run.seed;
    let turns = Turns { rounds: args.rounds, warm_up: args.warm_up, seed };
    let raced = run::live(&pairs, turns, sides, stop, open, &cores, on_event).await;
    let raced = match raced {
        Ok(raced) => Ok(raced),
        Err(error) => Err(Failure::new(error.verdict(), with_dead_servers(&error, &endpoints).await)),
    };
    let closed = endpoints.close().await;
    let raced = raced?;
    closed.map_err(|error| Failure::new(RunVerdict::Environment, error))?;
    Ok(raced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fixture::TestCase;
    use crate::value::Value;

    fn cases(backends: &[&str]) -> Vec<Arc<Case>> {
        let case = |backend: &&str| {
            let axis = ("backend".to_owned(), Value::text(*backend));
            let id = format!("race[backend={backend}]");
            Arc::new(TestCase::new(3).change(|case| (case.axes, case.id) = ([axis].into(), id)).build())
        };
        backends.iter().map(case).collect()
    }

    #[test]
    fn no_case_of_either_variant_is_left_out_in_silence() {
        let variants = [variant(&[]), variant(&[])];
        let paired = |base, head| {
            let paired = pair_cases(cases(base), cases(head), &variants);
            paired.map(|pairs| pairs.len()).map_err(|failure| failure.message)
        };
        assert_eq!(paired(&["memory", "sqlite"], &["memory", "sqlite"]), Ok(2));
        let of_base = paired(&["memory", "sqlite"], &["memory"]).unwrap_err();
        assert!(of_base.starts_with("`race[backend=sqlite]` of BASE has no single counterpart"), "{of_base}");
        let of_head = paired(&["memory"], &["memory", "sqlite"]).unwrap_err();
        assert!(of_head.starts_with("`race[backend=sqlite]` of HEAD has no single counterpart"), "{of_head}");
    }

    #[test]
    fn a_race_has_the_metrics_of_its_steps() {
        let pair = [cases(&["memory"]).remove(0), cases(&["memory"]).remove(0)];
        let known: Vec<String> = metrics(&[pair]).into_iter().collect();
        assert_eq!(known, ["append.p50", "append.p99", "makespan", "p50", "p99"]);
    }
}
