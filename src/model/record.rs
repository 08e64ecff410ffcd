//! What the engine writes down about a round: plain data for checks and reports.

use std::time::Duration;

use super::{Exchanges, KeptExchanges};
use crate::outcome::{Cause, OutcomeKind, Tally};
use crate::said::Said;

/// One race, as it happened. Times are nanoseconds since the round's origin, the instant its workers were told to begin.
#[derive(Debug, Clone)]
pub struct RoundRecord {
    /// The round's number in the run, from 0.
    pub round: u64,
    /// Its number since `setup` ran, from 0: what the scenario calls `round`.
    pub since_setup: u64,
    /// One attempt per worker, by worker number.
    pub attempts: Vec<Attempt>,
    /// What happened at each barrier, `start` included, by [`crate::model::Case::barriers`].
    pub barriers: Vec<BarrierRecord>,
    /// What the invariants said, by [`crate::model::Checks::invariants`].
    pub invariants: Vec<InvariantResult>,
    /// The most workers that were in play at one instant: between first request and last answer, and not waiting on purpose.
    pub overlap: u64,
    /// From the release of the start barrier (or the round's origin) to the end of the last attempt.
    pub makespan: Duration,
    /// The workers in the order in which they were told to begin.
    pub order: Vec<usize>,
    /// By worker: the place that it had, and thus the sessions.
    pub places: Vec<usize>,
    /// The head start that some of them had.
    pub head_start: Option<HeadStart>,
    /// The worker that was answered first after the last barrier was released; `None` if nobody was.
    pub answered_first: Option<usize>,
    /// What actors next to the workers did, such as faults, in the order of their times.
    pub deeds: Vec<Deed>,
}

/// Something that an actor did in a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// The actor's name.
    pub actor: String,
    /// What it did.
    pub what: String,
    /// When.
    pub at_ns: u64,
}

/// Some workers left the start barrier before the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadStart {
    /// The workers that were ahead, ascending.
    pub ahead: Vec<usize>,
    /// How long the others were held back after the release.
    pub lead_ns: u64,
}

impl RoundRecord {
    /// How the attempts ended.
    pub fn tally(&self) -> Tally {
        self.attempts.iter().map(|attempt| attempt.outcome.kind).collect()
    }

    /// Takes out what was asked and what came of it. Judging needs none of it, and only of few rounds it is kept.
    pub fn take_exchanges(&mut self) -> Vec<Exchanges> {
        self.attempts.iter_mut().map(|attempt| std::mem::take(&mut attempt.exchanges)).collect()
    }

    /// What is kept of the `exchanges` that were taken out.
    pub fn kept(&self, exchanges: &[Exchanges]) -> KeptExchanges {
        let steps = self.attempts.iter().map(|attempt| attempt.steps.iter().map(|step| step.step).collect());
        KeptExchanges::of(exchanges.iter().zip(steps))
    }
}

/// One worker's try at its steps.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The worker's number.
    pub worker: usize,
    /// When it began, after the start barrier.
    pub started_ns: u64,
    /// When it ended, after its rollback if it failed.
    pub ended_ns: u64,
    /// When the start barrier that it passed was released; equal to `started_ns` without one.
    pub released_ns: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What it did, in order. With `repeat`, steps come several times.
    pub steps: Vec<StepRecord>,
    /// What its steps asked, and what came of it.
    pub exchanges: Exchanges,
}

impl Attempt {
    /// An attempt of `worker` that nothing stopped yet.
    pub(crate) const fn new(worker: usize) -> Self {
        Attempt {
            worker,
            started_ns: 0,
            ended_ns: 0,
            released_ns: 0,
            outcome: Outcome::success(),
            steps: Vec::new(),
            exchanges: Exchanges::new(),
        }
    }
}

/// Where in an attempt something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepAt {
    /// The BEGIN of its transaction.
    Begin,
    /// A step: index into the group's steps.
    Step(u32),
    /// The COMMIT of its transaction.
    Commit,
}

impl StepAt {
    /// The step of a group with this index.
    pub fn step(index: usize) -> Self {
        StepAt::Step(u32::try_from(index).expect("a scenario file is too short for that"))
    }

