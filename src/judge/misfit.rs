//! The counts of a round that do not fit, each against what was expected of it.

use std::collections::BTreeMap;

use crate::model::record::RoundRecord;
use crate::model::{Case, Expectation};
use crate::outcome::{OutcomeKind, Tally};

use super::count::{allowed, did_not_run};
use super::origin::{Misplaced, misplaced};
use super::round::{Failure, FailureKind};

/// Crashes, and broken barriers where no expectation speaks of them: these fail a round even if nothing is expected.
pub(super) fn unexpected_ends(case: &Case, groups: &[Tally], tally: &Tally) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut push = |kind: OutcomeKind, observed: u64| {
        if observed > 0 {
            failures.push(Failure {
                check: kind.as_str().to_owned(),
                kind: FailureKind::Count,
                group: None,
                expected: "0".to_owned(),
                observed: observed.to_string(),
                place: None,
                is_certain: true,
            });
        }
    };
    push(OutcomeKind::Crash, tally.of(OutcomeKind::Crash));
    if case.checks.expect.is_empty() {
        let free = groups.iter().enumerate().filter(|(index, _)| !case.checks.by_group.contains_key(index));
        push(OutcomeKind::BrokenBarrier, free.map(|(_, group)| group.of(OutcomeKind::BrokenBarrier)).sum());
    }
    failures
}

/// A count that does not fit, and by how much.
struct Mismatch {
    group: Option<usize>,
    kind: OutcomeKind,
    /// Even if all the unknown attempts went to this outcome, or were left out.
    certain: bool,
    distance: u64,
    /// How many ended at other places than they must, by place.
    elsewhere: BTreeMap<String, u64>,
}

/// The counts that break the expectations: against the alternative that is nearest to what was observed.
pub(super) fn misfits(case: &Case, record: &RoundRecord, groups: &[Tally], tally: &Tally) -> Vec<Failure> {
    let nearest = case
        .checks
        .expect
        .iter()
        .map(|whole| (mismatches(case, record, whole, tally, None), whole))
        .min_by_key(|(mismatches, _)| mismatches.iter().map(|mismatch| mismatch.distance).sum::<u64>());
    let (mut found, whole) = nearest.map_or((Vec::new(), None), |(mismatches, whole)| (mismatches, Some(whole)));
    for (index, expectation) in &case.checks.by_group {
        found.extend(mismatches(case, record, expectation, &groups[*index], Some(*index)));
    }
    // Counts that the unknown attempts could mend one by one, but not together, are only named when nothing is certain.
    if found.iter().any(|mismatch| mismatch.certain) {
        found.retain(|mismatch| mismatch.certain);
    }
    found
        .into_iter()
        .filter_map(|mismatch| {
            let (observed, expectation) = match mismatch.group {
                Some(group) => (&groups[group], &case.checks.by_group[&group]),
                None => (tally, whole?),
            };
            Some(Failure {
                check: mismatch.kind.as_str().to_owned(),
                kind: FailureKind::Count,
                group: mismatch.group.map(|group| case.groups[group].name.clone()),
                expected: expected_text(case, mismatch.group, mismatch.kind),
                observed: observed_text(observed, mismatch.kind) + &elsewhere_text(&mismatch.elsewhere),
                place: Some(expectation.place_of(mismatch.kind).clone()),
                is_certain: true,
            })
        })
        .collect()
}

fn mismatches(
    case: &Case,
    record: &RoundRecord,
    expectation: &Expectation,
    observed: &Tally,
    group: Option<usize>,
) -> Vec<Mismatch> {
    let misplaced = misplaced(case, record, expectation, group);
    let mut found = Vec::new();
    for kind in OutcomeKind::ALL {
        let (range, count) = (allowed(expectation, kind), observed.of(kind));
        let elsewhere = misplaced.iter().find(|it| it.kind == kind);
        if range.contains(count) && elsewhere.is_none() {
            continue;
        }
        // Attempts that did not run are missing.
        let missing = if did_not_run(Some(expectation), observed) > 0 { 0 } else { range.low.saturating_sub(count) };
        let excess = range.high.map_or(0, |high| count.saturating_sub(high));
        let mendable = if kind == OutcomeKind::Unknown { 0 } else { observed.of(OutcomeKind::Unknown) };
        let wrong = missing + excess + elsewhere.map_or(0, Misplaced::number);
        if wrong == 0 {
            continue;
        }
        let certain = excess > 0 || missing > mendable || elsewhere.is_some();
        let elsewhere = elsewhere.map(|it| it.places.clone()).unwrap_or_default();
        found.push(Mismatch { group, kind, certain, distance: wrong, elsewhere });
    }
    found
}

/// What is expected of `kind` in each round, alternatives joined; `any` where nothing is.
pub(crate) fn expected_text(case: &Case, group: Option<usize>, kind: OutcomeKind) -> String {
    let expectations: Vec<&Expectation> = match group {
        Some(group) => case.checks.by_group.get(&group).into_iter().collect(),
        None => case.checks.expect.iter().collect(),
    };
    let mut texts: Vec<String> = Vec::new();
    for expectation in expectations {
        let range = allowed(expectation, kind);
        let count = if range.low == 0 && range.high.is_none() { "any".to_owned() } else { range.to_string() };
        let origin = expectation.origins.get(&kind).map(ToString::to_string).unwrap_or_default();
        let text = count + &origin;
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    if texts.is_empty() { "any".to_owned() } else { texts.join(" or ") }
}

/// `, of which 3 at insert (40001)`
fn elsewhere_text(places: &BTreeMap<String, u64>) -> String {
    let places: Vec<String> = places.iter().map(|(place, number)| format!("{number}{place}")).collect();
    if places.is_empty() { String::new() } else { format!(", of which {}", places.join(", ")) }
}

fn observed_text(observed: &Tally, kind: OutcomeKind) -> String {
    match observed.of(OutcomeKind::Unknown) {
        unknown if unknown > 0 && kind != OutcomeKind::Unknown => {
            format!("{} (and {unknown} unknown)", observed.of(kind))
        }
        _ => observed.of(kind).to_string(),
    }
}
