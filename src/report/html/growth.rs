//! Cost over an axis: points, the fitted power law and the steepest one allowed, on logarithmic axes.

use maud::{Markup, PreEscaped, html};

use super::super::checks::plain;
use super::super::schema::{GrowthReport, VerdictWord};
use super::super::words::ns;
use super::badge;
use super::plot::{Axis, Ink, SIZE, Shape, plot};
use crate::statistics::median;

/// A growth check with its plot.
pub(super) fn growth(growth: &GrowthReport) -> Markup {
    let GrowthReport { name, metric, over, at_most, .. } = growth;
    let held: Vec<String> = growth.others.iter().map(|(axis, value)| format!("{axis}={}", plain(value))).collect();
    html! {
        div.growth {
            h4 {
                (badge(growth.verdict)) " " (name)
                @if !held.is_empty() { " [" (held.join(",")) "]" }
                @if let Some(control) = &growth.control { " control: " (control) }
            }
            @if let (Some(exponent), Some(spread)) = (growth.exponent, growth.spread) {
                p {
                    code { (metric) } " grows as " (over) sup { (format!("{exponent:.2}")) } ", "
                    @if growth.control.is_some() { "and is caught above " } @else { "allowed up to " }
                    (over) sup { (at_most) }
                    (format!(". Points typically lie {:.0} % off the fitted law.", (spread - 1.0) * 100.0))
                }
            }
            @if let Some(reason) = &growth.reason { p class=(if growth.verdict == VerdictWord::Fail { "reason fail" } else { "reason" }) { (reason) } }
            div.plots {
                @if let Some(svg) = drawing(growth) {
                    figure {
                        figcaption { b { (metric) } " over " b { (over) } }
                        (PreEscaped(svg))
                        p.legend { span.line-thick.plain {} "fitted " span.line-thin.bound {} (if growth.control.is_some() { "caught above this slope" } else { "steepest allowed" }) }
                    }
                }
                div.scroll {
                    table.numbers {
                        thead { tr { th scope="col" { (over) } th scope="col" { (metric) } } }
                        tbody {
                            @for point in &growth.points {
                                tr { td { (point.x) } td { @match point.y_ns { Some(y) => (ns(y)), None => span.faint { "unsupported" } } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The line of the steepest slope allowed crosses the fitted one in the middle.
fn drawing(growth: &GrowthReport) -> Option<String> {
    let measured = growth.points.iter().filter_map(|point| Some((point.x, point.y_ns?.max(1) as f64)));
    let points: Vec<(f64, f64)> = measured.filter(|(x, _)| *x > 0.0).map(|(x, y)| (x.log10(), y.log10())).collect();
    let (first, last) = (points.first()?.0, points.last()?.0);
    if first == last {
        return None;
    }
    let middle_x = f64::midpoint(first, last);
    let slope = growth.exponent.unwrap_or(0.0);
    let middle_y = median(&points.iter().map(|(x, y)| y - slope * (x - middle_x)).collect::<Vec<_>>());
    let line = |exponent: f64| [first, last].map(|x| (x, middle_y + exponent * (x - middle_x))).to_vec();
    let mut shapes = vec![Shape::Line { ink: Ink::Bound, width: 1, points: line(growth.at_most) }];
    if let Some(exponent) = growth.exponent {
        shapes.push(Shape::Line { ink: Ink::Plain, width: 2, points: line(exponent) });
    }
    shapes.push(Shape::Marks { ink: Ink::Plain, points: points.clone() });
    let ends = points
        .iter()
        .copied()
        .chain(line(growth.at_most))
        .chain(growth.exponent.map(line).into_iter().flatten())
        .map(|(_, y)| y);
    let least = ends.clone().min_by(f64::total_cmp)?;
    let most = ends.max_by(f64::total_cmp)?;
    // A cost that does not grow must look flat: the axis spans at least a decade.
    let middle = (least + most) / 2.0;
    let half = ((most - least) / 2.0).max(0.55);
    let y = Axis::log_times(10f64.powf(middle - half), 10f64.powf(middle + half), "latency, logarithmic");
    let ticks = growth.points.iter().filter(|point| point.x > 0.0).map(|point| (point.x.log10(), point.x.to_string()));
    let room = (last - first) * 0.05;
    let x = Axis { range: first - room..last + room, ticks: ticks.collect(), title: "" };
    Some(plot(SIZE, &x, &y, &shapes))
}
