//! How comparisons are put in words, the same in every form.

use crate::judge::RunVerdict;
use crate::report::schema::*;
use crate::report::words::{ended_at, ns, number};

/// What stored reports are worth.
pub(super) const WEAK: &str = "sequential: weak. The two runs were taken at two times, and the machine was not the same twice; `deadheat compare --live` races both in turns";

/// `1.22 (1.15 to 1.30)`; what is missing when there is no effect.
pub(super) fn ratio(metric: &MetricComparison) -> String {
    match &metric.effect {
        Some(effect) => format!("{:.2} ({:.2} to {:.2})", effect.ratio, effect.low, effect.high),
        None if metric.samples == 0 => "no samples".to_owned(),
        None => format!("n = {}, needs 6", metric.samples),
    }
}

/// `1.22 times as long (95 % interval 1.15 to 1.30; threshold 10 %)`.
pub(super) fn effect(metric: &MetricComparison) -> String {
    let threshold = percent(metric.threshold);
    match &metric.effect {
        Some(EffectReport { ratio, low, high, .. }) => {
            format!("{ratio:.2} times as long (95 % interval {low:.2} to {high:.2}; threshold {threshold})")
        }
        None if metric.samples == 0 => "since neither or only one side measured it".to_owned(),
        None => format!("since {} are too few", number(metric.samples, "round")),
    }
}

/// `20 and 1 round`: what was raced of either side.
pub(super) fn rounds(case: &CaseComparison) -> String {
    format!("{} and {}", case.base_rounds, number(case.head_rounds, "round"))
}

/// The verdict on a metric, with what would settle it.
pub(super) fn change(metric: &MetricComparison) -> String {
    let word = change_word(metric.change);
    let gate = if metric.gate { format!(", gate at {}", percent(metric.threshold)) } else { String::new() };
    match metric.more_rounds {
        Some(rounds) if metric.effect.is_none() => {
            format!("{word}{gate}; needs at least {} a side", number(rounds, "more round"))
        }
        Some(rounds) => format!("{word}{gate}; about {} a side would settle it", number(rounds, "more round")),
        None => format!("{word}{gate}"),
    }
}

pub(super) const fn change_word(change: ChangeWord) -> &'static str {
    match change {
        ChangeWord::Improved => "improved",
        ChangeWord::Regressed => "regressed",
        ChangeWord::Equivalent => "equivalent",
        ChangeWord::Inconclusive => "inconclusive",
    }
}

pub(super) fn p_value(metric: &MetricComparison) -> String {
    metric.effect.as_ref().map(|effect| p(effect.p)).unwrap_or_default()
}

pub(super) fn p(p: f64) -> String {
    if p < 0.0001 { "<0.0001".to_owned() } else { format!("{p:.4}") }
}

pub(super) fn time(nanos: Option<u64>) -> String {
    nanos.map_or_else(|| "?".to_owned(), ns)
}

/// `10 %`, `2.5 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", (share * 1000.0).round() / 10.0)
}

/// `main, 2026-01-31T12:00:00Z, 1a2b3c4 on main, run 2026…`.
pub(super) fn side(side: &SideReport, form: FormWord) -> String {
    let mut parts = vec![side.name.clone()];
    if form == FormWord::Stored {
        parts.push(side.started.clone());
        parts.extend(side.git.as_ref().map(|git| {
            let sha: String = git.sha.chars().take(7).collect();
            format!("{}@{sha}{}", git.branch, if git.dirty { " with changes" } else { "" })
        }));
        parts.push(format!("run {}", side.run));
    }
    parts.join(", ")
}

/// ``race[backend=sqlite]`: fail (a reason); absent in BASE`.
pub(super) fn unpaired(comparison: &Comparison, in_base: bool) -> Vec<String> {
    let state = |state: &CaseState| {
        let word = match state.state {
            CaseStateWord::Pass => "pass",
            CaseStateWord::Inconclusive => "inconclusive",
            CaseStateWord::Fail => "fail",
            CaseStateWord::Skipped => "skipped",
            CaseStateWord::NotRaced => "not raced",
            CaseStateWord::Absent => "absent",
        };
        let why = state.reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{word}{why}")
    };
    let ids = if in_base { &comparison.only_in_base } else { &comparison.only_in_head };
    let cases = comparison.unpaired.iter().filter(|case| ids.contains(&case.case));
    let told = cases.map(|UnpairedCase { case, base, head }| {
        let (own, other, side) = if in_base { (base, head, "HEAD") } else { (head, base, "BASE") };
        format!("`{case}`: {}; {} in {side}", state(own), state(other))
    });
    told.collect()
}

