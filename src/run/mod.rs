//! A run: cases raced one after the other, judged as they end, reported as they are judged.
//!
//! This is the way through the product in one place: plan → engine → check → report.

mod case;
pub mod endpoints;
mod error;
mod live;
mod open_targets;
pub mod rejudge;
mod stop;
mod surroundings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

pub use error::RunError;
pub use live::{LiveSide, PlannedPair, Turns, live};
pub use open_targets::OpenTargets;
pub use stop::Stop;
pub use surroundings::{machine, new_report};

use crate::duration::as_ns;
use crate::engine::{Choices, Cores, HeadStarts, Steering};
use crate::judge::{
    CaseTally, CaseVerdict, ControlVerdict, GrowthPoint, GrowthVerdict, RunVerdict, Verdict, judge_case, judge_growth,
};
use crate::model::{Case, ScenarioHead};
use crate::plan::{PlannedCase, PlannedScenario};
use crate::port::{Description, Source};
use crate::report::schema::{CaseReport, GrowthReport, Report, Run, ScenarioReport, SkippedCase};
use crate::report::{RunFolder, build};
use crate::run::endpoints::{Endpoints, Unavailable};
use case::{race, race_control};

/// How a run is to go.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// How long the scenarios are raced over and over; every case has at least one round.
    pub lasting: Option<Duration>,
    /// Race the scenarios over and over until a round fails.
    pub until_fail: bool,
    /// Stop after the first case that fails.
    pub fail_fast: bool,
    /// A case that has to be skipped is a failure of the environment.
    pub no_skip: bool,
}

/// A round of another run that is raced once more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Again {
    /// Its number, by which its order of workers follows from the seed.
    pub round: u64,
    /// By case: for how long some workers were held back, where others had a head start.
    pub head_starts: BTreeMap<String, Duration>,
}

impl Options {
    /// Whether the cases are raced over and over.
    fn repeats(&self) -> bool {
        self.lasting.is_some() || self.until_fail
    }

    /// Whether the first failing round is the last.
    fn stops_at_failure(&self) -> bool {
        self.until_fail || self.fail_fast
    }
}

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A case, or a control, begins.
    Begin {
        /// Which.
        case: &'a Case,
        /// How many rounds it is to race.
        rounds: u64,
    },
    /// A round has ended.
    Round {
        /// Of which case or control.
        case: &'a Case,
        /// Rounds raced so far.
        raced: u64,
        /// Rounds that failed so far.
        failed: u64,
    },
    /// A case has ended, for this run.
    Case(&'a CaseReport, &'a Run),
    /// A case has no server.
    Skipped(&'a SkippedCase),
    /// A scenario's growth was judged.
    Growth(&'a GrowthReport),
}

/// What the parts of a run share.
struct Context<'a> {
    folder: &'a mut RunFolder,
    stop: &'a Stop,
    open: &'a OpenTargets,
    cores: &'a Cores,
    on_event: &'a mut (dyn FnMut(Event<'_>) + Send),
    /// Names the run in schemas and streams; see [`namespace_prefix`].
    run: String,
    seed: u64,
    namespaces: u64,
    options: Options,
    again: Option<&'a Again>,
    steering: Steering,
    began: Instant,
    /// When no further round is begun, however many are left.
    ends: Option<Instant>,
}

