//! Races one case, or one control: opens it on its targets, races its rounds, judges each as it ends, and cleans up.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;

use super::{Context, Event, RunError};
use crate::engine::{CaseRun, EngineError, panic_message};
use crate::judge::{
    CaseTally, ControlVerdict, Ends, RoundJudgement, has_control_rounds_left, judge_control, judge_control_round,
    judge_round,
};
use crate::model::Case;
use crate::model::record::RoundRecord;
use crate::port::{Description, Source, Target};

/// How often a case is set up at most, when connections of its fixtures are lost.
const SET_UPS_MAX: u32 = 4;

/// A case's systems, set up for it alone.
pub(super) struct Opened {
    pub(super) targets: Vec<Arc<dyn Target>>,
}

impl Opened {
    pub(super) async fn open(context: &mut Context<'_>, case: &Case, sources: &[Source]) -> Result<Self, RunError> {
        let mut opened = Opened { targets: Vec::with_capacity(case.targets.len()) };
        for (spec, source) in case.targets.iter().zip(sources) {
            let namespace = context.next_namespace();
            let target = async {
                let opened = spec.driver.open(spec, source, &namespace).await;
                opened.map_err(|error| EngineError::opening(spec, error))
            };
            match context.stop.unless_asked(target).await {
                Ok(target) => {
                    let target: Arc<dyn Target> = target.into();
                    context.open.add(&target);
                    opened.targets.push(target);
                }
                Err(error) => return and_cleaned(Err(error), opened.close(context).await),
            }
        }
        Ok(opened)
    }

    pub(super) fn descriptions(&self) -> Vec<Description> {
        self.targets.iter().map(|target| target.description().clone()).collect()
    }

    /// Removes what the case created. All targets are tried; the first error is told.
    pub(super) async fn close(self, context: &mut Context<'_>) -> Result<(), RunError> {
        let mut result = Ok(());
        for target in &self.targets {
            let closing = async { target.close().await.map_err(EngineError::from) };
            let closed = context.stop.unless_now(closing).await;
            // One that was given up is still in the list, and closed from there within a limit.
            if !matches!(closed, Err(RunError::Stopped)) {
                context.open.remove(target);
            }
            result = result.and(closed);
        }
        result
    }
}

/// What was done, if cleaning up after it worked as well; an error of either, and both if both failed.
pub(super) fn and_cleaned<T>(done: Result<T, RunError>, cleaned: Result<(), RunError>) -> Result<T, RunError> {
    match done {
        Ok(done) => cleaned.map(|()| done),
        // Whoever stops the run at once says himself what stays behind.
        Err(RunError::Stopped) => Err(RunError::Stopped),
        Err(error) => Err(error.with_cleanup(cleaned)),
    }
}

/// Races the rounds of `case`, numbered on from those that `tally` has, and adds them to it. Notes in `descriptions` what
/// its targets are.
pub(super) async fn race(
    context: &mut Context<'_>,
    case: &Arc<Case>,
    sources: &[Source],
    tally: &mut CaseTally,
    descriptions: &mut Vec<Description>,
) -> Result<(), RunError> {
    let goal = tally.rounds.saturating_add(case.rounds);
    let mut set_ups = SET_UPS_MAX;
    loop {
        let opened = Opened::open(context, case, sources).await?;
        *descriptions = opened.descriptions();
        let rounds = guarded(race_rounds(context, case, &opened, tally, goal)).await;
        let closed = opened.close(context).await;
        match and_cleaned(rounds, closed) {
            Err(error) if is_to_be_set_up_again(&error, &mut set_ups) => {}
            raced => return raced,
        }
    }
}

/// Whether nobody knows if a fixture took effect, since its answer was lost. It is never repeated: the case is set up once
/// more, and its round is not counted. That costs one of `set_ups`.
fn is_to_be_set_up_again(error: &RunError, set_ups: &mut u32) -> bool {
    *set_ups = set_ups.saturating_sub(1);
    *set_ups > 0 && matches!(error, RunError::Engine(EngineError::Lost { .. }))
}

