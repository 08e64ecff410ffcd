//! The steps that a group really has: names resolved, a control's replacements and drops applied.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Control, Group, Scenario, Step, StepRef, Target};
use super::syntax::with_article;
use crate::diagnostic::{Code, Diagnostic, Span, suggestion, ticked};
use crate::port::{At, Driver, RequestSpec, Usage};

/// A step of a group under the name it has there.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedStep<'a> {
    /// Unique in the group: the step's own name or its kind, with a number from the second on.
    pub name: String,
    /// The step.
    pub step: &'a Step,
}

/// The steps of `group`, as `control` leaves them. Names of steps that there are not are passed over.
pub(crate) fn steps_of<'a>(
    scenario: &'a Scenario,
    group: &'a Group,
    control: Option<&'a Control>,
) -> Vec<ResolvedStep<'a>> {
    let mut names = BTreeSet::new();
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let drop: BTreeSet<&str> = control.iter().flat_map(|it| &it.drop).map(|name| name.value.as_str()).collect();
    let replace = control.iter().flat_map(|it| &it.replace).map(|(name, reference)| (name.value.as_str(), reference));
    let replace: BTreeMap<&str, &StepRef> = replace.collect();
    let mut steps = Vec::new();
    for reference in &group.steps {
        let Some(step) = scenario.step(reference) else { continue };
        let own = match reference {
            StepRef::Named(name) => Some(name.value.as_str()),
            StepRef::Inline(step) => step.name.as_ref().map(|name| name.value.as_str()),
        };
        let base = own.unwrap_or(step.action.word());
        // The numbers before the last one given are taken.
        let number = numbers.entry(base).or_insert(1);
        let mut name = numbered(base, *number);
        while !names.insert(name.clone()) {
            *number += 1;
            name = numbered(base, *number);
        }
        let meant = [Some(name.as_str()), own];
        if meant.iter().flatten().any(|name| drop.contains(name)) {
            continue;
        }
        let replacement = meant.iter().flatten().find_map(|name| replace.get(name));
        let step = replacement.and_then(|reference| scenario.step(reference)).unwrap_or(step);
        steps.push(ResolvedStep { name, step });
    }
    steps
}

/// The steps of `group` as they are, and as each control that changes them leaves them. `changes` is [`changes`] of the scenario.
pub(crate) fn variants_of<'a>(
    scenario: &'a Scenario,
    group: &'a Group,
    changes: &BTreeMap<&'a str, BTreeSet<usize>>,
) -> Vec<Vec<ResolvedStep<'a>>> {
    let as_it_is = steps_of(scenario, group, None);
    let own = group.steps.iter().filter_map(|reference| match reference {
        StepRef::Named(name) => Some(name.value.as_str()),
        StepRef::Inline(step) => step.name.as_ref().map(|name| name.value.as_str()),
    });
    let names = own.chain(as_it_is.iter().map(|step| step.name.as_str()));
    let controls: BTreeSet<usize> = names.filter_map(|name| changes.get(name)).flatten().copied().collect();
    let changed: Vec<_> =
        controls.into_iter().map(|index| steps_of(scenario, group, Some(&scenario.controls[index]))).collect();
    std::iter::once(as_it_is).chain(changed).collect()
}

/// The controls that replace or drop a step, by the step's name. Most controls leave most groups alone.
pub(crate) fn changes(scenario: &Scenario) -> BTreeMap<&str, BTreeSet<usize>> {
    let mut changes: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (index, control) in scenario.controls.iter().enumerate() {
        for name in control.replace.iter().map(|(name, _)| name).chain(&control.drop) {
            changes.entry(&name.value).or_default().insert(index);
        }
    }
    changes
}

/// The name of a group's first step called `base`, or of a later one.
fn numbered(base: &str, number: usize) -> String {
    if number == 1 { base.to_owned() } else { format!("{base}-{number}") }
}

