//! A round kept in full as a history of operations, the form that consistency checkers read.

use std::ops::Range;

use crate::judge::step_name;
use crate::model::record::{Attempt, Outcome, RoundRecord, StepAt, StepRecord};
use crate::model::{Action, Case, KeptExchange, KeptExchanges};
use crate::outcome::{Cause, OutcomeKind};
use crate::value::Value;

use super::rows::base_id;
use super::schema::{EndWord, HistoryEvent, HistoryEventWord, HistoryStep};

/// One operation: when, what, and how it ended. The steps that it consists of stand at `positions` in the attempt.
struct Operation {
    positions: Range<usize>,
    started_ns: u64,
    ended_ns: u64,
    outcome: OutcomeKind,
    end: EndWord,
}

/// The events of a round in the order of their times, numbered from `first_index`. `exchanges` are those of `record`.
pub(super) fn history(
    case: &Case,
    record: &RoundRecord,
    exchanges: &KeptExchanges,
    first_index: u64,
) -> Vec<HistoryEvent> {
    let mut events = Vec::new();
    for (index, attempt) in record.attempts.iter().enumerate() {
        let is_transaction = case.workers[attempt.worker].transaction.is_some();
        for operation in operations(case, attempt) {
            let [invoked, ended] = if is_transaction {
                transaction(case, attempt, index, &operation, exchanges)
            } else {
                step(case, attempt, index, &operation, exchanges)
            };
            let event = |base: HistoryEvent| HistoryEvent {
                process: attempt.worker as u64,
                case: base_id(case).to_owned(),
                control: case.control.as_ref().map(|control| control.name.clone()),
                round: record.round,
                ..base
            };
            let outcome = &attempt.outcome;
            let error = (operation.outcome != OutcomeKind::Success)
                .then(|| (operation.outcome.into(), outcome.code.clone(), outcome.message.to_string()));
            events.push(event(HistoryEvent { time: operation.started_ns, ..invoked }));
            events.push(event(HistoryEvent { time: operation.ended_ns, error, ..ended }));
        }
    }
    events.extend(record.deeds.iter().map(|deed| HistoryEvent {
        process: record.attempts.len() as u64,
        time: deed.at_ns,
        value: vec![deed.what.clone()],
        case: base_id(case).to_owned(),
        control: case.control.as_ref().map(|control| control.name.clone()),
        round: record.round,
        ..HistoryEvent::new(HistoryEventWord::Info, &deed.actor)
    }));
    // A stable sort keeps the order of a worker's own events when clocks tie.
    events.sort_by_key(|event| event.time);
    for (event, index) in events.iter_mut().zip(first_index..) {
        event.index = index;
    }
    events
}

/// The beginning and the end of a step that is an operation of its own.
fn step(
    case: &Case,
    attempt: &Attempt,
    index: usize,
    operation: &Operation,
    exchanges: &KeptExchanges,
) -> [HistoryEvent; 2] {
    let position = operation.positions.start;
    let name = name_at(case, attempt, position);
    let KeptExchange { request, result } = exchanges.get(index, position);
    let [request, result] = [request, result].map(|value| value.as_ref().map(Value::to_json));
    [
        HistoryEvent { request, ..HistoryEvent::new(HistoryEventWord::Invoke, &name) },
        HistoryEvent { result, ..HistoryEvent::new(operation.end.into(), &name) },
    ]
}

/// The beginning and the end of a transaction. What it asks follows from what it was answered, so that only its end tells.
fn transaction(
    case: &Case,
    attempt: &Attempt,
    index: usize,
    operation: &Operation,
    exchanges: &KeptExchanges,
) -> [HistoryEvent; 2] {
    let positions = || operation.positions.clone();
    let done = positions().filter(|position| attempt.steps[*position].outcome == OutcomeKind::Success);
    let asked = positions().filter(|position| asks(case, attempt, &attempt.steps[*position]));
    let steps = asked.map(|position| {
        let KeptExchange { request, result } = exchanges.get(index, position);
        HistoryStep {
            f: name_at(case, attempt, position),
            outcome: attempt.steps[position].outcome.into(),
            request: request.as_ref().map(Value::to_json),
            result: result.as_ref().map(Value::to_json),
        }
    });
    let ended = HistoryEvent {
        value: done.map(|position| name_at(case, attempt, position)).collect(),
        steps: steps.collect(),
        ..HistoryEvent::new(operation.end.into(), "transaction")
    };
    [HistoryEvent::new(HistoryEventWord::Invoke, "transaction"), ended]
}

/// By position in `attempt.steps`: whether what the step asked took effect; `None` where it asked nothing.
pub(super) fn ends(case: &Case, attempt: &Attempt) -> Vec<Option<EndWord>> {
    let mut ends = vec![None; attempt.steps.len()];
    for operation in operations(case, attempt) {
        for position in operation.positions {
            let step = &attempt.steps[position];
            if !asks(case, attempt, step) {
                continue;
            }
            let is_done = step.outcome == OutcomeKind::Success;
            let outcome = if is_done && is_rolled_back(case, attempt, step) { operation.outcome } else { step.outcome };
            ends[position] = Some(end(outcome, !is_done && stays(case, attempt, step)));
        }
    }
    ends
}

