//! What a step keeps of its result.

use std::sync::Arc;

use super::EngineError;
use super::refused::StepEnd;
use crate::expression::Scope;
use crate::model::{Save, Step};
use crate::outcome::Cause;
use crate::port::{Done, Refusal, ResultShape};
use crate::value::Value;

/// Binds in `scope` what `step` saves of `done`, which has this shape. Rows that do not fit, or give an expression no value, are what the race made
/// of them: an outcome.
pub(super) fn save(step: &Step, shape: ResultShape, done: &Done, scope: &mut Scope) -> Result<(), StepEnd> {
    match &step.save {
        Save::Nothing => {}
        Save::Value(name) if shape == ResultShape::Rows => {
            let value = single(step, name, done)?;
            scope.bind(name.as_str(), value);
        }
        Save::Value(name) => scope.bind(name.as_str(), done.result.clone()),
        Save::Expressions(expressions) => {
            // The result's names are visible to the expressions of this step only.
            let mut inner = Scope::inside(Arc::new(scope.clone()));
            inner.bind("rows", done.rows());
            inner.bind("affected", Value::Int(i64::try_from(done.affected).unwrap_or(i64::MAX)));
            inner.bind("result", done.result.clone());
            for (name, expression) in expressions {
                let value = expression.evaluate(&inner).map_err(|error| unfit(step, error.to_string()))?;
                inner.bind(name.as_str(), value.clone());
                scope.bind(name.as_str(), value);
            }
        }
    }
    Ok(())
}

/// The value of the one row of one column. How many columns there are is the scenario's choice, how many rows the race's.
fn single(step: &Step, name: &str, done: &Done) -> Result<Value, StepEnd> {
    let wanted = |found: String, remedy: String| {
        format!("`save = \"{name}\"` wants one row of one column, but `{}` returned {found}; {remedy}", step.name)
    };
    match done.rows.as_slice() {
        [row] if row.len() == 1 => Ok(row[0].clone()),
        [row] => {
            let remedy = format!("select one, or write `save = {{ {name} = \"rows[0][0]\" }}`");
            let message = wanted(format!("{} columns", row.len()), remedy);
            Err(EngineError::Fault { place: Some(step.place.clone()), message }.into())
        }
        rows => {
            let remedy = "`otherwise` says how such an attempt ends; or save an expression over `rows`".to_owned();
            Err(unfit(step, wanted(format!("{} rows", rows.len()), remedy)))
        }
    }
}

fn unfit(step: &Step, message: String) -> StepEnd {
    StepEnd::Refused(Refusal::new(step.unfit, Cause::Malformed, "save", message))
}
