//! Which cases a scenario has: the cells of its matrix, and for each the controls that apply to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::case::{self, Cell};
use crate::diagnostic::{Code, Diagnostic, Severity, sorted, suggestion};
use crate::model::{Case, Growth, ScenarioHead};
use crate::scenario::Scenario;
use crate::scenario::model::{Condition, Control};
use crate::secrets::shown;
use crate::value::Value;

/// How many cells a matrix may have where the command line does not say: each is built before the first is raced.
pub const MAX_CASES: usize = 10_000;

/// How many workers, steps and checks the cases of a scenario may have together, in some 500 MiB.
const PARTS_MAX: usize = 1_000_000;

/// What the command line asks of every scenario.
#[derive(Debug, Clone)]
pub struct Overrides {
    /// `--param name=value`: a param's value, or the values to which an axis is narrowed, separated by commas.
    pub params: Vec<(String, String)>,
    /// `--rounds`.
    pub rounds: Option<u64>,
    /// `--max-cases`: how many cells a matrix may have, and how many controls a scenario.
    pub max_cases: usize,
    /// Only cases whose id contains one of these texts; all cases if there are none.
    pub filters: Vec<String>,
    /// The name of the run, bound to `run`.
    pub run: String,
    /// Looks up the environment variables that `url_env` names.
    pub variable: fn(&str) -> Option<String>,
}

impl Default for Overrides {
    /// Overrides nothing, in a run called `run` whose environment is empty.
    fn default() -> Self {
        Overrides {
            params: Vec::new(),
            rounds: None,
            max_cases: MAX_CASES,
            filters: Vec::new(),
            run: "run".to_owned(),
            variable: |_| None,
        }
    }
}

/// The cases of one scenario.
#[derive(Debug)]
pub struct Plan {
    /// In the order of the matrix, the last axis varying fastest.
    pub cases: Vec<PlannedCase>,
    /// What is odd, but stops nothing.
    pub warnings: Vec<Diagnostic>,
}

/// A case and the broken variants that its checks must catch.
#[derive(Debug)]
pub struct PlannedCase {
    /// The case.
    pub case: Arc<Case>,
    /// Its controls.
    pub controls: Vec<Arc<Case>>,
}

/// A scenario whose cases are planned.
#[derive(Debug)]
pub struct PlannedScenario {
    /// What its cases have in common.
    pub head: Arc<ScenarioHead>,
    /// Its cases.
    pub cases: Vec<PlannedCase>,
}

impl PlannedScenario {
    /// Every case and every control.
    pub fn all_cases(&self) -> impl Iterator<Item = &Case> + Clone {
        self.cases.iter().flat_map(|planned| planned.controls.iter().chain([&planned.case])).map(AsRef::as_ref)
    }

    /// `[[growth]]`, which all cases share.
    pub fn growth(&self) -> &[Growth] {
        self.cases.first().map_or(&[], |planned| planned.case.checks.growth.as_slice())
    }
}

/// The cells that were made of controls, by the control's name and the case's id.
type Made<'a> = BTreeMap<(&'a str, String), Vec<Cell>>;

