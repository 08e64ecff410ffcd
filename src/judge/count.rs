//! Counts against an expectation, when some attempts' effects are not known and others did not run.
//!
//! An attempt that ended `unknown` may in truth have ended in any way. Of all the ways in which exactly `took_effect` of
//! them succeeded, counts fit if there is one in which every expectation of the whole round and of its groups fits at once.
//! An attempt that lost its connection before anything took effect did not run where no expectation names it: then counts
//! that fall short say nothing, and counts that are exceeded still do. So it is with an unknown attempt that took no effect.

use std::collections::BTreeMap;

use crate::model::{CountRange, Expectation};
use crate::outcome::{OutcomeKind, Tally};

/// The attempts of a round, by group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted<'a> {
    /// How those of each group ended.
    pub groups: &'a [Tally],
    /// How many of each group's unknown attempts may have been a success.
    pub may_have_succeeded: &'a [u64],
}

/// What counts that fall short are taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Short {
    /// Counts that do not fit.
    Misfit,
    /// The lack of attempts that did not run or took no effect, where there are such.
    DidNotRun,
}

/// The outcomes that an unknown attempt may be given to. A count of `unknown` itself is a plain observation.
fn assignable() -> impl Iterator<Item = OutcomeKind> {
    OutcomeKind::ALL.into_iter().filter(|kind| *kind != OutcomeKind::Unknown)
}

/// The range that `expectation` allows for `kind`: outcomes not named must not occur, except `unknown` and `disconnected`.
pub(super) fn allowed(expectation: &Expectation, kind: OutcomeKind) -> CountRange {
    expectation.counts.get(&kind).cloned().unwrap_or(match kind {
        OutcomeKind::Unknown | OutcomeKind::Disconnected => CountRange { low: 0, high: None },
        _ => CountRange::exactly(0),
    })
}

/// How many attempts of `observed` did not run: they lost their connection, which the expectation does not speak of.
pub(super) fn did_not_run(expectation: Option<&Expectation>, observed: &Tally) -> u64 {
    let is_named = expectation.is_some_and(|it| it.counts.contains_key(&OutcomeKind::Disconnected));
    if is_named { 0 } else { observed.of(OutcomeKind::Disconnected) }
}

/// How many attempts of `observed` may be missing, if `took_effect` of the unknown ones succeeded: they did not run, or their
/// end is unknown and they took no effect, of which the expectation does not speak.
pub(super) fn may_be_missing(expectation: Option<&Expectation>, observed: &Tally, took_effect: u64) -> u64 {
    let is_named = expectation.is_some_and(|it| it.counts.contains_key(&OutcomeKind::Unknown));
    let without_effect = observed.of(OutcomeKind::Unknown).saturating_sub(took_effect);
    did_not_run(expectation, observed) + if is_named { 0 } else { without_effect }
}

/// Whether the counts fit as they were observed, and each unknown attempt is one that an expectation names.
pub(super) fn fits_as_observed(
    whole: Option<&Expectation>,
    by_group: &BTreeMap<usize, Expectation>,
    groups: &[Tally],
) -> bool {
    let fits = |expectation: &Expectation, observed: &Tally| {
        OutcomeKind::ALL.into_iter().all(|kind| allowed(expectation, kind).contains(observed.of(kind)))
    };
    let names = |expectation: &Expectation| expectation.counts.contains_key(&OutcomeKind::Unknown);
    let is_named = |(index, observed): (usize, &Tally)| {
        let group = by_group.get(&index);
        let nothing_expected = whole.is_none() && group.is_none();
        observed.of(OutcomeKind::Unknown) == 0 || nothing_expected || whole.into_iter().chain(group).any(names)
    };
    by_group.iter().all(|(group, it)| fits(it, &groups[*group]))
        && whole.is_none_or(|it| fits(it, &sum(groups)))
        && groups.iter().enumerate().all(is_named)
}