/// What an outcome says about an operation's effect. A crash says nothing, so nothing is claimed; and a refusal says only
/// that what it refused did not happen: `left_effect` is whether something took effect by itself before it, or at it.
fn end(outcome: OutcomeKind, left_effect: bool) -> EndWord {
    match outcome {
        OutcomeKind::Success => EndWord::Ok,
        OutcomeKind::Unknown | OutcomeKind::Crash => EndWord::Info,
        OutcomeKind::Conflict
        | OutcomeKind::Deadlock
        | OutcomeKind::Busy
        | OutcomeKind::Serialization
        | OutcomeKind::Duplicate
        | OutcomeKind::Rejected
        | OutcomeKind::Disconnected
        | OutcomeKind::Timeout
        | OutcomeKind::BrokenBarrier => {
            if left_effect {
                EndWord::Info
            } else {
                EndWord::Fail
            }
        }
    }
}

/// A transaction takes effect as a whole; outside of one, each step that asks a target does.
fn operations(case: &Case, attempt: &Attempt) -> Vec<Operation> {
    let steps = &attempt.steps;
    if case.workers[attempt.worker].transaction.is_none() {
        let asked = (0..steps.len()).filter(|position| asks(case, attempt, &steps[*position]));
        let operation = |position: usize| {
            let step = &steps[position];
            Operation {
                positions: position..position + 1,
                started_ns: step.started_ns,
                ended_ns: step.ended_ns,
                outcome: step.outcome,
                end: end(step.outcome, stays(case, attempt, step)),
            }
        };
        return asked.map(operation).collect();
    }
    transactions(attempt).into_iter().map(|positions| whole(case, attempt, positions)).collect()
}

