//! The steps that a group really has: names resolved, a control's replacements and drops applied.

use std::collections::BTreeSet;

use super::model::{At, Control, Driver, Group, Scenario, Step, StepRef, Target};
use super::syntax::with_article;
use crate::diagnostic::{Code, Diagnostic, Span, suggestion, ticked};
use crate::plan::Operation;

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
    let mut steps = Vec::new();
    for reference in &group.steps {
        let Some(step) = scenario.step(reference) else { continue };
        let own = match reference {
            StepRef::Named(name) => Some(name.value.as_str()),
            StepRef::Inline(step) => step.name.as_ref().map(|name| name.value.as_str()),
        };
        let base = own.unwrap_or(step.action.word());
        let name = (1..)
            .map(|number| if number == 1 { base.to_owned() } else { format!("{base}-{number}") })
            .find(|name| !names.contains(name))
            .expect("there are more numbers than steps");
        names.insert(name.clone());
        let meant = |wanted: &At<String>| wanted.value == name || own == Some(wanted.value.as_str());
        if control.is_some_and(|control| control.drop.iter().any(meant)) {
            continue;
        }
        let replacement = control.and_then(|control| control.replace.iter().find(|(wanted, _)| meant(wanted)));
        let step = replacement.and_then(|(_, reference)| scenario.step(reference)).unwrap_or(step);
        steps.push(ResolvedStep { name, step });
    }
    steps
}

impl Scenario {
    /// The step that is referred to, if there is one.
    pub fn step<'a>(&'a self, reference: &'a StepRef) -> Option<&'a Step> {
        match reference {
            StepRef::Inline(step) => Some(step),
            StepRef::Named(name) => {
                self.steps.iter().find(|step| step.name.value == name.value).map(|named| &named.step)
            }
        }
    }

    /// The position of the target that carries out `operation`, written at `span`: the one named by the first of `on`,
    /// else the only one, else the only one whose driver can.
    pub fn target_for<V>(
        &self,
        operation: &Operation<V>,
        span: &Span,
        on: &[Option<&At<String>>],
    ) -> Result<usize, Diagnostic> {
        let what = format!("`{}`", operation.word());
        let index = self.choose_target(&what, span, on, |driver| driver.can(operation))?;
        let target = &self.targets[index];
        if target.driver.can(operation) {
            return Ok(index);
        }
        let message = format!(
            "{what} cannot be carried out on `{}`, {} target",
            target.name.value,
            with_article(target.driver.word())
        );
        let diagnostic = Diagnostic::error(Code::WrongDriver, message).at(span, "not on this target");
        Err(diagnostic.see(&target.name.span, "the target").help(operations_of(&target.driver)))
    }

    /// The position of the target whose transactions wrap the steps of `group`, asked for at `span`.
    pub fn transaction_target(&self, group: &Group, span: &Span) -> Result<usize, Diagnostic> {
        let transactional = |driver: &Driver| matches!(driver, Driver::Postgres);
        let index = self.choose_target("`transaction`", span, &[group.on.as_ref()], transactional)?;
        let target = &self.targets[index];
        if transactional(&target.driver) {
            return Ok(index);
        }
        let message = format!(
            "target `{}` has no transactions: it is {} target",
            target.name.value,
            with_article(target.driver.word())
        );
        let diagnostic = Diagnostic::error(Code::NoTransaction, message).at(span, "no transaction here");
        Err(diagnostic.see(&target.name.span, "the target").help("only `postgres` targets have transactions"))
    }

    fn choose_target(
        &self,
        what: &str,
        span: &Span,
        on: &[Option<&At<String>>],
        can: impl Fn(&Driver) -> bool,
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
        let able = |target: &&Target| can(&target.driver);
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

fn operations_of(driver: &Driver) -> &'static str {
    match driver {
        Driver::Postgres => "a `postgres` target carries out `sql` and `file`",
        Driver::JetStream { .. } => {
            "a `jetstream` target carries out `publish`, and shows its `messages` to invariants"
        }
        Driver::EventStore(_) => {
            "an `event-store` target carries out `append`, `latest_version`, `read_events`, `save_snapshot`, \
             `latest_snapshot` and `fill`, and shows its `events` to invariants"
        }
    }
}