/// Whether exactly `took_effect` unknown attempts can be given to `success`, and others to other outcomes, so that `whole`
/// fits all groups together and `by_group` fits each group it names.
pub(super) fn fits(
    whole: Option<&Expectation>,
    by_group: &BTreeMap<usize, Expectation>,
    counted: Counted<'_>,
    took_effect: u64,
    short: Short,
) -> bool {
    let total = sum(counted.groups);
    let has_no_effect = total.of(OutcomeKind::Unknown) > took_effect;
    let mut giving = Vec::with_capacity(counted.groups.len());
    for (index, observed) in counted.groups.iter().enumerate() {
        let expectation = by_group.get(&index);
        // Those without effect may all be of this group.
        let took_effect_here = if has_no_effect { 0 } else { observed.of(OutcomeKind::Unknown) };
        let forgives = short == Short::DidNotRun && may_be_missing(expectation, observed, took_effect_here) > 0;
        match Giving::start(expectation, observed, counted.may_have_succeeded[index], forgives) {
            Some(group) => giving.push(group),
            None => return false,
        }
    }
    if whole.is_some_and(|it| !allowed(it, OutcomeKind::Unknown).contains(total.of(OutcomeKind::Unknown))) {
        return false;
    }
    let forgives = short == Short::DidNotRun && may_be_missing(whole, &total, took_effect) > 0;
    for kind in assignable() {
        let range = whole.map_or(CountRange { low: 0, high: None }, |whole| allowed(whole, kind));
        let given = giving.iter().map(|group| group.given.of(kind)).sum::<u64>();
        let reached = total.of(kind) + given;
        let wanted = match kind {
            OutcomeKind::Success => {
                let reaches = total.of(kind) + took_effect;
                let is_short = reaches < range.low && !forgives;
                if given > took_effect || is_short || range.high.is_some_and(|high| high < reaches) {
                    return false;
                }
                reaches
            }
            _ if forgives => 0,
            _ => range.low,
        };
        if range.high.is_some_and(|high| high < reached) {
            return false;
        }
        for _ in reached..wanted {
            if !give_one(&mut giving, kind, &mut vec![false; counted.groups.len()]) {
                return false;
            }
        }
    }
    true
}