    /// The index into the group's steps; `None` for a transaction's ends.
    pub const fn index(self) -> Option<usize> {
        match self {
            StepAt::Step(index) => Some(index as usize),
            StepAt::Begin | StepAt::Commit => None,
        }
    }
}

/// How an attempt ended, and where.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub struct Outcome {
    /// The class.
    pub kind: OutcomeKind,
    /// What ended it; `None` for success, and for what a row of a stored round does not tell.
    pub cause: Option<Cause>,
    /// The failed step. `None` for success, and where something else than a step failed.
    pub step: Option<StepAt>,
    /// The system's code, empty for success.
    pub code: String,
    /// The system's message, empty for success.
    pub message: Said,
}

impl Outcome {
    /// A success.
    pub const fn success() -> Self {
        Outcome { kind: OutcomeKind::Success, cause: None, step: None, code: String::new(), message: Said::NOTHING }
    }
}

/// One step of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepRecord {
    /// Which one.
    pub step: StepAt,
    /// When it began.
    pub started_ns: u64,
    /// When it ended.
    pub ended_ns: u64,
    /// When the last barrier that the worker passed before the step ended was released.
    pub released_ns: u64,
    /// How it ended.
    pub outcome: OutcomeKind,
    /// Whether its statement had to be prepared first, since steps or fixtures of the round made what it needs: no latency.
    pub has_prepared: bool,
}

/// What happened at one barrier in one round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BarrierRecord {
    /// When it was released; `None` if it was never completed, or nobody came.
    pub released_ns: Option<u64>,
    /// From the first to the last parked worker past it.
    pub skew_ns: u64,
    /// How each party came, in the order in which that was noticed.
    pub arrivals: Vec<Arrival>,
    /// When it broke: who was missing.
    pub missing: Vec<Missing>,
}

/// How a worker came to a barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The worker's number.
    pub worker: usize,
    /// How.
    pub kind: ArrivalKind,
    /// When.
    pub at_ns: u64,
}

/// The ways to come to a barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArrivalKind {
    /// It reached the barrier and waited.
    Arrived,
    /// Its attempt ended before the barrier, after its rollback.
    Failed,
    /// It waits, directly or through others, for a worker parked at this barrier, or for one whose attempt has ended.
    Blocked {
        /// The chain of workers from the one it waits for to the last, which waits for nobody.
        by: Vec<usize>,
    },
    /// It reached the barrier after the release and passed at once.
    Late,
}

/// A worker that a barrier waited for in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The worker's number.
    pub worker: usize,
    /// What it was doing: the step it was in, if it had begun.
    pub step: Option<StepAt>,
    /// For how long it had been doing that.
    pub for_ns: u64,
    /// Whom it was waiting for, if the system could tell.
    pub waits_for: Vec<String>,
}

/// What an invariant said. Any number of the round's unknown attempts may in truth have taken effect, so what it says may
/// depend on how many did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvariantResult {
    /// It held, however many of the unknown attempts took effect.
    Held,
    /// It did not, however many of them took effect.
    Broken {
        /// The probe's result as text, shortened.
        observed: String,
    },
    /// It held only if the right number of them took effect.
    Depends {
        /// The numbers for which it held: neither none nor all of those that there may be.
        holds_for: Vec<u64>,
        /// The probe's result as text, shortened.
        observed: String,
    },
    /// There was no answer, also when it was asked once more: whether it held is not known.
    Unread {
        /// Why.
        reason: String,
    },
    /// What was read gives the expression no value.
    Undefined {
        /// Why.
        reason: String,
    },
}

impl InvariantResult {
    /// Whether it held if `took_effect` of the unknown attempts took effect; `None` if that is not known.
    pub fn holds_for(&self, took_effect: u64) -> Option<bool> {
        match self {
            InvariantResult::Held => Some(true),
            InvariantResult::Broken { .. } => Some(false),
            InvariantResult::Depends { holds_for, .. } => Some(holds_for.contains(&took_effect)),
            InvariantResult::Unread { .. } | InvariantResult::Undefined { .. } => None,
        }
    }
}
