//! From a [`crate::scenario::Scenario`] to cases: matrix, params, controls, workers, compiled templates.

mod case;
mod cells;
mod checks;
mod targets;

pub use cells::{MAX_CASES, Overrides, Plan, PlannedCase, PlannedScenario, cases};
