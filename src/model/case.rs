//! A case: one cell of a scenario's matrix with everything resolved that can be resolved before the race.
//!
//! The engine and the checks read cases and nothing else of a scenario.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use super::record::StepAt;
use super::{Checks, CountRange};
use crate::expression::{Expression, Scope, Template};
use crate::outcome::OutcomeKind;
use crate::port::{Isolation, Place, Request, RequestAt, TargetSpec};
use crate::value::Value;

/// What the cases of one scenario have in common.
#[derive(Debug)]
pub struct ScenarioHead {
    /// The file, as the user named it.
    pub file: Arc<PathBuf>,
    /// `name`, unique among the scenarios of a run.
    pub name: String,
    /// `summary`, one line.
    pub summary: String,
    /// `tags`.
    pub tags: Vec<String>,
    /// SHA-256 of the file and of the SQL files it names, in hex.
    pub hash: String,
    /// `[compare]`.
    pub compare: Option<Compare>,
}

/// What comparisons of a scenario's cases go by.
#[derive(Debug, Clone, PartialEq)]
pub struct Compare {
    /// `gate`: the metric whose change counts.
    pub gate: Option<String>,
    /// `threshold`: by which share it may change, more than 0.
    pub threshold: Option<f64>,
}

/// One cell of a scenario's matrix, or one control of such a cell.
#[derive(Debug)]
pub struct Case {
    /// What it shares with the scenario's other cases.
    pub scenario: Arc<ScenarioHead>,
    /// `version-conflict[backend=sqlite]`; a control adds `/control-name`.
    pub id: String,
    /// Set when this is a control: a broken variant that its checks must catch.
    pub control: Option<Control>,
    /// The matrix axes with this case's values.
    pub axes: BTreeMap<String, Value>,
    /// The params with this case's values.
    pub params: BTreeMap<String, Value>,
    /// How many rounds to race, at most 50 for a control.
    pub rounds: u64,
    /// How long one round may take.
    pub round_timeout: Duration,
    /// The systems raced against.
    pub targets: Vec<TargetSpec>,
    /// What is done around the rounds.
    pub fixture: Fixture,
    /// Barriers; [`START`] is the implied `start`.
    pub barriers: Vec<BarrierSpec>,
    /// Worker groups, in file order.
    pub groups: Vec<Group>,
    /// All workers, group after group; a worker's position is its number.
    pub workers: Vec<Worker>,
    /// What must hold.
    pub checks: Checks,
    /// Whether some control shows that the checks would notice if the case were broken; of a control, false.
    pub controlled: bool,
    /// Why the case orders its workers on purpose, if it does: it is then not expected to be a race.
    pub ordered: Option<String>,
    /// `[[classify]]` rules, first match wins.
    pub classify: Vec<ClassifyRule>,
}

/// The index of the implied start barrier in [`Case::barriers`].
pub const START: usize = 0;

/// A broken variant and what must catch it.
#[derive(Debug, Clone)]
pub struct Control {
    /// `name`.
    pub name: String,
    /// `why` it is broken.
    pub why: String,
    /// The checks of which one must break: an outcome's word, an invariant's or growth's name, a latency key.
    pub breaks: Vec<String>,
    /// Where the control stands.
    pub place: Place,
}

/// What is done around the rounds, over a control connection.
#[derive(Debug, Clone, Default)]
pub struct Fixture {
    /// Once, in the case's empty schema or stream.
    pub setup: Vec<FixtureStep>,
    /// Before each round.
    pub before_round: Vec<FixtureStep>,
    /// After each round and its invariants.
    pub after_round: Vec<FixtureStep>,
    /// Once, after the last round.
    pub teardown: Vec<FixtureStep>,
}

/// One operation of a fixture.
#[derive(Debug, Clone)]
pub struct FixtureStep {
    /// Index into [`Case::targets`].
    pub target: usize,
    /// What to do.
    pub request: Request<Template>,
    /// Where it stands.
    pub place: Place,
}

