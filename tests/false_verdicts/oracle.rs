//! Whether what a run said is true, told from its rows, from what the scenario expects, and from what the proxy knows and
//! deadheat cannot: whether the request at which a connection was cut took effect.
//!
//! This recomputes what deadheat's own judging says, on purpose without any of its code: only the plan is shared.

use std::collections::{BTreeMap, BTreeSet};

use deadheat::model::{Case, Expectation};
use deadheat::outcome::OutcomeKind;

use super::proxy::Effect;

/// How many attempts ended in each outcome.
pub(crate) type Counts = BTreeMap<OutcomeKind, u64>;

/// What of a row of `rounds.csv` is judged here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    /// `None`: the case's own.
    pub(crate) control: Option<String>,
    pub(crate) round: u64,
    pub(crate) verdict: String,
    /// Counts by group, as in the plan.
    pub(crate) groups: Vec<Counts>,
    /// Invariants that were broken, had no value, or were not read.
    pub(crate) not_held: Vec<String>,
    /// By invariant that depends on it: with which numbers of unknown attempts it holds.
    pub(crate) holds_for: Vec<BTreeSet<u64>>,
}

impl Row {
    pub(crate) fn count(&self, kind: OutcomeKind) -> u64 {
        self.groups.iter().map(|group| of(group, kind)).sum()
    }

    /// Attempts whose end deadheat could not see.
    pub(crate) fn lost(&self) -> u64 {
        self.count(OutcomeKind::Unknown) + self.count(OutcomeKind::Disconnected)
    }

    fn total(&self) -> u64 {
        self.groups.iter().flat_map(BTreeMap::values).sum()
    }
}

/// What is false about a round that passed though an attempt was lost; `took_effect` is what became of its last request.
pub(crate) fn false_pass(case: &Case, row: &Row, took_effect: Effect) -> Option<String> {
    if !row.not_held.is_empty() {
        return Some(format!("passed though these invariants did not hold: {}", row.not_held.join(", ")));
    }
    let unknown = row.count(OutcomeKind::Unknown);
    if unknown > 0 && unknown == row.total() {
        return Some("passed though no attempt's end was seen".to_owned());
    }
    let fitting: BTreeSet<u64> = (0..=unknown)
        .filter(|number| row.holds_for.iter().all(|holds| holds.contains(number)) && fits(case, &row.groups, *number))
        .collect();
    // An attempt that was cut before its last request was no success, although what it had asked took effect.
    let possible: BTreeSet<u64> = match took_effect {
        Effect::None if unknown == 1 => BTreeSet::from([0]),
        Effect::None | Effect::Done | Effect::Unknown => (0..=unknown).collect(),
    };
    if fitting.is_disjoint(&possible) {
        return Some(format!(
            "passed, but what took effect does not fit: it fits for {fitting:?} of {unknown} unknown attempts taking effect, and {possible:?} can have"
        ));
    }
    if case.checks.invariants.is_empty() && fitting.len() as u64 != unknown + 1 {
        return Some(format!(
            "passed, but needed an unknown attempt's effect, which nothing read: it fits for {fitting:?} of {unknown}"
        ));
    }
    None
}

/// Whether the counts fit if `number` of the unknown attempts were successes and the others ended in any other way.
fn fits(case: &Case, groups: &[Counts], number: u64) -> bool {
    let mut whole = Counts::new();
    for (kind, count) in groups.iter().flatten() {
        *whole.entry(*kind).or_default() += count;
    }
    let expect = &case.checks.expect;
    (expect.is_empty() || expect.iter().any(|alternative| fit(alternative, &whole, number)))
        && shares(groups, number).iter().any(|share| {
            let by_group = &case.checks.by_group;
            by_group.iter().all(|(index, expectation)| fit(expectation, &groups[*index], share[*index]))
        })
}

/// All ways to share `number` successes out among the unknown attempts of the groups.
fn shares(groups: &[Counts], number: u64) -> Vec<Vec<u64>> {
    let Some((last, others)) = groups.split_last() else {
        return if number == 0 { vec![Vec::new()] } else { Vec::new() };
    };
    let mut all = Vec::new();
    for own in 0..=number.min(of(last, OutcomeKind::Unknown)) {
        for mut share in shares(others, number - own) {
            share.push(own);
            all.push(share);
        }
    }
    all
}

