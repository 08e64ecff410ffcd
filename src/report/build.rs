//! From what the checks found to the report's outward types.

use std::time::Duration;

use crate::check::{CaseTally, CaseVerdict, ControlVerdict, GrowthVerdict};
use crate::plan::{Case, Growth};
use crate::target::Description;

use super::schema::{CaseReport, ControlReport, GrowthReport};

/// The report of a finished case. `targets` are by index into [`Case::targets`].
pub fn case_report(
    case: &Case,
    tally: &CaseTally,
    verdict: &CaseVerdict,
    controls: Vec<ControlReport>,
    targets: &[Description],
    elapsed: Duration,
) -> CaseReport {
    let _ = (case, tally, verdict, controls, targets, elapsed);
    unimplemented!()
}

/// The report of a finished control; `case` is the control's own case.
pub fn control_report(case: &Case, tally: &CaseTally, verdict: &ControlVerdict) -> ControlReport {
    let _ = (case, tally, verdict);
    unimplemented!()
}

/// The report of a judged growth check.
pub fn growth_report(growth: &Growth, verdict: &GrowthVerdict) -> GrowthReport {
    let _ = (growth, verdict);
    unimplemented!()
}
