//! What of a worker's steps can be resolved before the race: everything that needs no name bound during it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::expression::{Expression, Scope};
use crate::model::{Action, Case, Group, Save, Step};
use crate::port::{Bound, Request, RequestAt, Target};
use crate::value::Value;

/// What of a step is resolved before the race, so that it costs nothing in it.
pub(crate) enum Ready {
    /// Its call, and the request that it was made of.
    Call(Bound, Request<Value>),
    /// The values of its `let`, by binding.
    Values(Vec<Value>),
    /// Nothing.
    Nothing,
}

impl Ready {
    /// What of `step` can be resolved in `scope`, for the session number `session`. What fails here fails again when the step
    /// is reached, if it ever is.
    pub(crate) fn of(step: &Step, case: &Case, targets: &[Arc<dyn Target>], scope: &Scope, session: usize) -> Self {
        match &step.action {
            Action::Call { target, request } => {
                let template = &case.targets[*target].requests[*request].request;
                let Ok(values) = template.resolve(scope) else { return Ready::Nothing };
                match targets[*target].bind(*request, &values, session) {
                    Ok(bound) => Ready::Call(bound, values),
                    Err(_) => Ready::Nothing,
                }
            }
            Action::Let(bindings) => {
                let values: Result<_, _> = bindings.iter().map(|(_, expression)| expression.evaluate(scope)).collect();
                values.map_or(Ready::Nothing, Ready::Values)
            }
            Action::Barrier(_) | Action::Sleep(_) | Action::Assert(_) => Ready::Nothing,
        }
    }
}

/// The names that steps of `group` bind during the race.
pub(crate) fn bound_in_race(group: &Group) -> BTreeSet<String> {
    group.steps.iter().flat_map(bound_names).collect()
}

/// Whether the expressions of a step take none of `names`. (What it saves is its own.)
pub(crate) fn needs_none_of(step: &Step, case: &Case, names: &BTreeSet<String>) -> bool {
    let takes_none = |expression: &Expression| expression.variables().is_disjoint(names);
    match &step.action {
        Action::Call { .. } => {
            let mut needs_none = true;
            if let Some(RequestAt { request, .. }) = case.request(step) {
                request.visit_expressions(&mut |expression| needs_none &= takes_none(expression));
            }
            needs_none
        }
        Action::Let(bindings) => bindings.iter().all(|(_, expression)| takes_none(expression)),
        Action::Assert(expression) => takes_none(expression),
        Action::Sleep(template) => {
            let mut needs_none = true;
            template.visit_expressions(&mut |expression| needs_none &= takes_none(expression));
            needs_none
        }
        Action::Barrier(_) => true,
    }
}

fn bound_names(step: &Step) -> Vec<String> {
    let saved = match &step.save {
        Save::Nothing => Vec::new(),
        Save::Value(name) => vec![name.clone()],
        Save::Expressions(expressions) => expressions.iter().map(|(name, _)| name.clone()).collect(),
    };
    let bound = match &step.action {
        Action::Let(bindings) => bindings.iter().map(|(name, _)| name.clone()).collect(),
        Action::Barrier(_) | Action::Sleep(_) | Action::Assert(_) | Action::Call { .. } => Vec::new(),
    };
    saved.into_iter().chain(bound).collect()
}
