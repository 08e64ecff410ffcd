//! What a scenario file says: typed, every name still a name, every part with its place in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, SourceFile, Span};
use crate::expression::{EvaluateError, Expression, Scope};
use crate::model::{CountRange, ScenarioHead, Start};
use crate::outcome::OutcomeKind;
use crate::port::{At, Driver, Drivers, Entry, Field, Request, TemplateAt, Use};
use crate::value::Value;

pub use super::model_checks::{
    Checks, ClassifyRule, Control, Expectation, Growth, Invariant, LatencyBound, Metric, OriginAt,
};

/// An expression with the names it uses.
#[derive(Debug, Clone)]
pub struct ExpressionAt {
    /// The expression.
    pub expression: Expression,
    /// The text as written.
    pub span: Span,
    /// The names it uses.
    pub uses: Vec<Use>,
}

/// A count as written: `1`, `"writers - 1"`, `">= 1"`, `"1..=3"`.
#[derive(Debug, Clone)]
pub struct CountAt {
    /// The form.
    pub count: Count,
    /// The value as written.
    pub span: Span,
    /// The names it uses.
    pub uses: Vec<Use>,
}

/// The forms of a count.
#[derive(Debug, Clone)]
pub enum Count {
    /// `N`.
    Number(u64),
    /// `"expression"` or `"== expression"`.
    Exactly(Expression),
    /// `">= expression"`.
    AtLeast(Expression),
    /// `"> expression"`.
    MoreThan(Expression),
    /// `"<= expression"`.
    AtMost(Expression),
    /// `"< expression"`.
    LessThan(Expression),
    /// `"expression..=expression"`.
    Between(Expression, Expression),
}

impl Count {
    /// The range of counts that is meant.
    pub fn evaluate(&self, scope: &Scope) -> Result<CountRange, EvaluateError> {
        let empty = |expression: &Expression, message: String| EvaluateError {
            expression: expression.source().to_owned(),
            message,
        };
        Ok(match self {
            Count::Number(number) => CountRange::exactly(*number),
            Count::Exactly(count) => CountRange::exactly(count.evaluate_count(scope)?),
            Count::AtLeast(low) => CountRange { low: low.evaluate_count(scope)?, high: None },
            Count::MoreThan(low) => CountRange { low: low.evaluate_count(scope)?.saturating_add(1), high: None },
            Count::AtMost(high) => CountRange { low: 0, high: Some(high.evaluate_count(scope)?) },
            Count::LessThan(high) => match high.evaluate_count(scope)?.checked_sub(1) {
                Some(high) => CountRange { low: 0, high: Some(high) },
                None => return Err(empty(high, "gives 0, and no count is less than 0".to_owned())),
            },
            Count::Between(low, high) => {
                let (least, most) = (low.evaluate_count(scope)?, high.evaluate_count(scope)?);
                if least > most {
                    return Err(empty(low, format!("gives {least}, which is more than the range's end, {most}")));
                }
                CountRange { low: least, high: Some(most) }
            }
        })
    }
}

/// `ordered`: cases that put their workers in order on purpose.
#[derive(Debug, Clone)]
pub struct Ordered {
    /// Why.
    pub why: String,
    /// The values of the cases that do; all do without any.
    pub only: Condition,
}

/// A scenario: a file that was read, with nothing left to find fault with before it is planned.
#[derive(Debug)]
pub struct Scenario {
    /// The file.
    pub source: SourceFile,
    /// The drivers that it could name.
    pub drivers: Drivers,
    /// What its cases will have in common.
    pub head: Arc<ScenarioHead>,
    /// `rounds`.
    pub rounds: u64,
    /// `timeout` of a round.
    pub timeout: Duration,
    /// `[params]`.
    pub params: Vec<Param>,
    /// `[matrix]`.
    pub axes: Vec<Axis>,
    /// `exclude` of the matrix.
    pub exclude: Vec<At<Condition>>,
    /// `[targets]`.
    pub targets: Vec<Target>,
    /// `[fixture]`.
    pub fixture: Fixture,
    /// `[steps]`, by their names.
    pub steps: BTreeMap<String, NamedStep>,
    /// `[[workers]]`.
    pub groups: Vec<Group>,
    /// `[barriers]`, by their names.
    pub barriers: BTreeMap<String, Barrier>,
    /// `[expect]`, `[sometimes]`, `[[invariants]]`, `[[growth]]`.
    pub checks: Checks,
    /// `[[controls]]`.
    pub controls: Vec<Control>,
    /// `ordered`.
    pub ordered: Option<Ordered>,
    /// `[[classify]]`.
    pub classify: Vec<ClassifyRule>,
    /// The names that are used by something that is raced, prepared or checked.
    pub used: BTreeSet<String>,
    /// What is odd, but stops nothing.
    pub warnings: Vec<Diagnostic>,
}

/// A param and its default.
#[derive(Debug, Clone)]
pub struct Param {
    /// Its name.
    pub name: At<String>,
    /// Its default.
    pub value: Value,
}