/// Plans every case of a scenario. All faults of all cases are reported, each place once.
pub fn cases(scenario: &Scenario, overrides: &Overrides) -> Result<Plan, Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let (params, axes) = settings(scenario, overrides, &mut diagnostics);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let cells = axes.iter().try_fold(1_usize, |cells, (_, values)| cells.checked_mul(values.len()));
    if cells.is_none_or(|cells| cells > overrides.max_cases) {
        return Err(vec![too_many_cells(scenario, cells, overrides.max_cases)]);
    }
    let parts_of_each = parts(scenario);
    let mut parts = 0;
    let mut planned = Vec::new();
    let mut controls = Made::new();
    let mut control_count = 0;
    let mut uncontrolled = Vec::new();
    let mut ids = BTreeSet::new();
    for axes in combinations(&axes) {
        let cell = Cell { params: params.clone(), axes };
        let excluded = scenario.exclude.iter().any(|condition| holds(&condition.value, &cell));
        let id = cell.id(scenario);
        let wanted = overrides.filters.is_empty() || overrides.filters.iter().any(|filter| id.contains(filter));
        if excluded || !wanted {
            continue;
        }
        if !ids.insert(id.clone()) {
            diagnostics.push(same_id(&id, &cell));
        }
        let broken: Vec<(&Control, Cell)> = broken_by(scenario, &cell).collect();
        if broken.is_empty() {
            uncontrolled.push(id.clone());
        }
        let variants = not_made_before(scenario, broken, &mut controls);
        control_count += variants.len();
        if control_count > overrides.max_cases {
            return Err(vec![too_many_controls(scenario, overrides.max_cases)]);
        }
        let mut build = |cell: &Cell, control: Option<&Control>| {
            let case = case::build(scenario, cell, control, overrides, &mut diagnostics);
            parts += parts_of_each + case.as_ref().map_or(0, |case| case.workers.len());
            if parts > PARTS_MAX { Err(vec![too_large(scenario)]) } else { Ok(case.map(Arc::new)) }
        };
        let case = build(&cell, None)?;
        let controls = variants.iter().map(|(control, broken)| build(broken, Some(control)));
        let controls = controls.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        planned.extend(case.map(|case| PlannedCase { case, controls }));
    }
    if overrides.filters.is_empty() {
        // A param may have been set to what a control sets: that is not a fault of the file.
        if overrides.params.is_empty() {
            diagnostics.extend(idle_controls(scenario, &controls));
        }
        if planned.is_empty() && diagnostics.is_empty() {
            diagnostics.push(no_cases(scenario));
        }
    }
    if overrides.params.is_empty() && diagnostics.iter().all(|found| found.severity == Severity::Warning) {
        diagnostics.extend(no_control(scenario, &uncontrolled, planned.len()));
    }
    let mut diagnostics = sorted(diagnostics);
    diagnostics.dedup_by(|later, earlier| later.code == earlier.code && later.labels.first() == earlier.labels.first());
    if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(diagnostics);
    }
    Ok(Plan { cases: planned, warnings: diagnostics })
}

/// Those variants that no other case has as well.
fn not_made_before<'a>(
    scenario: &Scenario,
    mut variants: Vec<(&'a Control, Cell)>,
    controls: &mut Made<'a>,
) -> Vec<(&'a Control, Cell)> {
    variants.retain(|(control, broken)| {
        let made = controls.entry((&control.name.value, broken.id(scenario))).or_default();
        let is_new = !made.contains(broken);
        if is_new {
            made.push(broken.clone());
        }
        is_new
    });
    variants
}

fn no_cases(scenario: &Scenario) -> Diagnostic {
    let message = format!("the matrix of `{}` has no case left", scenario.head.name);
    let mut diagnostic = Diagnostic::error(Code::NoCases, message).help("exclude fewer combinations");
    for condition in &scenario.exclude {
        diagnostic = diagnostic.at(&condition.span, "takes cases away");
    }
    diagnostic
}

/// Two cells have one id.
fn same_id(id: &str, cell: &Cell) -> Diagnostic {
    let is_hidden = |(_, value): &(String, Value)| shown(&value.to_string()) != value.to_string();
    let (why, help) = if cell.axes.iter().any(is_hidden) {
        ("since ids have URLs without login and query", "name the servers by another axis, and choose the URL by it")
    } else {
        ("since values of different types look alike in ids, such as `1` and `\"1\"`", "give the axis one of them")
    };
    Diagnostic::error(Code::DuplicateName, format!("two cases are called `{id}`, {why}")).help(help)
}

/// Controls that broke no cell, because each already had the control's settings or `only` fits none.
fn idle_controls(scenario: &Scenario, made: &BTreeMap<(&str, String), Vec<Cell>>) -> Vec<Diagnostic> {
    let made: BTreeSet<&str> = made.keys().map(|(name, _)| *name).collect();
    let idle = scenario.controls.iter().filter(|control| !made.contains(control.name.value.as_str()));
    idle.map(|control| {
        let message = format!("control `{}` changes nothing in any case", control.name.value);
        Diagnostic::warning(Code::ControlChangesNothing, message)
            .at(&control.name.span, "never run")
            .help("every case already has the values of `set`, or `only` fits no case")
    })
    .collect()
}

