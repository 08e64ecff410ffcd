//! How workers came together: arrivals at barriers, skew, overlap and makespan.

use maud::{Markup, PreEscaped, html};

use super::super::schema::{BarrierReport, Distribution, Race};
use super::super::words::{ns, number};
use super::plot::{Axis, Ink, SMALL, Shape, plot};
use crate::measure::Histogram;

/// With fewer values a plot says less than a sentence.
const PLOT_NEEDS: u64 = 10;
/// Bars of a distribution's plot.
const BARS: u64 = 24;

/// Barriers and overlap of a case.
pub(super) fn barriers(race: &Race) -> Markup {
    let mut plots: Vec<Markup> = race
        .barriers
        .iter()
        .filter(|barrier| barrier.parties > 1)
        .filter_map(|barrier| figure(html! { "skew at " b { (barrier.name) } }, &barrier.skew, Unit::Time))
        .collect();
    plots.extend(figure(html! { b { "overlap" } ", workers at once" }, &race.overlap, Unit::Workers));
    plots.extend(figure(html! { b { "makespan" } " of a round" }, &race.makespan, Unit::Time));
    html! {
        section {
            h4 { "Barriers and overlap" }
            div.scroll {
                table.numbers {
                    thead {
                        tr {
                            th.text scope="col" { "barrier" }
                            @for name in ["parties", "released", "broken", "arrived", "failed", "blocked", "late", "skew p50", "skew max"] {
                                th scope="col" { (name) }
                            }
                        }
                    }
                    tbody { @for barrier in &race.barriers { (row(barrier)) } }
                }
            }
            @if race.workers > 1 { p { (overlap(race)) } }
            @if !plots.is_empty() { div.plots.small { @for plot in &plots { (plot) } } }
        }
    }
}

fn row(barrier: &BarrierReport) -> Markup {
    let skew = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), ns);
    html! {
        tr {
            th.text scope="row" { (barrier.name) }
            td { (barrier.parties) }
            td { (barrier.released) }
            td.broken[barrier.broken > 0] { (barrier.broken) }
            td { (barrier.arrived) } td { (barrier.failed) } td { (barrier.blocked) } td { (barrier.late) }
            td { (skew(barrier.skew.p50)) } td { (skew(barrier.skew.max)) }
        }
    }
}

fn overlap(race: &Race) -> String {
    let workers = number(race.workers, "worker");
    match (race.overlap.min, race.overlap.p50, race.overlap.max) {
        (Some(least), _, Some(most)) if least == most => {
            format!("{least} of {workers} were in play at once, in {}.", every(race.overlap.count))
        }
        (Some(least), Some(median), Some(most)) => format!(
            "At the busiest instant of a round {least} to {most} of {workers} were inside their attempts, in half of the rounds {median} or fewer."
        ),
        _ => "No round was raced.".to_owned(),
    }
}

fn every(rounds: u64) -> String {
    if rounds == 1 { "the only round".to_owned() } else { format!("each of {}", number(rounds, "round")) }
}

/// What a distribution counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Time,
    Workers,
}

/// A distribution over rounds as bars; `None` when all values are the same, or too few.
fn figure(caption: Markup, distribution: &Distribution, unit: Unit) -> Option<Markup> {
    let bars = bars(distribution, unit)?;
    let most = bars.iter().map(|bar| bar.count).max()?;
    let (first, last) = (bars.first()?.from, bars.last()?.to);
    // Numbers of workers stand in the middle of their bars.
    let middle = if unit == Unit::Workers { 0.5 } else { 0.0 };
    let full =
        Axis::linear(
            last - middle,
            4,
            "",
            |value| if unit == Unit::Time { ns(value as u64) } else { value.to_string() },
        );
    let first = if unit == Unit::Time { 0.0 } else { first };
    let ticks = full.ticks.into_iter().map(|(at, label)| (at + middle, label));
    let ticks =
        ticks.filter(|(at, _)| (first..=last).contains(at) && (unit == Unit::Time || (at - middle).fract() == 0.0));
    let x = Axis { range: first..last, ticks: ticks.collect(), title: "" };
    let y =
        Axis::linear(
            most as f64,
            3,
            "rounds",
            |value| if value.fract() == 0.0 { value.to_string() } else { String::new() },
        );
    let gap = (last - first) / 250.0;
    let boxes: Vec<Shape> = bars
        .iter()
        .filter(|bar| bar.count > 0)
        .map(|bar| Shape::Box { ink: Ink::Plain, from: (bar.from, 0.0), to: (bar.to - gap, bar.count as f64) })
        .collect();
    Some(html! { figure { figcaption { (caption) } (PreEscaped(plot(SMALL, &x, &y, &boxes))) } })
}

/// Values in `from..to`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bar {
    from: f64,
    to: f64,
    count: u64,
}

fn bars(distribution: &Distribution, unit: Unit) -> Option<Vec<Bar>> {
    let (least, most) = (distribution.min?, distribution.max?);
    if distribution.count < PLOT_NEEDS || least == most {
        return None;
    }
    let histogram = Histogram::decode(&distribution.histogram).ok()?;
    let width = match unit {
        Unit::Time => ((most - least) / BARS + 1).max(1),
        Unit::Workers => ((most - least) / (2 * BARS) + 1).max(1),
    };
    let mut counts = vec![0; usize::try_from((most - least) / width + 1).ok()?];
    for (value, count) in histogram.values() {
        let index = usize::try_from((value.clamp(least, most) - least) / width).ok()?;
        counts[index] += count;
    }
    let bar = |(index, count): (usize, u64)| {
        let from = (least + index as u64 * width) as f64;
        Bar { from, to: from + width as f64, count }
    };
    Some(counts.into_iter().enumerate().map(bar).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(values: &[u64]) -> Distribution {
        let mut histogram = Histogram::new();
        values.iter().for_each(|value| histogram.record(*value));
        Distribution {
            count: histogram.len(),
            min: histogram.min(),
            max: histogram.max(),
            histogram: histogram.encode(),
            ..Distribution::default()
        }
    }

    #[test]
    fn bars_hold_every_value_once() {
        let values: Vec<u64> = (0..500).map(|index| 1_000 + index * index).collect();
        let bars = bars(&distribution(&values), Unit::Time).unwrap();
        assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), 500);
        assert!(bars.windows(2).all(|pair| pair[0].to == pair[1].from));
    }

    #[test]
    fn one_number_of_workers_is_one_bar() {
        let values: Vec<u64> = [vec![7; 4], vec![9; 10]].concat();
        let bars = bars(&distribution(&values), Unit::Workers).unwrap();
        assert_eq!(bars.iter().map(|bar| (bar.from, bar.count)).collect::<Vec<_>>(), [(7.0, 4), (8.0, 0), (9.0, 10)]);
    }

    #[test]
    fn what_never_differs_is_not_plotted() {
        assert_eq!(bars(&distribution(&[5; 100]), Unit::Workers), None);
        assert_eq!(bars(&distribution(&[5, 6]), Unit::Time), None);
    }
}