/// Controls and invariants that only one side has.
pub(super) fn one_sided(outcomes: &OutcomeComparison) -> Vec<String> {
    let told = |sort: &str, name: &str, base: bool, head: bool| {
        let side = if base { "BASE" } else { "HEAD" };
        (base != head).then(|| format!("only {side} has {sort} `{name}`"))
    };
    let controls = outcomes.controls.iter();
    let controls = controls.filter_map(|it| told("control", &it.name, it.base.is_some(), it.head.is_some()));
    let invariants = outcomes.invariants.iter();
    let invariants = invariants.filter_map(|it| told("invariant", &it.name, it.base.is_some(), it.head.is_some()));
    controls.chain(invariants).collect()
}

/// `processor: A became B`.
pub(super) fn difference(difference: &DifferenceReport) -> String {
    let case = difference.case.as_ref().map(|case| format!("`{case}`: ")).unwrap_or_default();
    let shown = |text: &str| {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(120) {
            Some((end, _)) => format!("`{}…`", &line[..end]),
            None if line.is_empty() => "nothing".to_owned(),
            None => format!("`{line}`"),
        }
    };
    if difference.base == difference.head {
        return format!("{case}{}: {}", difference.what, shown(&difference.base));
    }
    format!("{case}{} was {}, is {}", difference.what, shown(&difference.base), shown(&difference.head))
}

/// What a case comes to, in one word: its counts and verdicts first, then its gate.
pub(super) fn case(case: &CaseComparison) -> &'static str {
    match case.outcomes.change {
        OutcomeChangeWord::Worse => "worse",
        OutcomeChangeWord::Changed => "changed",
        OutcomeChangeWord::Better => "better",
        OutcomeChangeWord::Same => {
            case.latency.iter().find(|metric| metric.gate).map_or("same", |gate| change_word(gate.change))
        }
    }
}

/// `deadlock at commit (40P01) in 20 of 20 rounds, and now in none of 20`.
pub(super) fn origin(origin: &OriginComparison, base: &Race, head: &Race) -> String {
    let OriginComparison { outcome, step, code, base: was, head: is, test, .. } = origin;
    let rounds = |race: &Race| race.raced.unwrap_or(race.rounds);
    let at = ended_at(step, code);
    let share = |count: u64, race: &Race| match count {
        0 => format!("none of {}", number(rounds(race), "round")),
        count => format!("{count} of {}", number(rounds(race), "round")),
    };
    let tested = test.as_ref().map(|test| format!(" (p = {})", p(test.p_corrected))).unwrap_or_default();
    format!("attempts ended {outcome}{at} in {}, and do so in {}{tested}", share(*was, base), share(*is, head))
}

/// The counts of a case, in words.
pub(super) fn outcomes(case: &CaseComparison) -> Vec<String> {
    let outcomes = &case.outcomes;
    let mut lines = outcomes.reasons.clone();
    if lines.is_empty() {
        let verdict = format!("verdict {} on both sides", crate::judge::Verdict::from(outcomes.head_verdict));
        let exact: Vec<String> =
            outcomes.counts.iter().filter(|count| count.exact && count.head.is_some()).map(count).collect();
        let exact = if exact.is_empty() { String::new() } else { format!("; {} each round", exact.join(", ")) };
        lines.push(format!("{verdict}{exact}"));
    }
    if let (Some(_), Some(corrected)) = (outcomes.p, outcomes.p_corrected) {
        let tested = if outcomes.group_mixes.is_empty() { &outcomes.mixes } else { &outcomes.group_mixes };
        let mixes: Vec<String> =
            tested.iter().take(4).map(|mix| format!("{} in {} and {}", mix.mix, mix.base, mix.head)).collect();
        let more = tested.len().saturating_sub(4);
        let more = if more > 0 { format!("; {more} other mixes") } else { String::new() };
        lines.push(format!(
            "mixes that may vary, in rounds of BASE and HEAD: {}{more} (p = {})",
            mixes.join("; "),
            p(corrected)
        ));
    }
    let tested = outcomes.counts.iter().filter_map(|count| {
        let line = broken_count(count, count.broken.as_ref()?, case.base_rounds, case.head_rounds);
        (!outcomes.reasons.contains(&line)).then_some(line)
    });
    lines.extend(tested);
    lines.extend(outcomes.controls.iter().map(|control| {
        let word = |verdict: Option<ControlVerdictWord>| match verdict {
            None => "absent",
            Some(ControlVerdictWord::Caught) => "caught",
            Some(ControlVerdictWord::Survived) => "survived",
            Some(ControlVerdictWord::Invalid) => "invalid",
            Some(ControlVerdictWord::Disturbed) => "disturbed",
            Some(ControlVerdictWord::AwaitsGrowth) => "judged by growth",
        };
        format!("control `{}` was {}, is {}", control.name, word(control.base), word(control.head))
    }));
    lines
}

