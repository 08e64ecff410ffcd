//! The mixes of outcomes that rounds of both sides ended in.

use std::collections::BTreeMap;

use crate::report::schema::*;

/// More mixes by group than these are told together: the rarest.
const MOST: usize = 50;

/// What is not listed by itself.
const OTHERS: &str = "other mixes";

/// Every mix that either side ended a round in, the most frequent first.
///
/// Where a side did not list all of its mixes, one that the other lists may be among the rest: then only what both list is told by itself.
pub(super) fn of_rounds(base: &Race, head: &Race) -> Vec<MixComparison> {
    let text = |mix: &Mix| {
        let counts = mix.counts.iter().map(|(outcome, count)| format!("{count} {outcome}"));
        counts.collect::<Vec<_>>().join(", ")
    };
    let listed = |race: &Race| race.mixes.iter().map(|mix| (text(mix), mix.rounds)).collect();
    let mixes = frequent(&listed(base), &listed(head));
    let rest = (base.other_mixes, head.other_mixes);
    if rest == (0, 0) {
        return mixes;
    }
    let (both, one): (Vec<_>, Vec<_>) = mixes.into_iter().partition(|mix| mix.base > 0 && mix.head > 0);
    pooled(both, &one, rest)
}

/// The same with each group's outcomes told apart, from how many rounds ended in which.
pub(super) fn of_groups(base: &BTreeMap<String, u64>, head: &BTreeMap<String, u64>) -> Vec<MixComparison> {
    let mut mixes = frequent(base, head);
    if mixes.len() <= MOST {
        return mixes;
    }
    let rare = mixes.split_off(MOST);
    pooled(mixes, &rare, (0, 0))
}

fn frequent(base: &BTreeMap<String, u64>, head: &BTreeMap<String, u64>) -> Vec<MixComparison> {
    let rounds = |side: &BTreeMap<String, u64>, mix: &String| side.get(mix).copied().unwrap_or(0);
    let names: std::collections::BTreeSet<&String> = base.keys().chain(head.keys()).collect();
    let mixes = names.into_iter().map(|mix| MixComparison {
        mix: mix.clone(),
        base: rounds(base, mix),
        head: rounds(head, mix),
    });
    let mut mixes: Vec<MixComparison> = mixes.collect();
    mixes.sort_by_key(|mix| std::cmp::Reverse(mix.base + mix.head));
    mixes
}

fn pooled(mut kept: Vec<MixComparison>, others: &[MixComparison], (base, head): (u64, u64)) -> Vec<MixComparison> {
    kept.push(MixComparison {
        mix: OTHERS.to_owned(),
        base: base + others.iter().map(|mix| mix.base).sum::<u64>(),
        head: head + others.iter().map(|mix| mix.head).sum::<u64>(),
    });
    kept
}

#[cfg(test)]
mod tests {
    use super::super::tests::{USUAL, run};
    use super::*;
    use crate::statistics::mixes_differ;

    /// A race whose listed mixes have these successes, one round each, and others that are not listed.
    fn race(listed: std::ops::Range<u64>, others: u64) -> Race {
        let mut race = run(&USUAL, 1.0, 1).0.scenarios.remove(0).cases.remove(0).race;
        let mix = |count| Mix { counts: [(OutcomeWord::Success, count)].into(), rounds: 1 };
        race.mixes = listed.map(mix).collect();
        race.other_mixes = others;
        race
    }

    #[test]
    fn a_mix_that_one_side_lists_and_the_other_pooled_is_no_difference() {
        // Both ended in any of many mixes, and list the first fifty that they saw: hardly any is listed by both.
        let (base, head) = (race(0..50, 50), race(45..95, 50));
        let mixes = of_rounds(&base, &head);
        assert_eq!(mixes.len(), 6, "five that both list, and the rest: {mixes:?}");
        assert_eq!(mixes[5], MixComparison { mix: OTHERS.to_owned(), base: 95, head: 95 });
        let sorts: Vec<_> = mixes.iter().map(|mix| (mix.base, mix.head)).collect();
        assert!(mixes_differ(&sorts, 1) > 0.5);
        assert_eq!(of_rounds(&race(0..50, 0), &race(45..95, 0)).len(), 95, "without a rest, nothing is pooled");
    }

    #[test]
    fn the_rarest_mixes_of_groups_are_told_together() {
        let many: BTreeMap<String, u64> = (1..=60).map(|rounds| (format!("mix {rounds}"), rounds)).collect();
        let mixes = of_groups(&many, &many);
        assert_eq!((mixes.len(), mixes[0].base), (51, 60));
        assert_eq!(mixes[50], MixComparison { mix: OTHERS.to_owned(), base: 55, head: 55 });
    }
}
