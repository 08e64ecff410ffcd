//! Where the attempts of an outcome end, against what an expectation says of that.

use std::collections::BTreeMap;

use crate::model::record::{Attempt, RoundRecord};
use crate::model::{Case, Expectation, Origin};
use crate::outcome::OutcomeKind;

use super::tally::step_name;

/// Attempts that ended elsewhere than their outcome must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misplaced {
    /// Their outcome.
    pub kind: OutcomeKind,
    /// How many of them ended at each place: ` at insert (40001)`.
    pub places: BTreeMap<String, u64>,
}

impl Misplaced {
    /// How many there are.
    pub(super) fn number(&self) -> u64 {
        self.places.values().sum()
    }
}

/// The attempts that ended elsewhere than `expectation` says; `group` is the one that it is about, `None` for all.
pub(super) fn misplaced(
    case: &Case,
    record: &RoundRecord,
    expectation: &Expectation,
    group: Option<usize>,
) -> Vec<Misplaced> {
    let is_meant = |attempt: &&Attempt| group.is_none_or(|group| case.workers[attempt.worker].group == group);
    let mut found = Vec::new();
    for (kind, origin) in &expectation.origins {
        let mut places = BTreeMap::new();
        let attempts = record.attempts.iter().filter(is_meant).filter(|attempt| attempt.outcome.kind == *kind);
        for elsewhere in attempts.filter_map(|attempt| elsewhere(case, attempt, origin)) {
            *places.entry(elsewhere).or_insert(0) += 1;
        }
        if !places.is_empty() {
            found.push(Misplaced { kind: *kind, places });
        }
    }
    found
}

/// Where the attempt ended, if not where `origin` says.
fn elsewhere(case: &Case, attempt: &Attempt, origin: &Origin) -> Option<String> {
    let outcome = &attempt.outcome;
    let at = outcome.step.map(|step| step_name(case, case.workers[attempt.worker].group, step).to_owned());
    let fits_step = origin.at.is_none() || origin.at == at;
    let fits_code = origin.code.as_ref().is_none_or(|code| *code == outcome.code);
    let found = Origin { at, code: Some(outcome.code.clone()).filter(|code| !code.is_empty()) };
    (!(fits_step && fits_code)).then(|| found.to_string())
}
