//! Marks of outcomes: each has a shape and a colour of its own, so that colour alone never tells them apart.

use maud::{Markup, html};

use super::super::schema::{Counts, OutcomeWord};
use super::{look, word};
use crate::outcome::OutcomeKind;

/// Corners of an outcome's shape in a box from -1 to 1, y downwards.
pub(super) fn corners(outcome: OutcomeWord) -> Vec<(f64, f64)> {
    match outcome {
        OutcomeWord::Success => regular(12, 0.9),
        OutcomeWord::Conflict => regular(4, 1.0),
        OutcomeWord::Deadlock => spokes(4, 0.125, 0.38),
        OutcomeWord::Busy => vec![(-0.75, -0.75), (0.75, -0.75), (0.75, 0.75), (-0.75, 0.75)],
        OutcomeWord::Serialization => vec![(0.0, -0.9), (0.95, 0.75), (-0.95, 0.75)],
        OutcomeWord::Duplicate => regular(6, 0.95),
        OutcomeWord::Rejected => vec![(0.0, 0.9), (0.95, -0.75), (-0.95, -0.75)],
        OutcomeWord::Disconnected => vec![(-0.95, -0.45), (0.95, -0.45), (0.95, 0.45), (-0.95, 0.45)],
        OutcomeWord::Timeout => vec![(-0.8, -0.9), (0.8, -0.9), (0.15, 0.0), (0.8, 0.9), (-0.8, 0.9), (-0.15, 0.0)],
        OutcomeWord::Unknown => vec![(0.9, 0.0), (-0.75, 0.95), (-0.75, -0.95)],
        OutcomeWord::BrokenBarrier => spokes(4, 0.0, 0.38),
        OutcomeWord::Crash => spokes(8, 0.0, 0.5),
        OutcomeWord::Other(_) => regular(3, 0.6),
    }
}

/// A polygon of `sides` equal sides, standing on a corner.
fn regular(sides: u32, radius: f64) -> Vec<(f64, f64)> {
    (0..sides).map(|corner| on_circle(f64::from(corner) / f64::from(sides), radius)).collect()
}

/// A star of `points` points, turned by `turn` of a full circle, with its inner corners at radius `inner`.
fn spokes(points: u32, turn: f64, inner: f64) -> Vec<(f64, f64)> {
    let corner = |index: u32| {
        let radius = if index.is_multiple_of(2) { 1.0 } else { inner };
        on_circle(turn + f64::from(index) / f64::from(2 * points), radius)
    };
    (0..2 * points).map(corner).collect()
}

/// The point at `turn` of a full circle, clockwise from the top.
fn on_circle(turn: f64, radius: f64) -> (f64, f64) {
    let (sine, cosine) = (turn * std::f64::consts::TAU).sin_cos();
    (radius * sine, -radius * cosine)
}

/// The shapes, and the patterns of waiting, that the rest of the page refers to. `other` is an outcome of a later version, if there is one.
pub(super) fn definitions(other: Option<OutcomeWord>) -> Markup {
    html! {
        svg.definitions aria-hidden="true" {
            @for outcome in OutcomeKind::ALL.map(OutcomeWord::from).into_iter().chain(other) {
                symbol id={ "m-" (look(outcome)) } viewBox="-1 -1 2 2" {
                    polygon points=(points(outcome)) {}
                }
            }
            pattern id="waiting" width="5" height="5" patternUnits="userSpaceOnUse" {
                circle.dot cx="2.5" cy="2.5" r="1" {}
            }
            pattern id="parked" width="5" height="5" patternUnits="userSpaceOnUse" {
                rect.ground width="5" height="5" {}
                circle.dot cx="2.5" cy="2.5" r="1" {}
            }
            pattern id="blocked" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                rect.stripe width="2" height="5" {}
            }
        }
    }
}

fn points(outcome: OutcomeWord) -> String {
    let points: Vec<String> = corners(outcome).iter().map(|(x, y)| format!("{x:.2},{y:.2}")).collect();
    points.join(" ")
}

/// The mark alone, for beside a word.
pub(super) fn mark(outcome: OutcomeWord) -> Markup {
    html! {
        svg class={ "mark o-" (look(outcome)) } width="11" height="11" aria-hidden="true" { use href={ "#m-" (look(outcome)) } {} }
    }
}

/// Mark and word.
pub(super) fn outcome(outcome: OutcomeWord) -> Markup {
    html! { span.outcome { (mark(outcome)) " " (word(outcome)) } }
}

/// `1 success, 49 conflict`.
pub(super) fn counts_text(counts: &Counts) -> String {
    let parts: Vec<String> = counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(outcome, count)| format!("{count} {}", word(*outcome)))
        .collect();
    parts.join(", ")
}

/// Counts as one stacked bar, to be named beside it.
pub(super) fn bar(counts: &Counts) -> Markup {
    let total: u64 = counts.values().sum();
    let share = |count: u64| format!("width:{:.2}%", count as f64 / total.max(1) as f64 * 100.0);
    html! {
        span.bar role="img" aria-label=(counts_text(counts)) title=(counts_text(counts)) {
            @for (outcome, count) in counts.iter().filter(|(_, count)| **count > 0) {
                span class={ "o-" (look(*outcome)) } style=(share(*count)) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_shape_of_its_own_within_its_box() {
        let shapes: Vec<String> = OutcomeKind::ALL.into_iter().map(|kind| points(kind.into())).collect();
        for (index, shape) in shapes.iter().enumerate() {
            assert!(!shapes[..index].contains(shape), "{shape}");
        }
        for kind in OutcomeKind::ALL {
            assert!(corners(kind.into()).iter().all(|(x, y)| x.abs() <= 1.0 && y.abs() <= 1.0), "{kind}");
        }
    }
}
