//! How long attempts and steps took: percentiles as a table, and as curves.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};

use super::super::schema::{ClocksReport, Distribution, LatencyReport, OutcomeWord, Race};
use super::super::words::{ns, number};
use super::marks;
use super::plot::{Axis, Ink, SIZE, Shape, plot};
use crate::measure::{Histogram, operations_needed};

/// Percentiles of the table, with their names.
const COLUMNS: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
/// With fewer operations a curve would be a handful of points.
const CURVE_NEEDS: u64 = 20;
/// Ticks of the percentile axis.
const PERCENTILES: [(f64, &str); 7] =
    [(0.0, "0"), (0.5, "50"), (0.75, "75"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99")];

/// Latency of a case: the attempts at once, the steps on demand.
pub(super) fn latency(race: &Race) -> Markup {
    let whole = figure("whole attempt", &race.attempts);
    let steps: Vec<Markup> = race.steps.iter().filter_map(|step| figure(&step.name, &step.latency)).collect();
    html! {
        section {
            h4 { "Latency" }
            div.beside { div.scroll { (table(race)) } @if let Some(whole) = &whole { (whole) } }
            p.note {
                "Upper number: since the release of the last barrier that the worker had passed. Lower number: by the step's or attempt's own clock. "
                "A percentile that the sample does not support is left out, with the number of operations that it needs."
            }
            @if !steps.is_empty() {
                details.more {
                    summary { "Percentile curves of " (number(steps.len() as u64, "step")) }
                    div.plots { @for step in &steps { (step) } }
                }
            }
        }
    }
}

/// One row per attempt or step and outcome; two numbers in each cell, one per clock.
fn table(race: &Race) -> Markup {
    let subjects = std::iter::once(("whole attempt", &race.attempts));
    let subjects: Vec<(&str, &LatencyReport)> =
        subjects.chain(race.steps.iter().map(|step| (step.name.as_str(), &step.latency))).collect();
    let most = subjects.iter().map(|(_, latency)| latency.all.own.count).max().unwrap_or(0);
    let columns: Vec<(&str, f64)> =
        COLUMNS.into_iter().filter(|(_, quantile)| most >= operations_needed(*quantile)).collect();
    html! {
            table.numbers {
                thead {
                    tr {
                        th.text scope="col" { "what" } th.text scope="col" { "outcome" } th scope="col" { "operations" }
                        @for (name, _) in &columns { th scope="col" { (name) } }
                    }
                }
                @for (name, latency) in &subjects {
                    tbody {
                        @for (index, (outcome, clocks)) in rows(latency).into_iter().enumerate() {
                            tr {
                                th.text scope="row" { @if index == 0 { (name) } }
                                td.text { @match outcome { Some(outcome) => (marks::outcome(outcome)), None => span.faint { "all" } } }
                                td { (clocks.own.count) }
                                @for (_, quantile) in &columns { td { (cell(clocks, *quantile)) } }
                            }
                        }
                    }
                }
            }
    }
}

/// By outcome, and all together when there are several.
fn rows(latency: &LatencyReport) -> Vec<(Option<OutcomeWord>, &ClocksReport)> {
    let mut rows: Vec<(Option<OutcomeWord>, &ClocksReport)> = latency
        .outcomes
        .iter()
        .filter(|(_, clocks)| clocks.own.count > 0)
        .map(|(outcome, clocks)| (Some(*outcome), clocks))
        .collect();
    if rows.len() != 1 {
        rows.push((None, &latency.all));
    }
    rows
}

fn cell(clocks: &ClocksReport, quantile: f64) -> Markup {
    let needed = operations_needed(quantile);
    html! {
        @match (value(&clocks.since_release, quantile), value(&clocks.own, quantile)) {
            (Some(since_release), Some(own)) => { (ns(since_release)) span.own { (ns(own)) } }
            _ => { span.faint { "n<" (needed) } }
        }
    }
}

fn value(distribution: &Distribution, quantile: f64) -> Option<u64> {
    match quantile {
        0.5 => distribution.p50,
        0.9 => distribution.p90,
        0.99 => distribution.p99,
        0.999 => distribution.p999,
        _ => distribution.max,
    }
}

/// The curves of one attempt or step: a thick one since the release and a thin one by its own clock for each outcome.
fn figure(name: &str, latency: &LatencyReport) -> Option<Markup> {
    let mut curves: BTreeMap<OutcomeWord, [Vec<(f64, f64)>; 2]> = BTreeMap::new();
    for (outcome, clocks) in &latency.outcomes {
        if clocks.own.count >= CURVE_NEEDS {
            curves.insert(*outcome, [curve(&clocks.since_release), curve(&clocks.own)]);
        }
    }
    let points = || curves.values().flatten().flatten();
    let least = points().map(|(_, y)| *y).min_by(f64::total_cmp)?;
    let most = points().map(|(_, y)| *y).max_by(f64::total_cmp)?;
    let right = points().map(|(x, _)| *x).max_by(f64::total_cmp)?;
    let (y, scale) = Axis::times(least, most, "latency");
    let ticks = PERCENTILES.map(|(quantile, label)| (percentile_position(quantile), format!("{label} %")));
    let ticks = ticks.into_iter().filter(|(at, _)| *at <= right * 1.02).collect();
    let x = Axis { range: 0.0..right * 1.02, ticks, title: "percentile" };
    let mut shapes = Vec::new();
    for (outcome, clocks) in &curves {
        let ink = Ink::Outcome(*outcome);
        for (curve, width) in clocks.iter().zip([2, 1]) {
            let points: Vec<(f64, f64)> = curve.iter().map(|(x, y)| (*x, scale(*y))).collect();
            if width == 2 {
                shapes.push(Shape::Marks { ink, points: marked(&points) });
            }
            shapes.push(Shape::Line { ink, width, points });
        }
    }
    Some(html! {
        figure {
            figcaption { b { (name) } }
            (PreEscaped(plot(SIZE, &x, &y, &shapes)))
            p.legend {
                @for outcome in curves.keys() { (marks::outcome(*outcome)) " " }
                span.line-thick {} "since release " span.line-thin {} "own clock"
            }
        }
    })
}

/// Where a quantile stands on the axis: `log10(1 / (1 - quantile))`, so that each further nine takes the same room.
fn percentile_position(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

/// Points (position of the quantile, value) up to the last quantile that the sample supports.
fn curve(distribution: &Distribution) -> Vec<(f64, f64)> {
    // A report whose histograms cannot be read is refused when it is loaded.
    let Ok(histogram) = Histogram::decode(&distribution.histogram) else { return Vec::new() };
    let total = histogram.len();
    let mut points: Vec<(f64, f64)> = histogram.min().map(|least| (0.0, least as f64)).into_iter().collect();
    let mut below = 0;
    for (value, count) in histogram.values() {
        below += count;
        let quantile = below as f64 / total as f64;
        if below == total || total < operations_needed(quantile) {
            break;
        }
        let at = percentile_position(quantile);
        // Closer points would not be seen apart.
        if points.last().is_none_or(|(last, _)| at - last > 0.02) {
            points.push((at, value as f64));
        }
    }
    points
}

/// The points of a curve that carry a mark: those at the ticks.
fn marked(curve: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let positions = PERCENTILES[1..].iter().map(|(quantile, _)| percentile_position(*quantile));
    positions.filter_map(|position| curve.iter().find(|(at, _)| *at >= position).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(values: std::ops::RangeInclusive<u64>) -> Distribution {
        let mut histogram = Histogram::new();
        values.for_each(|value| histogram.record(value));
        Distribution { count: histogram.len(), histogram: histogram.encode(), ..Distribution::default() }
    }

    #[test]
    fn each_further_nine_takes_the_same_room() {
        let positions = [0.0, 0.9, 0.99, 0.999].map(percentile_position);
        positions.iter().zip(0..).for_each(|(position, nines)| assert!((position - f64::from(nines)).abs() < 1e-9));
    }

    #[test]
    fn a_curve_ends_at_the_last_quantile_that_the_sample_supports() {
        let last = |values| 1.0 - 10f64.powf(-curve(&distribution(values)).last().unwrap().0);
        assert!(last(1..=100) < 0.971, "p97 is the last that 100 operations support");
        assert!((0.989..0.9901).contains(&last(1..=299)), "p99 needs 299");
    }

    #[test]
    fn a_curve_is_thinned_out_and_keeps_rising() {
        let curve = curve(&distribution(1..=100_000));
        assert!(curve.len() < 250, "{}", curve.len());
        assert!(curve.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
    }
}
