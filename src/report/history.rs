//! A round kept in full as a history of operations, the form that consistency checkers read.

use crate::engine::record::{Attempt, Outcome, RoundRecord};
use crate::outcome::OutcomeKind;
use crate::plan::{Action, Case};

use super::rows::base_id;
use super::schema::{HistoryEvent, HistoryEventWord};
use crate::check::step_name;

/// One operation: when, what, and how it ended.
struct Operation {
    worker: usize,
    started_ns: u64,
    ended_ns: u64,
    f: String,
    value: Vec<String>,
    outcome: OutcomeKind,
    code: String,
    message: String,
}

/// The events of a round in the order of their times, numbered from `first_index`.
pub(super) fn history(case: &Case, record: &RoundRecord, first_index: u64) -> Vec<HistoryEvent> {
    let mut events = Vec::new();
    for attempt in &record.attempts {
        for operation in operations(case, attempt) {
            let error = (operation.outcome != OutcomeKind::Success)
                .then(|| (operation.outcome.into(), operation.code.clone(), operation.message.clone()));
            let event = |r#type, time, value, error| HistoryEvent {
                index: 0,
                r#type,
                process: operation.worker as u64,
                time,
                f: operation.f.clone(),
                value,
                error,
                case: base_id(case).to_owned(),
                control: case.control.as_ref().map(|control| control.name.clone()),
                round: record.round,
            };
            events.push(event(HistoryEventWord::Invoke, operation.started_ns, Vec::new(), None));
            events.push(event(completion(operation.outcome), operation.ended_ns, operation.value, error));
        }
    }
    // A stable sort keeps the order of a worker's own events when clocks tie.
    events.sort_by_key(|event| event.time);
    for (event, index) in events.iter_mut().zip(first_index..) {
        event.index = index;
    }
    events
}

/// What an outcome says about an operation's effect. A crash says nothing, so nothing is claimed.
fn completion(outcome: OutcomeKind) -> HistoryEventWord {
    match outcome {
        OutcomeKind::Success => HistoryEventWord::Ok,
        OutcomeKind::Unknown | OutcomeKind::Crash => HistoryEventWord::Info,
        OutcomeKind::Conflict
        | OutcomeKind::Deadlock
        | OutcomeKind::Busy
        | OutcomeKind::Serialization
        | OutcomeKind::Duplicate
        | OutcomeKind::Rejected
        | OutcomeKind::Timeout
        | OutcomeKind::BrokenBarrier => HistoryEventWord::Fail,
    }
}

/// A transaction takes effect as a whole; outside of one, each step that asks a target does.
fn operations(case: &Case, attempt: &Attempt) -> Vec<Operation> {
    let worker = &case.workers[attempt.worker];
    let group = worker.group;
    let outcome = &attempt.outcome;
    if worker.transaction.is_some() {
        let done = attempt.steps.iter().filter(|step| step.outcome == OutcomeKind::Success);
        return vec![Operation {
            worker: attempt.worker,
            started_ns: attempt.started_ns,
            ended_ns: attempt.ended_ns,
            f: "transaction".to_owned(),
            value: done.map(|step| step_name(case, group, step.step).to_owned()).collect(),
            outcome: outcome.kind,
            code: outcome.code.clone(),
            message: outcome.message.clone(),
        }];
    }
    let asks =
        |step: usize| matches!(case.groups[group].steps.get(step).map(|it| &it.action), Some(Action::Call { .. }));
    let steps = attempt.steps.iter().filter(|step| asks(step.step));
    steps
        .map(|step| {
            let Outcome { code, message, .. } = outcome;
            let ended_here = step.outcome != OutcomeKind::Success;
            Operation {
                worker: attempt.worker,
                started_ns: step.started_ns,
                ended_ns: step.ended_ns,
                f: step_name(case, group, step.step).to_owned(),
                value: Vec::new(),
                outcome: step.outcome,
                code: if ended_here { code.clone() } else { String::new() },
                message: if ended_here { message.clone() } else { String::new() },
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{TestCase, record};
    use crate::plan::{Isolation, Transaction};

    #[test]
    fn an_unknown_is_info_and_never_fail() {
        let case = TestCase::new(4).build();
        let record = record(&case, 0, "1 success, 1 conflict, 1 unknown, 1 crash");
        let events = history(&case, &record, 10);
        let ends: Vec<_> = events[4..].iter().map(|event| (event.process, event.r#type)).collect();
        use HistoryEventWord::{Fail, Info, Ok};
        assert_eq!(ends, [(0, Ok), (1, Fail), (2, Info), (3, Info)]);
        assert!(events[..4].iter().all(|event| event.r#type == HistoryEventWord::Invoke));
        assert_eq!(events.iter().map(|event| event.index).collect::<Vec<_>>(), (10..18).collect::<Vec<_>>());
    }

    #[test]
    fn a_transaction_is_one_operation() {
        let case = TestCase::new(1).change(|case| {
            case.workers[0].transaction = Some(Transaction { target: 0, isolation: Isolation::Serializable });
        });
        let case = case.build();
        let events = history(&case, &record(&case, 0, "1 success"), 0);
        assert_eq!(events.iter().map(|event| event.f.as_str()).collect::<Vec<_>>(), ["transaction"; 2]);
        assert_eq!(events[1].value, ["append"]);
    }
}
