//! Checks what the tables of a scenario say of each other: every name has its thing, and every thing its use.

use std::collections::{BTreeMap, BTreeSet};

use super::model::*;
use super::reader::Unread;
use super::variant::{ResolvedStep, changes, steps_of, variants_of};
use crate::diagnostic::{Code, Diagnostic, suggestion};
use crate::model::Start;
use crate::outcome::OutcomeKind;
use crate::port::{At, Usage, Written};
use crate::statistics::LEAST_POINTS;
use crate::value::Value;

/// The step that stands for a whole attempt in metrics.
const ATTEMPT: &str = "attempt";

/// The steps that `transaction` adds, by their names in metrics.
const IMPLIED: [&str; 2] = ["begin", "commit"];

/// Every fault of a scenario that one table alone does not show.
pub(super) fn check(scenario: &Scenario, unread: &Unread) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    duplicates(scenario, &mut diagnostics);
    checks(scenario, &mut diagnostics);
    controls(scenario, &mut diagnostics);
    if !unread.targets && !scenario.targets.is_empty() {
        targets(scenario, &mut diagnostics);
    }
    step_references(scenario, unread, &mut diagnostics);
    if !unread.groups {
        barriers(scenario, &mut diagnostics);
    }
    diagnostics
}

/// What is odd in a scenario without faults. With faults, what was not read would seem unused.
pub(super) fn warn(scenario: &Scenario) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    unused(scenario, &mut diagnostics);
    nothing_checked(scenario, &mut diagnostics);
    silent_successes(scenario, &mut diagnostics);
    diagnostics
}

/// The fault that `name` is none of `known`.
fn unknown(code: Code, what: &str, name: &At<String>, known: &BTreeSet<&str>) -> Option<Diagnostic> {
    if known.contains(name.value.as_str()) {
        return None;
    }
    let diagnostic = Diagnostic::error(code, format!("there is no {what} `{}`", name.value));
    let mut diagnostic = diagnostic.at(&name.span, format!("no such {what}"));
    diagnostic.help = suggestion(&name.value, known.iter().copied());
    Some(diagnostic)
}

fn duplicates(scenario: &Scenario, diagnostics: &mut Vec<Diagnostic>) {
    let checks = &scenario.checks;
    let invariants = checks.invariants.iter().map(|invariant| &invariant.name);
    twice("worker group", BTreeMap::new(), scenario.groups.iter().map(|group| &group.name), diagnostics);
    twice("check", BTreeMap::new(), invariants.chain(checks.growth.iter().map(|growth| &growth.name)), diagnostics);
    twice("control", BTreeMap::new(), scenario.controls.iter().map(|control| &control.name), diagnostics);
    for group in &scenario.groups {
        let shared = inline_names(group).filter_map(|name| scenario.steps.get(&name.value));
        let shared = shared.map(|step| (step.name.value.as_str(), &step.name)).collect();
        twice("step", shared, inline_names(group), diagnostics);
    }
    let steps = scenario.steps.values().map(|step| &step.name);
    for name in steps.chain(scenario.groups.iter().flat_map(inline_names)) {
        if name.value == ATTEMPT || IMPLIED.contains(&name.value.as_str()) {
            let message = format!("a step cannot be called `{}`", name.value);
            let diagnostic = Diagnostic::error(Code::NameClash, message).at(&name.span, "taken");
            let help = "by `attempt`, `begin` and `commit` reports mean the whole attempt and the ends of its transaction: \
                        rename the step";
            diagnostics.push(diagnostic.help(help));
        }
    }
}

/// The names of the steps that are written in place.
fn inline_names(group: &Group) -> impl Iterator<Item = &At<String>> {
    group.steps.iter().filter_map(|reference| match reference {
        StepRef::Inline(step) => step.name.as_ref(),
        StepRef::Named(_) => None,
    })
}

/// Notes each of `names` that is among the names `before` it.
fn twice<'a>(
    what: &str,
    mut before: BTreeMap<&'a str, &'a At<String>>,
    names: impl Iterator<Item = &'a At<String>>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for name in names {
        let first = *before.entry(&name.value).or_insert(name);
        if first.span != name.span {
            let message = format!("there are two {what}s called `{}`", name.value);
            let diagnostic = Diagnostic::error(Code::DuplicateName, message).at(&name.span, "the second");
            diagnostics.push(diagnostic.see(&first.span, "the first").help("rename one"));
        }
    }
}