fn sum(groups: &[Tally]) -> Tally {
    groups.iter().fold(Tally::default(), |mut total, group| {
        total.merge(group);
        total
    })
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
    fn start(
        expectation: Option<&Expectation>,
        observed: &Tally,
        may_have_succeeded: u64,
        forgives: bool,
    ) -> Option<Giving> {
        let unknown = observed.of(OutcomeKind::Unknown);
        let mut giving =
            Giving { spare: unknown, given: Tally::default(), extra: Tally::default(), room: BTreeMap::new() };
        if expectation.is_some_and(|it| !allowed(it, OutcomeKind::Unknown).contains(unknown)) {
            return None;
        }
        for kind in assignable() {
            let range = expectation.map_or(CountRange { low: 0, high: None }, |it| allowed(it, kind));
            let low = if forgives { 0 } else { range.low };
            let needed = low.saturating_sub(observed.of(kind));
            giving.spare = giving.spare.checked_sub(needed)?;
            giving.given.add(kind, needed);
            let allowed = range.high.map_or(Some(unknown), |high| high.checked_sub(observed.of(kind) + needed))?;
            let possible = if kind == OutcomeKind::Success { may_have_succeeded.checked_sub(needed)? } else { unknown };
            giving.room.insert(kind, allowed.min(possible));
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
    use crate::judge::fixture::{expectation, tally};

    const KINDS: [OutcomeKind; 3] = [OutcomeKind::Success, OutcomeKind::Conflict, OutcomeKind::Busy];

    /// The numbers of unknown attempts that may have taken effect, any of which may have been a success.
    fn fitting(whole: Option<&str>, by_group: &[(usize, &str)], groups: &[&str], short: Short) -> Vec<u64> {
        let whole = whole.map(expectation);
        let by_group = by_group.iter().map(|(group, text)| (*group, expectation(text))).collect();
        let groups: Vec<Tally> = groups.iter().map(|text| tally(text)).collect();
        let may_have_succeeded: Vec<u64> = groups.iter().map(|group| group.of(OutcomeKind::Unknown)).collect();
        let counted = Counted { groups: &groups, may_have_succeeded: &may_have_succeeded };
        let all = 0..=may_have_succeeded.iter().sum::<u64>();
        all.filter(|took_effect| fits(whole.as_ref(), &by_group, counted, *took_effect, short)).collect()
    }

    #[test]
    fn unknowns_fill_what_is_missing_and_no_more() {
        let fits = |observed: &str| fitting(Some("success = 1, conflict = 2"), &[], &[observed], Short::Misfit);
        assert_eq!(fits("1 success, 2 conflict"), [0]);
        assert_eq!(fits("2 conflict, 1 unknown"), [1]);
        assert_eq!(fits("1 conflict, 2 unknown"), [1]);
        assert_eq!(fits("1 success, 2 conflict, 1 unknown"), [0], "unknown is not forbidden by not being named");
        assert!(fits("1 conflict, 1 unknown").is_empty(), "one unknown cannot be both");
        assert!(fits("2 success, 1 unknown").is_empty(), "a success is not taken back");
        assert!(fits("1 success, 2 conflict, 1 busy").is_empty(), "what is not named must not occur");
    }

    #[test]
    fn a_named_unknown_is_a_plain_count() {
        assert!(fitting(Some("success = 1, unknown = 0"), &[], &["1 success, 1 unknown"], Short::Misfit).is_empty());
        let named = expectation("success = 1, unknown = 1");
        assert!(fits_as_observed(Some(&named), &BTreeMap::new(), &[tally("1 success, 1 unknown")]));
        let silent = expectation("success = 1");
        assert!(!fits_as_observed(Some(&silent), &BTreeMap::new(), &[tally("1 success, 1 unknown")]));
    }

    #[test]
    fn an_unknown_of_one_group_does_not_help_another() {
        let by_group = [(0, "success = 1")];
        assert!(fitting(None, &by_group, &["nothing", "1 unknown"], Short::Misfit).is_empty());
        assert_eq!(fitting(None, &by_group, &["1 unknown", "nothing"], Short::Misfit), [1]);
    }

    #[test]
    fn an_attempt_that_did_not_run_may_be_missed_and_excuses_no_excess() {
        let fits = |observed: &str, short| fitting(Some("success = 1, conflict = 1"), &[], &[observed], short);
        for (observed, short, wanted) in [
            ("1 success, 1 disconnected", Short::Misfit, &[][..]),
            ("1 success, 1 disconnected", Short::DidNotRun, &[0]),
            ("2 success, 1 disconnected", Short::DidNotRun, &[]),
            ("1 success, 1 busy, 1 disconnected", Short::DidNotRun, &[]),
            ("1 success, 1 conflict, 1 disconnected", Short::Misfit, &[0]),
            ("1 success", Short::DidNotRun, &[]),
        ] {
            assert_eq!(fits(observed, short), wanted, "{observed}");
        }
        let named = |observed| fitting(Some("success = 1, disconnected = 1"), &[], &[observed], Short::DidNotRun);
        assert!(named("1 disconnected").is_empty(), "a count that is named is a count like any other");
        assert_eq!(named("1 success, 1 disconnected"), [0]);
    }

    /// Tries every way to give each group's unknown attempts to an outcome, or to none.
    fn brute_force(
        whole: Option<&Expectation>,
        by_group: &BTreeMap<usize, Expectation>,
        counted: Counted<'_>,
        took_effect: u64,
    ) -> bool {
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
        // The sum over the groups so far, and how many unknown attempts have become a success in it.
        let mut totals = vec![(Tally::default(), 0)];
        for (index, observed) in counted.groups.iter().enumerate() {
            let mut next = Vec::new();
            for extra in given(observed.of(OutcomeKind::Unknown)) {
                let mut group = *observed;
                group.merge(&extra);
                let succeeded = extra.of(OutcomeKind::Success);
                if succeeded <= counted.may_have_succeeded[index] && fits(by_group.get(&index), &group) {
                    next.extend(totals.iter().map(|(total, before)| {
                        let mut total = *total;
                        total.merge(&group);
                        (total, before + succeeded)
                    }));
                }
            }
            next.sort();
            next.dedup();
            totals = next;
        }
        totals.iter().any(|(total, succeeded)| *succeeded == took_effect && fits(whole, total))
    }

    fn any_range() -> impl Strategy<Value = CountRange> {
        (0u64..4, prop::option::of(0u64..3))
            .prop_map(|(low, more)| CountRange { low, high: more.map(|more| low + more) })
    }

    fn any_expectation() -> impl Strategy<Value = Expectation> {
        prop::collection::btree_map(prop::sample::select(KINDS.to_vec()), any_range(), 0..=3)
            .prop_map(|counts| Expectation { counts, ..expectation("") })
    }

    /// How a group's attempts ended, and how many of the unknown ones may have been a success.
    fn any_group() -> impl Strategy<Value = (Tally, u64)> {
        (0u64..3, 0u64..3, 0u64..2, 0u64..4, 0u64..4).prop_map(|(success, conflict, busy, unknown, may)| {
            let mut tally = Tally::default();
            tally.add(OutcomeKind::Success, success);
            tally.add(OutcomeKind::Conflict, conflict);
            tally.add(OutcomeKind::Busy, busy);
            tally.add(OutcomeKind::Unknown, unknown);
            (tally, may.min(unknown))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_assignment_agrees_with_trying_everything(
            whole in prop::option::of(any_expectation()),
            by_group in prop::collection::btree_map(0usize..3, any_expectation(), 0..=2),
            groups in prop::collection::vec(any_group(), 1..=3),
        ) {
            let by_group = by_group.into_iter().filter(|(index, _)| *index < groups.len()).collect();
            let (groups, may_have_succeeded): (Vec<Tally>, Vec<u64>) = groups.into_iter().unzip();
            let counted = Counted { groups: &groups, may_have_succeeded: &may_have_succeeded };
            for took_effect in 0..=may_have_succeeded.iter().sum() {
                let found = fits(whole.as_ref(), &by_group, counted, took_effect, Short::Misfit);
                let wanted = brute_force(whole.as_ref(), &by_group, counted, took_effect);
                prop_assert_eq!(found, wanted, "{} took effect", took_effect);
            }
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
