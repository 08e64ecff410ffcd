//! The sessions of one worker.

use std::sync::Arc;

use super::EngineError;
use super::refused::StepEnd;
use crate::model::{Action, Case};
use crate::port::{Session, Target};

/// Opens and prepares a session on each target that the group of the worker at `place` uses; `None` for the others. They belong
/// to the current runtime.
pub(super) async fn open(
    case: &Case,
    targets: &[Arc<dyn Target>],
    place: usize,
) -> Result<Vec<Option<Box<dyn Session>>>, EngineError> {
    let mut sessions = Vec::with_capacity(targets.len());
    for (index, target) in targets.iter().enumerate() {
        sessions.push(if uses(case, place, index) {
            let mut session = target.session(place).await?;
            session.prepare().await.map_err(|error| EngineError::preparing(case, index, error))?;
            Some(session)
        } else {
            None
        });
    }
    Ok(sessions)
}

fn uses(case: &Case, worker: usize, target: usize) -> bool {
    let worker = &case.workers[worker];
    worker.transaction.is_some_and(|transaction| transaction.target == target)
        || case.groups[worker.group]
            .steps
            .iter()
            .any(|step| matches!(&step.action, Action::Call { target: used, .. } if *used == target))
}

/// The end of a step that asks a target of which its worker has no session.
pub(super) fn no_session(case: &Case, target: usize) -> StepEnd {
    let message = format!("no session was opened on target `{}`", case.targets[target].name);
    StepEnd::Failed(EngineError::Fault { place: Some(case.targets[target].place.clone()), message })
}