/// The controls that apply to a cell, and what each makes of it. One that is the same for several cells is raced for the first.
pub(super) fn broken_by<'a>(scenario: &'a Scenario, cell: &Cell) -> impl Iterator<Item = (&'a Control, Cell)> {
    scenario.controls.iter().filter(|control| holds(&control.only, cell)).filter_map(|control| {
        let broken = cell.with(&control.set);
        let changes = broken != *cell || !control.replace.is_empty() || !control.drop.is_empty();
        changes.then_some((control, broken))
    })
}

/// The warning that nothing shows whether the checks of some of `all` cases would notice anything.
fn no_control(scenario: &Scenario, cases: &[String], of: usize) -> Option<Diagnostic> {
    let first = cases.first()?;
    let (message, place, label) = match scenario.controls.first() {
        None => {
            let message = format!(
                "`{}` has no control: nothing shows that its checks notice a broken variant",
                scenario.head.name
            );
            (message, &scenario.groups.first()?.name.span, "raced without a control")
        }
        Some(control) => {
            let count = cases.len();
            let message = format!(
                "{count} of {of} cases have no control, such as `{first}`: nothing shows that their checks notice a broken variant"
            );
            (message, &control.name.span, "a control of other cases")
        }
    };
    let help = "add a `[[controls]]` table that breaks the case on purpose, by `set`, `replace` or `drop`";
    Some(Diagnostic::warning(Code::NoControl, message).at(place, label).help(help))
}

/// The fault of a matrix with more cells than are built; `cells` is not known if no number holds it.
fn too_many_cells(scenario: &Scenario, cells: Option<usize>, most: usize) -> Diagnostic {
    let counted = cells.map_or_else(|| format!("more than {}", usize::MAX), |cells| cells.to_string());
    let message = format!("the matrix of `{}` has {counted} cells, and at most {most} are planned", scenario.head.name);
    let mut diagnostic = Diagnostic::error(Code::TooManyCases, message);
    for axis in &scenario.axes {
        diagnostic = diagnostic.at(&axis.name.span, format!("{} values", axis.values.len()));
    }
    diagnostic.help("give an axis fewer values, narrow it with `--param`, or allow more cells with `--max-cases`")
}

/// How many steps and checks each case has.
fn parts(scenario: &Scenario) -> usize {
    let fixture = &scenario.fixture;
    let fixture = [&fixture.setup, &fixture.before_round, &fixture.after_round, &fixture.teardown].map(Vec::len);
    let steps = scenario.groups.iter().map(|group| group.steps.len());
    steps.chain(fixture).chain([scenario.checks.invariants.len()]).sum()
}

fn too_large(scenario: &Scenario) -> Diagnostic {
    let name = &scenario.head.name;
    let message =
        format!("the cases of `{name}` and their controls have more than {PARTS_MAX} workers, steps and checks");
    Diagnostic::error(Code::TooManyCases, message)
        .help("choose some cases with `--filter`, or narrow an axis with `--param`")
}

fn too_many_controls(scenario: &Scenario, most: usize) -> Diagnostic {
    let message = format!("the cases of `{}` have more than {most} controls", scenario.head.name);
    let mut diagnostic = Diagnostic::error(Code::TooManyCases, message);
    if let Some(control) = scenario.controls.first() {
        diagnostic = diagnostic.at(&control.name.span, "for each case that `only` fits");
    }
    diagnostic.help("say with `only` which cases have it, or allow more controls with `--max-cases`")
}

/// Whether the cell has the values of the condition.
pub(super) fn holds(condition: &Condition, cell: &Cell) -> bool {
    condition.iter().all(|(name, values)| cell.get(&name.value).is_some_and(|value| values.contains(value)))
}