fn step_references(scenario: &Scenario, unread: &Unread, diagnostics: &mut Vec<Diagnostic>) {
    let unreadable = || unread.names.iter().map(String::as_str);
    let defined: BTreeSet<&str> = scenario.steps.keys().map(String::as_str).chain(unreadable()).collect();
    let replacements = scenario.controls.iter().flat_map(|control| control.replace.iter().map(|(_, step)| step));
    for reference in scenario.groups.iter().flat_map(|group| &group.steps).chain(replacements) {
        if let StepRef::Named(name) = reference {
            diagnostics.extend(unknown(Code::UnknownStep, "step", name, &defined));
        }
    }
    // With a step that is unknown or could not be read, what else a group's steps are called is not known.
    let mut references = scenario.groups.iter().flat_map(|group| &group.steps);
    if unread.groups || references.any(|reference| scenario.step(reference).is_none()) {
        return;
    }
    let own = scenario.groups.iter().flat_map(|group| &group.steps).filter_map(|reference| match reference {
        StepRef::Named(name) => Some(name.value.clone()),
        StepRef::Inline(step) => Some(step.name.as_ref()?.value.clone()),
    });
    let mut names: BTreeSet<String> = own.collect();
    let mut measured = BTreeSet::from([ATTEMPT.to_owned()]);
    for group in &scenario.groups {
        for ResolvedStep { name, step } in steps_of(scenario, group, None) {
            if matches!(step.action, Action::Call(_)) {
                measured.insert(name.clone());
            }
            names.insert(name);
        }
        if group.transaction.is_some() {
            measured.extend(IMPLIED.map(str::to_owned));
        }
    }
    let names: BTreeSet<&str> = names.iter().map(String::as_str).chain(unreadable()).collect();
    for control in &scenario.controls {
        for name in control.replace.iter().map(|(name, _)| name).chain(&control.drop) {
            diagnostics.extend(unknown(Code::UnknownStep, "step", name, &names));
        }
    }
    let ends: BTreeSet<&str> = names.iter().copied().chain(IMPLIED).collect();
    let checks = &scenario.checks;
    let expectations = checks.expect.iter().chain(checks.by_group.iter().map(|(_, expectation)| expectation));
    for step in expectations.flat_map(|expectation| &expectation.origins).filter_map(|origin| origin.at.as_ref()) {
        diagnostics.extend(unknown(Code::UnknownStep, "step", step, &ends));
    }
    for step in scenario.classify.iter().filter_map(|rule| rule.step.as_ref()) {
        diagnostics.extend(unknown(Code::UnknownStep, "step", step, &names));
    }
    let measured: BTreeSet<&str> = measured.iter().map(String::as_str).chain(unreadable()).collect();
    let latency = scenario.checks.latency.iter().map(|bound| &bound.metric);
    for metric in latency.chain(scenario.checks.growth.iter().map(|growth| &growth.metric)) {
        let step = At { value: metric.step.clone(), span: metric.key.span.clone() };
        if names.contains(step.value.as_str()) && !measured.contains(step.value.as_str()) {
            let message = format!("`{}` asks no target, so its latency is not measured", step.value);
            diagnostics.push(Diagnostic::error(Code::UnknownStep, message).at(&step.span, "not measured"));
        } else {
            diagnostics.extend(unknown(Code::UnknownStep, "step", &step, &measured));
        }
    }
}

/// Every operation has a target that can carry it out, and every transaction one that has transactions.
fn targets(scenario: &Scenario, diagnostics: &mut Vec<Diagnostic>) {
    let names: BTreeSet<&str> = scenario.targets.iter().map(|target| target.name.value.as_str()).collect();
    let changes = changes(scenario);
    for group in &scenario.groups {
        if let Some(on) = &group.on {
            diagnostics.extend(unknown(Code::UnknownTarget, "target", on, &names));
        }
        if let Some(transaction) = &group.transaction {
            diagnostics.extend(scenario.transaction_target(group, &transaction.span).err());
        }
        for ResolvedStep { step, .. } in variants_of(scenario, group, &changes).into_iter().flatten() {
            if let Action::Call(request) = &step.action {
                let on = [step.on.as_ref(), group.on.as_ref()];
                diagnostics.extend(scenario.target_for(request.spec, &step.span, &on).err());
            }
        }
    }
    let fixture = &scenario.fixture;
    let lists = [&fixture.setup, &fixture.before_round, &fixture.after_round, &fixture.teardown];
    for step in lists.into_iter().flatten() {
        diagnostics.extend(scenario.target_for(step.request.spec, &step.span, &[step.on.as_ref()]).err());
    }
    for invariant in &scenario.checks.invariants {
        diagnostics.extend(scenario.target_for(invariant.probe.spec, &invariant.span, &[invariant.on.as_ref()]).err());
    }
}

