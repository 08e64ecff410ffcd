//! Races on a target that plays scripts, mostly with the clock paused: see [`super::testing`] for the words.

mod attempts;
mod barriers;
mod cores;
mod random;
mod rounds;
mod steering;

use crate::model::record::{ArrivalKind, Attempt, RoundRecord};
use crate::outcome::OutcomeKind;

fn kinds(round: &RoundRecord) -> Vec<OutcomeKind> {
    round.attempts.iter().map(|attempt| attempt.outcome.kind).collect()
}

fn steps(attempt: &Attempt) -> Vec<(usize, OutcomeKind)> {
    attempt.steps.iter().map(|step| (step.step.index().unwrap(), step.outcome)).collect()
}

fn arrivals(round: &RoundRecord, barrier: usize) -> Vec<(usize, ArrivalKind)> {
    round.barriers[barrier].arrivals.iter().map(|arrival| (arrival.worker, arrival.kind.clone())).collect()
}

fn millis(ns: u64) -> u64 {
    ns / 1_000_000
}
