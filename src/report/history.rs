//! A round kept in full as a history of operations, the form that consistency checkers read.

use crate::model::record::{Attempt, Outcome, RoundRecord, StepAt, StepRecord};
use crate::model::{Action, Case};
use crate::outcome::{Cause, OutcomeKind};

use super::rows::base_id;
use super::schema::{HistoryEvent, HistoryEventWord};
use crate::judge::step_name;

/// One operation: when, what, and how it ended.
struct Operation {
    worker: usize,
    started_ns: u64,
    ended_ns: u64,
    f: String,
    value: Vec<String>,
    outcome: OutcomeKind,
    /// Whether something took effect by itself before the refusal, or at it.
    left_effect: bool,
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
            events.push(event(completion(&operation), operation.ended_ns, operation.value, error));
        }
    }
    // A stable sort keeps the order of a worker's own events when clocks tie.
    events.sort_by_key(|event| event.time);
    for (event, index) in events.iter_mut().zip(first_index..) {
        event.index = index;
    }
    events
}

/// What an outcome says about an operation's effect. A crash says nothing, so nothing is claimed; and a refusal says only
/// that what it refused did not happen.
fn completion(operation: &Operation) -> HistoryEventWord {
    match operation.outcome {
        OutcomeKind::Success => HistoryEventWord::Ok,
        OutcomeKind::Unknown | OutcomeKind::Crash => HistoryEventWord::Info,
        OutcomeKind::Conflict
        | OutcomeKind::Deadlock
        | OutcomeKind::Busy
        | OutcomeKind::Serialization
        | OutcomeKind::Duplicate
        | OutcomeKind::Rejected
        | OutcomeKind::Disconnected
        | OutcomeKind::Timeout
        | OutcomeKind::BrokenBarrier => {
            if operation.left_effect {
                HistoryEventWord::Info
            } else {
                HistoryEventWord::Fail
            }
        }
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
            left_effect: attempt.steps.iter().any(|step| stays(case, attempt, step)),
            code: outcome.code.clone(),
            message: outcome.message.to_string(),
        }];
    }
    let asks = |step| matches!(case.groups[group].step(step).map(|it| &it.action), Some(Action::Call { .. }));
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
                left_effect: stays(case, attempt, step),
                code: if ended_here { code.clone() } else { String::new() },
                message: if ended_here { message.to_string() } else { String::new() },
            }
        })
        .collect()
}

/// Whether a step may have taken effect that no rollback of its attempt takes back: it committed, or it wrote outside of
/// the transaction. (With `repeat`, each repetition commits.)
fn stays(case: &Case, attempt: &Attempt, step: &StepRecord) -> bool {
    let worker = &case.workers[attempt.worker];
    let is_done = step.outcome == OutcomeKind::Success;
    match case.groups[worker.group].step(step.step).map(|plan| &plan.action) {
        Some(Action::Call { target, request }) => {
            let request = &case.targets[*target].requests[*request].request;
            let is_outside = worker.transaction.is_none_or(|transaction| transaction.target != *target);
            is_outside && request.spec.may_write && (is_done || changed_other_rows(&attempt.outcome))
        }
        Some(Action::Barrier(_) | Action::Sleep(_) | Action::Assert(_) | Action::Let(_)) => false,
        None => is_done && step.step == StepAt::Commit,
    }
}

