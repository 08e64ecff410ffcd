//! What the numbers and verdicts of a report must agree on, when it is written and when it is read.

use crate::judge::{RunVerdict, Verdict};
use crate::measure::Histogram;

use super::build::distribution;
use super::load::LoadErrorKind;
use super::schema::{
    CaseReport, ClocksReport, ControlReport, ControlVerdictWord, Counts, Distribution, ExpectationRow,
    HeadStartsReport, LatencyBoundReport, LatencyReport, OutcomeWord, Race, Report, RoundReport, VerdictWord,
};

/// Whether the numbers of a case, and of its controls, agree with each other and with its verdict.
pub(super) fn check_case(case: &CaseReport) -> Result<(), LoadErrorKind> {
    let of_controls = case.controls.iter().map(|control| (format!("{}/{}", case.id, control.name), &control.race));
    for (case, race) in std::iter::once((case.id.clone(), &case.race)).chain(of_controls) {
        check_race(race).map_err(|what| LoadErrorKind::Counts { case, what })?;
    }
    check_verdict(case).map_err(|what| LoadErrorKind::Counts { case: case.id.clone(), what })
}

/// A run is as bad as its worst case.
pub(super) fn check_run(report: &Report) -> Result<(), LoadErrorKind> {
    let scenarios = &report.scenarios;
    let found = RunVerdict::from(report.verdict);
    let cases = scenarios.iter().flat_map(|scenario| &scenario.cases).map(|case| case.verdict);
    // What ended a run before its time may be all that its verdict tells: growth is then not judged, or judged in vain.
    let growth = scenarios.iter().flat_map(|scenario| &scenario.growth).map(|growth| growth.verdict);
    let growth = growth.filter(|_| found == RunVerdict::Pass);
    let causes = cases.chain(growth).map(|verdict| RunVerdict::from(Verdict::from(verdict)));
    let wanted = RunVerdict::decide(causes.chain([found]));
    if found != wanted {
        let what =
            format!("its verdict is `{found}`, but must be `{wanted}`, as that of a case or of a cost's growth is");
        return Err(LoadErrorKind::Counts { case: report.run.id.clone(), what });
    }
    Ok(())
}

/// What rounds, controls and bounds say of a case, it must not gloss over.
fn check_verdict(case: &CaseReport) -> Result<(), String> {
    let CaseReport { race, verdict, .. } = case;
    let is = |wanted: VerdictWord| move |bound: &LatencyBoundReport| bound.verdict == wanted;
    let surviving =
        |control: &ControlReport| matches!(control.verdict, ControlVerdictWord::Survived | ControlVerdictWord::Invalid);
    let missed = race.sometimes.iter().any(|check| check.rounds == 0);
    let failed = [
        (race.rounds_failed > 0, "rounds failed"),
        (race.latency_bounds.iter().any(is(VerdictWord::Fail)), "a latency bound failed"),
        (case.controls.iter().any(surviving), "a control was not caught"),
        (missed && race.rounds >= race.rounds_planned, "no round showed an outcome of `sometimes`"),
    ];
    let doubted = [
        (race.rounds_inconclusive > 0, "rounds were inconclusive"),
        (race.latency_bounds.iter().any(is(VerdictWord::Inconclusive)), "a latency bound was inconclusive"),
        (race.rounds < race.rounds_planned, "not all rounds were raced"),
        (!case.reasons.is_empty(), "it has reasons"),
    ];
    let word = |verdict: VerdictWord| Verdict::from(verdict);
    let first = |causes: &[(bool, &'static str)]| causes.iter().find(|(holds, _)| *holds).map(|(_, cause)| *cause);
    if let Some(cause) = first(&failed).filter(|_| *verdict != VerdictWord::Fail) {
        return Err(format!("the verdict is `{}`, but must be `{}`, since {cause}", word(*verdict), Verdict::Fail));
    }
    if let Some(cause) = first(&doubted).filter(|_| *verdict == VerdictWord::Pass) {
        return Err(format!("the verdict is `{}`, but must not be, since {cause}", word(*verdict)));
    }
    if case.reasons.is_empty() && *verdict != VerdictWord::Pass {
        return Err(format!("the verdict is `{}`, but no reason is given", word(*verdict)));
    }
    Ok(())
}

fn same(what: &str, found: u64, wanted: u64) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what} are {found}, but must be {wanted}")) }
}

fn at_most(what: &str, found: u64, most: u64) -> Result<(), String> {
    if found <= most { Ok(()) } else { Err(format!("{what} are {found}, but must be at most {most}")) }
}

/// A sum of numbers which may be anything: what is out of range agrees with nothing.
fn sum(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, u64::saturating_add)
}

