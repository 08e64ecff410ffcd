//! Compares two runs: comparable at all? then counts and verdicts, exactly; then latency, with the round as the sample. Pure.
//!
//! [`compare`] holds two stored reports against each other, which were taken at two times; [`compare_live`] two variants whose rounds were raced in turns.
//! Both give the same outward form, from which [`terminal`], [`markdown`] and [`html`] draw.

mod comparable;
mod counts;
mod growth;
pub mod html;
mod latency;
pub mod markdown;
mod mixes;
mod origins;
mod outcomes;
mod plot;
pub mod terminal;
#[cfg(test)]
pub(crate) mod tests;
pub mod trend;
mod unpaired;
mod verdict;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::judge::RunVerdict;
use crate::report::Samples;
use crate::report::samples::RoundValues;
use crate::report::schema::*;
use crate::statistics;

use outcomes::Tested;

/// One stored run.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// As it was named.
    pub name: &'a str,
    /// Its report.
    pub report: &'a Report,
    /// What its rounds measured.
    pub samples: &'a Samples,
}

/// A case raced in turns with another.
#[derive(Debug, Clone)]
pub struct LivePair {
    /// Its scenario.
    pub scenario: String,
    /// The scenario's `[compare]`.
    pub rule: Option<CompareRule>,
    /// BASE.
    pub base: LiveCase,
    /// HEAD.
    pub head: LiveCase,
    /// Rounds that were raced first and not counted.
    pub warm_up: WarmUp,
}

/// One variant of a case raced in turns.
#[derive(Debug, Clone)]
pub struct LiveCase {
    /// Its report, without controls.
    pub report: CaseReport,
    /// What its rounds measured, by metric; rounds of one number are a pair.
    pub samples: BTreeMap<String, RoundValues>,
    /// How many rounds ended in each mix of outcomes by group; empty where there is one group.
    pub groups: BTreeMap<String, u64>,
}

/// What a comparison goes by.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Thresholds by metric, as shares; they go before the scenario's and the defaults.
    pub thresholds: BTreeMap<String, f64>,
    /// What else fails the comparison, next to worse verdicts and changed counts.
    pub fail_on: BTreeSet<FailOn>,
    /// Compare what is not comparable.
    pub force: bool,
    /// The seed of the resampling.
    pub seed: u64,
}

/// What else may fail a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailOn {
    /// A gate metric that regressed, of stored reports too.
    Regression,
    /// Any change at all, for the better too, and cases that only one side has.
    Change,
    /// A gate metric about which nothing can be said.
    Inconclusive,
}

/// A case on both sides, with all that is known of it.
struct Pair<'a> {
    scenario: &'a str,
    rule: Option<&'a CompareRule>,
    base: &'a CaseReport,
    head: &'a CaseReport,
    base_samples: Option<&'a BTreeMap<String, RoundValues>>,
    head_samples: Option<&'a BTreeMap<String, RoundValues>>,
    base_groups: Option<&'a BTreeMap<String, u64>>,
    head_groups: Option<&'a BTreeMap<String, u64>>,
    warm_up: Option<&'a WarmUp>,
}

/// Compares two stored reports.
pub fn compare(base: Side<'_>, head: Side<'_>, options: &Options) -> Comparison {
    let mut comparison = empty(FormWord::Stored, side(base.name, &base.report.run), side(head.name, &head.report.run));
    let (of_base, of_head) = (cases(base.report), cases(head.report));
    let only = |these: &Cases<'_>, those: &Cases<'_>| -> Vec<String> {
        these.keys().filter(|id| !those.contains_key(*id)).map(|id| (*id).to_owned()).collect()
    };
    comparison.only_in_base = only(&of_base, &of_head);
    comparison.only_in_head = only(&of_head, &of_base);
    for ids in [&comparison.only_in_base, &comparison.only_in_head] {
        comparison.unpaired.extend(unpaired::compare(base.report, head.report, ids));
    }
    comparison.differences = comparable::runs(base.report, head.report);
    if base.report == head.report && base.samples == head.samples {
        comparison.differences.push(comparable::same_run(base.report));
    }
    let mut pairs = Vec::new();
    // In HEAD's order, which is that of the run.
    for scenario in &head.report.scenarios {
        for case in &scenario.cases {
            let Some((before, base_case)) = of_base.get(case.id.as_str()) else { continue };
            comparison.differences.extend(comparable::cases(base_case, case));
            comparison.changes.extend(comparable::changes(base_case, case));
            if pairs.iter().all(|pair: &Pair<'_>| pair.scenario != scenario.name) {
                comparison.changes.extend(comparable::text(before, scenario));
            }
            pairs.push(Pair {
                scenario: &scenario.name,
                rule: scenario.compare.as_ref(),
                base: base_case,
                head: case,
                base_samples: base.samples.cases.get(&case.id),
                head_samples: head.samples.cases.get(&case.id),
                base_groups: base.samples.groups.get(&case.id),
                head_groups: head.samples.groups.get(&case.id),
                warm_up: None,
            });
        }
    }
    if pairs.is_empty() {
        comparison.differences.push(comparable::nothing_in_common(base.report, head.report));
    }
    if !comparison.differences.is_empty() && (!options.force || pairs.is_empty()) {
        comparison.verdict = RunVerdict::NotComparable.into();
        return comparison;
    }
    comparison.growth = growth::compare(base.report, head.report);
    let mut comparison = finish(comparison, &pairs, options);
    let (before, after) = (base.report.verdict, head.report.verdict);
    // Whatever made it fail: a comparison that knows of no reason must not say that all is well.
    if (before, after) == (RunVerdictWord::Pass, RunVerdictWord::Fail) && comparison.reasons.is_empty() {
        comparison.verdict = RunVerdict::Regression.into();
        comparison.reasons.push("the run passed, and fails now".to_owned());
    }
    comparison
}

