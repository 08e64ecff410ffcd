//! How a worker passes a barrier: between its steps, or at a pause point inside an operation.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::{BoxFuture, ready};
use futures::{FutureExt, TryFutureExt};

use super::round::Round;
use crate::model::Case;
use crate::outcome::{Cause, OutcomeKind};
use crate::port::{BarrierBroken, Pause, PauseAt, Refusal};

/// Waits at a barrier as `worker`, notes when it was released, and returns when the worker was past it.
pub(super) async fn pass(
    round: &Round,
    barrier: usize,
    worker: usize,
    released_ns: &AtomicU64,
) -> Result<u64, BarrierBroken> {
    let passed = round.barriers[barrier].arrive(worker, &round.clock).await?;
    released_ns.store(passed.released_ns, Ordering::Relaxed);
    Ok(passed.at_ns)
}

/// Barriers as an operation's pause points.
pub(super) struct PauseAtBarrier<'a> {
    pub(super) round: &'a Round,
    pub(super) pauses: &'a [PauseAt],
    pub(super) worker: usize,
    pub(super) released_ns: &'a AtomicU64,
}

impl Pause for PauseAtBarrier<'_> {
    fn reached<'a>(&'a self, point: &'a str) -> BoxFuture<'a, Result<(), BarrierBroken>> {
        match self.pauses.iter().find(|pause| *pause.point == *point) {
            Some(pause) => pass(self.round, pause.barrier, self.worker, self.released_ns).map_ok(drop).boxed(),
            None => ready(Ok(())).boxed(),
        }
    }
}

/// The outcome of an attempt that a barrier held up until it broke.
pub(super) fn broken(case: &Case, barrier: usize) -> Refusal {
    let spec = &case.barriers[barrier];
    let message = format!("barrier `{}` was not completed within {:?}", spec.name, spec.timeout);
    Refusal::new(OutcomeKind::BrokenBarrier, Cause::Barrier, "barrier", message)
}