fn total(counts: &Counts) -> u64 {
    sum(counts.values().copied())
}

fn of(counts: &Counts, outcome: OutcomeWord) -> u64 {
    counts.get(&outcome).copied().unwrap_or(0)
}

/// Every number that must equal another one. The histograms are decoded: what cannot be decoded is damaged.
fn check_race(race: &Race) -> Result<(), String> {
    let attempts = race.workers.checked_mul(race.rounds).ok_or("workers times rounds is out of range")?;
    same("the outcomes", total(&race.counts), attempts)?;
    same("the outcomes of all groups", sum(race.groups.iter().map(|group| total(&group.counts))), attempts)?;
    same("the workers of all groups", sum(race.groups.iter().map(|group| group.workers)), race.workers)?;
    same(
        "the rounds of all mixes",
        sum(race.mixes.iter().map(|mix| mix.rounds).chain([race.other_mixes])),
        race.rounds,
    )?;
    for mix in &race.mixes {
        same("the outcomes of a mix", total(&mix.counts), race.workers)?;
    }
    for invariant in &race.invariants {
        let said = sum([invariant.held, invariant.broken, invariant.unevaluated]);
        same(&format!("the results of invariant `{}`", invariant.name), said, race.rounds)?;
    }
    let left_out = race.head_starts.clone().unwrap_or(HeadStartsReport { rounds: 0, counts: Counts::new() });
    at_most("the rounds with a head start", left_out.rounds, race.rounds)?;
    let left_out_attempts = race.workers.saturating_mul(left_out.rounds);
    same("the outcomes of rounds with a head start", total(&left_out.counts), left_out_attempts)?;
    check_latency("attempts", &race.attempts)?;
    same("the attempts measured", race.attempts.all.own.count, attempts - left_out_attempts)?;
    for (outcome, count) in &left_out.counts {
        at_most(&format!("the attempts with a head start that ended `{outcome}`"), *count, of(&race.counts, *outcome))?;
    }
    for (outcome, count) in &race.counts {
        let measured = race.attempts.outcomes.get(outcome).map_or(0, |clocks| clocks.own.count);
        same(
            &format!("the attempts measured that ended `{outcome}`"),
            measured,
            *count - of(&left_out.counts, *outcome),
        )?;
        let in_groups = sum(race.groups.iter().map(|group| of(&group.counts, *outcome)));
        same(&format!("the attempts of all groups that ended `{outcome}`"), in_groups, *count)?;
    }
    for step in &race.steps {
        check_latency(&format!("step `{}`", step.name), &step.latency)?;
    }
    let measured = race.rounds - left_out.rounds;
    for (what, values, rounds) in [("overlaps", &race.overlap, race.rounds), ("makespans", &race.makespan, measured)] {
        check_distribution(what, values)?;
        same(&format!("the {what}"), values.count, rounds)?;
    }
    for barrier in &race.barriers {
        check_distribution(&format!("skew of barrier `{}`", barrier.name), &barrier.skew)?;
        let measured = barrier.skew.count.saturating_add(barrier.released_with_head_start);
        same(&format!("the releases of barrier `{}`", barrier.name), measured, barrier.released)?;
        let what = format!("the releases of barrier `{}` with a head start", barrier.name);
        at_most(&what, barrier.released_with_head_start, left_out.rounds)?;
    }
    at_most("the rounds that were raced", race.raced.unwrap_or(0), race.rounds)?;
    check_rounds(race)?;
    race.expectations.iter().try_for_each(|row| check_expectation(race, row))
}

/// How many rounds failed, and those that were kept.
fn check_rounds(race: &Race) -> Result<(), String> {
    let Race { rounds, rounds_failed, rounds_inconclusive, first_failed, .. } = race;
    at_most("failed and inconclusive rounds", sum([*rounds_failed, *rounds_inconclusive]), *rounds)?;
    match first_failed {
        None if *rounds_failed > 0 => return Err(format!("{rounds_failed} rounds failed, but no first one is named")),
        Some(first) if *rounds_failed == 0 => {
            return Err(format!("round {first} is the first failed one, but none failed"));
        }
        Some(first) if first >= rounds => return Err(format!("round {first} failed, but only {rounds} were raced")),
        _ => {}
    }
    if race.failure_bound.is_some() && sum([*rounds_failed, *rounds_inconclusive]) > 0 {
        return Err("`failure_bound` is given, but not all rounds passed".to_owned());
    }
    let of_verdict = |verdict| race.kept.iter().filter(move |kept| kept.verdict == verdict);
    at_most("failed rounds that were kept", of_verdict(VerdictWord::Fail).count() as u64, *rounds_failed)?;
    at_most(
        "inconclusive rounds that were kept",
        of_verdict(VerdictWord::Inconclusive).count() as u64,
        *rounds_inconclusive,
    )?;
    if let (Some(kept), Some(first)) = (of_verdict(VerdictWord::Fail).map(|kept| kept.round).min(), first_failed)
        && kept != *first
    {
        return Err(format!("the first failed round is {first}, but must be {kept}, the first one kept"));
    }
    race.kept.iter().try_for_each(|kept| check_kept(race, kept))
}