/// Where each of the attempt's transactions stands in its steps: with `repeat` there are several. One that ended before
/// its BEGIN was over has no steps.
fn transactions(attempt: &Attempt) -> Vec<Range<usize>> {
    let steps = &attempt.steps;
    let begins = (0..steps.len()).filter(|position| steps[*position].step == StepAt::Begin);
    let mut starts: Vec<usize> = begins.collect();
    let is_over = steps.last().is_some_and(is_committed);
    if starts.is_empty() {
        starts.push(0);
    } else if is_over && attempt.outcome.kind != OutcomeKind::Success {
        starts.push(steps.len());
    }
    let ends = starts.iter().skip(1).copied().chain([steps.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

fn whole(case: &Case, attempt: &Attempt, positions: Range<usize>) -> Operation {
    let before = positions.start.checked_sub(1).map(|position| &attempt.steps[position]);
    let steps = &attempt.steps[positions.clone()];
    let last = steps.last().filter(|step| is_committed(step));
    let outcome = if last.is_some() { OutcomeKind::Success } else { attempt.outcome.kind };
    Operation {
        started_ns: before.map_or(attempt.started_ns, |step| step.ended_ns),
        ended_ns: last.map_or(attempt.ended_ns, |step| step.ended_ns),
        outcome,
        end: end(outcome, steps.iter().any(|step| stays(case, attempt, step))),
        positions,
    }
}

fn is_committed(step: &StepRecord) -> bool {
    step.step == StepAt::Commit && step.outcome == OutcomeKind::Success
}

fn name_at(case: &Case, attempt: &Attempt, position: usize) -> String {
    step_name(case, case.workers[attempt.worker].group, attempt.steps[position].step).to_owned()
}

/// Whether the step asks a target.
fn asks(case: &Case, attempt: &Attempt, step: &StepRecord) -> bool {
    let group = &case.groups[case.workers[attempt.worker].group];
    matches!(group.step(step.step).map(|it| &it.action), Some(Action::Call { .. }))
}

/// Whether a rollback of the worker's transaction takes back what the step did.
fn is_rolled_back(case: &Case, attempt: &Attempt, step: &StepRecord) -> bool {
    let worker = &case.workers[attempt.worker];
    match case.groups[worker.group].step(step.step).map(|plan| &plan.action) {
        Some(Action::Call { target, .. }) => worker.transaction.is_some_and(|it| it.target == *target),
        _ => false,
    }
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
    use crate::model::{Exchange, Step, Transaction};
    use crate::port::{Done, Entry, Isolation, Request, RequestAt};
    use crate::report::schema::OutcomeWord;

    #[test]
    fn an_unknown_is_info_and_never_fail() {
        let case = TestCase::new(4).build();
        let record = record(&case, 0, "1 success, 1 conflict, 1 unknown, 1 crash");
        let events = history(&case, &record, &KeptExchanges::default(), 10);
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
        let events = history(&case, &record(&case, 0, "1 success"), &KeptExchanges::default(), 0);
        assert_eq!(events.iter().map(|event| event.f.as_str()).collect::<Vec<_>>(), ["transaction"; 2]);
        assert_eq!(events[1].value, ["append"]);
    }

    /// How the operations of a worker ended that took steps as told, by name, until its attempt ended in the last one, with this
    /// class and cause. Of its targets, 0 is that of the transaction, if it has one.
    fn ends(transaction: bool, steps: &[&str], end: (OutcomeKind, Cause)) -> Vec<HistoryEventWord> {
        let (case, record) = ended(transaction, steps, end);
        let events = history(&case, &record, &KeptExchanges::default(), 0);
        let ends = events.iter().filter(|event| event.r#type != HistoryEventWord::Invoke);
        ends.map(|event| event.r#type).collect()
    }

    /// By step, whether what it asked took effect.
    fn step_ends(transaction: bool, steps: &[&str], end: (OutcomeKind, Cause)) -> Vec<Option<EndWord>> {
        let (case, record) = ended(transaction, steps, end);
        super::ends(&case, &record.attempts[0])
    }

    fn ended(transaction: bool, steps: &[&str], (kind, cause): (OutcomeKind, Cause)) -> (Case, RoundRecord) {
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
        (case, record)
    }

    const CONFLICT: (OutcomeKind, Cause) = (OutcomeKind::Conflict, Cause::Server);

    fn rows(found: u64) -> (OutcomeKind, Cause) {
        (OutcomeKind::Conflict, Cause::Rows { found })
    }

    #[test]
    fn what_was_committed_before_a_refusal_is_never_said_to_have_had_no_effect() {
        use HistoryEventWord::{Fail, Ok};
        assert_eq!(ends(true, &["begin", "sql", "commit", "begin", "sql"], CONFLICT), [Ok, Fail]);
        let crash = (OutcomeKind::Crash, Cause::Panic);
        let unknown = (OutcomeKind::Unknown, Cause::ConnectionLost);
        assert_eq!(ends(true, &["begin", "sql", "commit", "begin", "sql"], crash), [Ok, HistoryEventWord::Info]);
        assert_eq!(ends(true, &["begin", "sql", "commit"], unknown), [HistoryEventWord::Info]);
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
    fn steps_take_effect_with_their_transaction_or_alone() {
        use EndWord::{Fail, Info, Ok};
        let steps = ["begin", "sql", "publish", "commit", "begin", "sql", "sql"];
        let of = [None, Some(Ok), Some(Ok), None, Some(Fail), Some(Fail)];
        assert_eq!(step_ends(true, &steps, CONFLICT), [&of[..4], &of[3..]].concat());
        let lost = (OutcomeKind::Unknown, Cause::ConnectionLost);
        let steps = ["begin", "sql", "publish", "commit"];
        assert_eq!(step_ends(true, &steps, lost), [None, Some(Info), Some(Ok), None], "the publish is not rolled back");
        assert_eq!(step_ends(false, &["sql", "sleep", "sql"], lost), [Some(Ok), None, Some(Info)]);
        assert_eq!(step_ends(false, &["sql"], rows(2)), [Some(Info)]);
    }

    #[test]
    fn what_was_asked_stands_where_it_is_known() {
        let exchange = |args: &str, result: i64| Exchange {
            request: Some(Box::new(Request {
                spec: &READ,
                fields: vec![Entry::One(Value::text(args))],
                pauses: vec![],
            })),
            result: Some(Done::result(Value::Int(result))),
        };
        let told = |transaction: bool, steps: &[&str], exchanges: Vec<Exchange>| {
            let (case, mut record) = ended(transaction, steps, CONFLICT);
            record.take_exchanges();
            exchanges.into_iter().enumerate().for_each(|(at, it)| record.attempts[0].exchanges.push(at, it));
            let exchanges = record.take_exchanges();
            history(&case, &record, &record.kept(&exchanges), 0)
        };
        let request = |actor: &str| serde_json::json!({"latest_version": {"of": actor}});
        let events = told(false, &["sleep", "read"], vec![Exchange::default(), exchange("a", 1)]);
        let values: Vec<_> = events.into_iter().map(|event| (event.f, event.request, event.result)).collect();
        let read = || "read".to_owned();
        assert_eq!(values, [(read(), Some(request("a")), None), (read(), None, Some(1.into()))]);

        let exchanges = vec![Exchange::default(), exchange("a", 1), exchange("b", 2)];
        let [invoked, ended] = &told(true, &["begin", "read", "sql"], exchanges)[..] else { panic!("one transaction") };
        assert_eq!((invoked.request.as_ref(), invoked.steps.len()), (None, 0), "nobody knows it when it begins");
        let steps: Vec<_> = ended.steps.iter().map(|it| (it.f.as_str(), it.outcome, it.request.clone())).collect();
        let [done, refused] = [OutcomeKind::Success, OutcomeKind::Conflict].map(OutcomeWord::from);
        assert_eq!(steps, [("read", done, Some(request("a"))), ("sql", refused, Some(request("b")))]);
    }

    #[test]
    fn a_statement_of_its_own_that_changed_other_rows_than_wanted_did_change_them() {
        use HistoryEventWord::{Fail, Info, Ok};
        assert_eq!(ends(false, &["sql", "sql"], CONFLICT), [Ok, Fail], "each is an operation");
        assert_eq!(ends(false, &["sql"], rows(2)), [Info]);
        assert_eq!(ends(false, &["sql"], rows(0)), [Fail]);
    }
}
