//! Cost that must not grow: a power law fitted over the cases of a scenario.

use std::collections::BTreeMap;

use crate::plan::{Case, Growth};
use crate::value::Value;

use super::tally::CaseTally;
use super::verdict::Verdict;

/// What one case says about a growth check.
#[derive(Debug, Clone, PartialEq)]
pub struct GrowthPoint {
    /// The case's id.
    pub case: String,
    /// The case's other axes: one power law is fitted for each combination of them.
    pub others: BTreeMap<String, Value>,
    /// The value of the axis.
    pub x: f64,
    /// The metric in nanoseconds; `None` when too few operations support its quantile.
    pub y_ns: Option<u64>,
}

/// `y = coefficient * x^exponent`, fitted by least squares over the logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GrowthFit {
    /// 0 is O(1), 1 is O(n).
    pub exponent: f64,
    /// The value at x = 1, in nanoseconds.
    pub coefficient: f64,
    /// By which factor points typically lie off the law: 1 is a perfect fit.
    pub spread: f64,
}

/// One growth check judged, for one combination of the other axes.
#[derive(Debug, Clone, PartialEq)]
pub struct GrowthVerdict {
    /// Its name.
    pub name: String,
    /// The control whose cases these are; `None` for the scenario's own.
    pub control: Option<String>,
    /// The axes held fixed.
    pub others: BTreeMap<String, Value>,
    /// The points, by rising x.
    pub points: Vec<GrowthPoint>,
    /// The fitted law; `None` with fewer than three usable points.
    pub fit: Option<GrowthFit>,
    /// For the scenario's own: pass when the exponent is at most the bound. For a control: pass when it was caught, that is, when it is more.
    pub verdict: Verdict,
    /// Why it is not a pass.
    pub reason: Option<String>,
}

impl GrowthPoint {
    /// What `case` says about `growth`. `None` when the axis has no number above zero in this case.
    pub fn of(case: &Case, tally: &CaseTally, growth: &Growth) -> Option<GrowthPoint> {
        let _ = (case, tally, growth);
        unimplemented!()
    }
}

/// Fits a power law through points with positive coordinates; `None` with fewer than three, or all at one x.
pub fn fit_power_law(points: &[(f64, f64)]) -> Option<GrowthFit> {
    let _ = points;
    unimplemented!()
}

/// Judges `growth` over a scenario's points: those of its own cases (`control` is `None`), or those of one control, which is caught when
/// its cost grows too fast. One verdict per combination of the other axes.
pub fn judge_growth(growth: &Growth, control: Option<&str>, points: &[GrowthPoint]) -> Vec<GrowthVerdict> {
    let _ = (growth, control, points);
    unimplemented!()
}