fn barriers(scenario: &Scenario, diagnostics: &mut Vec<Diagnostic>) {
    let inline = scenario.groups.iter().flat_map(|group| &group.steps).filter_map(|step| scenario.step(step));
    let replacements = scenario.controls.iter().flat_map(|control| &control.replace);
    let replacements = replacements.filter_map(|(_, step)| scenario.step(step));
    let mut waited = BTreeSet::new();
    if scenario.groups.iter().any(|group| group.start == Start::Together) {
        waited.insert("start");
    }
    for step in inline.chain(replacements) {
        match &step.action {
            Action::Barrier(name) => {
                if name.value == "start" {
                    let message = "`start` is the barrier at which all workers begin, and cannot be a step";
                    let diagnostic = Diagnostic::error(Code::NameClash, message).at(&name.span, "taken");
                    diagnostics.push(diagnostic.help("choose another name"));
                }
                waited.insert(name.value.as_str());
                let table = scenario.barriers.get(&name.value).and_then(|barrier| barrier.timeout.as_ref());
                if let (Some(own), Some(table)) = (&step.timeout, table) {
                    let message = format!("the timeout of barrier `{}` is given twice", name.value);
                    let diagnostic = Diagnostic::error(Code::ConflictingKeys, message).at(&own.span, "here");
                    diagnostics.push(diagnostic.see(&table.span, "and here").help("remove one of them"));
                }
            }
            Action::Call(request) => waited.extend(request.pauses.iter().map(|pause| &*pause.point)),
            _ => {}
        }
    }
    for barrier in scenario.barriers.values() {
        let fault = unknown(Code::UnusedBarrier, "barrier", &barrier.name, &waited);
        diagnostics.extend(fault.map(|mut fault| {
            fault.message = format!("no step waits at barrier `{}`", barrier.name.value);
            fault
        }));
    }
}

fn checks(scenario: &Scenario, diagnostics: &mut Vec<Diagnostic>) {
    let checks = &scenario.checks;
    let groups: BTreeSet<&str> = scenario.groups.iter().map(|group| group.name.value.as_str()).collect();
    for (group, _) in &checks.by_group {
        diagnostics.extend(unknown(Code::UnknownGroup, "worker group", group, &groups));
    }
    for growth in &checks.growth {
        let over = &growth.over;
        let Some(axis) = scenario.axes.iter().find(|axis| axis.name.value == over.value) else {
            let message = format!("`{}` is not an axis of the matrix", over.value);
            let mut diagnostic = Diagnostic::error(Code::BadGrowth, message).at(&over.span, "not an axis");
            diagnostic.help = suggestion(&over.value, scenario.axes.iter().map(|axis| axis.name.value.as_str()))
                .or_else(|| Some("growth is judged over the values of an axis: add a `[matrix]`".to_owned()));
            diagnostics.push(diagnostic);
            continue;
        };
        let positive = |value: &Value| match value {
            Value::Int(number) => *number > 0,
            Value::Float(number) => *number > 0.0,
            _ => false,
        };
        if axis.values.len() < LEAST_POINTS || !axis.values.iter().all(positive) {
            let message =
                format!("growth over `{}` needs at least {LEAST_POINTS} values, all numbers above 0", over.value);
            let diagnostic = Diagnostic::error(Code::BadGrowth, message).at(&over.span, "does not grow");
            diagnostics.push(diagnostic.see(&axis.name.span, "the axis"));
        }
    }
}

fn nothing_checked(scenario: &Scenario, diagnostics: &mut Vec<Diagnostic>) {
    let checks = &scenario.checks;
    let nothing = checks.expect.is_empty()
        && checks.by_group.is_empty()
        && checks.sometimes.is_empty()
        && checks.latency.is_empty()
        && checks.invariants.is_empty()
        && checks.growth.is_empty();
    if let (true, Some(group)) = (nothing, scenario.groups.first()) {
        let message = "the scenario checks nothing: whatever its workers do will pass";
        let diagnostic = Diagnostic::warning(Code::NothingChecked, message).at(&group.name.span, "nothing is expected");
        diagnostics.push(diagnostic.help("say in `[expect]` how many workers end in which outcome"));
    }
}