impl Context<'_> {
    fn on_event(&mut self, event: Event<'_>) {
        (self.on_event)(event);
    }

    fn on_scenario(&mut self, scenario: &ScenarioReport, run: &Run) {
        scenario.cases.iter().for_each(|case| self.on_event(Event::Case(case, run)));
        scenario.growth.iter().for_each(|growth| self.on_event(Event::Growth(growth)));
    }

    /// A name for the next schema, stream or bucket.
    fn next_namespace(&mut self) -> String {
        self.namespaces += 1;
        format!("{}_{}", self.run, self.namespaces)
    }

    /// What decides the orders of a case's rounds.
    fn choices_of(&self, case: &Case) -> Choices {
        let (first_round, head_starts) = match self.again {
            None => (0, HeadStarts::Sometimes),
            Some(again) => {
                (again.round, again.head_starts.get(&case.id).map_or(HeadStarts::Never, |it| HeadStarts::Of(*it)))
            }
        };
        Choices { seed: self.seed_of(case), first_round, head_starts }
    }

    /// The seed of one case: it depends on nothing but the run's seed and the case, so that a case raced alone
    /// makes the same choices.
    fn seed_of(&self, case: &Case) -> u64 {
        let digest = Sha256::new().chain_update(self.seed.to_le_bytes()).chain_update(case.id.as_bytes()).finalize();
        digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
    }

    /// Whether no further round is to be raced.
    fn is_over(&self) -> bool {
        self.stop.is_asked() || self.ends.is_some_and(|ends| Instant::now() >= ends)
    }
}

/// A prefix for the names of schemas and streams that no other run on this machine or server has now.
pub fn namespace_prefix() -> String {
    format!("dh_{:08x}", rand::random::<u32>())
}

/// One case under way through the passes of a run.
struct CaseState<'a> {
    planned: &'a PlannedCase,
    sources: Vec<Source>,
    tally: CaseTally,
    controls: Vec<ControlState>,
    targets: Vec<Description>,
    elapsed: Duration,
    /// The error that ended it, or one of its controls.
    error: Option<RunError>,
}

struct ControlState {
    tally: CaseTally,
    verdict: ControlVerdict,
}

/// Everything a run needs.
pub struct Inputs<'a> {
    /// When the run began; before its servers were started, say.
    pub began: Instant,
    /// Names the run in schemas, streams and scenarios; see [`namespace_prefix`].
    pub run: &'a str,
    /// What to race.
    pub scenarios: &'a [PlannedScenario],
    /// Where the servers are.
    pub endpoints: &'a Endpoints,
    /// How.
    pub options: Options,
    /// The round of another run to race once more, instead of rounds of this run's own.
    pub again: Option<&'a Again>,
    /// What takes part in every round next to the workers.
    pub steering: &'a Steering,
    /// When to stop early.
    pub stop: &'a Stop,
    /// Where open targets are noted.
    pub open: &'a OpenTargets,
    /// Where workers race.
    pub cores: &'a Cores,
}