impl Scenario {
    /// The step that is referred to, if there is one.
    pub fn step<'a>(&'a self, reference: &'a StepRef) -> Option<&'a Step> {
        match reference {
            StepRef::Inline(step) => Some(step),
            StepRef::Named(name) => self.steps.get(&name.value).map(|named| &named.step),
        }
    }

    /// The position of the target that carries out `request`, written at `span`: the one named by the first of `on`,
    /// else the only one, else the only one whose driver can.
    pub fn target_for(
        &self,
        request: &RequestSpec,
        span: &Span,
        on: &[Option<&At<String>>],
    ) -> Result<usize, Diagnostic> {
        let what = format!("`{}`", request.word);
        let index = self.choose_target(&what, span, on, |driver| driver.can(request))?;
        let target = &self.targets[index];
        if target.driver.can(request) {
            return Ok(index);
        }
        let message = format!(
            "{what} cannot be carried out on `{}`, {} target",
            target.name.value,
            with_article(target.driver.word())
        );
        let diagnostic = Diagnostic::error(Code::WrongDriver, message).at(span, "not on this target");
        Err(diagnostic.see(&target.name.span, "the target").help(requests_of(target.driver)))
    }

    /// The position of the target whose transactions wrap the steps of `group`, asked for at `span`.
    pub fn transaction_target(&self, group: &Group, span: &Span) -> Result<usize, Diagnostic> {
        let transactional = |driver: &'static dyn Driver| driver.has_transactions();
        let index = self.choose_target("`transaction`", span, &[group.on.as_ref()], transactional)?;
        let target = &self.targets[index];
        if transactional(target.driver) {
            return Ok(index);
        }
        let message = format!(
            "target `{}` has no transactions: it is {} target",
            target.name.value,
            with_article(target.driver.word())
        );
        let diagnostic = Diagnostic::error(Code::NoTransaction, message).at(span, "no transaction here");
        let able = self.drivers.iter().filter(|driver| driver.has_transactions()).map(Driver::word);
        Err(diagnostic
            .see(&target.name.span, "the target")
            .help(format!("only {} targets have transactions", ticked(able))))
    }

    fn choose_target(
        &self,
        what: &str,
        span: &Span,
        on: &[Option<&At<String>>],
        can: impl Fn(&'static dyn Driver) -> bool,
    ) -> Result<usize, Diagnostic> {
        let names = || self.targets.iter().map(|target| target.name.value.as_str());
        if let Some(on) = on.iter().flatten().next() {
            return names().position(|name| name == on.value).ok_or_else(|| {
                let message = format!("there is no target `{}`", on.value);
                let mut diagnostic = Diagnostic::error(Code::UnknownTarget, message).at(&on.span, "no such target");
                diagnostic.help = suggestion(&on.value, names());
                diagnostic
            });
        }
        if self.targets.len() == 1 {
            return Ok(0);
        }
        let able = |target: &&Target| can(target.driver);
        let mut candidates = self.targets.iter().enumerate().filter(|(_, target)| able(target)).map(|(index, _)| index);
        match (candidates.next(), candidates.next()) {
            (Some(only), None) => Ok(only),
            _ => {
                let message = format!("{what} does not say on which target");
                let diagnostic = Diagnostic::error(Code::AmbiguousTarget, message).at(span, "on which?");
                Err(diagnostic.help(format!("set `on` to one of {}", ticked(names()))))
            }
        }
    }
}

/// What a driver's targets can be asked, for a hint.
fn requests_of(driver: &'static dyn Driver) -> String {
    let keys = |is_probe_only: bool| {
        let specs = driver.requests().iter().filter(move |spec| (*spec.usages == [Usage::Probe]) == is_probe_only);
        specs.flat_map(RequestSpec::keys).collect::<Vec<_>>()
    };
    let (asked, shown) = (keys(false), keys(true));
    let shown =
        if shown.is_empty() { String::new() } else { format!(", and shows its {} to invariants", ticked(shown)) };
    format!("{} target carries out {}{shown}", with_article(driver.word()), ticked(asked))
}