type Axes = Vec<(String, Vec<Value>)>;

/// Params and axes after the overrides.
fn settings(
    scenario: &Scenario,
    overrides: &Overrides,
    diagnostics: &mut Vec<Diagnostic>,
) -> (BTreeMap<String, Value>, Axes) {
    let mut params: BTreeMap<String, Value> =
        scenario.params.iter().map(|param| (param.name.value.clone(), param.value.clone())).collect();
    let mut axes: Axes = scenario.axes.iter().map(|axis| (axis.name.value.clone(), axis.values.clone())).collect();
    for (name, text) in &overrides.params {
        if let Some(param) = params.get_mut(name) {
            match parse_like(param, text) {
                Some(value) => *param = value,
                None => {
                    let message = format!("param `{name}` is of type {} and cannot be `{text}`", param.type_name());
                    let own = scenario.params.iter().find(|own| own.name.value == *name);
                    let own = own.expect("params come from the scenario");
                    let diagnostic =
                        Diagnostic::error(Code::BadValue, message).at(&own.name.span, "its type is set here");
                    diagnostics.push(diagnostic.help("give it a value of the same type"));
                }
            }
        } else if let Some((_, values)) = axes.iter_mut().find(|(axis, _)| axis == name) {
            let known: Vec<String> = values.iter().map(Value::to_string).collect();
            let wanted: Vec<&str> = text.split(',').map(str::trim).collect();
            for word in wanted.iter().filter(|word| !known.iter().any(|known| known == *word)) {
                let message = format!("axis `{name}` has no value `{word}`");
                let mut diagnostic = Diagnostic::error(Code::BadValue, message);
                diagnostic.help = suggestion(word, known.iter().map(String::as_str));
                diagnostics.push(diagnostic);
            }
            values.retain(|value| wanted.contains(&value.to_string().as_str()));
        } else {
            let message = format!("scenario `{}` has no param or axis `{name}`", scenario.head.name);
            let mut diagnostic = Diagnostic::error(Code::UnknownParam, message);
            diagnostic.help = suggestion(name, scenario.setting_names());
            diagnostics.push(diagnostic);
        }
    }
    (params, axes)
}

/// The text as a value of the same type as `like`.
fn parse_like(like: &Value, text: &str) -> Option<Value> {
    match like {
        Value::Int(_) => text.parse().ok().map(Value::Int),
        Value::Float(_) => text.parse().ok().map(Value::Float),
        Value::Bool(_) => text.parse().ok().map(Value::Bool),
        Value::Text(_) => Some(Value::text(text)),
        Value::Null | Value::Decimal(_) | Value::List(_) | Value::Map(_) => {
            let value = Value::from_json(&serde_json::from_str(text).ok()?);
            (value.type_name() == like.type_name()).then_some(value)
        }
    }
}

/// Every combination of the axes' values, the last axis varying fastest. Without axes there is one.
fn combinations(axes: &Axes) -> Vec<Vec<(String, Value)>> {
    axes.iter().fold(vec![Vec::new()], |cells, (name, values)| {
        cells
            .iter()
            .flat_map(|cell| {
                values.iter().map(move |value| [cell.as_slice(), &[(name.clone(), value.clone())]].concat())
            })
            .collect()
    })
}

impl Scenario {
    /// Whether a param's value, or the values of an axis, make a difference to the cases.
    pub fn depends_on(&self, setting: &str) -> bool {
        let axes = self.axes.iter().map(|axis| &axis.name);
        let conditions = self.controls.iter().flat_map(|control| &control.only);
        let conditions = conditions.chain(self.ordered.iter().flat_map(|ordered| &ordered.only)).map(|(name, _)| name);
        self.used.contains(setting) || axes.chain(conditions).any(|name| name.value == setting)
    }

    /// The names of params and axes, which overrides and controls can set.
    pub fn setting_names(&self) -> impl Iterator<Item = &str> {
        let params = self.params.iter().map(|param| param.name.value.as_str());
        params.chain(self.axes.iter().map(|axis| axis.name.value.as_str()))
    }
}
