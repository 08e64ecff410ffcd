//! Counts and invariants on both sides. Where BASE never deviated, any deviation is a change, however few rounds show it; where BASE deviated too, how
//! many rounds do is tested, for that varies by chance.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::schema::*;
use crate::report::words::number;
use crate::statistics::{ALPHA, mixes_differ};

/// The group, or the whole round, and an outcome in it.
type Key = (Option<String>, OutcomeWord);

/// Every outcome that either side expects or saw.
pub(super) fn counts(base: &Race, head: &Race, seed: u64) -> Vec<CountComparison> {
    let (before, after) = (rows(base), rows(head));
    let keys: BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
    keys.into_iter().map(|key| count(key, (base, &before), (head, &after), seed)).collect()
}

type Rows = BTreeMap<Key, SideCount>;

fn rows(race: &Race) -> Rows {
    let row = |row: &ExpectationRow| SideCount {
        expected: row.expected.clone(),
        least: row.least,
        most: row.most,
        total: row.total,
        rounds_broken: row.rounds_broken,
    };
    race.expectations.iter().map(|it| ((it.group.clone(), it.outcome), row(it))).collect()
}

/// What a side expects. What is not listed was neither expected nor seen, and may not be seen where anything is expected at all; an unknown end may.
fn expected<'a>(rows: &'a Rows, key: &Key) -> &'a str {
    let said = |(group, _): &Key, row: &SideCount| *group == key.0 && row.expected != "any";
    match rows.get(key) {
        Some(row) => &row.expected,
        None if key.1 != OutcomeWord::Unknown && rows.iter().any(|(key, row)| said(key, row)) => "0",
        None => "any",
    }
}

fn count(key: &Key, (base, before): (&Race, &Rows), (head, after): (&Race, &Rows), seed: u64) -> CountComparison {
    let (was, is) = (before.get(key), after.get(key));
    // A group of which a side expects nothing has no counts there; of the whole round, what is not listed is none.
    let counted = |rows: &Rows| key.0.is_none() || rows.keys().any(|(group, _)| *group == key.0);
    let both = counted(before) && counted(after);
    let seen = |side: Option<&SideCount>| side.map_or((0, 0), |it| (it.least, it.most));
    let broken = |side: Option<&SideCount>| side.map_or(0, |it| it.rounds_broken);
    let exact_before = expected(before, key).parse::<u64>().is_ok();
    let same_rule = expected(before, key) == expected(after, key);
    // HEAD is held to a count that BASE always had, also where it would now allow another.
    let steady = exact_before && broken(was) == 0 && seen(was).0 == seen(was).1;
    let (broke, breaks) = (broken(was), broken(is));
    let test = (both && same_rule && broke > 0).then(|| test((broke, base.rounds), (breaks, head.rounds), seed));
    CountComparison {
        group: key.0.clone(),
        outcome: key.1,
        exact: both && exact_before && (steady || same_rule),
        base: was.cloned(),
        head: is.cloned(),
        changed: both && (steady && seen(was) != seen(is) || same_rule && broke == 0 && breaks > 0),
        broken: test,
    }
}

/// The invariants that either has.
pub(super) fn invariants(base: &Race, head: &Race, seed: u64) -> Vec<InvariantComparison> {
    let broken = |race: &Race, name: &str| race.invariants.iter().find(|it| it.name == name).map(|it| it.broken);
    let gone = base.invariants.iter().filter(|it| broken(head, &it.name).is_none());
    let names = head.invariants.iter().chain(gone).map(|it| it.name.as_str());
    names
        .map(|name| {
            let (was, is) = (broken(base, name), broken(head, name));
            let test = |broke| Some(test((broke, base.rounds), (is?, head.rounds), seed));
            InvariantComparison {
                name: name.to_owned(),
                base: was,
                head: is,
                changed: was == Some(0) && is > Some(0),
                broken: was.filter(|broke| *broke > 0).and_then(test),
            }
        })
        .collect()
}

/// Of "as many rounds are broken on both sides"; what it is among other tests is not known yet.
fn test((broke, rounds): (u64, u64), (breaks, head_rounds): (u64, u64), seed: u64) -> TestReport {
    let whole = (rounds.saturating_sub(broke), head_rounds.saturating_sub(breaks));
    let p = mixes_differ(&[(broke, breaks), whole], seed);
    TestReport { p, p_corrected: p }
}

/// Which way the rounds that are broken went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trend {
    /// Nowhere that chance does not explain.
    Same,
    /// More are broken, or the first.
    More,
    /// Fewer are broken.
    Fewer,
}

/// Where a count or an invariant went; `broke` and `breaks` are its broken rounds.
pub(super) fn trend(
    changed: bool,
    test: Option<&TestReport>,
    (broke, rounds): (u64, u64),
    (breaks, head_rounds): (u64, u64),
) -> Trend {
    match test {
        _ if changed => Trend::More,
        Some(test) if test.p_corrected < ALPHA && breaks * rounds > broke * head_rounds => Trend::More,
        Some(test) if test.p_corrected < ALPHA => Trend::Fewer,
        _ => Trend::Same,
    }
}

/// `adder: success`.
pub(super) fn name(count: &CountComparison) -> String {
    let group = count.group.as_ref().map(|group| format!("{group}: ")).unwrap_or_default();
    format!("{group}{}", count.outcome)
}

/// How a count changed that BASE never had otherwise.
pub(super) fn told(count: &CountComparison, base_rounds: u64, head_rounds: u64) -> String {
    let told = |side: &Option<SideCount>, rounds: u64| match side {
        None => "none".to_owned(),
        Some(side) if side.least == side.most => format!("{} a round", side.least),
        Some(SideCount { least, most, total, rounds_broken, .. }) => {
            let rounds = number(rounds, "round");
            format!("{least}..={most} a round ({total} in {rounds}, {rounds_broken} of them wrong)")
        }
    };
    let expected = |side: &Option<SideCount>| side.as_ref().map_or("0", |side| side.expected.as_str()).to_owned();
    let (before, after) = (expected(&count.base), expected(&count.head));
    let loosened = if before == after || count.head.is_none() {
        String::new()
    } else {
        format!("; `{before}` was expected, and `{after}` is")
    };
    format!(
        "{} was {}, and is {}{loosened}",
        name(count),
        told(&count.base, base_rounds),
        told(&count.head, head_rounds)
    )
}
