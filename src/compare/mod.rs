//! Compares two runs: comparable at all? then counts and verdicts, exactly; then latency, with the round as the sample. Pure.
//!
//! [`compare`] holds two stored reports against each other, which were taken at two times; [`compare_live`] two variants whose rounds were raced in turns.
//! Both give the same outward form, from which [`terminal`], [`markdown`] and [`html`] draw.

mod comparable;
mod counts;
mod growth;
pub mod html;
mod latency;
pub mod markdown;
mod mixes;
mod outcomes;
mod plot;
pub mod terminal;
pub mod trend;
mod unpaired;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::check::RunVerdict;
use crate::report::Samples;
use crate::report::samples::RoundValues;
use crate::report::schema::*;
use crate::statistics;

pub use latency::is_metric;
use outcomes::Tested;

/// One stored run.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// As it was named.
    pub name: &'a str,
    /// Its report.
    pub report: &'a Report,
    /// What its rounds measured.
    pub samples: &'a Samples,
}

/// A case raced in turns with another.
#[derive(Debug, Clone)]
pub struct LivePair {
    /// Its scenario.
    pub scenario: String,
    /// The scenario's `[compare]`.
    pub rule: Option<CompareRule>,
    /// BASE.
    pub base: LiveCase,
    /// HEAD.
    pub head: LiveCase,
    /// Rounds that were raced first and not counted.
    pub warm_up: WarmUp,
}

/// One variant of a case raced in turns.
#[derive(Debug, Clone)]
pub struct LiveCase {
    /// Its report, without controls.
    pub report: CaseReport,
    /// What its rounds measured, by metric; rounds of one number are a pair.
    pub samples: BTreeMap<String, RoundValues>,
    /// How many rounds ended in each mix of outcomes by group; empty where there is one group.
    pub groups: BTreeMap<String, u64>,
}

/// What a comparison goes by.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Thresholds by metric, as shares; they go before the scenario's and the defaults.
    pub thresholds: BTreeMap<String, f64>,
    /// What fails the comparison besides worse verdicts and changed counts.
    pub fail_on: BTreeSet<FailOn>,
    /// Compare what is not comparable.
    pub force: bool,
    /// The seed of the resampling.
    pub seed: u64,
}

/// What else may fail a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailOn {
    /// A gate metric that regressed, of stored reports too.
    Regression,
    /// Any change at all, for the better too, and cases that only one side has.
    Change,
    /// A gate metric about which nothing can be said.
    Inconclusive,
}

/// A case on both sides, with all that is known of it.
struct Pair<'a> {
    scenario: &'a str,
    rule: Option<&'a CompareRule>,
    base: &'a CaseReport,
    head: &'a CaseReport,
    base_samples: Option<&'a BTreeMap<String, RoundValues>>,
    head_samples: Option<&'a BTreeMap<String, RoundValues>>,
    base_groups: Option<&'a BTreeMap<String, u64>>,
    head_groups: Option<&'a BTreeMap<String, u64>>,
    warm_up: Option<&'a WarmUp>,
}