fn controls(scenario: &Scenario, diagnostics: &mut Vec<Diagnostic>) {
    let checks = &scenario.checks;
    let latency = checks.latency.iter().map(|bound| bound.metric.key.value.as_str());
    let invariants = checks.invariants.iter().map(|invariant| invariant.name.value.as_str());
    let growth = checks.growth.iter().map(|growth| growth.name.value.as_str());
    let outcomes = OutcomeKind::ALL.map(OutcomeKind::as_str);
    let known: BTreeSet<&str> = invariants.chain(growth).chain(latency).chain(outcomes).collect();
    let settings: BTreeSet<&str> = scenario.setting_names().collect();
    for control in &scenario.controls {
        for name in &control.breaks {
            diagnostics.extend(unknown(Code::UnknownCheck, "check", name, &known));
        }
        for name in control.set.iter().map(|(name, _)| name).chain(control.only.iter().map(|(name, _)| name)) {
            diagnostics.extend(unknown(Code::UnknownParam, "param or axis", name, &settings));
        }
    }
    for (name, _) in scenario.ordered.iter().flat_map(|ordered| &ordered.only) {
        diagnostics.extend(unknown(Code::UnknownParam, "param or axis", name, &settings));
    }
    let axes: BTreeSet<&str> = scenario.axes.iter().map(|axis| axis.name.value.as_str()).collect();
    for (name, values) in scenario.exclude.iter().flat_map(|condition| &condition.value) {
        diagnostics.extend(unknown(Code::UnknownParam, "axis", name, &axes));
        let axis = scenario.axes.iter().find(|axis| axis.name.value == name.value);
        for value in values.iter().filter(|value| axis.is_some_and(|axis| !axis.values.contains(value))) {
            let message = format!("axis `{}` has no value `{value}` to exclude", name.value);
            diagnostics.push(Diagnostic::error(Code::BadValue, message).at(&name.span, "excludes nothing"));
        }
    }
}

/// Statements that succeed where they did nothing, with nobody looking: attempts that lost would be counted as winners.
fn silent_successes(scenario: &Scenario, diagnostics: &mut Vec<Diagnostic>) {
    if !scenario.checks.invariants.is_empty() {
        return;
    }
    for step in scenario.groups.iter().flat_map(|group| &group.steps).filter_map(|reference| scenario.step(reference)) {
        let Action::Call(request) = &step.action else { continue };
        let written = Written { request, usage: Usage::Step, span: &step.span, complete: true };
        if let (Some(words), None, Save::Nothing) =
            (request.spec.rules.succeeds_silently(&written), &step.rows, &step.save)
        {
            let message =
                format!("`{words}` succeeds also where it does nothing, and nothing here looks whether it did");
            let diagnostic = Diagnostic::warning(Code::SilentSuccess, message).at(&step.span, "counts as a success");
            let help =
                "set `rows = 1`: who finds nothing to do then ends in `conflict`; or read the table by an invariant";
            diagnostics.push(diagnostic.help(help));
        }
    }
}

fn unused(scenario: &Scenario, diagnostics: &mut Vec<Diagnostic>) {
    let over: BTreeSet<&str> = scenario.checks.growth.iter().map(|growth| growth.over.value.as_str()).collect();
    let params = scenario.params.iter().map(|param| (&param.name, "param"));
    for (name, what) in params.chain(scenario.axes.iter().map(|axis| (&axis.name, "axis"))) {
        if !scenario.used.contains(&name.value) && !over.contains(name.value.as_str()) {
            let message = format!("nothing uses the {what} `{}`", name.value);
            let diagnostic = Diagnostic::warning(Code::UnusedParam, message).at(&name.span, "unused");
            diagnostics
                .push(diagnostic.help(format!("write `${{{}}}` where its value matters, or remove it", name.value)));
        }
    }
    let replacements = scenario.controls.iter().flat_map(|control| control.replace.iter().map(|(_, step)| step));
    let references = scenario.groups.iter().flat_map(|group| &group.steps).chain(replacements);
    let named: BTreeSet<&str> = references
        .filter_map(|reference| match reference {
            StepRef::Named(name) => Some(name.value.as_str()),
            StepRef::Inline(_) => None,
        })
        .collect();
    for step in scenario.steps.values().filter(|step| !named.contains(step.name.value.as_str())) {
        let message = format!("no worker takes the step `{}`", step.name.value);
        let diagnostic = Diagnostic::warning(Code::UnusedStep, message).at(&step.name.span, "unused");
        diagnostics.push(diagnostic.help("add it to the `steps` of a worker group, or remove it"));
    }
}
