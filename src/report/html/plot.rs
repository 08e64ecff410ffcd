//! Plots, drawn by plotters as SVG in the colours of the page.
//!
//! plotters writes colours as numbers. So that a plot follows the page from light to dark, each ink is drawn in a number that stands
//! for it, and the number is replaced by the name of the page's colour at the end.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::schema::OutcomeWord;
use super::super::words::ns;
use super::{look, marks};
use crate::outcome::OutcomeKind;

/// The size of a plot in pixels: small enough that its text stays readable on a phone.
pub(super) const SIZE: (u32, u32) = (440, 230);
/// The size of the plot of a small distribution.
pub(super) const SMALL: (u32, u32) = (300, 150);

/// What plotters writes into each text of 14 "pixels".
const SHARED_TEXT: &str = " font-family=\"sans-serif\" font-size=\"11.290322580645162\" fill=\"var(--faint)\"";

/// What a line or mark stands for, and so its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Text,
    Grid,
    Plain,
    Bound,
    Outcome(OutcomeWord),
}

impl Ink {
    fn all() -> impl Iterator<Item = Ink> {
        let outcomes = OutcomeKind::ALL.into_iter().map(|kind| Ink::Outcome(kind.into()));
        [Ink::Text, Ink::Grid, Ink::Plain, Ink::Bound].into_iter().chain(outcomes)
    }

    /// The number that stands for this ink.
    fn rgb(self) -> RGBColor {
        let index = Ink::all().position(|ink| ink == self).unwrap_or_default();
        RGBColor(0xDE, 0xAD, u8::try_from(index).unwrap_or_default())
    }

    fn css(self) -> String {
        match self {
            Ink::Text => "var(--faint)".to_owned(),
            Ink::Grid => "var(--line)".to_owned(),
            Ink::Plain => "var(--accent)".to_owned(),
            Ink::Bound => "var(--bad)".to_owned(),
            Ink::Outcome(outcome) => format!("var(--{})", look(outcome)),
        }
    }
}

/// An axis: its range, and its ticks with their labels, ascending.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub range: Range<f64>,
    pub ticks: Vec<(f64, String)>,
    pub title: &'static str,
}

impl Axis {
    /// Times from 0, or on a logarithmic axis when they lie more than a factor of 30 apart. The second value maps a time onto the axis.
    pub(super) fn times(least: f64, most: f64, title: &'static str) -> (Axis, fn(f64) -> f64) {
        if least > 0.0 && most / least > 30.0 {
            (Axis::log_times(least, most, title), f64::log10)
        } else {
            (Axis::linear(most.max(1.0), 4, title, |value| ns(value.round() as u64)), |value| value)
        }
    }

    /// From 0 to a little above `most`, with about `count` round ticks.
    pub(super) fn linear(most: f64, count: u32, title: &'static str, label: impl Fn(f64) -> String) -> Axis {
        let step = round_step(most, count);
        let ticks = (0..).map(|index| f64::from(index) * step).take_while(|tick| *tick <= most * 1.04);
        Axis { range: 0.0..most * 1.08, ticks: ticks.map(|tick| (tick, label(tick))).collect(), title }
    }

    /// Logarithmic: values are to be given as their `log10`.
    pub(super) fn log_times(least: f64, most: f64, title: &'static str) -> Axis {
        let (from, to) = (least.log10() - 0.08, most.log10() + 0.08);
        let decades = (from.floor() as i32)..=(to.ceil() as i32);
        // One tick a decade, or two and three when there are few decades.
        let within: &[f64] = if to - from > 3.2 {
            &[1.0]
        } else if to - from > 1.6 {
            &[1.0, 3.0]
        } else {
            &[1.0, 2.0, 5.0]
        };
        let ticks = decades.flat_map(|decade| within.iter().map(move |factor| factor * 10f64.powi(decade)));
        let ticks = ticks.map(|tick| (tick.log10(), ns(tick.round() as u64)));
        Axis { ticks: ticks.filter(|(at, _)| (from..=to).contains(at)).collect(), range: from..to, title }
    }

    fn label(&self, at: f64) -> String {
        let tick = self.ticks.iter().find(|(tick, _)| (tick - at).abs() < 1e-9);
        tick.map(|(_, label)| label.clone()).unwrap_or_default()
    }
}

/// An axis as plotters asks for it: linear, with the ticks chosen here.
impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(at, _)| *at).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// 1, 2 or 5 times a power of ten, so that about `count` of them reach `most`.
pub(super) fn round_step(most: f64, count: u32) -> f64 {
    let raw = (most / f64::from(count.max(1))).max(f64::MIN_POSITIVE);
    let decade = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * decade).find(|step| *step >= raw * 0.999).unwrap_or(raw)
}