/// Compares two stored reports.
pub fn compare(base: Side<'_>, head: Side<'_>, options: &Options) -> Comparison {
    let mut comparison = empty(FormWord::Stored, side(base.name, &base.report.run), side(head.name, &head.report.run));
    let (of_base, of_head) = (cases(base.report), cases(head.report));
    let only = |these: &Cases<'_>, those: &Cases<'_>| -> Vec<String> {
        these.keys().filter(|id| !those.contains_key(*id)).map(|id| (*id).to_owned()).collect()
    };
    comparison.only_in_base = only(&of_base, &of_head);
    comparison.only_in_head = only(&of_head, &of_base);
    for ids in [&comparison.only_in_base, &comparison.only_in_head] {
        comparison.unpaired.extend(unpaired::compare(base.report, head.report, ids));
    }
    comparison.differences = comparable::runs(base.report, head.report);
    if base.report == head.report && base.samples == head.samples {
        comparison.differences.push(comparable::same_run(base.report));
    }
    let mut pairs = Vec::new();
    // In HEAD's order, which is that of the run.
    for scenario in &head.report.scenarios {
        for case in &scenario.cases {
            let Some((before, base_case)) = of_base.get(case.id.as_str()) else { continue };
            comparison.differences.extend(comparable::cases(base_case, case));
            comparison.changes.extend(comparable::changes(base_case, case));
            if pairs.iter().all(|pair: &Pair<'_>| pair.scenario != scenario.name) {
                comparison.changes.extend(comparable::text(before, scenario));
            }
            pairs.push(Pair {
                scenario: &scenario.name,
                rule: scenario.compare.as_ref(),
                base: base_case,
                head: case,
                base_samples: base.samples.cases.get(&case.id),
                head_samples: head.samples.cases.get(&case.id),
                base_groups: base.samples.groups.get(&case.id),
                head_groups: head.samples.groups.get(&case.id),
                warm_up: None,
            });
        }
    }
    if pairs.is_empty() {
        comparison.differences.push(comparable::nothing_in_common(base.report, head.report));
    }
    if !comparison.differences.is_empty() && (!options.force || pairs.is_empty()) {
        comparison.verdict = RunVerdict::NotComparable.into();
        return comparison;
    }
    comparison.growth = growth::compare(base.report, head.report);
    let mut comparison = finish(comparison, &pairs, options);
    let (before, after) = (base.report.verdict, head.report.verdict);
    // Whatever made it fail: a comparison that knows of no reason must not say that all is well.
    if (before, after) == (RunVerdictWord::Pass, RunVerdictWord::Fail) && comparison.reasons.is_empty() {
        comparison.verdict = RunVerdict::Regression.into();
        comparison.reasons.push("the run passed, and fails now".to_owned());
    }
    comparison
}

/// Compares variants that were raced in turns: on the same servers, by the same program, so that they are comparable as they are.
pub fn compare_live(run: &Run, names: [&str; 2], pairs: &[LivePair], options: &Options) -> Comparison {
    let [base, head] = names.map(|name| side(name, run));
    let mut comparison = empty(FormWord::Live, base, head);
    let pairs: Vec<Pair<'_>> = pairs
        .iter()
        .map(|pair| Pair {
            scenario: &pair.scenario,
            rule: pair.rule.as_ref(),
            base: &pair.base.report,
            head: &pair.head.report,
            base_samples: Some(&pair.base.samples),
            head_samples: Some(&pair.head.samples),
            base_groups: Some(&pair.base.groups),
            head_groups: Some(&pair.head.groups),
            warm_up: Some(&pair.warm_up),
        })
        .collect();
    for pair in &pairs {
        comparison.changes.extend(comparable::cases(pair.base, pair.head));
        comparison.changes.extend(comparable::changes(pair.base, pair.head));
    }
    finish(comparison, &pairs, options)
}

