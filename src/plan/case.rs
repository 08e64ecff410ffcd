//! Builds one case: scopes bound, names turned into indexes, counts evaluated, templates compiled.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::Overrides;
use super::cells::{broken_by, holds};
use super::targets;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::expression::{Expression, Scope, Template};
use crate::model::{
    Action, BarrierSpec, Case, ClassifyRule, Control, CountRange, Fixture, FixtureStep, Group, START, Save, Start,
    Step, Transaction, Worker,
};
use crate::outcome::OutcomeKind;
use crate::port::{At, Place, Request, RequestAt, TargetSpec, TemplateAt};
use crate::scenario::Scenario;
use crate::scenario::model::{self, CountAt, ExpressionAt};
use crate::scenario::variant::{ResolvedStep, steps_of};
use crate::secrets::shown;
use crate::value::Value;

/// How long a step that does not say may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a barrier that does not say is waited for.
const BARRIER_TIMEOUT: Duration = Duration::from_secs(5);

/// How many rounds a control races at most.
const CONTROL_ROUNDS_MAX: u64 = 50;

/// The settings of a case.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    /// Params with their values.
    pub params: BTreeMap<String, Value>,
    /// Axes with the value that each has here, in file order.
    pub axes: Vec<(String, Value)>,
}

impl Cell {
    /// `name[axis=value,…]`; of URLs without what may be secret.
    pub(super) fn id(&self, scenario: &Scenario) -> String {
        let axes: Vec<String> =
            self.axes.iter().map(|(name, value)| format!("{name}={}", shown(&value.to_string()))).collect();
        let name = &scenario.head.name;
        if axes.is_empty() { name.clone() } else { format!("{name}[{}]", axes.join(",")) }
    }

    /// The value of a param or axis.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.params.get(name).or_else(|| self.axes.iter().find(|(axis, _)| axis == name).map(|(_, value)| value))
    }

    /// The cell with some params and axes set to other values.
    pub(super) fn with(&self, set: &[(At<String>, Value)]) -> Cell {
        let mut cell = self.clone();
        for (name, value) in set {
            let axis = cell.axes.iter_mut().find(|(axis, _)| *axis == name.value).map(|(_, value)| value);
            if let Some(slot) = axis.or(cell.params.get_mut(&name.value)) {
                *slot = value.clone();
            }
        }
        cell
    }
}

/// What is needed while a case is built.
pub(super) struct Builder<'a> {
    pub scenario: &'a Scenario,
    pub overrides: &'a Overrides,
    id: String,
    control: Option<&'a model::Control>,
    barriers: Vec<BarrierSpec>,
    barrier_indexes: HashMap<String, usize>,
    targets: Vec<TargetSpec>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

