//! Reads the final state of a round and evaluates the invariants over it.

use std::sync::Arc;

use tokio::time::Instant;

use super::EngineError;
use super::case_run::EVALUATION_MAX;
use super::number::RoundNumber;
use crate::expression::Scope;
use crate::model::Invariant;
use crate::model::record::InvariantResult;
use crate::outcome::{OutcomeKind, Tally};
use crate::port::{Done, Request, ResultShape, Target, TargetError, read};
use crate::value::Value;

/// How many characters of what a broken invariant saw are kept at most.
const OBSERVED_MAX: usize = 2000;

/// Evaluates one invariant after the round of these numbers, whose attempts ended as `tally` counts.
pub(crate) async fn evaluate(
    invariant: &Invariant,
    target: &dyn Target,
    round: RoundNumber,
    tally: &Tally,
) -> Result<InvariantResult, EngineError> {
    let mut scope = Scope::inside(invariant.scope.clone());
    round.bind(&mut scope);
    scope.set_deadline(Instant::now() + EVALUATION_MAX);
    let fault = |message: String| EngineError::Fault { place: Some(invariant.place.clone()), message };
    let probe = invariant.probe.resolve(&scope).map_err(|error| fault(error.to_string()))?;
    let done = match read(target, &probe).await {
        Ok(done) => done,
        Err(TargetError::Fault { message } | TargetError::Request { message, .. }) => return Err(fault(message)),
        Err(TargetError::Lost { message } | TargetError::Environment { message }) => {
            return Ok(InvariantResult::Unread { reason: message });
        }
    };
    let (name, observed) = observed(&probe, &done);
    let mut scope = Scope::inside(Arc::new(scope));
    scope.set_deadline(Instant::now() + EVALUATION_MAX);
    scope.bind(name, observed.clone());
    scope.bind("result", done.result.clone());
    let count = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    for kind in OutcomeKind::ALL {
        scope.bind(kind.as_str().replace('-', "_"), count(tally.of(kind)));
    }
    let observed = shortened(name, &observed);
    // Any number of the unknown attempts may have taken effect.
    let unknown = tally.of(OutcomeKind::Unknown);
    let mut holds_for = Vec::new();
    for took_effect in 0..=unknown {
        scope.bind("success", count(tally.of(OutcomeKind::Success) + took_effect));
        match invariant.that.evaluate_bool(&scope) {
            Ok(true) => holds_for.push(took_effect),
            Ok(false) => {}
            // The race may have brought it about, such as a row that is gone: that is said of the round, and ends no run.
            Err(error) => return Ok(InvariantResult::Undefined { reason: format!("{error}; {observed}") }),
        }
    }
    Ok(match holds_for.len() as u64 {
        0 => InvariantResult::Broken { observed },
        all if all == unknown + 1 => InvariantResult::Held,
        _ => InvariantResult::Depends { holds_for, observed },
    })
}

/// The name under which an expression sees what a probe read, and its value.
fn observed(probe: &Request<Value>, done: &Done) -> (&'static str, Value) {
    match probe.spec.result {
        ResultShape::Rows => ("rows", done.rows()),
        ResultShape::Value(name) => (name, done.result.clone()),
    }
}

fn shortened(name: &str, value: &Value) -> String {
    let text = format!("{name} = {value}");
    match text.char_indices().nth(OBSERVED_MAX) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}