fn check_kept(race: &Race, kept: &RoundReport) -> Result<(), String> {
    let round = kept.round;
    if round >= race.rounds {
        return Err(format!("round {round} was kept, but only {} were raced", race.rounds));
    }
    same(&format!("the attempts of round {round}"), kept.attempts.len() as u64, race.workers)?;
    same(&format!("the outcomes of round {round}"), total(&kept.counts), race.workers)?;
    for (outcome, count) in &kept.counts {
        let ended = kept.attempts.iter().filter(|attempt| attempt.outcome == *outcome).count() as u64;
        same(&format!("the attempts of round {round} that ended `{outcome}`"), ended, *count)?;
    }
    let wanted = match (kept.failures.is_empty(), &kept.inconclusive) {
        (false, _) => VerdictWord::Fail,
        (true, Some(_)) => VerdictWord::Inconclusive,
        (true, None) => VerdictWord::Pass,
    };
    if kept.verdict != wanted {
        let [found, wanted] = [kept.verdict, wanted].map(Verdict::from);
        return Err(format!("the verdict of round {round} is `{found}`, but must be `{wanted}`, by its failures"));
    }
    Ok(())
}

/// A row of expected counts against the counts themselves.
fn check_expectation(race: &Race, row: &ExpectationRow) -> Result<(), String> {
    let (mut what, mut counts) = (format!("`{}` expected", row.outcome), &race.counts);
    if let Some(name) = &row.group {
        what = format!("{what} of group `{name}`");
        let group = race.groups.iter().find(|group| group.name == *name);
        counts = &group.ok_or_else(|| format!("{what}: there is no such group"))?.counts;
    }
    same(&format!("attempts that ended {what}"), row.total, of(counts, row.outcome))?;
    at_most(&format!("the least of {what}, over all rounds,"), row.least.saturating_mul(race.rounds), row.total)?;
    at_most(&format!("attempts that ended {what}"), row.total, row.most.saturating_mul(race.rounds))?;
    at_most(&format!("the most of {what}"), row.most, row.total)?;
    at_most(&format!("the rounds that broke {what}"), row.rounds_broken, race.rounds_failed)
}

/// Over all outcomes there are as many operations as over each together, on both clocks.
fn check_latency(what: &str, latency: &LatencyReport) -> Result<(), String> {
    let mut counted = 0u64;
    for clocks in latency.outcomes.values().chain([&latency.all]) {
        let ClocksReport { since_release, own } = clocks;
        check_distribution(what, since_release)?;
        check_distribution(what, own)?;
        if since_release.count != own.count {
            return Err(format!("{what}: the two clocks measured {} and {}", since_release.count, own.count));
        }
        counted = counted.saturating_add(own.count);
    }
    let all = latency.all.own.count;
    if counted != all.saturating_mul(2) {
        return Err(format!("{what}: {} operations by outcome, but {all} in all", counted - all));
    }
    Ok(())
}

/// What is said of values, their histogram must say too.
fn check_distribution(what: &str, found: &Distribution) -> Result<(), String> {
    let histogram = Histogram::decode(&found.histogram).map_err(|error| format!("{what}: {error}"))?;
    let Distribution { count, min, p50, p90, p99, p999, max, histogram: _ } = distribution(&histogram);
    if count != found.count {
        return Err(format!("{what}: a histogram holds {count} values, but {} were counted", found.count));
    }
    let quantiles = [
        ("min", found.min, min),
        ("p50", found.p50, p50),
        ("p90", found.p90, p90),
        ("p99", found.p99, p99),
        ("p999", found.p999, p999),
        ("max", found.max, max),
    ];
    match quantiles.into_iter().find(|(_, found, wanted)| found != wanted) {
        None => Ok(()),
        Some((name, found, wanted)) => {
            let [found, wanted] =
                [found, wanted].map(|value| value.map_or_else(|| "absent".to_owned(), |value| value.to_string()));
            Err(format!("{what}: `{name}` is {found}, but must be {wanted} by the histogram beside it"))
        }
    }
}