/// Compares variants that were raced in turns: on the same servers, by the same program, so that they are comparable as they are.
pub fn compare_live(run: &Run, names: [&str; 2], pairs: &[LivePair], options: &Options) -> Comparison {
    let [base, head] = names.map(|name| side(name, run));
    let mut comparison = empty(FormWord::Live, base, head);
    let pairs: Vec<Pair<'_>> = pairs
        .iter()
        .map(|pair| Pair {
            scenario: &pair.scenario,
            rule: pair.rule.as_ref(),
            base: &pair.base.report,
            head: &pair.head.report,
            base_samples: Some(&pair.base.samples),
            head_samples: Some(&pair.head.samples),
            base_groups: Some(&pair.base.groups),
            head_groups: Some(&pair.head.groups),
            warm_up: Some(&pair.warm_up),
        })
        .collect();
    for pair in &pairs {
        comparison.changes.extend(comparable::cases(pair.base, pair.head));
        comparison.changes.extend(comparable::changes(pair.base, pair.head));
    }
    finish(comparison, &pairs, options)
}

fn finish(mut comparison: Comparison, pairs: &[Pair<'_>], options: &Options) -> Comparison {
    comparison.seed = options.seed;
    let live = comparison.form == FormWord::Live;
    let mut tested: Vec<Tested> = pairs.iter().map(|pair| Tested::new(pair, options.seed)).collect();
    let p_values: Vec<f64> = tested.iter_mut().flat_map(Tested::tests).map(|test| test.p).collect();
    let corrected = statistics::holm(&p_values);
    tested.iter_mut().flat_map(Tested::tests).zip(corrected).for_each(|(test, p)| test.p_corrected = p);
    comparison.cases = pairs.iter().zip(tested).map(|(pair, tested)| case(pair, tested, live, options)).collect();
    let (verdict, reasons) = verdict::judge(&comparison, options);
    comparison.verdict = verdict.into();
    comparison.reasons = reasons;
    comparison
}

fn case(pair: &Pair<'_>, tested: Tested, live: bool, options: &Options) -> CaseComparison {
    let no_samples = BTreeMap::new();
    let (base, head) = (pair.base_samples.unwrap_or(&no_samples), pair.head_samples.unwrap_or(&no_samples));
    CaseComparison {
        scenario: pair.scenario.to_owned(),
        case: pair.head.id.clone(),
        base_rounds: pair.base.race.rounds,
        head_rounds: pair.head.race.rounds,
        outcomes: tested.compare(pair.base, pair.head, live),
        latency: latency::compare(base, head, pair.rule, live, options),
        warnings: latency::warnings(base, head, live),
        percentiles: latency::percentiles(&pair.base.race, &pair.head.race),
        warm_up: pair.warm_up.cloned(),
    }
}

type Cases<'a> = BTreeMap<&'a str, (&'a ScenarioReport, &'a CaseReport)>;

fn cases(report: &Report) -> Cases<'_> {
    let cases = report.scenarios.iter().flat_map(|scenario| scenario.cases.iter().map(move |case| (scenario, case)));
    cases.map(|(scenario, case)| (case.id.as_str(), (scenario, case))).collect()
}

fn side(name: &str, run: &Run) -> SideReport {
    SideReport {
        name: name.to_owned(),
        run: run.id.clone(),
        started: run.started.clone(),
        git: run.git.clone(),
        machine: run.machine.clone(),
    }
}

fn empty(form: FormWord, base: SideReport, head: SideReport) -> Comparison {
    Comparison {
        kind: COMPARISON_KIND.to_owned(),
        schema: COMPARISON_SCHEMA.to_owned(),
        tool: Tool { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        form,
        verdict: RunVerdictWord::Pass,
        reasons: Vec::new(),
        base,
        head,
        differences: Vec::new(),
        changes: Vec::new(),
        only_in_base: Vec::new(),
        only_in_head: Vec::new(),
        unpaired: Vec::new(),
        cases: Vec::new(),
        growth: Vec::new(),
        seed: statistics::SEED,
        resamples: statistics::RESAMPLES as u64,
    }
}
