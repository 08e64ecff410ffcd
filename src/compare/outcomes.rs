//! Counts and verdicts of a case on both sides: exact where one count is expected, tested where counts may vary.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::Verdict;
use crate::outcome::OutcomeKind;
use crate::report::schema::*;
use crate::report::words::number;
use crate::statistics::{ALPHA, mixes_differ};

/// The p of the rounds ending in the same mixes as often on both sides. `None` where both sides expect exact counts only: then there is nothing to test.
pub(super) fn mixes_p(base: &CaseReport, head: &CaseReport, seed: u64) -> Option<f64> {
    if counts(&base.race, &head.race).iter().all(|count| count.exact) {
        return None;
    }
    let (mut sorts, other) = (mixes(&base.race, &head.race), (base.race.other_mixes, head.race.other_mixes));
    sorts.push(MixComparison { mix: String::new(), base: other.0, head: other.1 });
    Some(mixes_differ(&sorts.iter().map(|mix| (mix.base, mix.head)).collect::<Vec<_>>(), seed))
}

/// Compares them; `p` is that of the mixes, as it is and corrected.
pub(super) fn compare(base: &CaseReport, head: &CaseReport, p: Option<(f64, f64)>) -> OutcomeComparison {
    let counts = counts(&base.race, &head.race);
    let controls = controls(base, head);
    let (before, after) = (Verdict::from(base.verdict), Verdict::from(head.verdict));
    let mut reasons = Vec::new();
    if before != after {
        let why = head.reasons.first().filter(|_| after > before).map(|why| format!(" ({why})")).unwrap_or_default();
        reasons.push(format!("verdict {before} became {after}{why}"));
    }
    let survivors =
        controls.iter().filter(|control| is_good(control.base) && control.head.is_some() && !is_good(control.head));
    let survivors: Vec<&str> = survivors.map(|control| control.name.as_str()).collect();
    reasons.extend(survivors.iter().map(|name| format!("control `{name}` is no longer caught")));
    let mut changed = false;
    for count in counts.iter().filter(|count| count.changed) {
        changed = true;
        reasons.push(count_reason(count, base.race.rounds, head.race.rounds));
    }
    for (invariant, before) in invariants(&base.race, &head.race) {
        let share = |broken: u64, rounds: u64| format!("{broken} of {}", number(rounds, "round"));
        let (was, is) = (share(before, base.race.rounds), share(invariant.broken, head.race.rounds));
        if before * head.race.rounds != invariant.broken * base.race.rounds {
            changed = true;
            reasons.push(format!("invariant `{}` was broken in {was}, and is in {is}", invariant.name));
        }
    }
    if let Some((_, corrected)) = p.filter(|(_, corrected)| *corrected < ALPHA) {
        changed = true;
        reasons.push(format!("rounds end in other mixes of outcomes (p = {corrected:.4})"));
    }
    let change = if after > before || !survivors.is_empty() {
        OutcomeChangeWord::Worse
    } else if after < before {
        OutcomeChangeWord::Better
    } else if changed {
        OutcomeChangeWord::Changed
    } else {
        OutcomeChangeWord::Same
    };
    OutcomeComparison {
        change,
        reasons,
        base_verdict: base.verdict,
        head_verdict: head.verdict,
        counts,
        mixes: mixes(&base.race, &head.race),
        p: p.map(|(p, _)| p),
        p_corrected: p.map(|(_, corrected)| corrected),
        controls,
    }
}

fn count_reason(count: &CountComparison, base_rounds: u64, head_rounds: u64) -> String {
    let group = count.group.as_ref().map(|group| format!("{group}: ")).unwrap_or_default();
    let outcome = OutcomeKind::from(count.outcome);
    let told = |side: &Option<SideCount>, rounds: u64| match side {
        None => "none".to_owned(),
        Some(side) if side.least == side.most => format!("{} a round", side.least),
        Some(side) => {
            format!(
                "{}..={} a round ({} in {}, {} of them wrong)",
                side.least,
                side.most,
                side.total,
                number(rounds, "round"),
                side.rounds_broken
            )
        }
    };
    format!("{group}{outcome} was {}, and is {}", told(&count.base, base_rounds), told(&count.head, head_rounds))
}

