//! What a scenario file says must hold: expectations, invariants, growth, controls, and rules for codes.

use std::time::Duration;

use regex::Regex;

use super::model::{Condition, CountAt, ExpressionAt, StepRef};
use crate::diagnostic::Span;
use crate::outcome::OutcomeKind;
use crate::port::{At, Request, TemplateAt};
use crate::value::Value;

/// Everything that must hold.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    /// The counts in `[expect]`, or the alternatives in its `any_of`.
    pub expect: Vec<Expectation>,
    /// `[expect.by_group.NAME]`.
    pub by_group: Vec<(At<String>, Expectation)>,
    /// `[expect.latency]`.
    pub latency: Vec<LatencyBound>,
    /// `[sometimes]`.
    pub sometimes: Vec<(At<OutcomeKind>, CountAt)>,
    /// `[[invariants]]`.
    pub invariants: Vec<Invariant>,
    /// `[[growth]]`.
    pub growth: Vec<Growth>,
}

/// Counts of outcomes.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// By outcome.
    pub counts: Vec<(At<OutcomeKind>, CountAt)>,
    /// Where those of an outcome must come from.
    pub origins: Vec<OriginAt>,
    /// The table as written.
    pub span: Span,
}

/// `conflict = { count = 49, at = "commit", code = "23505" }`: where all attempts of an outcome must end, and with which code.
#[derive(Debug, Clone)]
pub struct OriginAt {
    /// Of which outcome.
    pub outcome: OutcomeKind,
    /// `at`: a step, or `begin` or `commit`.
    pub at: Option<At<String>>,
    /// `code`.
    pub code: Option<At<String>>,
}

/// A step and a quantile of its latencies: `append.p99`.
#[derive(Debug, Clone)]
pub struct Metric {
    /// As written.
    pub key: At<String>,
    /// The step, or `attempt`.
    pub step: String,
    /// From 0 to 1.
    pub quantile: f64,
}

/// An entry of `[expect.latency]`.
#[derive(Debug, Clone)]
pub struct LatencyBound {
    /// What is measured.
    pub metric: Metric,
    /// The bound.
    pub at_most: Duration,
}

/// An `[[invariants]]` table.
#[derive(Debug, Clone)]
pub struct Invariant {
    /// `name`.
    pub name: At<String>,
    /// `sql`, `file`, `events` or `messages`.
    pub probe: Request<TemplateAt>,
    /// The key that says what is read.
    pub span: Span,
    /// `on`.
    pub on: Option<At<String>>,
    /// `that`.
    pub that: ExpressionAt,
}

/// A `[[growth]]` table.
#[derive(Debug, Clone)]
pub struct Growth {
    /// `name`.
    pub name: At<String>,
    /// `metric`.
    pub metric: Metric,
    /// `over`.
    pub over: At<String>,
    /// `at_most`.
    pub at_most: f64,
}

/// A `[[controls]]` table.
#[derive(Debug, Clone)]
pub struct Control {
    /// `name`.
    pub name: At<String>,
    /// `why`.
    pub why: String,
    /// `set`.
    pub set: Vec<(At<String>, Value)>,
    /// `replace`.
    pub replace: Vec<(At<String>, StepRef)>,
    /// `drop`.
    pub drop: Vec<At<String>>,
    /// `only`.
    pub only: Condition,
    /// `breaks`.
    pub breaks: Vec<At<String>>,
}

/// A `[[classify]]` table.
#[derive(Debug, Clone)]
pub struct ClassifyRule {
    /// `code`.
    pub code: Option<String>,
    /// `message`.
    pub message: Option<Regex>,
    /// `step`.
    pub step: Option<At<String>>,
    /// `outcome`.
    pub outcome: OutcomeKind,
}