/// Races all scenarios, and completes `report` as it goes: after every case the report on disk is whole.
/// An error ends its scenario, and not the others; the report holds what was raced.
pub async fn run(
    inputs: Inputs<'_>,
    report: &mut Report,
    folder: &mut RunFolder,
    on_event: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<(), RunError> {
    let Inputs { began, run, scenarios, endpoints, options, again, steering, stop, open, cores } = inputs;
    let ends = options.lasting.map(|lasting| Instant::now() + lasting);
    let mut context = Context {
        folder,
        stop,
        open,
        cores,
        on_event,
        run: run.to_owned(),
        seed: report.run.seed,
        namespaces: 0,
        options,
        again,
        steering: steering.clone(),
        began,
        ends,
    };
    let mut states: Vec<Vec<CaseState<'_>>> = Vec::with_capacity(scenarios.len());
    for planned in scenarios {
        states.push(ready(planned, endpoints, report, &mut context));
        report.scenarios.push(scenario_report(&planned.head));
    }
    let mut failed = pass(&mut context, scenarios, &mut states, report).await?;
    if options.repeats() {
        let is_unharmed = |scenario: &Vec<CaseState<'_>>| scenario.iter().all(|state| state.error.is_none());
        while !(context.is_over() || failed && options.stops_at_failure()) && states.iter().any(is_unharmed) {
            failed = pass(&mut context, scenarios, &mut states, report).await?;
        }
        for scenario in &report.scenarios {
            context.on_scenario(scenario, &report.run);
        }
    }
    report.scenarios.retain(|scenario| !scenario.cases.is_empty());
    let mut errors: Vec<RunError> = states.into_iter().flatten().filter_map(|state| state.error).collect();
    report.verdict = verdict(report, options, stop).into();
    report.run.elapsed_ns = as_ns(began.elapsed());
    context.folder.write_report(report)?;
    match errors.len() {
        0 => Ok(()),
        1 => Err(errors.remove(0)),
        _ => Err(RunError::Several { errors }),
    }
}

/// Races every case once through its rounds. True when one has failed.
async fn pass(
    context: &mut Context<'_>,
    scenarios: &[PlannedScenario],
    states: &mut [Vec<CaseState<'_>>],
    report: &mut Report,
) -> Result<bool, RunError> {
    let mut failed = false;
    for (index, planned) in scenarios.iter().enumerate() {
        if states[index].iter().any(|state| state.error.is_some()) {
            continue;
        }
        for position in 0..states[index].len() {
            let state = &mut states[index][position];
            // However little time there was, every case has had a round.
            let is_over = context.is_over() && (context.stop.is_asked() || state.tally.rounds > 0);
            if is_over || failed && context.options.stops_at_failure() {
                break;
            }
            let began = Instant::now();
            let raced = race_case(context, state).await;
            state.elapsed += began.elapsed();
            let raced = match raced {
                Err(error) if error.is_of_a_scenario() => {
                    state.error = Some(error);
                    Ok(())
                }
                raced => raced,
            };
            if state.tally.rounds > 0 {
                let case = case_report(state);
                failed |= case.verdict == Verdict::Fail.into();
                if !context.options.repeats() {
                    context.on_event(Event::Case(&case, &report.run));
                }
                report.not_raced.retain(|id| *id != case.id);
                put(&mut report.scenarios[index].cases, case);
            }
            report.run.elapsed_ns = as_ns(context.began.elapsed());
            context.folder.write_report(report)?;
            match raced {
                // What was raced until then is judged and reported like any other case.
                Ok(()) | Err(RunError::Stopped) => {}
                Err(error) => return Err(error),
            }
            if states[index][position].error.is_some() {
                break;
            }
        }
        // Of a scenario that the run did not come to, there is no growth to tell.
        if report.scenarios[index].cases.is_empty() {
            continue;
        }
        report.scenarios[index].growth = growth(planned, &states[index]);
        if !context.options.repeats() {
            report.scenarios[index].growth.iter().for_each(|growth| context.on_event(Event::Growth(growth)));
        }
    }
    Ok(failed)
}

/// The cases of a scenario that have their servers; the others are skipped, loudly.
fn ready<'a>(
    planned: &'a PlannedScenario,
    endpoints: &Endpoints,
    report: &mut Report,
    context: &mut Context<'_>,
) -> Vec<CaseState<'a>> {
    let mut states = Vec::with_capacity(planned.cases.len());
    for planned_case in &planned.cases {
        let case = &planned_case.case;
        let sources: Result<Vec<Source>, Unavailable> =
            case.targets.iter().map(|target| endpoints.source(target)).collect();
        match sources {
            Ok(sources) => states.push(CaseState {
                planned: planned_case,
                sources,
                tally: CaseTally::new(case),
                controls: Vec::new(),
                targets: Vec::new(),
                elapsed: Duration::ZERO,
                error: None,
            }),
            Err(Unavailable { reason, remedy }) => {
                let skipped =
                    SkippedCase { scenario: case.scenario.name.clone(), case: case.id.clone(), reason, remedy };
                context.on_event(Event::Skipped(&skipped));
                report.not_raced.retain(|id| *id != skipped.case);
                report.skipped.push(skipped);
            }
        }
    }
    states
}

