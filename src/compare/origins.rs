//! Where attempts that did not succeed ended, step and code, on both sides: a lock that is gone moves a deadlock elsewhere
//! without changing how many there are.

use std::collections::BTreeMap;

use crate::report::schema::*;
use crate::statistics::mixes_differ;

type Place<'a> = (OutcomeWord, &'a str, &'a str);

/// The places that one side had in other rounds than the other. Nothing where a side does not tell the rounds, as before report
/// schema 1.4.
pub(super) fn origins(base: &Race, head: &Race, seed: u64) -> Vec<OriginComparison> {
    let (Some(in_base), Some(in_head)) = (by_place(base), by_place(head)) else { return Vec::new() };
    let rounds = [base, head].map(|race| race.raced.unwrap_or(race.rounds));
    let places: std::collections::BTreeSet<Place<'_>> = in_base.keys().chain(in_head.keys()).copied().collect();
    let mut found = Vec::new();
    for (outcome, step, code) in places {
        let of = |side: &BTreeMap<Place<'_>, u64>| side.get(&(outcome, step, code)).copied();
        let (was, is) = (of(&in_base), of(&in_head));
        // One that a side does not list may be among those that it did not list apart.
        if was.is_none() && base.other_refusals > 0 || is.is_none() && head.other_refusals > 0 {
            continue;
        }
        let [base, head] = [was, is].map(Option::unwrap_or_default);
        if base * rounds[1] == head * rounds[0] {
            continue;
        }
        let changed = base == 0 && head == rounds[1] || head == 0 && base == rounds[0];
        let sorts = [(base, head), (rounds[0].saturating_sub(base), rounds[1].saturating_sub(head))];
        let test = (!changed).then(|| mixes_differ(&sorts, seed)).map(|p| TestReport { p, p_corrected: p });
        found.push(OriginComparison {
            outcome,
            step: step.to_owned(),
            code: code.to_owned(),
            base,
            head,
            changed,
            test,
        });
    }
    found
}

/// In how many raced rounds attempts ended at each place.
fn by_place(race: &Race) -> Option<BTreeMap<Place<'_>, u64>> {
    let places = race.refusals.iter().map(|it| Some(((it.outcome, it.step.as_str(), it.code.as_str()), it.rounds?)));
    places.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{USUAL, run};
    use super::*;

    fn race(refusals: &[(&str, &str, u64)]) -> Race {
        let mut race = run(&USUAL, 1.0, 1).0.scenarios.remove(0).cases.remove(0).race;
        (race.rounds, race.raced, race.other_refusals) = (20, Some(20), 0);
        let refusal = |&(step, code, rounds): &(&str, &str, u64)| RefusalReport {
            outcome: OutcomeWord::Deadlock,
            step: step.to_owned(),
            code: code.to_owned(),
            count: rounds,
            rounds: Some(rounds),
            example: String::new(),
        };
        race.refusals = refusals.iter().map(refusal).collect();
        race
    }

    #[test]
    fn a_deadlock_that_has_moved_is_seen_though_there_are_as_many() {
        let found = origins(&race(&[("lock", "40P01", 20)]), &race(&[("commit", "40P01", 20)]), 7);
        let told: Vec<_> = found.iter().map(|it| (it.step.as_str(), it.base, it.head, it.changed)).collect();
        assert_eq!(told, [("commit", 0, 20, true), ("lock", 20, 0, true)]);
        assert_eq!(origins(&race(&[("lock", "40P01", 7)]), &race(&[("lock", "40P01", 7)]), 7), []);
    }

    #[test]
    fn what_may_be_chance_is_tested() {
        let found = origins(&race(&[("lock", "40P01", 20)]), &race(&[("lock", "40P01", 19)]), 7);
        assert!(!found[0].changed && found[0].test.as_ref().unwrap().p > 0.5, "{found:?}");
        let found = origins(&race(&[("lock", "40P01", 19)]), &race(&[]), 7);
        assert!(!found[0].changed && found[0].test.as_ref().unwrap().p < 1e-6, "{found:?}");
    }

    #[test]
    fn what_a_side_does_not_tell_is_not_compared() {
        let (all, mut pooled, mut older) = (race(&[("lock", "40P01", 20)]), race(&[]), race(&[("at", "1", 1)]));
        pooled.other_refusals = 3;
        older.refusals[0].rounds = None;
        assert_eq!((origins(&all, &pooled, 7), origins(&all, &older, 7)), (Vec::new(), Vec::new()));
    }
}
