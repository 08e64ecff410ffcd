//! What of a round keeps it from saying anything about a control.

use crate::model::Case;
use crate::model::record::{InvariantResult, RoundRecord};
use crate::outcome::{OutcomeKind, Tally};

use super::count::did_not_run;
use super::round::{NOT_EVALUATED, invariant_results};

/// Why a check that broke in this round would prove nothing about a control: something in it would break any check.
pub(super) fn reasons_against_a_catch(case: &Case, record: &RoundRecord, tally: &Tally) -> Vec<String> {
    let mut reasons: Vec<String> = ended(record, tally, OutcomeKind::Crash, "crashed").into_iter().collect();
    let broken: Vec<String> = case
        .barriers
        .iter()
        .zip(&record.barriers)
        .filter(|(_, barrier)| !barrier.missing.is_empty())
        .map(|(spec, _)| format!("barrier `{}` broke", spec.name))
        .collect();
    if broken.is_empty() && tally.of(OutcomeKind::BrokenBarrier) > 0 {
        reasons.push("a barrier broke".to_owned());
    }
    reasons.extend(broken);
    for (invariant, result) in invariant_results(case, record) {
        let reason = match result {
            Some(InvariantResult::Undefined { reason }) => reason,
            Some(_) => continue,
            None => NOT_EVALUATED,
        };
        reasons.push(format!("invariant `{}` could not be evaluated: {reason}", invariant.name));
    }
    reasons
}

/// What came from outside: a round with it is set aside, and another is raced.
pub(super) fn disturbances(case: &Case, record: &RoundRecord, groups: &[Tally], tally: &Tally) -> Vec<String> {
    let mut disturbances = Vec::new();
    if did_not_run_in(case, groups, tally) {
        disturbances.extend(ended(record, tally, OutcomeKind::Disconnected, "lost their connection"));
    }
    if !expects_unknown(case, groups) {
        disturbances.extend(ended(record, tally, OutcomeKind::Unknown, "ended unknown"));
    }
    for (invariant, result) in invariant_results(case, record) {
        if let Some(InvariantResult::Unread { reason }) = result {
            disturbances.push(format!("invariant `{}` was not read: {reason}", invariant.name));
        }
    }
    disturbances
}

/// `2 of 50 attempts crashed: MESSAGE`, of the first.
fn ended(record: &RoundRecord, tally: &Tally, kind: OutcomeKind, what: &str) -> Option<String> {
    let first = record.attempts.iter().find(|attempt| attempt.outcome.kind == kind)?;
    let message = &first.outcome.message;
    let said = if message.is_empty() { String::new() } else { format!(": {message}") };
    Some(format!("{} of {} attempts {what}{said}", tally.of(kind), tally.total()))
}

/// Whether lost connections are not expected: neither of the whole round, nor of the group.
fn did_not_run_in(case: &Case, groups: &[Tally], tally: &Tally) -> bool {
    let whole = &case.checks.expect;
    let named = whole.iter().any(|expectation| did_not_run(Some(expectation), tally) == 0);
    let group = |(index, group): (usize, &Tally)| did_not_run(case.checks.by_group.get(&index), group) > 0;
    !named && groups.iter().enumerate().any(group)
}

/// Whether every unknown attempt is one that an expectation names.
fn expects_unknown(case: &Case, groups: &[Tally]) -> bool {
    let names = |expectation: &crate::model::Expectation| expectation.counts.contains_key(&OutcomeKind::Unknown);
    let group = |(index, group): (usize, &Tally)| {
        group.of(OutcomeKind::Unknown) == 0 || case.checks.by_group.get(&index).is_some_and(names)
    };
    case.checks.expect.iter().any(names) || groups.iter().enumerate().all(group)
}