/// `growth `lookup is O(1)` [backend=sqlite] of control `scan``.
pub(super) fn growth(growth: &GrowthComparison) -> String {
    let mut text = format!("growth `{}`", growth.name);
    if !growth.others.is_empty() {
        let value = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let held: Vec<String> = growth.others.iter().map(|(axis, it)| format!("{axis}={}", value(it))).collect();
        text += &format!(" [{}]", held.join(","));
    }
    if let Some(control) = &growth.control {
        text += &format!(" of control `{control}`");
    }
    text
}

/// Why a growth check makes the comparison fail.
pub(super) fn growth_worse(it: &GrowthComparison) -> String {
    let verdict = |side: &Option<GrowthSide>| {
        side.as_ref().map_or_else(String::new, |side| crate::judge::Verdict::from(side.verdict).to_string())
    };
    let what = match &it.base {
        Some(_) => format!("is worse: {} became {}", verdict(&it.base), verdict(&it.head)),
        None => "is only in HEAD, and failed".to_owned(),
    };
    let why = it.head.as_ref().and_then(|side| side.reason.as_ref()).map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{} {what}{why}", growth(it))
}

/// What a growth check comes to, in one word.
pub(super) const fn growth_word(growth: &GrowthComparison) -> &'static str {
    match growth.change {
        OutcomeChangeWord::Worse => "worse",
        OutcomeChangeWord::Changed => "changed",
        OutcomeChangeWord::Better => "better",
        OutcomeChangeWord::Same => "same",
    }
}

/// `latest-version.p50 ~ events^0.02 in BASE (pass), events^1.00 in HEAD (fail); allowed up to events^0.1`.
pub(super) fn exponents(growth: &GrowthComparison) -> String {
    let GrowthComparison { metric, over, .. } = growth;
    let side = |side: &Option<GrowthSide>, name: &str| match side {
        None => format!("absent in {name}"),
        Some(GrowthSide { verdict, exponent, .. }) => {
            let law = exponent.map_or_else(|| "no law".to_owned(), |exponent| format!("{over}^{exponent:.2}"));
            format!("{law} in {name} ({})", crate::judge::Verdict::from(*verdict))
        }
    };
    let wanted = if growth.control.is_some() { "caught above" } else { "allowed up to" };
    let bound = |side: &Option<GrowthSide>| side.as_ref().map(|side| format!("{over}^{}", side.at_most));
    let bounds = match (bound(&growth.base), bound(&growth.head)) {
        (Some(before), Some(after)) if before != after => format!("{before}, now {after}"),
        (before, after) => after.or(before).unwrap_or_default(),
    };
    format!("{metric} ~ {}, {}; {wanted} {bounds}", side(&growth.base, "BASE"), side(&growth.head, "HEAD"))
}

fn count(count: &CountComparison) -> String {
    let group = count.group.as_ref().map(|group| format!("{group}: ")).unwrap_or_default();
    let side = count.head.as_ref().map(|side| {
        if side.least == side.most { side.most.to_string() } else { format!("{}..={}", side.least, side.most) }
    });
    format!("{group}{} {}", side.unwrap_or_default(), count.outcome)
}

/// How many rounds broke an expectation that both sides broke.
pub(super) fn broken_count(count: &CountComparison, test: &TestReport, base_rounds: u64, head_rounds: u64) -> String {
    let share = |side: &Option<SideCount>, rounds: u64| {
        format!("{} of {}", side.as_ref().map_or(0, |side| side.rounds_broken), number(rounds, "round"))
    };
    let (was, is) = (share(&count.base, base_rounds), share(&count.head, head_rounds));
    let name = super::counts::name(count);
    format!("{name} was not as expected in {was}, and is not in {is} (p = {})", p(test.p_corrected))
}

/// `8 cases: 7 equivalent, 1 regressed`.
pub(super) fn sum(comparison: &Comparison) -> String {
    let mut sorts: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    comparison.cases.iter().for_each(|it| *sorts.entry(case(it)).or_default() += 1);
    let sorts: Vec<String> = sorts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let cases = number(comparison.cases.len() as u64, "case");
    if sorts.is_empty() { cases } else { format!("{cases}: {}", sorts.join(", ")) }
}

/// `PASS`, `REGRESSION`, …
pub(super) fn verdict(comparison: &Comparison) -> String {
    RunVerdict::from(comparison.verdict).as_str().to_uppercase()
}
