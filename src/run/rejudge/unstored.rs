//! What rows do not hold: where attempts ended, and with which codes.
//!
//! The report has both over all rounds. Where that does not settle a check, the recorded verdict of a check that is unchanged
//! stands, and nothing is known of one that was changed.

use std::collections::BTreeMap;

use crate::judge::{ControlVerdict, Ends, expected_text};
use crate::model::{Case, Expectation, Origin};
use crate::outcome::OutcomeKind;
use crate::report::schema::{ControlReport, ControlVerdictWord, ExpectationRow, Race};
use crate::report::words::number;

/// What is known of where attempts ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origins {
    /// All of them ended where they must, or they may end anywhere.
    Met,
    /// The recorded judgement stands, since no expectation was changed. It says which check broke, if one did.
    AsRecorded(Option<String>),
    /// An expectation was changed, and rows cannot tell whether it was met.
    Untold,
}

/// Why a case or control is not judged whose origins are not known.
pub(super) const UNTOLD: &str = "where attempts ended is not stored for each round, so an expectation with `at` or `code` cannot be judged; race it";

impl Origins {
    /// What `recorded` tells of the origins that `case` expects. `is_same_file`: the scenario was not changed at all.
    pub(super) fn of(recorded: &Race, case: &Case, is_same_file: bool) -> Self {
        let expectations = || case.checks.expect.iter().chain(case.checks.by_group.values());
        if expectations().all(|expectation| are_met(recorded, expectation)) {
            Origins::Met
        } else if is_same_file || has_same_expectations(recorded, case) {
            let broken = recorded.expectations.iter().find(|row| row.rounds_broken > 0);
            Origins::AsRecorded(broken.map(|row| broken_text(row, recorded.rounds)))
        } else {
            Origins::Untold
        }
    }
}

fn broken_text(row: &ExpectationRow, rounds: u64) -> String {
    let ExpectationRow { group, outcome, expected, rounds_broken, .. } = row;
    let group = group.as_ref().map(|group| format!("{group}: ")).unwrap_or_default();
    format!("`{group}{outcome}` was not {expected} in {rounds_broken} of {}, as recorded", number(rounds, "round"))
}

/// Whether the attempts of all rounds ended where `expectation` says, as far as it says so.
fn are_met(recorded: &Race, expectation: &Expectation) -> bool {
    expectation.origins.iter().all(|(kind, origin)| {
        let refusals = recorded.refusals.iter().filter(|refusal| refusal.outcome.kind() == Some(*kind));
        let fitting = refusals.filter(|refusal| fits(origin, &refusal.step, &refusal.code));
        fitting.map(|refusal| refusal.count).sum::<u64>() == recorded.counts.get(&(*kind).into()).copied().unwrap_or(0)
    })
}

fn fits(origin: &Origin, step: &str, code: &str) -> bool {
    origin.at.as_deref().is_none_or(|at| at == step) && origin.code.as_deref().is_none_or(|expected| expected == code)
}

/// Whether the same counts and origins are expected as were when this was raced. The report does not tell which counts of
/// several alternatives belong together.
fn has_same_expectations(recorded: &Race, case: &Case) -> bool {
    let then = recorded.expectations.iter();
    let then = then.map(|row| ((row.group.clone(), row.outcome), row.expected.clone()));
    let mut then: BTreeMap<_, _> = then.collect();
    let mut is_same = case.checks.expect.len() <= 1;
    for group in std::iter::once(None).chain(case.checks.by_group.keys().copied().map(Some)) {
        let name = group.map(|group| case.groups[group].name.clone());
        let expectation = match group {
            Some(group) => case.checks.by_group.get(&group),
            None => case.checks.expect.first(),
        };
        for kind in OutcomeKind::ALL {
            let is_named = expectation.is_some_and(|expectation| expectation.counts.contains_key(&kind));
            is_same &= match then.remove(&(name.clone(), kind.into())) {
                Some(expected) => expected == expected_text(case, group, kind),
                None => !is_named,
            };
        }
    }
    is_same && then.is_empty()
}

/// The recorded verdict of a control, if what it must break was not changed, and neither was what is expected.
pub(super) fn recorded_verdict(recorded: &ControlReport, case: &Case, is_same_file: bool) -> Option<ControlVerdict> {
    let breaks = &case.control.as_ref()?.breaks;
    if !is_same_file && (recorded.breaks != *breaks || !has_same_expectations(&recorded.race, case)) {
        return None;
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    match recorded.verdict {
        ControlVerdictWord::Invalid if recorded.round.is_some() => {
            Some(ControlVerdict::Invalid { round: recorded.round, reason: text(&recorded.reason) })
        }
        ControlVerdictWord::Caught if recorded.round.is_some() => Some(ControlVerdict::Caught {
            round: recorded.round,
            check: text(&recorded.check),
            expected: text(&recorded.expected),
            observed: text(&recorded.observed),
        }),
        // Rows tell these, and histograms what was slow.
        ControlVerdictWord::Invalid
        | ControlVerdictWord::Caught
        | ControlVerdictWord::Survived
        | ControlVerdictWord::Disturbed
        | ControlVerdictWord::AwaitsGrowth => None,
    }
}

/// The class and the code of each recorded end of an attempt.
pub(super) fn ends(recorded: &Race) -> Ends {
    recorded.refusals.iter().filter_map(|refusal| Some((refusal.outcome.kind()?, refusal.code.clone()))).collect()
}

/// For each outcome of `recorded`, a code that its attempts may have ended with: one that `known` lacks, if there is one.
pub(super) fn worst_codes(recorded: &Race, known: &Ends) -> BTreeMap<OutcomeKind, String> {
    let mut codes = BTreeMap::new();
    for end in ends(recorded) {
        let is_known = known.contains(&end);
        let (kind, code) = end;
        if !is_known {
            codes.insert(kind, code);
        } else {
            codes.entry(kind).or_insert(code);
        }
    }
    codes
}
