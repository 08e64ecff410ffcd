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
    /// How many unknown attempts had to be given to each outcome; nothing when the counts fit as they are.
    pub used: Tally,
}

/// The outcomes that an unknown attempt may be given to. A count of `unknown` itself is a plain observation.
pub(super) fn assignable() -> impl Iterator<Item = OutcomeKind> {
    OutcomeKind::ALL.into_iter().filter(|kind| *kind != OutcomeKind::Unknown)
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
    let mut total = Tally::default();
    groups.iter().for_each(|group| total.merge(group));
    let mut giving = Vec::with_capacity(groups.len());
    for (index, observed) in groups.iter().enumerate() {
        giving.push(Giving::start(by_group.get(&index), observed)?);
    }
    if let Some(whole) = whole {
        if !allowed(whole, OutcomeKind::Unknown).contains(total.of(OutcomeKind::Unknown)) {
            return None;
        }
        for kind in assignable() {
            let range = allowed(whole, kind);
            let reached = total.of(kind) + giving.iter().map(|group| group.given.of(kind)).sum::<u64>();
            if range.high.is_some_and(|high| high < reached) {
                return None;
            }
            for _ in reached..range.low {
                if !give_one(&mut giving, kind, &mut vec![false; groups.len()]) {
                    return None;
                }
            }
        }
    }
    let mut used = Tally::default();
    for group in &giving {
        used.merge(&group.given);
        used.merge(&group.extra);
    }
    assert!(used.total() <= total.of(OutcomeKind::Unknown), "no unknown attempt is given away twice");
    Some(Assignment { used })
}

/// How one group's unknown attempts are given to outcomes.
struct Giving {
    /// Unknown attempts not yet given.
    spare: u64,
    /// What the group's own expectation needs: never taken back.
    given: Tally,
    /// What the whole round's expectation needs beyond that: may move to another group.
    extra: Tally,
    /// The most `extra` that the group's own expectation allows.
    room: BTreeMap<OutcomeKind, u64>,
}

impl Giving {
    /// Gives what the group's own expectation needs. `None` when it cannot fit.
    fn start(expectation: Option<&Expectation>, observed: &Tally) -> Option<Giving> {
        let spare = observed.of(OutcomeKind::Unknown);
        let mut giving = Giving { spare, given: Tally::default(), extra: Tally::default(), room: BTreeMap::new() };
        let Some(expectation) = expectation else {
            giving.room = assignable().map(|kind| (kind, spare)).collect();
            return Some(giving);
        };
        if !allowed(expectation, OutcomeKind::Unknown).contains(spare) {
            return None;
        }
        for kind in assignable() {
            let range = allowed(expectation, kind);
            let needed = range.low.saturating_sub(observed.of(kind));
            giving.spare = giving.spare.checked_sub(needed)?;
            giving.given.add(kind, needed);
            let reached = observed.of(kind) + needed;
            let room = range.high.map_or(Some(spare), |high| high.checked_sub(reached))?;
            giving.room.insert(kind, room);
        }
        Some(giving)
    }
}

