//! What must hold of a case.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::expression::{Expression, Scope, Template};
use crate::outcome::OutcomeKind;
use crate::port::{Place, Request};

/// Everything that must hold of a case.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    /// `[expect]`: in every round one of these alternatives must fit. Empty: nothing is expected of the counts.
    pub expect: Vec<Expectation>,
    /// `[expect.by_group.NAME]`, by index into [`super::Case::groups`].
    pub by_group: BTreeMap<usize, Expectation>,
    /// `[sometimes]`: in at least one round of the run each of these must fit.
    pub sometimes: Vec<(OutcomeKind, CountRange)>,
    /// `[expect.latency]`.
    pub latency: Vec<LatencyBound>,
    /// `[[invariants]]`.
    pub invariants: Vec<Invariant>,
    /// `[[growth]]`; judged over all cases of the scenario.
    pub growth: Vec<Growth>,
}

/// How many attempts may end in each outcome. Outcomes that are not named must not occur, except `unknown`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Allowed counts by outcome.
    pub counts: BTreeMap<OutcomeKind, CountRange>,
    /// Where each of them stands.
    pub places: BTreeMap<OutcomeKind, Place>,
    /// Where all attempts of an outcome must end.
    pub origins: BTreeMap<OutcomeKind, Origin>,
    /// Where the expectation stands.
    pub place: Place,
}

impl Expectation {
    /// Where the count of `kind` stands; for an outcome that is not named, where the expectation does.
    pub fn place_of(&self, kind: OutcomeKind) -> &Place {
        self.places.get(&kind).unwrap_or(&self.place)
    }
}

/// Where attempts end, and with which code; `None` for anywhere, or any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// A step's name, or `begin` or `commit`.
    pub at: Option<String>,
    /// The system's code.
    pub code: Option<String>,
}

impl fmt::Display for Origin {
    /// ` at commit (23505)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = &self.at {
            write!(f, " at {step}")?;
        }
        match &self.code {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

/// An inclusive range of counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountRange {
    /// The least count allowed.
    pub low: u64,
    /// The greatest count allowed; `None` for no limit.
    pub high: Option<u64>,
}

impl CountRange {
    /// Exactly `count`.
    pub const fn exactly(count: u64) -> Self {
        CountRange { low: count, high: Some(count) }
    }

    /// Whether `count` is allowed.
    pub fn contains(&self, count: u64) -> bool {
        self.low <= count && self.high.is_none_or(|high| count <= high)
    }
}

impl fmt::Display for CountRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.low, self.high) {
            (low, Some(high)) if low == high => write!(f, "{low}"),
            (0, Some(high)) => write!(f, "<= {high}"),
            (low, Some(high)) => write!(f, "{low}..={high}"),
            (low, None) => write!(f, ">= {low}"),
        }
    }
}

/// `"append.p99" = "< 50ms"`.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyBound {
    /// The key as written, `append.p99`.
    pub key: String,
    /// The step, or `attempt`.
    pub step: String,
    /// The quantile, 0 to 1; 1 is the maximum.
    pub quantile: f64,
    /// The bound.
    pub at_most: Duration,
    /// Where it stands.
    pub place: Place,
}

/// A check of the final state after a round.
#[derive(Debug, Clone)]
pub struct Invariant {
    /// `name`.
    pub name: String,
    /// Index into [`super::Case::targets`].
    pub target: usize,
    /// What is read.
    pub probe: Request<Template>,
    /// What must be true of `rows`, `events`, `messages` or `result`, and of the round's counts: every outcome's word with `_` for `-`, such as `success` or `broken_barrier`.
    pub that: Expression,
    /// Names the expression may use beside the probe's result: params, axes, `run`, `workers`. The engine adds `round` and `round_id`.
    pub scope: Arc<Scope>,
    /// Where it stands.
    pub place: Place,
}

/// A cost that must not grow: over the cases of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Growth {
    /// `name`.
    pub name: String,
    /// `metric` as written, `latest-version.p50`.
    pub metric: String,
    /// The metric's step, or `attempt`.
    pub step: String,
    /// The metric's quantile, 0 to 1.
    pub quantile: f64,
    /// The axis.
    pub over: String,
    /// The greatest exponent allowed: 0 is O(1), 1 is O(n).
    pub at_most: f64,
    /// Where it stands.
    pub place: Place,
}