/// Builds the case of `cell`, or its broken variant `control`; `None` after noting what is wrong.
pub(super) fn build(
    scenario: &Scenario,
    cell: &Cell,
    control: Option<&model::Control>,
    overrides: &Overrides,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Case> {
    let id = cell.id(scenario);
    let id = control.map_or(id.clone(), |control| format!("{id}/{}", control.name.value));
    let builder = Builder {
        scenario,
        overrides,
        id,
        control,
        barriers: Vec::new(),
        barrier_indexes: HashMap::new(),
        targets: Vec::new(),
        diagnostics,
    };
    builder.case(cell)
}

/// How many steps the workers of a round may take together: each is written down, and a few rounds are kept.
const STEPS_MAX: u64 = 1_000_000;

impl Builder<'_> {
    fn case(mut self, cell: &Cell) -> Option<Case> {
        let scenario = self.scenario;
        let settings = cell.params.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let settings = settings.chain(cell.axes.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let mut scope: Scope = settings.chain([("run", Value::text(&self.overrides.run))]).collect();
        let targets: Vec<Option<TargetSpec>> =
            scenario.targets.iter().map(|target| targets::resolve(&mut self, target, &scope)).collect();
        let sizes: Vec<Option<u64>> = scenario.groups.iter().map(|group| self.group_size(group, &scope)).collect();
        self.targets = targets.into_iter().collect::<Option<_>>()?;
        let sizes: Vec<u64> = sizes.into_iter().collect::<Option<_>>()?;
        let total: u64 = sizes.iter().sum();
        if let (true, Some(last)) = (total > WORKERS_MAX, scenario.groups.last()) {
            let message = format!("the groups have {total} workers together, but at most {WORKERS_MAX} can race");
            self.fault(Code::NoWorkers, message, last.count_span());
            return None;
        }
        scope.bind("workers", Value::Int(i64::try_from(total).ok()?));
        let scope = Arc::new(scope);

        let steps: Vec<Vec<ResolvedStep<'_>>> =
            scenario.groups.iter().map(|group| steps_of(scenario, group, self.control)).collect();
        self.bound_steps(&sizes, &steps)?;
        let members = members(&sizes);
        self.collect_barriers(&steps, &members);
        let groups: Vec<Option<Group>> =
            scenario.groups.iter().zip(&steps).map(|(group, steps)| self.group(group, steps, &scope)).collect();
        let workers: Vec<Option<Worker>> = members
            .iter()
            .enumerate()
            .flat_map(|(group, members)| members.clone().map(move |worker| (group, worker)))
            .map(|(group, worker)| self.worker(group, worker - members[group].start, worker, &scope))
            .collect();
        let fixture = self.fixture();
        let checks = self.checks(&sizes, &scope);
        Some(Case {
            scenario: scenario.head.clone(),
            control: self.control.map(|control| Control {
                name: control.name.value.clone(),
                why: control.why.clone(),
                breaks: control.breaks.iter().map(|name| name.value.clone()).collect(),
                place: self.place(&control.name.span),
            }),
            axes: cell.axes.iter().cloned().collect(),
            params: cell.params.clone(),
            rounds: self.rounds(),
            round_timeout: scenario.timeout,
            fixture: fixture?,
            groups: groups.into_iter().collect::<Option<_>>()?,
            workers: workers.into_iter().collect::<Option<_>>()?,
            checks: checks?,
            controlled: self.control.is_none() && broken_by(scenario, cell).next().is_some(),
            ordered: scenario.ordered.as_ref().filter(|it| holds(&it.only, cell)).map(|it| it.why.clone()),
            classify: scenario.classify.iter().map(classify_rule).collect(),
            id: self.id,
            targets: self.targets,
            barriers: self.barriers,
        })
    }

    fn rounds(&self) -> u64 {
        let rounds = self.overrides.rounds.unwrap_or(self.scenario.rounds);
        if self.control.is_some() { rounds.min(CONTROL_ROUNDS_MAX) } else { rounds }
    }

    /// How many workers a group has: `count` for each row of `each`.
    fn group_size(&mut self, group: &model::Group, scope: &Scope) -> Option<u64> {
        let count = match &group.count {
            None => 1,
            Some(count) => {
                let value = self.resolve(count, scope)?;
                let number = match value {
                    Value::Int(number) => u64::try_from(number).ok(),
                    _ => None,
                };
                let Some(number) = number else {
                    let message =
                        format!("`count` must be a whole number of workers, but is {} `{value}`", value.type_name());
                    let mut diagnostic = self.diagnostic(Code::BadCount, message).at(&count.span, "");
                    // Counts of outcomes are expressions, which this is easily taken for.
                    if let Value::Text(text) = &value
                        && scope.get(text).is_some()
                    {
                        diagnostic = diagnostic.help(format!("write `\"${{{text}}}\"` for the value of `{text}`"));
                    }
                    self.push(diagnostic);
                    return None;
                };
                number
            }
        };
        let size = count.saturating_mul(u64::try_from(group.each.len().max(1)).ok()?);
        if size == 0 || size > WORKERS_MAX {
            let message = format!("group `{}` has {size} workers, but must have 1 to {WORKERS_MAX}", group.name.value);
            self.fault(Code::NoWorkers, message, group.count_span());
            return None;
        }
        Some(size)
    }

    /// Finds every barrier, its parties and its timeout; `start` comes first.
    fn collect_barriers(&mut self, steps: &[Vec<ResolvedStep<'_>>], members: &[std::ops::Range<usize>]) {
        self.barrier(START_NAME, None);
        for ((group, steps), members) in self.scenario.groups.iter().zip(steps).zip(members) {
            if group.start == Start::Together {
                self.barriers[START].parties.extend(members.clone());
            }
            for ResolvedStep { step, .. } in steps {
                let Some((name, _)) = barrier_of(step) else { continue };
                let timeout = match step.action {
                    model::Action::Barrier(_) => step.timeout.as_ref().map(|timeout| timeout.value),
                    _ => None,
                };
                let index = self.barrier(name, timeout);
                let parties = &mut self.barriers[index].parties;
                if parties.last() != members.clone().last().as_ref() {
                    parties.extend(members.clone());
                }
            }
        }
        if self.control.is_none() {
            self.warn_of_lonely_barriers(steps);
        }
    }

    /// The index of a barrier, which is made if there is none. Its timeout is that of `[barriers]`, else the longest of its steps.
    fn barrier(&mut self, name: &str, timeout: Option<Duration>) -> usize {
        let table =
            self.scenario.barriers.get(name).and_then(|barrier| barrier.timeout.as_ref()).map(|timeout| timeout.value);
        if let Some(&index) = self.barrier_indexes.get(name) {
            let known = &mut self.barriers[index];
            if let (Some(timeout), None) = (timeout, table) {
                known.timeout = known.timeout.max(timeout);
            }
            return index;
        }
        let timeout = table.or(timeout).unwrap_or(BARRIER_TIMEOUT);
        let index = self.barriers.len();
        self.barriers.push(BarrierSpec { name: name.to_owned(), timeout, parties: Vec::new() });
        self.barrier_indexes.insert(name.to_owned(), index);
        index
    }

    fn warn_of_lonely_barriers(&mut self, steps: &[Vec<ResolvedStep<'_>>]) {
        let lonely = self.barriers.iter().skip(1).filter(|barrier| barrier.parties.len() == 1);
        let lonely: BTreeSet<String> = lonely.map(|barrier| barrier.name.clone()).collect();
        for (name, span) in steps.iter().flatten().filter_map(|resolved| barrier_of(resolved.step)) {
            if lonely.contains(name) {
                let message = format!("only one worker comes to barrier `{name}`: there is nobody to wait for");
                let diagnostic = Diagnostic::warning(Code::LonelyBarrier, message).at(span, "waits for nobody");
                self.push(diagnostic.help("let a second worker come to it, or remove it"));
            }
        }
    }

    /// `None`, and a fault, if the workers of groups with `repeat` take more steps in a round than can be written down.
    fn bound_steps(&mut self, sizes: &[u64], steps: &[Vec<ResolvedStep<'_>>]) -> Option<()> {
        let taken = |((group, size), steps): ((&model::Group, &u64), &Vec<ResolvedStep<'_>>)| {
            size.saturating_mul(group.repetitions()).saturating_mul(steps.len() as u64)
        };
        let scenario = self.scenario;
        let repeats = scenario.groups.iter().filter_map(|group| group.repeat.as_ref());
        let Some(most) = repeats.max_by_key(|repeat| repeat.value) else { return Some(()) };
        let taken = scenario.groups.iter().zip(sizes).zip(steps).map(taken).fold(0, u64::saturating_add);
        if taken <= STEPS_MAX {
            return Some(());
        }
        let message =
            format!("the workers take {taken} steps together in one round, but at most {STEPS_MAX} can be kept");
        let diagnostic = Diagnostic::error(Code::BadValue, message).at(&most.span, "repeats them");
        self.push(diagnostic.help("repeat fewer times, and race more rounds"));
        None
    }

    fn group(&mut self, group: &model::Group, steps: &[ResolvedStep<'_>], scope: &Scope) -> Option<Group> {
        let mut scope = scope.clone();
        scope.bind("group", Value::text(&group.name.value));
        let steps: Vec<Option<Step>> = steps.iter().map(|resolved| self.step(group, resolved, &scope)).collect();
        Some(Group {
            name: group.name.value.clone(),
            start: group.start,
            repeat: group.repetitions(),
            steps: steps.into_iter().collect::<Option<_>>()?,
        })
    }

    fn step(&mut self, group: &model::Group, resolved: &ResolvedStep<'_>, scope: &Scope) -> Option<Step> {
        let ResolvedStep { name, step } = resolved;
        // What is to sleep is not waited for in vain: only the round bounds it.
        let unsaid = if matches!(step.action, model::Action::Sleep(_)) { self.scenario.timeout } else { STEP_TIMEOUT };
        let mut timeout = step.timeout.as_ref().map_or(unsaid, |timeout| timeout.value);
        let action = match &step.action {
            model::Action::Barrier(name) => {
                let index = self.barrier(&name.value, None);
                timeout = self.barriers[index].timeout;
                Action::Barrier(index)
            }
            model::Action::Sleep(pause) => Action::Sleep(pause.template.clone()),
            model::Action::Assert(condition) => Action::Assert(condition.expression.clone()),
            model::Action::Let(bindings) => Action::Let(named(bindings)),
            model::Action::Call(request) => {
                let (target, request) = self.request(request, &step.span, &[step.on.as_ref(), group.on.as_ref()])?;
                let place = self.place(&step.span);
                let requests = &mut self.targets[target].requests;
                requests.push(RequestAt { request, place });
                Action::Call { target, request: requests.len() - 1 }
            }
        };
        let rows = match &step.rows {
            None => None,
            Some(rows) => Some(self.count(rows, scope)?),
        };
        let otherwise = match (&step.otherwise, &action) {
            (Some(otherwise), _) => otherwise.value,
            (None, Action::Assert(_)) => OutcomeKind::Rejected,
            (None, _) => OutcomeKind::Conflict,
        };
        let unfit = step.otherwise.as_ref().map_or(OutcomeKind::Crash, |otherwise| otherwise.value);
        let save = match &step.save {
            model::Save::Nothing => Save::Nothing,
            model::Save::Value(name) => Save::Value(name.value.clone()),
            model::Save::Expressions(entries) => Save::Expressions(named(entries)),
        };
        let place = self.place(&step.span);
        Some(Step { name: name.clone(), action, rows, otherwise, unfit, save, timeout, place })
    }

    /// The request with its target and its pause's barrier.
    pub(super) fn request(
        &mut self,
        request: &Request<TemplateAt>,
        span: &Span,
        on: &[Option<&At<String>>],
    ) -> Option<(usize, Request<Template>)> {
        let target = self.scenario.target_for(request.spec, span, on).map_err(|fault| self.push(fault)).ok()?;
        let mut request = request.templates();
        for pause in &mut request.pauses {
            pause.barrier = self.barrier(&pause.point, None);
        }
        Some((target, request))
    }

    /// A worker: number `worker` of all, number `member` of its group.
    fn worker(&mut self, group_index: usize, member: usize, worker: usize, scope: &Arc<Scope>) -> Option<Worker> {
        let group = &self.scenario.groups[group_index];
        let mut own = Scope::inside(scope.clone());
        own.bind("worker", Value::Int(i64::try_from(worker).ok()?));
        own.bind("group", Value::text(&group.name.value));
        if let Some(row) = group.each.get(member % group.each.len().max(1)) {
            let values: Vec<_> = row.iter().map(|(name, value)| (name, self.resolve(value, &own))).collect();
            for (name, value) in values {
                own.bind(name.value.as_str(), value?);
            }
        }
        let transaction = match &group.transaction {
            None => None,
            Some(template) => {
                let target = self.scenario.transaction_target(group, &template.span);
                let target = target.map_err(|fault| self.push(fault)).ok()?;
                Some(Transaction { target, isolation: targets::isolation(self, template, &own)? })
            }
        };
        Some(Worker { group: group_index, scope: Arc::new(own), transaction })
    }

    fn fixture(&mut self) -> Option<Fixture> {
        let fixture = &self.scenario.fixture;
        let mut steps = |steps: &[model::FixtureStep]| -> Option<Vec<FixtureStep>> {
            let step = |step: &model::FixtureStep| {
                let (target, request) = self.request(&step.request, &step.span, &[step.on.as_ref()])?;
                Some(FixtureStep { target, request, place: self.place(&step.span) })
            };
            steps.iter().map(step).collect()
        };
        Some(Fixture {
            setup: steps(&fixture.setup)?,
            before_round: steps(&fixture.before_round)?,
            after_round: steps(&fixture.after_round)?,
            teardown: steps(&fixture.teardown)?,
        })
    }

    /// The range of a count; `None` after noting why there is none.
    pub(super) fn count(&mut self, count: &CountAt, scope: &Scope) -> Option<CountRange> {
        let range = count.count.evaluate(scope);
        range.map_err(|error| self.fault(Code::BadEvaluation, error.to_string(), &count.span)).ok()
    }

    /// The value of a template; `None` after noting why there is none.
    pub(super) fn resolve(&mut self, template: &TemplateAt, scope: &Scope) -> Option<Value> {
        let value = template.template.resolve(scope);
        value.map_err(|error| self.fault(Code::BadEvaluation, error.to_string(), &template.span)).ok()
    }

    /// Notes a fault at `span`.
    pub(super) fn fault(&mut self, code: Code, message: String, span: &Span) {
        let diagnostic = self.diagnostic(code, message).at(span, "");
        self.push(diagnostic);
    }

    /// Notes a diagnostic.
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// A diagnostic that names the case where the scenario has several.
    pub(super) fn diagnostic(&self, code: Code, message: String) -> Diagnostic {
        if self.scenario.axes.is_empty() && self.control.is_none() {
            Diagnostic::error(code, message)
        } else {
            Diagnostic::error(code, format!("{message} (in case `{}`)", self.id))
        }
    }

    /// The place where `span` begins.
    pub(super) fn place(&self, span: &Span) -> Place {
        let (line, column) = self.scenario.source.position(span.start);
        Place { file: self.scenario.head.file.clone(), line, column }
    }
}

/// The most workers a case can have: far beyond what a server admits, and little enough to plan.
const WORKERS_MAX: u64 = 10_000;

/// The name of the implied barrier.
const START_NAME: &str = "start";

/// The worker numbers of each group.
fn members(sizes: &[u64]) -> Vec<std::ops::Range<usize>> {
    let mut next = 0;
    sizes
        .iter()
        .map(|size| {
            let start = next;
            next += *size as usize;
            start..next
        })
        .collect()
}

/// The barrier that a step waits at, by itself or by a pause, and where that is said.
fn barrier_of(step: &model::Step) -> Option<(&str, &Span)> {
    match &step.action {
        model::Action::Barrier(name) => Some((&name.value, &name.span)),
        model::Action::Call(request) => request.pauses.first().map(|pause| (&*pause.point, &step.span)),
        _ => None,
    }
}

fn named(entries: &[(At<String>, ExpressionAt)]) -> Vec<(String, Expression)> {
    entries.iter().map(|(name, value)| (name.value.clone(), value.expression.clone())).collect()
}

fn classify_rule(rule: &model::ClassifyRule) -> ClassifyRule {
    ClassifyRule {
        code: rule.code.clone(),
        message: rule.message.clone(),
        step: rule.step.as_ref().map(|step| step.value.clone()),
        outcome: rule.outcome,
    }
}