/// A named point where workers wait for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BarrierSpec {
    /// Its name; `start` for the implied one.
    pub name: String,
    /// How long the first to come waits for the last.
    pub timeout: Duration,
    /// The workers whose steps contain it, ascending.
    pub parties: Vec<usize>,
}

/// A `[[workers]]` table.
#[derive(Debug, Clone)]
pub struct Group {
    /// `name`.
    pub name: String,
    /// Whether its workers take the start barrier.
    pub start: Start,
    /// How often its workers run their steps in one round.
    pub repeat: u64,
    /// What its workers do.
    pub steps: Vec<Step>,
}

impl Group {
    /// The step there; `None` for a transaction's ends.
    pub fn step(&self, at: StepAt) -> Option<&Step> {
        self.steps.get(at.index()?)
    }
}

/// How workers begin a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Together, at the start barrier.
    Together,
    /// `start = "free"`: as soon as the round begins.
    Free,
}

/// One racing party.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Index into [`Case::groups`].
    pub group: usize,
    /// Its names: params, axes, its row of `each`, `worker`, `workers`, `group`, `run`. The engine adds `round`, `round_id` and what is saved.
    pub scope: Arc<Scope>,
    /// The transaction around its steps, if any.
    pub transaction: Option<Transaction>,
}

/// A transaction around a worker's steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction {
    /// Index into [`Case::targets`].
    pub target: usize,
    /// Its isolation level.
    pub isolation: Isolation,
}

/// One thing a worker does.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name: the key under `[steps]`, `name`, or its kind with a number where that is not unique.
    pub name: String,
    /// What it does.
    pub action: Action,
    /// `rows`: how many rows it must return or change; otherwise the attempt ends with `otherwise`.
    pub rows: Option<CountRange>,
    /// The outcome when `rows` or `assert` is not met: default conflict for `rows`, rejected for `assert`.
    pub otherwise: OutcomeKind,
    /// The outcome when the race gave the step nothing that fits: no row to save, or data of which an expression has no
    /// value. What `otherwise` says; crash if it says nothing.
    pub unfit: OutcomeKind,
    /// What is kept of its result.
    pub save: Save,
    /// How long it may take.
    pub timeout: Duration,
    /// Where it stands.
    pub place: Place,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Waits at a barrier: index into [`Case::barriers`].
    Barrier(usize),
    /// Pauses for a duration, such as `20ms`.
    Sleep(Template),
    /// Goes on only if the expression is true.
    Assert(Expression),
    /// Binds names, in file order.
    Let(Vec<(String, Expression)>),
    /// Asks a target.
    Call {
        /// Index into [`Case::targets`].
        target: usize,
        /// What is asked: index into [`TargetSpec::requests`].
        request: usize,
    },
}

/// What is kept of a step's result.
#[derive(Debug, Clone)]
pub enum Save {
    /// Nothing.
    Nothing,
    /// `save = "name"`: the single value. For SQL: exactly one row and column; else the result.
    Value(String),
    /// `save = { name = "expression" }` over `rows`, `affected` and `result`, in file order.
    Expressions(Vec<(String, Expression)>),
}

/// A rule of `[[classify]]`: an outcome for refusals that the built-in table does not know well enough.
#[derive(Debug, Clone)]
pub struct ClassifyRule {
    /// The refusal's code, if it matters.
    pub code: Option<String>,
    /// What the refusal's message must match, if it matters.
    pub message: Option<Regex>,
    /// The step, if it matters.
    pub step: Option<String>,
    /// The outcome.
    pub outcome: OutcomeKind,
}

impl Case {
    /// What `step` asks of a target, if it asks one.
    pub fn request(&self, step: &Step) -> Option<&RequestAt> {
        match step.action {
            Action::Call { target, request } => self.targets.get(target)?.requests.get(request),
            Action::Barrier(_) | Action::Sleep(_) | Action::Assert(_) | Action::Let(_) => None,
        }
    }
}
