//! Two variants of each case, raced in turns: on the same servers, under the same conditions, so that their rounds can be compared in pairs.
//!
//! Of each pair of rounds, the order is the reverse of the last pair's (ABBA), so that neither a drift nor "who comes first" favours a side.
//! A. Bulej and others, *Duet benchmarking: improving measurement accuracy in the cloud*, ICPE 2020, on why this is worth it.

use std::sync::Arc;
use std::time::Instant;

use super::case::{Opened, and_cleaned, guarded, race_round};
use super::{Context, Event, OpenTargets, Options, RunError, Stop};
use crate::compare::{LiveCase, LivePair};
use crate::duration::as_ns;
use crate::engine::{CaseRun, Choices, Cores, HeadStarts, Steering};
use crate::judge::{CaseTally, RunVerdict, Verdict, judge_case};
use crate::model::Case;
use crate::port::{Description, Source};
use crate::report::schema::{CaseReport, Report, ScenarioReport, SkippedCase, WarmUp};
use crate::report::{RunFolder, Samples, SinkError, build, load_samples};
use crate::run::endpoints::Unavailable;

/// A case in both variants, with where the systems of each are.
#[derive(Debug)]
pub struct PlannedPair {
    /// BASE.
    pub base: (Arc<Case>, Vec<Source>),
    /// HEAD.
    pub head: (Arc<Case>, Vec<Source>),
}

/// What one side leaves: an ordinary report, and its folder.
#[derive(Debug)]
pub struct LiveSide {
    /// The report.
    pub report: Report,
    /// Where it is written.
    pub folder: RunFolder,
    /// Names the side in schemas and streams.
    pub run: String,
}

/// How the turns are taken.
#[derive(Debug, Clone, Copy)]
pub struct Turns {
    /// Rounds a side that count.
    pub rounds: u64,
    /// Rounds a side that come first and do not count.
    pub warm_up: u64,
    /// Chooses who begins, and the order in which workers are told to.
    pub seed: u64,
}

impl Turns {
    /// Whether BASE is the first of this pair of rounds: A B, B A, A B, …
    fn base_first(self, turn: u64) -> bool {
        (self.seed ^ turn) & 1 == 0
    }

    /// The number of the round that warms up in this turn: after those that count, so that it meets no state which one of
    /// them would use. `None` when the turn's round counts.
    fn warm_up_number(self, turn: u64) -> Option<u64> {
        (turn < self.warm_up).then_some(self.rounds + turn)
    }
}

/// Races all pairs in turns. Stops after a whole pair of rounds when asked to. Until all are raced, the report of either side says that it
/// was interrupted: so it does if nobody is left to say anything else.
pub async fn live(
    pairs: &[PlannedPair],
    turns: Turns,
    sides: &mut [LiveSide; 2],
    stop: &Stop,
    open: &OpenTargets,
    cores: &Cores,
    on_event: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<Vec<LivePair>, RunError> {
    let mut raced = Vec::new();
    let (mut no_words, mut no_words_either) = (|_: Event<'_>| {}, |_: Event<'_>| {});
    let [base_side, head_side] = sides;
    let mut base = base_side.context(turns, stop, open, cores, &mut no_words);
    let mut head = head_side.context(turns, stop, open, cores, &mut no_words_either);
    for pair in pairs {
        if stop.is_asked() {
            break;
        }
        on_event(Event::Begin { case: &pair.head.0, rounds: turns.rounds });
        let began = Instant::now();
        let mut variants = [Variant::new(&mut base.0, &pair.base.0), Variant::new(&mut head.0, &pair.head.0)];
        let ended = race_pair(&mut variants, pair, turns, stop, on_event).await;
        ended?;
        let [of_base, of_head] = variants.map(|variant| (variant.tally, variant.warm_up_ns, variant.targets));
        if of_base.0.rounds == 0 || of_head.0.rounds == 0 {
            break;
        }
        let base_report = report(&pair.base.0, &of_base.0, &of_base.2, began);
        let head_report = report(&pair.head.0, &of_head.0, &of_head.2, began);
        for ((context, report), (case, case_report)) in
            [(&mut base, (&pair.base.0, &base_report)), (&mut head, (&pair.head.0, &head_report))]
        {
            put(report, case, case_report.clone());
            report.run.elapsed_ns = as_ns(context.began.elapsed());
            context.folder.write_report(report)?;
        }
        raced.push((pair, base_report, head_report, WarmUp { base_ns: of_base.1, head_ns: of_head.1 }));
    }
    if !stop.is_asked() {
        for (context, report) in [&mut base, &mut head] {
            report.verdict = verdict(report, None).into();
            context.folder.write_report(report)?;
        }
    }
    let [base_samples, head_samples] =
        [&base, &head].map(|(context, report)| load_samples(context.folder.path(), report));
    let (base_samples, head_samples) = (base_samples?, head_samples?);
    let case = |report: CaseReport, samples: &Samples| LiveCase {
        samples: samples.cases.get(&report.id).cloned().unwrap_or_default(),
        groups: samples.groups.get(&report.id).cloned().unwrap_or_default(),
        report,
    };
    let pairs = raced.into_iter().map(|(pair, base, head, warm_up)| LivePair {
        scenario: pair.head.0.scenario.name.clone(),
        rule: pair.head.0.scenario.compare.as_ref().map(build::compare_rule),
        base: case(base, &base_samples),
        head: case(head, &head_samples),
        warm_up,
    });
    Ok(pairs.collect())
}

impl LiveSide {
    /// Writes down what ended the races before their time.
    pub fn end(&mut self, ended_by: RunVerdict, error: &str) -> Result<(), SinkError> {
        self.report.verdict = verdict(&self.report, Some(ended_by)).into();
        self.report.error = Some(error.to_owned()).filter(|error| !error.is_empty());
        self.folder.write_report(&mut self.report)
    }

    /// Notes that a case has no server.
    pub fn skip(&mut self, case: &Case, unavailable: &Unavailable) {
        let Unavailable { reason, remedy } = unavailable.clone();
        self.report.not_raced.retain(|id| *id != case.id);
        let (scenario, case) = (case.scenario.name.clone(), case.id.clone());
        self.report.skipped.push(SkippedCase { scenario, case, reason, remedy });
    }

    fn context<'a>(
        &'a mut self,
        turns: Turns,
        stop: &'a Stop,
        open: &'a OpenTargets,
        cores: &'a Cores,
        on_event: &'a mut (dyn FnMut(Event<'_>) + Send),
    ) -> (Context<'a>, &'a mut Report) {
        let context = Context {
            folder: &mut self.folder,
            stop,
            open,
            cores,
            on_event,
            run: self.run.clone(),
            seed: turns.seed,
            namespaces: 0,
            options: Options::default(),
            again: None,
            steering: Steering::default(),
            began: Instant::now(),
            ends: None,
        };
        (context, &mut self.report)
    }
}