/// Gives one more unknown attempt to `kind`: one to spare, or one that another outcome can get from another group instead.
/// This is the search for an augmenting path of a maximum flow from groups to outcomes, hence exact.
fn give_one(giving: &mut [Giving], kind: OutcomeKind, visited: &mut [bool]) -> bool {
    for group in 0..giving.len() {
        if visited[group] || giving[group].extra.of(kind) >= giving[group].room[&kind] {
            continue;
        }
        visited[group] = true;
        if giving[group].spare > 0 {
            giving[group].spare -= 1;
            giving[group].extra.add(kind, 1);
            return true;
        }
        let others: Vec<OutcomeKind> = giving[group].extra.occurred().map(|(other, _)| other).collect();
        for other in others {
            if give_one(giving, other, visited) {
                giving[group].extra.remove_one(other);
                giving[group].extra.add(kind, 1);
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::check::fixture::{expectation, tally};

    const KINDS: [OutcomeKind; 3] = [OutcomeKind::Success, OutcomeKind::Conflict, OutcomeKind::Busy];

    #[test]
    fn unknowns_fill_what_is_missing_and_no_more() {
        let expected = expectation("success = 1, conflict = 2");
        let fits = |observed: &str| assign_unknowns(Some(&expected), &BTreeMap::new(), &[tally(observed)]);
        assert_eq!(fits("1 success, 2 conflict").unwrap().used, Tally::default());
        assert_eq!(fits("2 conflict, 1 unknown").unwrap().used, tally("1 success"));
        assert_eq!(fits("1 conflict, 2 unknown").unwrap().used, tally("1 success, 1 conflict"));
        assert_eq!(fits("1 conflict, 1 unknown"), None, "one unknown cannot be both");
        assert_eq!(fits("2 success, 1 unknown"), None, "a success is not taken back");
        assert_eq!(fits("1 success, 2 conflict, 1 busy"), None, "what is not named must not occur");
        assert!(fits("1 success, 2 conflict, 1 unknown").is_some(), "unknown is not forbidden by not being named");
    }

    #[test]
    fn a_named_unknown_is_a_plain_count() {
        let expected = expectation("success = 1, unknown = 0");
        assert_eq!(assign_unknowns(Some(&expected), &BTreeMap::new(), &[tally("1 success, 1 unknown")]), None);
    }

    #[test]
    fn an_unknown_of_one_group_does_not_help_another() {
        let by_group = BTreeMap::from([(0, expectation("success = 1"))]);
        assert_eq!(assign_unknowns(None, &by_group, &[tally("nothing"), tally("1 unknown")]), None);
        assert!(assign_unknowns(None, &by_group, &[tally("1 unknown"), tally("nothing")]).is_some());
    }

    /// Tries every way to give each group's unknown attempts to an outcome, or to none.
    fn brute_force(whole: Option<&Expectation>, by_group: &BTreeMap<usize, Expectation>, groups: &[Tally]) -> bool {
        fn given(unknown: u64) -> Vec<Tally> {
            (0..unknown).fold(vec![Tally::default()], |tallies, _| {
                let more = |tally: Tally| {
                    let one_more = KINDS.into_iter().map(move |kind| {
                        let mut more = tally;
                        more.count(kind);
                        more
                    });
                    std::iter::once(tally).chain(one_more)
                };
                tallies.into_iter().flat_map(more).collect()
            })
        }
        fn fits(expectation: Option<&Expectation>, tally: &Tally) -> bool {
            expectation
                .is_none_or(|it| OutcomeKind::ALL.into_iter().all(|kind| allowed(it, kind).contains(tally.of(kind))))
        }
        let mut totals = vec![Tally::default()];
        for (index, observed) in groups.iter().enumerate() {
            let mut next = Vec::new();
            for extra in given(observed.of(OutcomeKind::Unknown)) {
                let mut group = *observed;
                group.merge(&extra);
                if fits(by_group.get(&index), &group) {
                    next.extend(totals.iter().map(|total| {
                        let mut total = *total;
                        total.merge(&group);
                        total
                    }));
                }
            }
            next.sort();
            next.dedup();
            totals = next;
        }
        totals.iter().any(|total| fits(whole, total))
    }

    fn any_range() -> impl Strategy<Value = CountRange> {
        (0u64..4, prop::option::of(0u64..3))
            .prop_map(|(low, more)| CountRange { low, high: more.map(|more| low + more) })
    }

    fn any_expectation() -> impl Strategy<Value = Expectation> {
        prop::collection::btree_map(prop::sample::select(KINDS.to_vec()), any_range(), 0..=3)
            .prop_map(|counts| Expectation { counts, ..expectation("") })
    }

    fn any_tally() -> impl Strategy<Value = Tally> {
        (0u64..3, 0u64..3, 0u64..2, 0u64..4).prop_map(|(success, conflict, busy, unknown)| {
            let mut tally = Tally::default();
            tally.add(OutcomeKind::Success, success);
            tally.add(OutcomeKind::Conflict, conflict);
            tally.add(OutcomeKind::Busy, busy);
            tally.add(OutcomeKind::Unknown, unknown);
            tally
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_assignment_agrees_with_trying_everything(
            whole in prop::option::of(any_expectation()),
            by_group in prop::collection::btree_map(0usize..3, any_expectation(), 0..=2),
            groups in prop::collection::vec(any_tally(), 1..=3),
        ) {
            let by_group = by_group.into_iter().filter(|(index, _)| *index < groups.len()).collect();
            let found = assign_unknowns(whole.as_ref(), &by_group, &groups);
            prop_assert_eq!(found.is_some(), brute_force(whole.as_ref(), &by_group, &groups));
        }

        #[test]
        fn a_count_range_prints_what_it_allows(range in any_range(), count in 0u64..8) {
            let allowed = match range.to_string().as_str() {
                text if text.starts_with("<= ") => count <= text[3..].parse().unwrap(),
                text if text.starts_with(">= ") => count >= text[3..].parse().unwrap(),
                text => match text.split_once("..=") {
                    Some((low, high)) => (low.parse().unwrap()..=high.parse().unwrap()).contains(&count),
                    None => count == text.parse::<u64>().unwrap(),
                },
            };
            prop_assert_eq!(range.contains(count), allowed);
        }
    }
}