/// One pass over a case: its rounds, and in the first pass its controls.
async fn race_case(context: &mut Context<'_>, state: &mut CaseState<'_>) -> Result<(), RunError> {
    let case = &state.planned.case;
    context.on_event(Event::Begin { case, rounds: case.rounds });
    let first_pass = state.tally.rounds == 0;
    race(context, case, &state.sources, &mut state.tally, &mut state.targets).await?;
    if first_pass {
        for control in &state.planned.controls {
            if context.stop.is_asked() {
                break;
            }
            context.on_event(Event::Begin { case: control, rounds: control.rounds });
            let mut tally = CaseTally::new(control);
            let verdict = race_control(context, control, &state.sources, &mut tally, &state.tally.ends).await?;
            state.controls.extend(verdict.map(|verdict| ControlState { tally, verdict }));
        }
    }
    Ok(())
}

fn case_report(state: &CaseState<'_>) -> CaseReport {
    let controls: Vec<(String, ControlVerdict)> = state
        .planned
        .controls
        .iter()
        .zip(&state.controls)
        .map(|(case, control)| (control_name(case).to_owned(), control.verdict.clone()))
        .collect();
    let mut verdict: CaseVerdict = judge_case(&state.planned.case, &state.tally, &controls);
    if let Some(error) = &state.error {
        verdict.doubt(format!("it ended with an error, so that not all of it was judged: {error}"));
    }
    let reports = state.planned.controls.iter().zip(&state.controls);
    let reports = reports.map(|(case, control)| build::control_report(case, &control.tally, &control.verdict));
    build::case_report(&state.planned.case, &state.tally, &verdict, reports.collect(), &state.targets, state.elapsed)
}

/// Judges a scenario's growth checks over its own cases, and over the cases of each control that is to break one.
fn growth(planned: &PlannedScenario, states: &[CaseState<'_>]) -> Vec<GrowthReport> {
    let mut reports = Vec::new();
    for growth in planned.growth() {
        let own: Vec<GrowthPoint> =
            states.iter().filter_map(|state| GrowthPoint::of(&state.planned.case, &state.tally, growth)).collect();
        let mut controls: BTreeMap<&str, Vec<GrowthPoint>> = BTreeMap::new();
        for state in states {
            for (case, control) in state.planned.controls.iter().zip(&state.controls) {
                if control.verdict == ControlVerdict::AwaitsGrowth {
                    let points = controls.entry(control_name(case)).or_default();
                    points.extend(GrowthPoint::of(case, &control.tally, growth));
                }
            }
        }
        let judged = judge_growth(growth, None, &own).into_iter();
        let judged: Vec<GrowthVerdict> =
            judged.chain(controls.iter().flat_map(|(name, points)| judge_growth(growth, Some(name), points))).collect();
        reports.extend(judged.iter().map(|verdict| build::growth_report(growth, verdict)));
    }
    reports
}

fn control_name(case: &Case) -> &str {
    case.control.as_ref().map_or("", |control| control.name.as_str())
}

fn scenario_report(head: &ScenarioHead) -> ScenarioReport {
    ScenarioReport {
        file: head.file.display().to_string(),
        name: head.name.clone(),
        summary: head.summary.clone(),
        tags: head.tags.clone(),
        hash: head.hash.clone(),
        compare: head.compare.as_ref().map(build::compare_rule),
        cases: Vec::new(),
        growth: Vec::new(),
    }
}

/// Adds a case's report, or replaces the one of an earlier pass.
fn put(cases: &mut Vec<CaseReport>, report: CaseReport) {
    match cases.iter_mut().find(|case| case.id == report.id) {
        Some(case) => *case = report,
        None => cases.push(report),
    }
}

/// How the run ended, by everything in its report.
fn verdict(report: &Report, options: Options, stop: &Stop) -> RunVerdict {
    let mut causes: Vec<RunVerdict> = Vec::new();
    for scenario in &report.scenarios {
        causes.extend(scenario.cases.iter().map(|case| RunVerdict::from(Verdict::from(case.verdict))));
        causes.extend(scenario.growth.iter().map(|growth| RunVerdict::from(Verdict::from(growth.verdict))));
    }
    if options.no_skip && !report.skipped.is_empty() {
        causes.push(RunVerdict::Environment);
    }
    if stop.is_asked() {
        causes.push(RunVerdict::Interrupted);
    }
    RunVerdict::decide(causes)
}