/// One variant of a case under way.
struct Variant<'a, 'b> {
    context: &'a mut Context<'b>,
    case: &'a Arc<Case>,
    opened: Option<Opened>,
    race: Option<CaseRun>,
    targets: Vec<Description>,
    tally: CaseTally,
    warm_up_ns: Vec<u64>,
}

impl<'a, 'b> Variant<'a, 'b> {
    fn new(context: &'a mut Context<'b>, case: &'a Arc<Case>) -> Self {
        Variant {
            context,
            case,
            opened: None,
            race: None,
            targets: Vec::new(),
            tally: CaseTally::new(case),
            warm_up_ns: Vec::new(),
        }
    }

    async fn open(&mut self, sources: &[Source]) -> Result<(), RunError> {
        let opened = self.opened.insert(Opened::open(self.context, self.case, sources).await?);
        self.targets = opened.descriptions();
        // Both variants seed their workers' order alike.
        let seed = self.context.seed;
        let race = CaseRun::open(
            self.case.clone(),
            opened.targets.clone(),
            &self.context.run,
            Choices { seed, first_round: 0, head_starts: HeadStarts::Never },
            self.context.cores,
        );
        self.race = Some(self.context.stop.unless_asked(race).await?);
        Ok(())
    }

    /// Races one round: one that counts, or one of this number that warms up.
    async fn round(&mut self, warm_up: Option<u64>) -> Result<(), RunError> {
        let race = self.race.as_mut().expect("rounds are raced between open and close");
        let Some(number) = warm_up else {
            return race_round(self.context, self.case, race, &mut self.tally).await.map(drop);
        };
        let record = self.context.stop.unless_now(race.round(number)).await?;
        self.warm_up_ns.push(as_ns(record.makespan));
        Ok(())
    }

    /// Removes what the variant created, whatever happened to it.
    async fn close(&mut self) -> Result<(), RunError> {
        let ended = match self.race.take() {
            Some(race) => self.context.stop.unless_now(race.close()).await,
            None => Ok(()),
        };
        let Some(opened) = self.opened.take() else { return ended };
        let closed = opened.close(self.context).await;
        and_cleaned(ended, closed)
    }
}

/// Races the rounds of a pair, all of them or those until the run was told to stop.
async fn race_pair(
    [base, head]: &mut [Variant<'_, '_>; 2],
    pair: &PlannedPair,
    turns: Turns,
    stop: &Stop,
    on_event: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<(), RunError> {
    let raced = guarded(async {
        base.open(&pair.base.1).await?;
        head.open(&pair.head.1).await?;
        for turn in 0..turns.warm_up + turns.rounds {
            if stop.is_asked() {
                break;
            }
            let warm_up = turns.warm_up_number(turn);
            if turns.base_first(turn) {
                base.round(warm_up).await?;
                head.round(warm_up).await?;
            } else {
                head.round(warm_up).await?;
                base.round(warm_up).await?;
            }
            if warm_up.is_none() {
                let failed = base.tally.failed + head.tally.failed;
                on_event(Event::Round { case: head.case, raced: head.tally.rounds, failed });
            }
        }
        Ok(())
    })
    .await;
    let (base, head) = (base.close().await, head.close().await);
    match and_cleaned(raced, and_cleaned(base, head)) {
        Ok(()) | Err(RunError::Stopped) => Ok(()),
        Err(error) => Err(error),
    }
}

fn report(case: &Case, tally: &CaseTally, targets: &[Description], began: Instant) -> CaseReport {
    let verdict = judge_case(case, tally, &[]);
    build::case_report(case, tally, &verdict, Vec::new(), targets, began.elapsed())
}

/// How the cases of `report` ended, and what `other` says of the run.
fn verdict(report: &Report, other: Option<RunVerdict>) -> RunVerdict {
    let cases = report.scenarios.iter().flat_map(|scenario| &scenario.cases);
    RunVerdict::decide(cases.map(|case| RunVerdict::from(Verdict::from(case.verdict))).chain(other))
}

/// Adds a case's report to that of its scenario.
fn put(report: &mut Report, case: &Case, case_report: CaseReport) {
    report.not_raced.retain(|id| *id != case_report.id);
    match report.scenarios.iter_mut().find(|scenario| scenario.name == case.scenario.name) {
        Some(scenario) => scenario.cases.push(case_report),
        None => {
            let scenario = super::scenario_report(&case.scenario);
            report.scenarios.push(ScenarioReport { cases: vec![case_report], ..scenario });
        }
    }
}
