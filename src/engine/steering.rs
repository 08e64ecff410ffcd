//! What may take part in a round next to its workers: a schedule of their steps, and actors such as faults.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;

use super::clock::Clock;
use crate::model::record::{Deed, StepAt};

/// What takes part in every round of a race. By default nothing does, and workers take their steps as they come to them.
#[derive(Debug, Clone, Default)]
pub struct Steering {
    /// Decides when workers take their steps.
    pub schedule: Option<Arc<dyn Schedule>>,
    /// Act while the workers race.
    pub actors: Vec<Arc<dyn Actor>>,
}

/// One step of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The round's number in the run.
    pub round: u64,
    /// The worker.
    pub worker: usize,
    /// The step.
    pub step: StepAt,
}

/// Decides when workers take their steps: the decision point between two steps.
pub trait Schedule: Send + Sync {
    /// Returns when the worker may take the step. How long it takes is not part of the step.
    fn turn(&self, turn: Turn) -> BoxFuture<'_, ()>;

    /// The step has ended, or was refused.
    fn ended(&self, turn: Turn);
}

impl fmt::Debug for dyn Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schedule")
    }
}

/// Acts while the workers of a round race, such as a fault that ends a server. What it notes stands in the round's history.
pub trait Actor: Send + Sync {
    /// Its name in the history.
    fn name(&self) -> &str;

    /// Acts in the round of this number, which begins now. The round is over when its workers and its actors are.
    fn act<'a>(&'a self, round: u64, deeds: &'a Deeds) -> BoxFuture<'a, ()>;
}

impl fmt::Debug for dyn Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Actor").field(&self.name()).finish()
    }
}

/// What the actors of a round did, as they do it.
#[derive(Debug)]
pub struct Deeds {
    clock: Clock,
    done: Mutex<Vec<Deed>>,
}

impl Deeds {
    pub(super) fn new(clock: Clock) -> Self {
        Deeds { clock, done: Mutex::default() }
    }

    /// Notes that `actor` did `what` just now.
    pub fn note(&self, actor: &str, what: impl Into<String>) {
        let deed = Deed { actor: actor.to_owned(), what: what.into(), at_ns: self.clock.now_ns() };
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push(deed);
    }

    pub(super) fn into_done(self) -> Vec<Deed> {
        self.done.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
