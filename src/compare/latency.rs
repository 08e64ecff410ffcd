//! Latency of a case on both sides, with the round as the sample.

use std::collections::{BTreeMap, BTreeSet};

use super::Options;
use crate::measure::Histogram;
use crate::report::samples::RoundValues;
use crate::report::schema::*;
use crate::statistics::{self, Change, Effect, LEAST_SAMPLES, median, rank_correlation};

/// The gate of a scenario that names none.
const DEFAULT_GATE: &str = "makespan";

/// Up to which share a change of a makespan or a median is too small to count.
const THRESHOLD: f64 = 0.1;

/// The same for a p99, which varies more.
const THRESHOLD_P99: f64 = 0.2;

/// A drift as clear as this is worth a warning.
const DRIFT_P: f64 = 0.001;

type Metrics = BTreeMap<String, RoundValues>;

fn threshold(metric: &str, gate: bool, rule: Option<&CompareRule>, options: &Options) -> f64 {
    let of_scenario = rule.and_then(|rule| rule.threshold).filter(|_| gate);
    let default = if metric.ends_with("p99") { THRESHOLD_P99 } else { THRESHOLD };
    options.thresholds.get(metric).copied().or(of_scenario).unwrap_or(default)
}

/// Compares every metric that both sides have: the gate first, then those of whole rounds and attempts, then steps'.
pub(super) fn compare(
    base: &Metrics,
    head: &Metrics,
    rule: Option<&CompareRule>,
    live: bool,
    options: &Options,
) -> Vec<MetricComparison> {
    let gate = rule.and_then(|rule| rule.gate.as_deref()).unwrap_or(DEFAULT_GATE);
    let both = base.keys().filter(|name| head.contains_key(*name)).map(String::as_str);
    let names: BTreeSet<&str> = both.chain([gate]).collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| (*name != gate, *name != DEFAULT_GATE, name.contains('.')));
    let nothing = RoundValues::new();
    let values = |metrics: &Metrics, name: &str| metrics.get(name).unwrap_or(&nothing).clone();
    names
        .into_iter()
        .map(|name| {
            let threshold = threshold(name, name == gate, rule, options);
            metric(name, name == gate, threshold, &values(base, name), &values(head, name), live, options.seed)
        })
        .collect()
}

fn metric(
    name: &str,
    gate: bool,
    threshold: f64,
    base: &RoundValues,
    head: &RoundValues,
    live: bool,
    seed: u64,
) -> MetricComparison {
    let (before, after): (Vec<f64>, Vec<f64>) = if live {
        // Rounds of one number were raced side by side.
        base.iter().filter_map(|(round, base)| Some((*base, *head.get(round)?))).unzip()
    } else {
        (base.values().copied().collect(), head.values().copied().collect())
    };
    let effect =
        if live { statistics::paired(&before, &after, seed) } else { statistics::unpaired(&before, &after, seed) };
    let change = effect.map_or(Change::Inconclusive, |effect| effect.change(threshold));
    let samples = before.len().min(after.len());
    let more = match effect {
        None if samples < LEAST_SAMPLES => Some((LEAST_SAMPLES - samples) as u64),
        Some(effect) if change == Change::Inconclusive => effect.rounds_to_settle(threshold),
        _ => None,
    };
    let centre = |values: &[f64]| (!values.is_empty()).then(|| median(values) as u64);
    MetricComparison {
        metric: name.to_owned(),
        gate,
        threshold,
        base_ns: centre(&before),
        head_ns: centre(&after),
        samples: samples as u64,
        effect: effect.map(|Effect { ratio, low, high, p, .. }| EffectReport { ratio, low, high, p }),
        change: match change {
            Change::Improved => ChangeWord::Improved,
            Change::Regressed => ChangeWord::Regressed,
            Change::Equivalent => ChangeWord::Equivalent,
            Change::Inconclusive => ChangeWord::Inconclusive,
        },
        more_rounds: more.filter(|_| samples > 0),
    }
}

/// What makes the comparison of makespans doubtful. Nothing is left out for it.
pub(super) fn warnings(base: &Metrics, head: &Metrics, live: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    for (side, metrics) in [("BASE", base), ("HEAD", head)] {
        let values: Vec<f64> =
            metrics.get(DEFAULT_GATE).map(|values| values.values().copied().collect()).unwrap_or_default();
        let (correlation, p) = rank_correlation(&values);
        // In turns, a drift hits both sides alike.
        if p < DRIFT_P && !live {
            let how = if correlation > 0.0 { "slower" } else { "faster" };
            warnings
                .push(format!("rounds of {side} became {how} as the run went on (rank correlation {correlation:.2})"));
        }
    }
    warnings
}

/// The latency of all attempts since the release, at quantiles close enough to draw a curve.
pub(super) fn percentiles(base: &Race, head: &Race) -> Vec<PercentileRow> {
    let histogram = |race: &Race| Histogram::decode(&race.attempts.all.since_release.histogram).unwrap_or_default();
    let (base, head) = (histogram(base), histogram(head));
    let quantiles = (1..20).map(|step| f64::from(step) / 20.0).chain([0.98, 0.99, 0.995, 0.999, 1.0]);
    let rows = quantiles.map(|quantile| PercentileRow {
        quantile,
        base_ns: base.quantile(quantile),
        head_ns: head.quantile(quantile),
    });
    rows.filter(|row| row.base_ns.is_some() || row.head_ns.is_some()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_come_from_the_command_line_the_scenario_or_the_default() {
        let rule = CompareRule { gate: None, threshold: Some(0.3) };
        let given = Options { thresholds: [("p50".to_owned(), 0.01)].into(), ..Options::default() };
        assert_eq!(threshold("makespan", true, Some(&rule), &given), 0.3);
        assert_eq!(threshold("p50", true, Some(&rule), &given), 0.01);
        assert_eq!(threshold("append.p99", false, Some(&rule), &given), THRESHOLD_P99);
        assert_eq!(threshold("append.p50", false, Some(&rule), &given), THRESHOLD);
    }

    #[test]
    fn fewer_than_six_rounds_say_how_many_are_missing() {
        let four: RoundValues = (0..4).map(|round| (round, 1.0)).collect();
        let compared = metric("makespan", true, 0.1, &four, &four, true, 0);
        assert_eq!(
            (&compared.effect, compared.change, compared.more_rounds),
            (&None, ChangeWord::Inconclusive, Some(2))
        );
        let told = super::super::words::change(&compared);
        assert_eq!(told, "inconclusive, gate at 10 %; needs at least 2 more rounds a side");
    }

    #[test]
    fn pairs_are_rounds_of_one_number() {
        let base: RoundValues = (0..10).map(|round| (round, 100.0 + round as f64)).collect();
        let head: RoundValues = (3..13).map(|round| (round, 200.0 + 2.0 * round as f64)).collect();
        let compared = metric("makespan", true, 0.1, &base, &head, true, 0);
        assert_eq!(compared.samples, 7);
        assert!((compared.effect.unwrap().ratio - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_drift_is_told_of_stored_runs() {
        let rising: Metrics =
            [("makespan".to_owned(), (0..40).map(|round| (round, 1.0 + round as f64)).collect())].into();
        assert_eq!(warnings(&rising, &rising, false).len(), 2);
        assert_eq!(warnings(&rising, &rising, true), Vec::<String>::new());
    }
}
