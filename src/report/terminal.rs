//! What the terminal shows of a report. Pure: gives text, prints nothing.

use super::schema::{CaseReport, Report, Run, SkippedCase};

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// With ANSI colours.
    pub colour: bool,
}

/// A finished case.
pub fn case_block(case: &CaseReport, run: &Run, style: Style) -> String {
    let _ = (case, run, style);
    String::new()
}

/// A skipped case.
pub fn skip_line(skipped: &SkippedCase, style: Style) -> String {
    let _ = (skipped, style);
    String::new()
}

/// The end of a run.
pub fn run_footer(report: &Report, style: Style) -> String {
    let _ = (report, style);
    String::new()
}

/// A judged growth check.
pub fn growth_line(growth: &super::schema::GrowthReport, style: Style) -> String {
    let _ = style;
    format!("growth {} {:?} exponent {:?}\n", growth.name, growth.verdict, growth.exponent)
}
