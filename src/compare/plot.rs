//! Line charts as SVG, drawn by plotters. Pure: gives text.

use std::time::Duration;

use plotters::prelude::*;

use crate::judge::duration;

/// Width and height of a chart, in pixels.
const SIZE: (u32, u32) = (640, 300);

const FONT: (&str, u32) = ("sans-serif", 13);

/// BASE's or the first line's colour, then HEAD's, and one more: told apart by the colour-blind too.
pub(super) const COLOURS: [RGBColor; 3] = [RGBColor(31, 119, 180), RGBColor(214, 93, 14), RGBColor(110, 110, 110)];

/// A line with its name.
pub(super) struct Line {
    pub(super) name: String,
    /// x, and nanoseconds.
    pub(super) points: Vec<(f64, f64)>,
}

/// Nanoseconds over `x`, on a logarithmic axis; empty when there is nothing to draw.
pub(super) fn lines(lines: &[Line], x_axis: &str, x_label: &dyn Fn(&f64) -> String) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let bounds = |values: Vec<f64>| -> Option<(f64, f64)> {
        let least = values.iter().copied().reduce(f64::min)?;
        let most = values.iter().copied().reduce(f64::max)?;
        Some((least, most))
    };
    let (Some((left, right)), Some((low, high))) =
        (bounds(points().map(|point| point.0).collect()), bounds(points().map(|point| point.1.max(1.0)).collect()))
    else {
        return String::new();
    };
    let right = if right > left { right } else { left + 1.0 };
    let mut svg = String::new();
    draw(&mut svg, lines, (left, right), (low / 1.1, high * 1.1), x_axis, x_label)
        .expect("drawing to memory does not fail");
    svg
}

fn draw(
    svg: &mut String,
    lines: &[Line],
    x: (f64, f64),
    y: (f64, f64),
    x_axis: &str,
    x_label: &dyn Fn(&f64) -> String,
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .x_label_area_size(38)
        .y_label_area_size(64)
        .build_cartesian_2d(x.0..x.1, (y.0..y.1).log_scale())?;
    let time = |nanos: &f64| duration(Duration::from_nanos(*nanos as u64));
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .label_style(FONT)
        .axis_desc_style(FONT)
        .x_labels(8)
        .y_labels(6)
        .x_desc(x_axis)
        .x_label_formatter(x_label)
        .y_label_formatter(&time)
        .draw()?;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let points: Vec<(f64, f64)> = line.points.iter().map(|(x, y)| (*x, y.max(1.0))).collect();
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 2, colour.filled())))?;
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(FONT)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_drawn_and_named() {
        let line = |name: &str, y: f64| Line { name: name.to_owned(), points: vec![(0.0, y), (1.0, 2.0 * y)] };
        let svg = lines(&[line("BASE", 1e6), line("HEAD", 3e6)], "quantile", &|x| format!("{x:.1}"));
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert_eq!(svg.matches("<circle").count(), 4);
        for word in ["BASE", "HEAD", "quantile", "ms"] {
            assert!(svg.contains(word), "{word}: {svg}");
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing_and_one_point_is_no_trouble() {
        assert_eq!(lines(&[], "x", &|x| x.to_string()), "");
        let point = Line { name: "one".to_owned(), points: vec![(3.0, 0.0)] };
        assert!(lines(&[point], "x", &|x| x.to_string()).contains("one"));
    }
}