/// Every outcome that either side expects or saw.
fn counts(base: &Race, head: &Race) -> Vec<CountComparison> {
    type Key = (Option<String>, OutcomeWord);
    let rows = |race: &Race| -> BTreeMap<Key, SideCount> {
        let row = |row: &ExpectationRow| SideCount {
            expected: row.expected.clone(),
            least: row.least,
            most: row.most,
            total: row.total,
            rounds_broken: row.rounds_broken,
        };
        race.expectations.iter().map(|it| ((it.group.clone(), it.outcome), row(it))).collect()
    };
    let (before, after) = (rows(base), rows(head));
    let keys: BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
    keys.into_iter()
        .map(|key| {
            let (was, is) = (before.get(key), after.get(key));
            // What is not listed was neither expected nor seen: exactly none.
            let exact = [was, is].into_iter().flatten().all(|count| count.expected.parse::<u64>().is_ok());
            let seen = |count: Option<&SideCount>| {
                count.map_or((0, 0, 0, 0), |it| (it.least, it.most, it.total, it.rounds_broken))
            };
            let ((least, most, total, broken), (least_now, most_now, total_now, broken_now)) = (seen(was), seen(is));
            let per_round = |before: u64, now: u64| before * head.rounds == now * base.rounds;
            let same =
                (least, most) == (least_now, most_now) && per_round(total, total_now) && per_round(broken, broken_now);
            CountComparison {
                group: key.0.clone(),
                outcome: key.1,
                exact,
                base: was.cloned(),
                head: is.cloned(),
                changed: exact && !same,
            }
        })
        .collect()
}

/// Every mix that either side ended a round in, the most frequent first.
fn mixes(base: &Race, head: &Race) -> Vec<MixComparison> {
    let mut found: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let text = |mix: &Mix| {
        let counts = mix.counts.iter().map(|(outcome, count)| format!("{count} {}", OutcomeKind::from(*outcome)));
        counts.collect::<Vec<_>>().join(", ")
    };
    base.mixes.iter().for_each(|mix| found.entry(text(mix)).or_default().0 += mix.rounds);
    head.mixes.iter().for_each(|mix| found.entry(text(mix)).or_default().1 += mix.rounds);
    let mut mixes: Vec<MixComparison> =
        found.into_iter().map(|(mix, (base, head))| MixComparison { mix, base, head }).collect();
    mixes.sort_by_key(|mix| std::cmp::Reverse(mix.base + mix.head));
    mixes
}

/// The invariants that both have, with how often BASE broke them.
fn invariants<'a>(base: &Race, head: &'a Race) -> Vec<(&'a InvariantReport, u64)> {
    let before =
        |name: &str| base.invariants.iter().find(|invariant| invariant.name == name).map(|invariant| invariant.broken);
    head.invariants.iter().filter_map(|invariant| Some((invariant, before(&invariant.name)?))).collect()
}

/// The controls that ended otherwise, or that one side does not have.
fn controls(base: &CaseReport, head: &CaseReport) -> Vec<ControlComparison> {
    let verdicts = |case: &CaseReport| -> BTreeMap<String, ControlVerdictWord> {
        case.controls.iter().map(|control| (control.name.clone(), control.verdict)).collect()
    };
    let (before, after) = (verdicts(base), verdicts(head));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let compared = names.into_iter().map(|name| ControlComparison {
        name: name.clone(),
        base: before.get(name).copied(),
        head: after.get(name).copied(),
    });
    compared.filter(|control| control.base != control.head).collect()
}

fn is_good(verdict: Option<ControlVerdictWord>) -> bool {
    matches!(verdict, Some(ControlVerdictWord::Caught | ControlVerdictWord::AwaitsGrowth))
}