/// Whether `rows` refused what the server had done: other rows than wanted, and not none.
fn changed_other_rows(outcome: &Outcome) -> bool {
    matches!(outcome.cause, Some(Cause::Rows { found }) if found > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Template;
    use crate::judge::fixture::{READ, TestCase, WRITE, record, request};
    use crate::model::{Step, Transaction};
    use crate::port::{Isolation, RequestAt};
    use crate::value::Value;

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

    /// How the operations of a worker ended that took steps as told, by name, until its attempt ended in the last one, with this
    /// class and cause. Of its targets, 0 is that of the transaction, if it has one.
    fn ends(transaction: bool, steps: &[&str], (kind, cause): (OutcomeKind, Cause)) -> Vec<HistoryEventWord> {
        let text = || Template::Literal(Value::text("x"));
        let calls = [("sql", 0, &WRITE), ("publish", 1, &WRITE), ("read", 1, &READ)];
        let case = TestCase::new(1).change(|case| {
            if transaction {
                case.workers[0].transaction = Some(Transaction { target: 0, isolation: Isolation::Serializable });
            }
            let plan = case.groups[0].steps[0].clone();
            let step = |name: &str, action| Step { name: name.to_owned(), action, ..plan.clone() };
            let other = case.targets[0].clone();
            case.targets.push(other);
            case.targets.iter_mut().for_each(|target| target.requests.clear());
            let calls = calls.map(|(name, target, spec)| {
                let requests = &mut case.targets[target].requests;
                requests.push(RequestAt { request: request(spec), place: plan.place.clone() });
                step(name, Action::Call { target, request: requests.len() - 1 })
            });
            case.groups[0].steps = calls.into_iter().chain([step("sleep", Action::Sleep(text()))]).collect();
        });
        let case = case.build();
        let mut record = record(&case, 0, "1 success");
        let attempt = &mut record.attempts[0];
        let index = |name: &str| match name {
            "begin" => StepAt::Begin,
            "commit" => StepAt::Commit,
            name => StepAt::step(case.groups[0].steps.iter().position(|step| step.name == name).unwrap()),
        };
        let taken = steps.iter().map(|name| StepRecord { step: index(name), ..attempt.steps[0] });
        attempt.steps = taken.collect();
        let last = attempt.steps.last_mut().unwrap();
        last.outcome = kind;
        attempt.outcome = Outcome { kind, cause: Some(cause), step: Some(last.step), ..Outcome::success() };
        let events = history(&case, &record, 0);
        let ends = events.iter().filter(|event| event.r#type != HistoryEventWord::Invoke);
        ends.map(|event| event.r#type).collect()
    }

    const CONFLICT: (OutcomeKind, Cause) = (OutcomeKind::Conflict, Cause::Server);

    fn rows(found: u64) -> (OutcomeKind, Cause) {
        (OutcomeKind::Conflict, Cause::Rows { found })
    }

    #[test]
    fn what_was_committed_before_a_refusal_is_never_said_to_have_had_no_effect() {
        use HistoryEventWord::{Fail, Info};
        assert_eq!(ends(true, &["begin", "sql", "commit", "begin", "sql"], CONFLICT), [Info]);
        assert_eq!(ends(true, &["begin", "sql"], CONFLICT), [Fail]);
        assert_eq!(ends(true, &["begin", "sql", "commit"], CONFLICT), [Fail]);
        assert_eq!(ends(true, &["begin", "sql", "sql"], rows(2)), [Fail]);
    }

    #[test]
    fn what_a_transaction_did_on_another_target_outlives_its_rollback() {
        use HistoryEventWord::{Fail, Info};
        assert_eq!(ends(true, &["begin", "sql", "publish", "commit"], CONFLICT), [Info]);
        assert_eq!(ends(true, &["begin", "sql", "publish"], CONFLICT), [Fail], "what was refused is not stored");
        assert_eq!(ends(true, &["begin", "read", "sleep", "sql", "commit"], CONFLICT), [Fail], "reads write nothing");
    }

    #[test]
    fn a_statement_of_its_own_that_changed_other_rows_than_wanted_did_change_them() {
        use HistoryEventWord::{Fail, Info, Ok};
        assert_eq!(ends(false, &["sql", "sql"], CONFLICT), [Ok, Fail], "each is an operation");
        assert_eq!(ends(false, &["sql"], rows(2)), [Info]);
        assert_eq!(ends(false, &["sql"], rows(0)), [Fail]);
    }
}