fn finish(mut comparison: Comparison, pairs: &[Pair<'_>], options: &Options) -> Comparison {
    comparison.seed = options.seed;
    let live = comparison.form == FormWord::Live;
    let mut tested: Vec<Tested> = pairs.iter().map(|pair| Tested::new(pair, options.seed)).collect();
    let p_values: Vec<f64> = tested.iter_mut().flat_map(Tested::tests).map(|test| test.p).collect();
    let corrected = statistics::holm(&p_values);
    tested.iter_mut().flat_map(Tested::tests).zip(corrected).for_each(|(test, p)| test.p_corrected = p);
    comparison.cases = pairs.iter().zip(tested).map(|(pair, tested)| case(pair, tested, live, options)).collect();
    let (verdict, reasons) = judge(&comparison, options);
    comparison.verdict = verdict.into();
    comparison.reasons = reasons;
    comparison
}

fn case(pair: &Pair<'_>, tested: Tested, live: bool, options: &Options) -> CaseComparison {
    let no_samples = BTreeMap::new();
    let (base, head) = (pair.base_samples.unwrap_or(&no_samples), pair.head_samples.unwrap_or(&no_samples));
    CaseComparison {
        scenario: pair.scenario.to_owned(),
        case: pair.head.id.clone(),
        base_rounds: pair.base.race.rounds,
        head_rounds: pair.head.race.rounds,
        outcomes: tested.compare(pair.base, pair.head, live),
        latency: latency::compare(base, head, pair.rule, live, options),
        warnings: latency::warnings(base, head, live),
        percentiles: latency::percentiles(&pair.base.race, &pair.head.race),
        warm_up: pair.warm_up.cloned(),
    }
}

/// How the comparison ends, and every reason that makes it no pass.
fn judge(comparison: &Comparison, options: &Options) -> (RunVerdict, Vec<String>) {
    let any_change = options.fail_on.contains(&FailOn::Change);
    let latency_counts =
        comparison.form == FormWord::Live || options.fail_on.contains(&FailOn::Regression) || any_change;
    let mut causes = vec![RunVerdict::Pass];
    let mut reasons = Vec::new();
    let mut cause = |verdict, reason: String| {
        causes.push(verdict);
        reasons.push(reason);
    };
    for case in &comparison.cases {
        let id = &case.case;
        match case.outcomes.change {
            OutcomeChangeWord::Same => {}
            OutcomeChangeWord::Worse => {
                cause(RunVerdict::Regression, format!("`{id}` is worse: {}", case.outcomes.reasons.join("; ")));
            }
            OutcomeChangeWord::Changed if case.outcomes.weak && !any_change => {}
            OutcomeChangeWord::Changed => {
                cause(RunVerdict::Regression, format!("`{id}` ends otherwise: {}", case.outcomes.reasons.join("; ")));
            }
            OutcomeChangeWord::Better if any_change => {
                cause(
                    RunVerdict::Regression,
                    format!("`{id}` is better, which is a change: {}", case.outcomes.reasons.join("; ")),
                );
            }
            OutcomeChangeWord::Better => {}
        }
        for metric in case.latency.iter().filter(|metric| metric.gate) {
            let name = &metric.metric;
            match metric.change {
                ChangeWord::Regressed if latency_counts => {
                    cause(RunVerdict::Regression, format!("`{id}`: {name} regressed, {}", words::effect(metric)));
                }
                ChangeWord::Improved if any_change => {
                    cause(
                        RunVerdict::Regression,
                        format!("`{id}`: {name} improved, which is a change, {}", words::effect(metric)),
                    );
                }
                ChangeWord::Inconclusive if options.fail_on.contains(&FailOn::Inconclusive) => {
                    cause(
                        RunVerdict::Inconclusive,
                        format!("`{id}`: {name} is inconclusive, {}", words::effect(metric)),
                    );
                }
                ChangeWord::Regressed | ChangeWord::Improved | ChangeWord::Inconclusive | ChangeWord::Equivalent => {}
            }
        }
    }
    for growth in &comparison.growth {
        match growth.change {
            OutcomeChangeWord::Worse => cause(RunVerdict::Regression, words::growth_worse(growth)),
            OutcomeChangeWord::Better if any_change => {
                cause(RunVerdict::Regression, format!("{} is better, which is a change", words::growth(growth)));
            }
            _ => {}
        }
    }
    let failed_alone: Vec<&UnpairedCase> =
        comparison.unpaired.iter().filter(|case| case.head.state == CaseStateWord::Fail).collect();
    for UnpairedCase { case, head, .. } in &failed_alone {
        let why = head.reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        cause(RunVerdict::Regression, format!("only HEAD has `{case}`, and it failed{why}"));
    }
    if any_change {
        for growth in comparison.growth.iter().filter(|growth| growth.base.is_none() || growth.head.is_none()) {
            let side = if growth.base.is_some() { "BASE" } else { "HEAD" };
            cause(RunVerdict::Regression, format!("only {side} has {}", words::growth(growth)));
        }
        for (ids, side) in [(&comparison.only_in_base, "BASE"), (&comparison.only_in_head, "HEAD")] {
            let ids = ids.iter().filter(|id| failed_alone.iter().all(|case| case.case != **id));
            ids.for_each(|id| cause(RunVerdict::Regression, format!("only {side} has `{id}`")));
        }
        for case in &comparison.cases {
            for what in words::one_sided(&case.outcomes) {
                cause(RunVerdict::Regression, format!("`{}`: {what}", case.case));
            }
        }
    }
    (RunVerdict::decide(causes), reasons)
}

type Cases<'a> = BTreeMap<&'a str, (&'a ScenarioReport, &'a CaseReport)>;

fn cases(report: &Report) -> Cases<'_> {
    let cases = report.scenarios.iter().flat_map(|scenario| scenario.cases.iter().map(move |case| (scenario, case)));
    cases.map(|(scenario, case)| (case.id.as_str(), (scenario, case))).collect()
}

