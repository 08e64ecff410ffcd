//! Races one case, or one control: opens it on its targets, races its rounds, judges each as it ends, and cleans up.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;

use super::{Context, Event, RunError};
use crate::check::{CaseTally, ControlVerdict, judge_control, judge_control_round, judge_round};
use crate::endpoints::Source;
use crate::engine::{EngineError, Race};
use crate::plan::Case;
use crate::target::{self, Description, Target};

/// A case's systems, set up for it alone.
pub(super) struct Opened {
    targets: Vec<Arc<dyn Target>>,
}

impl Opened {
    pub(super) async fn open(context: &mut Context<'_>, case: &Case, sources: &[Source]) -> Result<Self, RunError> {
        let mut opened = Opened { targets: Vec::with_capacity(case.targets.len()) };
        for (spec, source) in case.targets.iter().zip(sources) {
            let space = context.next_space();
            match target::open(spec, source, &space).await {
                Ok(target) => {
                    context.open.add(&target);
                    opened.targets.push(target);
                }
                Err(error) => {
                    opened.close(context).await?;
                    return Err(RunError::Engine(EngineError::at(&spec.place, error)));
                }
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
            let closed = target.close().await.map_err(|error| RunError::Engine(error.into()));
            context.open.remove(target);
            result = result.and(closed);
        }
        result
    }
}

/// What ends a case's rounds before they are all raced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Rounds to race in this pass.
    pub(super) rounds: u64,
    /// Ends at the first failing round.
    pub(super) until_fail: bool,
}

/// Races rounds of `case`, numbered on from those that `tally` has, and adds them to it.
pub(super) async fn race(
    context: &mut Context<'_>,
    case: &Arc<Case>,
    sources: &[Source],
    tally: &mut CaseTally,
    limits: Limits,
) -> Result<Vec<Description>, RunError> {
    let opened = Opened::open(context, case, sources).await?;
    let descriptions = opened.descriptions();
    let rounds = guarded(race_rounds(context, case, &opened, tally, limits)).await;
    let closed = opened.close(context).await;
    rounds.and(closed).map(|()| descriptions)
}

async fn race_rounds(
    context: &mut Context<'_>,
    case: &Arc<Case>,
    opened: &Opened,
    tally: &mut CaseTally,
    limits: Limits,
) -> Result<(), RunError> {
    let mut race = Race::open(case.clone(), opened.targets.clone(), &context.run, context.seed_of(case)).await?;
    let mut raced = Ok(());
    for _ in 0..limits.rounds {
        raced = race_round(context, case, &mut race, tally).await;
        if raced.is_err() || context.is_over() || (limits.until_fail && tally.failed > 0) {
            break;
        }
    }
    let closed = race.close().await.map_err(RunError::from);
    raced.and(closed)
}

async fn race_round(
    context: &mut Context<'_>,
    case: &Arc<Case>,
    race: &mut Race,
    tally: &mut CaseTally,
) -> Result<(), RunError> {
    let record = race.round(tally.rounds).await?;
    let judgement = judge_round(case, &record);
    let kept = tally.add(case, &record, &judgement);
    context.folder.add_round(case, &record, &judgement, kept)?;
    context.tell(Event::Round { case, raced: tally.rounds, failed: tally.failed });
    Ok(())
}

/// Races a control until a round catches it, and says how it ended.
pub(super) async fn race_control(
    context: &mut Context<'_>,
    case: &Arc<Case>,
    sources: &[Source],
    tally: &mut CaseTally,
) -> Result<ControlVerdict, RunError> {
    let opened = Opened::open(context, case, sources).await?;
    let verdict = guarded(race_control_rounds(context, case, &opened, tally)).await;
    let closed = opened.close(context).await;
    let verdict = verdict?;
    closed.map(|()| verdict)
}

async fn race_control_rounds(
    context: &mut Context<'_>,
    case: &Arc<Case>,
    opened: &Opened,
    tally: &mut CaseTally,
) -> Result<ControlVerdict, RunError> {
    let control = case.control.as_ref().expect("a control's case says which control it is");
    let mut race = Race::open(case.clone(), opened.targets.clone(), &context.run, context.seed_of(case)).await?;
    let mut verdict = Ok(None);
    for _ in 0..case.rounds {
        verdict = async {
            let record = race.round(tally.rounds).await?;
            let judgement = judge_round(case, &record);
            let kept = tally.add(case, &record, &judgement);
            context.folder.add_round(case, &record, &judgement, kept)?;
            context.tell(Event::Round { case, raced: tally.rounds, failed: 0 });
            Ok::<_, RunError>(judge_control_round(control, &judgement))
        }
        .await;
        if !matches!(verdict, Ok(None)) || context.stop.is_asked() {
            break;
        }
    }
    let closed = race.close().await.map_err(RunError::from);
    let verdict = verdict?;
    closed?;
    Ok(verdict.unwrap_or_else(|| judge_control(case, tally)))
}

/// Lets a panic of the harness end as an error, so that what the case created is still removed.
async fn guarded<T>(future: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(RunError::Harness { message: text.unwrap_or_else(|| "a panic without a message".to_owned()) })
        }
    }
}