fn fit(expectation: &Expectation, counts: &Counts, successes: u64) -> bool {
    let free = of(counts, OutcomeKind::Unknown) - successes;
    let (mut wanted, mut room) = (0, 0_u64);
    for kind in OutcomeKind::ALL {
        let range = expectation.counts.get(&kind);
        // Who lost the connection did not run, and is not missed where the other counts fit.
        let unnamed = if kind == OutcomeKind::Disconnected { None } else { Some(0) };
        let (low, high) = range.map_or((0, unnamed), |range| (range.low, range.high));
        let count = match kind {
            OutcomeKind::Success => of(counts, kind) + successes,
            OutcomeKind::Unknown => 0,
            other => of(counts, other),
        };
        if high.is_some_and(|high| count > high) || (kind == OutcomeKind::Success && count < low) {
            return false;
        }
        if kind != OutcomeKind::Success {
            wanted += low.saturating_sub(count);
            room = room.saturating_add(high.map_or(u64::MAX, |high| high - count));
        }
    }
    wanted <= free && free <= room
}

fn of(counts: &Counts, kind: OutcomeKind) -> u64 {
    counts.get(&kind).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use deadheat::diagnostic::SourceFile;
    use deadheat::model::Case;
    use deadheat::plan::{Overrides, cases};
    use deadheat::scenario::{FileAccess, parse};

    use super::super::proxy::Effect;
    use super::{Counts, OutcomeKind, Row, false_pass};
    use OutcomeKind::{Conflict, Disconnected, Success, Unknown};

    /// Three workers of which one wins, with or without an invariant.
    fn case(invariant: bool) -> Arc<Case> {
        let text = "schema = 1\nname = \"three\"\n[targets.db]\ndriver = \"postgres\"\n[steps.one]\nsql = \"SELECT 1\"\n\
            [[workers]]\nname = \"all\"\ncount = 3\nsteps = [\"one\"]\n[expect]\nsuccess = 1\nconflict = 2\n";
        let invariants = "[[invariants]]\nname = \"one\"\nsql = \"SELECT 1\"\nthat = \"rows[0][0] == success\"\n";
        let text = if invariant { format!("{text}{invariants}") } else { text.to_owned() };
        let scenario =
            parse(SourceFile::new("three.toml", &text), Path::new(""), FileAccess::Below, &deadheat::driver::builtin())
                .unwrap();
        cases(&scenario, &Overrides::default()).unwrap().cases.remove(0).case
    }

    fn row<const N: usize>(counts: [(OutcomeKind, u64); N]) -> Row {
        Row { groups: vec![Counts::from(counts)], ..Row::default() }
    }

    #[test]
    fn a_pass_is_false_if_what_was_expected_did_not_happen() {
        let winner_lost = row([(Conflict, 2), (Unknown, 1)]);
        assert_eq!(false_pass(&case(true), &winner_lost, Effect::Done), None);
        assert!(false_pass(&case(true), &winner_lost, Effect::None).is_some(), "nobody won");
        let loser_lost = row([(Success, 1), (Conflict, 1), (Unknown, 1)]);
        assert_eq!(false_pass(&case(true), &loser_lost, Effect::None), None);
        assert!(false_pass(&case(true), &row([(Success, 1), (Unknown, 2)]), Effect::Unknown).is_none());
        assert!(false_pass(&case(true), &row([(Success, 2), (Unknown, 1)]), Effect::None).is_some());
    }

    #[test]
    fn a_pass_is_false_if_an_invariant_says_otherwise() {
        let mut said = row([(Conflict, 2), (Unknown, 1)]);
        said.holds_for = vec![[0].into()];
        assert!(false_pass(&case(true), &said, Effect::Done).is_some());
        said.holds_for = vec![[1].into()];
        assert!(false_pass(&case(true), &said, Effect::Done).is_none());
        said.not_held = vec!["another".to_owned()];
        assert!(false_pass(&case(true), &said, Effect::Done).is_some());
    }

    #[test]
    fn a_pass_is_false_if_it_takes_an_unknown_that_nothing_read_or_an_attempt_that_did_not_run() {
        assert!(false_pass(&case(false), &row([(Conflict, 2), (Unknown, 1)]), Effect::Done).is_some());
        assert!(
            false_pass(&case(true), &row([(Success, 1), (Conflict, 1), (Disconnected, 1)]), Effect::None).is_some()
        );
        assert!(false_pass(&case(true), &row([(Unknown, 3)]), Effect::Unknown).is_some());
    }
}