async fn race_rounds(
    context: &mut Context<'_>,
    case: &Arc<Case>,
    opened: &Opened,
    tally: &mut CaseTally,
    goal: u64,
) -> Result<(), RunError> {
    let race =
        CaseRun::open(case.clone(), opened.targets.clone(), &context.run, context.choices_of(case), context.cores);
    let mut race = context.stop.unless_asked(race).await?;
    race.steer(context.steering.clone());
    let mut raced = Ok(());
    while tally.rounds < goal && !context.stop.is_asked() {
        raced = race_round(context, case, &mut race, tally).await.map(drop);
        if raced.is_err() || context.is_over() || (context.options.stops_at_failure() && tally.failed > 0) {
            break;
        }
    }
    let closed = context.stop.unless_now(race.close()).await;
    raced.and(closed)
}

/// Races one round, judges it, and adds it to `tally` and to the run's folder.
pub(super) async fn race_round(
    context: &mut Context<'_>,
    case: &Arc<Case>,
    race: &mut CaseRun,
    tally: &mut CaseTally,
) -> Result<(RoundRecord, RoundJudgement), RunError> {
    let mut record = context.stop.unless_now(race.round(tally.rounds)).await?;
    let exchanges = record.take_exchanges();
    let judgement = judge_round(case, &record);
    let kept = tally.add(case, &record, &judgement).then(|| record.kept(&exchanges));
    if let Some(kept) = &kept {
        tally.keep_exchanges(kept.clone());
    }
    context.folder.add_round(case, &record, &judgement, kept.as_ref())?;
    context.on_event(Event::Round { case, raced: tally.rounds, failed: tally.failed });
    Ok((record, judgement))
}

/// Races a control until a round catches it, and says how it ended; `None` if it was interrupted before that. `ends` are those
/// of the case that it belongs to.
pub(super) async fn race_control(
    context: &mut Context<'_>,
    case: &Arc<Case>,
    sources: &[Source],
    tally: &mut CaseTally,
    ends: &Ends,
) -> Result<Option<ControlVerdict>, RunError> {
    let mut set_ups = SET_UPS_MAX;
    loop {
        let opened = Opened::open(context, case, sources).await?;
        let verdict = guarded(race_control_rounds(context, case, &opened, tally, ends)).await;
        let closed = opened.close(context).await;
        match and_cleaned(verdict, closed) {
            Err(error) if is_to_be_set_up_again(&error, &mut set_ups) => {}
            raced => return raced,
        }
    }
}

async fn race_control_rounds(
    context: &mut Context<'_>,
    case: &Arc<Case>,
    opened: &Opened,
    tally: &mut CaseTally,
    ends: &Ends,
) -> Result<Option<ControlVerdict>, RunError> {
    let race =
        CaseRun::open(case.clone(), opened.targets.clone(), &context.run, context.choices_of(case), context.cores);
    let mut race = context.stop.unless_asked(race).await?;
    race.steer(context.steering.clone());
    let mut ended = Ok(None);
    while has_control_rounds_left(case, tally) && !context.stop.is_asked() {
        let raced = race_round(context, case, &mut race, tally).await;
        ended = raced.map(|(record, judgement)| judge_control_round(case, &record, &judgement, ends));
        if !matches!(ended, Ok(None)) || context.stop.is_asked() {
            break;
        }
    }
    let closed = context.stop.unless_now(race.close()).await;
    let ended = ended?;
    closed?;
    Ok(ended.or_else(|| (!context.stop.is_asked()).then(|| judge_control(case, tally))))
}

/// Lets a panic of the harness end as an error, so that what the case created is still removed.
pub(super) async fn guarded<T>(future: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => Err(RunError::Harness { message: panic_message(panic.as_ref()) }),
    }
}