/// Something drawn into a plot, in the coordinates of its axes.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// A line of `width` pixels.
    Line { ink: Ink, width: u32, points: Vec<(f64, f64)> },
    /// Marks in the shape of the ink's outcome, or dots.
    Marks { ink: Ink, points: Vec<(f64, f64)> },
    /// A filled box from corner to corner.
    Box { ink: Ink, from: (f64, f64), to: (f64, f64) },
}

/// Draws `shapes` into a plot of `size` pixels; an SVG element.
pub(super) fn plot(size: (u32, u32), x: &Axis, y: &Axis, shapes: &[Shape]) -> String {
    let mut svg = String::new();
    draw(&mut svg, size, x, y, shapes).expect("drawing into memory does not fail");
    for ink in Ink::all() {
        let RGBColor(red, green, blue) = ink.rgb();
        svg = svg.replace(&format!("#{red:02X}{green:02X}{blue:02X}"), &ink.css());
    }
    // Every byte counts, with some hundred plots on a page. What most elements share stands in the page's style.
    let shared = [
        (" opacity=\"1\"", ""),
        (" xmlns=\"http://www.w3.org/2000/svg\"", ""),
        (SHARED_TEXT, ""),
        (" stroke=\"var(--line)\" stroke-width=\"1\"", ""),
        (" \"/>", "\"/>"),
        ("\n", ""),
        ("<svg", "<svg class=\"plot\" aria-hidden=\"true\""),
    ];
    shared.iter().fold(svg, |svg, (from, to)| svg.replace(from, to))
}

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw(svg: &mut String, size: (u32, u32), x: &Axis, y: &Axis, shapes: &[Shape]) -> Drawn {
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    let text = ("sans-serif", 14).into_font().color(&Ink::Text.rgb());
    area.draw_text(y.title, &text.clone().pos(Pos::new(HPos::Left, VPos::Top)), (2, 1))?;
    area.draw_text(
        x.title,
        &text.clone().pos(Pos::new(HPos::Right, VPos::Bottom)),
        (size.0 as i32 - 6, size.1 as i32 - 1),
    )?;
    let mut chart = ChartBuilder::on(&area)
        .margin_top(20)
        .margin_right(22)
        .margin_bottom(14)
        .x_label_area_size(22)
        .y_label_area_size(60)
        .build_cartesian_2d(x.clone(), y.clone())?;
    chart
        .configure_mesh()
        .bold_line_style(Ink::Grid.rgb().stroke_width(1))
        .light_line_style(TRANSPARENT)
        .axis_style(Ink::Grid.rgb().stroke_width(1))
        .label_style(text)
        .set_all_tick_mark_size(4)
        .x_label_formatter(&|at| x.label(*at))
        .y_label_formatter(&|at| y.label(*at))
        .draw()?;
    for shape in shapes {
        match shape {
            Shape::Line { ink, width, points } => {
                chart.draw_series(LineSeries::new(points.iter().copied(), ink.rgb().stroke_width(*width)))?;
            }
            Shape::Marks { ink, points } => {
                let Ink::Outcome(outcome) = ink else {
                    let dots = points.iter().map(|point| Circle::new(*point, 4, ink.rgb().filled()));
                    chart.draw_series(dots)?;
                    continue;
                };
                let corners = marks::corners(*outcome);
                let corners: Vec<(i32, i32)> =
                    corners.iter().map(|(x, y)| ((x * 5.0).round() as i32, (y * 5.0).round() as i32)).collect();
                let marks = points
                    .iter()
                    .map(|point| EmptyElement::at(*point) + Polygon::new(corners.clone(), ink.rgb().filled()));
                chart.draw_series(marks)?;
            }
            Shape::Box { ink, from, to } => {
                chart.draw_series([Rectangle::new([*from, *to], ink.rgb().filled())])?;
            }
        }
    }
    area.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        assert_eq!(
            [(10.0, 4), (1.0, 5), (37.0, 4), (900.0, 4)].map(|(most, count)| round_step(most, count)),
            [5.0, 0.2, 10.0, 500.0]
        );
    }

    #[test]
    fn plots_name_the_colours_of_the_page() {
        let (y, scale) = Axis::times(1e3, 1e6, "latency");
        let x = Axis::linear(10.0, 5, "x", |value| value.to_string());
        let points = vec![(1.0, scale(2e3)), (9.0, scale(9e5))];
        let ink = Ink::Outcome(OutcomeWord::BrokenBarrier);
        let svg =
            plot(SIZE, &x, &y, &[Shape::Line { ink, width: 2, points: points.clone() }, Shape::Marks { ink, points }]);
        assert!(svg.contains("stroke=\"var(--broken-barrier)\""), "{svg}");
        assert!(svg.contains(">100 µs<"), "{svg}");
        assert!(!svg.contains('#'), "{svg}");
    }
}