/// An axis of the matrix.
#[derive(Debug, Clone)]
pub struct Axis {
    /// Its name.
    pub name: At<String>,
    /// Its values, at least one.
    pub values: Vec<Value>,
}

/// Axes (and params) with the values that they must have, one of each.
pub type Condition = Vec<(At<String>, Vec<Value>)>;

/// A `[targets.NAME]` table.
#[derive(Debug, Clone)]
pub struct Target {
    /// NAME.
    pub name: At<String>,
    /// `driver`.
    pub driver: &'static dyn Driver,
    /// The driver's own keys, with what they hold.
    pub options: Vec<(&'static Field, Entry<TemplateAt>)>,
    /// `url`.
    pub url: Option<TemplateAt>,
    /// `url_env`: the name of an environment variable.
    pub url_env: Option<At<String>>,
}

/// The `[fixture]` table.
#[derive(Debug, Clone, Default)]
pub struct Fixture {
    /// `setup`.
    pub setup: Vec<FixtureStep>,
    /// `before_round`.
    pub before_round: Vec<FixtureStep>,
    /// `after_round`.
    pub after_round: Vec<FixtureStep>,
    /// `teardown`.
    pub teardown: Vec<FixtureStep>,
}

/// One operation of a fixture.
#[derive(Debug, Clone)]
pub struct FixtureStep {
    /// What to do.
    pub request: Request<TemplateAt>,
    /// `on`.
    pub on: Option<At<String>>,
    /// The step as written.
    pub span: Span,
}

/// A `[steps.NAME]` table.
#[derive(Debug, Clone)]
pub struct NamedStep {
    /// NAME.
    pub name: At<String>,
    /// What it says.
    pub step: Step,
}

/// One thing a worker does.
#[derive(Debug, Clone)]
pub struct Step {
    /// `name` of an inline step.
    pub name: Option<At<String>>,
    /// What it does.
    pub action: Action,
    /// `on`.
    pub on: Option<At<String>>,
    /// `rows`.
    pub rows: Option<CountAt>,
    /// `otherwise`.
    pub otherwise: Option<At<OutcomeKind>>,
    /// `save`.
    pub save: Save,
    /// `timeout`.
    pub timeout: Option<At<Duration>>,
    /// The key that says what the step does.
    pub span: Span,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Waits at a barrier.
    Barrier(At<String>),
    /// Pauses.
    Sleep(TemplateAt),
    /// Goes on only if the expression is true.
    Assert(ExpressionAt),
    /// Binds names, in file order.
    Let(Vec<(At<String>, ExpressionAt)>),
    /// Asks a target.
    Call(Request<TemplateAt>),
}

impl Action {
    /// The word for it in messages and default step names.
    pub fn word(&self) -> &'static str {
        match self {
            Action::Barrier(_) => "barrier",
            Action::Sleep(_) => "sleep",
            Action::Assert(_) => "assert",
            Action::Let(_) => "let",
            Action::Call(request) => request.spec.word,
        }
    }
}

/// What is kept of a step's result.
#[derive(Debug, Clone)]
pub enum Save {
    /// Nothing.
    Nothing,
    /// `save = "name"`.
    Value(At<String>),
    /// `save = { name = "expression" }`.
    Expressions(Vec<(At<String>, ExpressionAt)>),
}

impl Save {
    /// The names it binds.
    pub fn names(&self) -> Vec<&At<String>> {
        match self {
            Save::Nothing => Vec::new(),
            Save::Value(name) => vec![name],
            Save::Expressions(entries) => entries.iter().map(|(name, _)| name).collect(),
        }
    }
}

/// A step in a list: used by name, or written in place.
#[derive(Debug, Clone)]
pub enum StepRef {
    /// By name.
    Named(At<String>),
    /// In place.
    Inline(Box<Step>),
}

/// A `[[workers]]` table.
#[derive(Debug, Clone)]
pub struct Group {
    /// `name`.
    pub name: At<String>,
    /// `count`; 1 without it.
    pub count: Option<TemplateAt>,
    /// `each`: rows of names and values.
    pub each: Vec<Row>,
    /// `on`: the target of steps that name none.
    pub on: Option<At<String>>,
    /// `transaction`.
    pub transaction: Option<TemplateAt>,
    /// `start`.
    pub start: Start,
    /// `repeat`; 1 without it.
    pub repeat: Option<At<u64>>,
    /// `steps`.
    pub steps: Vec<StepRef>,
}

impl Group {
    /// How often its workers take its steps in one round.
    pub fn repetitions(&self) -> u64 {
        self.repeat.as_ref().map_or(1, |repeat| repeat.value)
    }

    /// What decides how many workers it has: `count`, or its name.
    pub fn count_span(&self) -> &Span {
        self.count.as_ref().map_or(&self.name.span, |count| &count.span)
    }
}

/// A row of `each`.
pub type Row = Vec<(At<String>, TemplateAt)>;

/// A `[barriers.NAME]` table.
#[derive(Debug, Clone)]
pub struct Barrier {
    /// NAME.
    pub name: At<String>,
    /// `timeout`.
    pub timeout: Option<At<Duration>>,
}