fn side(name: &str, run: &Run) -> SideReport {
    SideReport {
        name: name.to_owned(),
        run: run.id.clone(),
        started: run.started.clone(),
        git: run.git.clone(),
        machine: run.machine.clone(),
    }
}

fn empty(form: FormWord, base: SideReport, head: SideReport) -> Comparison {
    Comparison {
        kind: COMPARISON_KIND.to_owned(),
        schema: COMPARISON_SCHEMA.to_owned(),
        tool: Tool { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        form,
        verdict: RunVerdictWord::Pass,
        reasons: Vec::new(),
        base,
        head,
        differences: Vec::new(),
        changes: Vec::new(),
        only_in_base: Vec::new(),
        only_in_head: Vec::new(),
        unpaired: Vec::new(),
        cases: Vec::new(),
        growth: Vec::new(),
        seed: statistics::SEED,
        resamples: statistics::RESAMPLES as u64,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::report::example;
    use crate::statistics::tests::latencies;
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    /// A run of one case whose rounds ended as told, with `slow` times the latency.
    pub(crate) fn run(rounds: &[&str], slow: f64, seed: u64) -> (Report, Samples) {
        let mut report = example::report();
        report.skipped.clear();
        report.scenarios[0].cases = vec![example::case(rounds, &["3 success"])];
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut metric = |centre: f64| -> RoundValues {
            (0..).zip(latencies(&mut rng, rounds.len(), centre * slow, 0.05)).collect()
        };
        let metrics = [("makespan", 2e6), ("p50", 1e6), ("append.p50", 5e5)];
        let metrics = metrics.map(|(name, centre)| (name.to_owned(), metric(centre)));
        let cases = [("race[backend=memory]".to_owned(), metrics.into())].into();
        (report, Samples { cases, ..Samples::default() })
    }

    pub(crate) const USUAL: [&str; 40] = ["1 success, 2 conflict"; 40];

    pub(crate) fn compared(base: &(Report, Samples), head: &(Report, Samples), options: &Options) -> Comparison {
        let side = |name, (report, samples): &'static (Report, Samples)| Side { name, report, samples };
        // Leaked, so that tests need not name every value.
        compare(
            side("main", Box::leak(Box::new(base.clone()))),
            side("fix", Box::leak(Box::new(head.clone()))),
            options,
        )
    }

    fn fail_on(what: FailOn) -> Options {
        Options { fail_on: [what].into(), ..Options::default() }
    }

    fn gate(comparison: &Comparison) -> &MetricComparison {
        &comparison.cases[0].latency[0]
    }

    #[test]
    fn a_run_is_equivalent_to_its_like() {
        let comparison = compared(&run(&USUAL, 1.0, 1), &run(&USUAL, 1.0, 2), &fail_on(FailOn::Change));
        assert_eq!(comparison.verdict, RunVerdictWord::Pass, "{:?}", comparison.reasons);
        assert_eq!(comparison.cases[0].outcomes.change, OutcomeChangeWord::Same);
        assert_eq!((gate(&comparison).metric.as_str(), gate(&comparison).change), ("makespan", ChangeWord::Equivalent));
        assert_eq!(comparison.changes, []);
    }

    #[test]
    fn a_slower_run_fails_only_when_asked() {
        let (base, head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.4, 2));
        let quiet = compared(&base, &head, &Options::default());
        assert_eq!(gate(&quiet).change, ChangeWord::Regressed);
        assert_eq!(quiet.verdict, RunVerdictWord::Pass);
        let asked = compared(&base, &head, &fail_on(FailOn::Regression));
        assert_eq!(asked.verdict, RunVerdictWord::Regression);
        assert_eq!(compared(&head, &base, &fail_on(FailOn::Regression)).verdict, RunVerdictWord::Pass);
        assert_eq!(compared(&head, &base, &fail_on(FailOn::Change)).verdict, RunVerdictWord::Regression);
        let lenient = Options { thresholds: [("makespan".to_owned(), 0.8)].into(), ..fail_on(FailOn::Regression) };
        assert_eq!(compared(&base, &head, &lenient).verdict, RunVerdictWord::Pass);
    }

    #[test]
    fn the_scenario_names_the_gate_and_its_threshold() {
        let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.4, 2));
        head.0.scenarios[0].compare = Some(CompareRule { gate: Some("append.p50".to_owned()), threshold: Some(0.9) });
        let comparison = compared(&base, &head, &Options::default());
        let gate = gate(&comparison);
        assert_eq!((gate.metric.as_str(), gate.gate, gate.threshold), ("append.p50", true, 0.9));
        assert_eq!(gate.change, ChangeWord::Equivalent);
        assert_eq!(comparison.cases[0].latency.iter().filter(|metric| metric.gate).count(), 1);
        head.0.scenarios[0].compare = Some(CompareRule { gate: Some("scan.p50".to_owned()), threshold: None });
        let missing = compared(&base, &head, &fail_on(FailOn::Inconclusive));
        assert_eq!(missing.verdict, RunVerdictWord::Inconclusive, "a gate without samples says nothing");
    }

    #[test]
    fn verdicts_and_exact_counts_are_no_noise() {
        let mut wrong = USUAL;
        wrong[7] = "2 success, 1 conflict";
        let (good, bad) = (run(&USUAL, 1.0, 1), run(&wrong, 1.0, 2));
        let worse = compared(&good, &bad, &Options::default());
        assert_eq!(
            (worse.cases[0].outcomes.change, worse.verdict),
            (OutcomeChangeWord::Worse, RunVerdictWord::Regression)
        );
        let better = compared(&bad, &good, &Options::default());
        assert_eq!(
            (better.cases[0].outcomes.change, better.verdict),
            (OutcomeChangeWord::Better, RunVerdictWord::Pass)
        );
    }

    /// A run of which so many rounds have two winners.
    fn broken(rounds: usize, seed: u64) -> (Report, Samples) {
        let mut wrong = USUAL;
        wrong[..rounds].fill("2 success, 1 conflict");
        run(&wrong, 1.0, seed)
    }

    #[test]
    fn where_both_fail_only_more_broken_rounds_than_chance_has_are_a_regression() {
        let change = |base, head| {
            let comparison = compared(&broken(base, 1), &broken(head, 2), &Options::default());
            (comparison.cases[0].outcomes.change, comparison.verdict)
        };
        assert_eq!(change(1, 2), (OutcomeChangeWord::Same, RunVerdictWord::Pass));
        assert_eq!(change(20, 23), (OutcomeChangeWord::Same, RunVerdictWord::Pass));
        assert_eq!(change(3, 30), (OutcomeChangeWord::Changed, RunVerdictWord::Regression));
        assert_eq!(change(30, 3), (OutcomeChangeWord::Better, RunVerdictWord::Pass));
        assert_eq!(change(0, 1).1, RunVerdictWord::Regression, "BASE never deviated");
        let fewer = compared(&broken(30, 1), &broken(3, 2), &fail_on(FailOn::Change));
        assert_eq!(fewer.verdict, RunVerdictWord::Regression, "fewer is a change all the same");
    }

    #[test]
    fn invariants_that_both_break_are_tested_too() {
        let change = |base: u64, head: u64| {
            let sides = [(base, 1), (head, 2)].map(|(rounds, seed)| {
                let mut side = run(&USUAL, 1.0, seed);
                side.0.scenarios[0].cases[0].race.invariants[0].broken = rounds;
                side
            });
            compared(&sides[0], &sides[1], &Options::default()).cases[0].outcomes.change
        };
        assert_eq!(change(0, 1), OutcomeChangeWord::Changed);
        assert_eq!(change(10, 12), OutcomeChangeWord::Same);
        assert_eq!(change(3, 30), OutcomeChangeWord::Changed);
        assert_eq!(change(30, 3), OutcomeChangeWord::Better);
    }

    /// The same run, of which the expectations are loosened and its failures so undone.
    fn loosened((mut report, samples): (Report, Samples)) -> (Report, Samples) {
        let case = &mut report.scenarios[0].cases[0];
        case.verdict = VerdictWord::Pass;
        for row in &mut case.race.expectations {
            (row.expected, row.rounds_broken) = ("1..=2".to_owned(), 0);
        }
        (report, samples)
    }

    #[test]
    fn a_loosened_expectation_hides_no_race() {
        let hidden = compared(&broken(0, 1), &loosened(broken(3, 2)), &Options::default());
        assert_eq!(hidden.verdict, RunVerdictWord::Regression);
        assert!(hidden.reasons[0].contains("success was 1 a round, and is 1..=2 a round"), "{:?}", hidden.reasons);
        assert!(hidden.reasons[0].contains("`1` was expected, and `1..=2` is"), "{:?}", hidden.reasons);
        let unused = compared(&broken(0, 1), &loosened(broken(0, 2)), &Options::default());
        assert_eq!(unused.verdict, RunVerdictWord::Pass, "{:?}", unused.reasons);
    }

    #[test]
    fn an_expectation_of_a_group_that_only_one_side_has_is_no_changed_count() {
        let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.0, 2));
        let rows = &mut head.0.scenarios[0].cases[0].race.expectations;
        let of_group = rows.iter().cloned().map(|row| ExpectationRow { group: Some("writer".to_owned()), ..row });
        let of_group: Vec<ExpectationRow> = of_group.collect();
        rows.extend(of_group);
        for (base, head) in [(&base, &head), (&head, &base)] {
            let comparison = compared(base, head, &fail_on(FailOn::Change));
            assert_eq!(comparison.verdict, RunVerdictWord::Pass, "{:?}", comparison.reasons);
        }
    }

    #[test]
    fn mixes_that_may_vary_are_weak_evidence_in_stored_runs() {
        let (base, head) = (loosened(broken(5, 1)), loosened(broken(35, 2)));
        let quiet = compared(&base, &head, &Options::default());
        let outcomes = &quiet.cases[0].outcomes;
        assert_eq!((outcomes.change, outcomes.weak), (OutcomeChangeWord::Changed, true));
        assert_eq!(quiet.verdict, RunVerdictWord::Pass);
        assert_eq!(compared(&base, &head, &fail_on(FailOn::Change)).verdict, RunVerdictWord::Regression);
        let pair = pair(&base, &head);
        let live = compare_live(&base.0.run, ["a", "b"], &[pair], &Options::default());
        assert_eq!(live.verdict, RunVerdictWord::Regression, "rounds raced in turns were taken at one time");
    }

    #[test]
    fn who_wins_is_compared_where_it_may_vary() {
        let of = |adder: u64, seed| {
            let mut side = run(&USUAL, 1.0, seed);
            let mixes = [
                ("adder (1 success), remover (1 conflict)", adder),
                ("adder (1 conflict), remover (1 success)", 40 - adder),
            ];
            let mixes = mixes.map(|(mix, rounds)| (mix.to_owned(), rounds));
            side.1.groups.insert("race[backend=memory]".to_owned(), mixes.into());
            side
        };
        let changed = compared(&of(40, 1), &of(1, 2), &fail_on(FailOn::Change));
        assert_eq!(
            changed.cases[0].outcomes.change,
            OutcomeChangeWord::Changed,
            "the counts of whole rounds are the same"
        );
        assert_eq!(changed.verdict, RunVerdictWord::Regression);
        assert_eq!(compared(&of(20, 1), &of(23, 2), &fail_on(FailOn::Change)).verdict, RunVerdictWord::Pass);
    }

    #[test]
    fn what_is_not_comparable_is_named_and_refused() {
        let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.0, 2));
        head.0.run.machine.cores = 64;
        head.0.scenarios[0].cases[0].targets[0].version = "0.2.0".to_owned();
        let refused = compared(&base, &head, &Options::default());
        assert_eq!(refused.verdict, RunVerdictWord::NotComparable);
        assert_eq!(refused.differences.len(), 2, "{:?}", refused.differences);
        assert_eq!(refused.cases, []);
        let forced = compared(&base, &head, &Options { force: true, ..Options::default() });
        assert_eq!((forced.verdict, forced.differences.len(), forced.cases.len()), (RunVerdictWord::Pass, 2, 1));
        head.0.scenarios[0].cases[0].id = "race[backend=sqlite]".to_owned();
        let nothing = compared(&base, &head, &Options { force: true, ..Options::default() });
        assert_eq!(nothing.verdict, RunVerdictWord::NotComparable, "force cannot compare nothing");
        assert_eq!(nothing.only_in_base, ["race[backend=memory]"]);
    }

    #[test]
    fn a_run_is_not_compared_with_itself_unless_forced() {
        let run = run(&USUAL, 1.0, 1);
        let refused = compared(&run, &run, &Options::default());
        assert_eq!(refused.verdict, RunVerdictWord::NotComparable);
        let told = words::difference(&refused.differences[0]);
        assert_eq!(told, "both sides are the same run: `20260131T120000Z-main-1a2b3c4`");
        let forced = compared(&run, &run, &Options { force: true, ..Options::default() });
        assert_eq!(forced.verdict, RunVerdictWord::Pass);
    }

    #[test]
    fn changed_steps_and_expectations_are_told_and_never_refused() {
        let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.0, 2));
        let case = &mut head.0.scenarios[0].cases[0];
        case.race.groups[0].steps[0].text = "SELECT 1 FOR UPDATE".to_owned();
        case.race.expectations[0].expected = "1..=2".to_owned();
        case.params.insert("seats".to_owned(), 3.into());
        case.targets[0].settings.insert("guard".to_owned(), "none".to_owned());
        head.0.scenarios[0].hash = "11".repeat(32);
        let comparison = compared(&base, &head, &Options::default());
        assert_ne!(comparison.verdict, RunVerdictWord::NotComparable);
        let changed: Vec<&str> = comparison.changes.iter().map(|change| change.what.as_str()).collect();
        assert_eq!(changed.len(), 5, "{changed:?}");
    }

    #[test]
    fn live_pairs_gate_on_latency() {
        let (base, head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.5, 2));
        let pair = pair(&base, &head);
        let comparison = compare_live(&base.0.run, ["guard=server", "guard=none"], &[pair], &Options::default());
        assert_eq!((comparison.form, comparison.verdict), (FormWord::Live, RunVerdictWord::Regression));
        assert_eq!(gate(&comparison).samples, 40);
    }

    /// The two runs' case as if it had been raced in turns.
    fn pair(base: &(Report, Samples), head: &(Report, Samples)) -> LivePair {
        let live = |(report, samples): &(Report, Samples)| LiveCase {
            report: report.scenarios[0].cases[0].clone(),
            samples: samples.cases["race[backend=memory]"].clone(),
            groups: BTreeMap::new(),
        };
        LivePair {
            scenario: "race".to_owned(),
            rule: None,
            base: live(base),
            head: live(head),
            warm_up: WarmUp { base_ns: vec![9], head_ns: vec![9] },
        }
    }
}
