//! CEL expressions and `${…}` templates: compiled before the race, evaluated in a scope of names.

mod budget;
mod call;
mod evaluate;
mod functions;
mod operand;
mod parse;
mod pattern;
mod quoted;
mod scope;
mod template;
#[cfg(test)]
mod tests;
mod token;
mod tree;

use std::collections::BTreeSet;
use std::sync::Arc;

use self::budget::Stop;
pub use self::scope::Scope;
pub use self::template::{Part, Template};
use self::tree::{Node, Tree};
use crate::value::Value;

/// The text is not a CEL expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an expression: {message}", shortened(.expression))]
pub struct CompileError {
    /// The expression as written.
    pub expression: String,
    /// What was found, and what is wanted.
    pub message: String,
    /// Where in the expression, as a byte offset, if known.
    pub offset: Option<usize>,
}

/// An expression could not be evaluated, or not to the type that its place wants. A fault of the scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {message}", shortened(.expression))]
pub struct EvaluateError {
    /// The expression as written.
    pub expression: String,
    /// What went wrong, as the end of a sentence that begins with the expression.
    pub message: String,
}

/// A compiled CEL expression.
#[derive(Debug, Clone)]
pub struct Expression {
    source: Arc<str>,
    tree: Arc<Tree>,
    variables: Arc<BTreeSet<String>>,
}

impl Expression {
    /// Compiles `source`.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        let tree = parse::parse(source).map_err(|fault| CompileError {
            expression: source.to_owned(),
            message: fault.message,
            offset: Some(fault.at),
        })?;
        let variables = tree.names.iter().map(ToString::to_string).collect();
        Ok(Expression { source: source.into(), tree: Arc::new(tree), variables: Arc::new(variables) })
    }

    /// The expression as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names that the expression takes from its scope.
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }

    /// The functions that expressions can call: CEL's own, and `sum`, `min`, `max`, `distinct`.
    pub const FUNCTIONS: [&str; 17] = [
        "size",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "bool",
        "type",
        "dyn",
        "sum",
        "min",
        "max",
        "distinct",
    ];

    /// The names of the functions it calls and that there are not.
    pub fn unknown_functions(&self) -> BTreeSet<String> {
        self.tree.unknown.iter().map(ToString::to_string).collect()
    }

    /// The value of the expression in `scope`. A bare name gives the bound value as it is.
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, EvaluateError> {
        if let Node::Name(name) = self.tree.root
            && let Some(value) = scope.get(&self.tree.names[name])
        {
            return Ok(value.clone());
        }
        evaluate::evaluate(&self.tree, scope).map_err(|stop| self.stopped(stop, scope))
    }

    /// The truth value of the expression; any other type is an error.
    pub fn evaluate_bool(&self, scope: &Scope) -> Result<bool, EvaluateError> {
        match self.evaluate(scope)? {
            Value::Bool(value) => Ok(value),
            other => Err(self.error(format!("is {}, but must be true or false", shown(&other)))),
        }
    }

    /// The whole number the expression gives; any other type, or a negative number, is an error.
    pub fn evaluate_count(&self, scope: &Scope) -> Result<u64, EvaluateError> {
        match self.evaluate(scope)? {
            Value::Int(value) => {
                u64::try_from(value).map_err(|_| self.error(format!("is {value}, but a count cannot be negative")))
            }
            other => Err(self.error(format!("is {}, but must be a whole number", shown(&other)))),
        }
    }

    fn stopped(&self, stop: Stop, scope: &Scope) -> EvaluateError {
        self.error(match stop {
            Stop::Failed(message) => format!("failed: {message}"),
            Stop::Unbound(name) => format!("names `{name}`, which is not bound here"),
            Stop::TooLong(decimal) => {
                let user = self.variables.iter().find(|name| scope.get(name).is_some_and(|value| holds(value, &decimal)));
                let of = user.map_or_else(String::new, |name| format!("`{name}` with "));
                format!(
                    "uses {of}the decimal {decimal}, which a double would not hold exactly; compare it in SQL, or select \
                     it as text with `::text`"
                )
            }
            Stop::Exhausted(message) => message,
        })
    }

    fn error(&self, message: String) -> EvaluateError {
        EvaluateError { expression: self.source.to_string(), message }
    }
}

/// A value's type, and its beginning.
fn shown(value: &Value) -> String {
    format!("{} `{}`", value.type_name(), shortened(&value.to_string()))
}

/// Whether `decimal` is in `value`, or is `value`.
fn holds(value: &Value, decimal: &str) -> bool {
    match value {
        Value::Decimal(text) => **text == *decimal,
        Value::List(items) => items.iter().any(|item| holds(item, decimal)),
        Value::Map(entries) => entries.values().any(|item| holds(item, decimal)),
        _ => false,
    }
}

/// At most this many characters of an expression are quoted in a message.
const QUOTED_MAX: usize = 200;

/// The text as messages quote it: its beginning, if it is long.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
