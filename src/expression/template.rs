//! Values of a scenario with `${expression}` inside.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::budget::BYTES_MAX;
use super::{CompileError, EvaluateError, Expression, Scope};
use crate::value::Value;

/// A TOML value with `${…}` inside: evaluates to a value.
#[derive(Debug, Clone)]
pub enum Template {
    /// A value without any expression.
    Literal(Value),
    /// `"${expression}"` alone, which keeps its type.
    Expression(Expression),
    /// Text with expressions inside it.
    Text(Vec<Part>),
    /// A list of templates.
    List(Vec<Template>),
    /// A table of templates.
    Map(BTreeMap<String, Template>),
}

/// A piece of a text template.
#[derive(Debug, Clone)]
pub enum Part {
    /// Text as it stands.
    Literal(String),
    /// `${expression}`, formatted.
    Expression(Expression),
}

impl Template {
    /// Parses text that may hold `${expression}`; `$${` is a literal `${`.
    pub fn parse(text: &str) -> Result<Self, CompileError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                literal.push_str(before);
                literal.push_str("${");
                rest = &after[2..];
                continue;
            }
            literal.push_str(before);
            let consumed = text.len() - after.len();
            let length = expression_length(&after[2..]).ok_or_else(|| CompileError {
                expression: text.to_owned(),
                message: "`${` is never closed by `}`; write `$${` for a literal `${`".to_owned(),
                offset: Some(consumed),
            })?;
            let expression = Expression::compile(&after[2..2 + length])
                .map_err(|error| CompileError { offset: error.offset.map(|offset| offset + consumed + 2), ..error })?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Expression(expression));
            rest = &after[2 + length + 1..];
        }
        literal.push_str(rest);
        Ok(match (parts.pop(), literal.is_empty()) {
            (None, _) => Template::Literal(Value::text(literal)),
            (Some(Part::Expression(expression)), true) if parts.is_empty() => Template::Expression(expression),
            (Some(last), true) => {
                parts.push(last);
                Template::Text(parts)
            }
            (Some(last), false) => {
                parts.extend([last, Part::Literal(literal)]);
                Template::Text(parts)
            }
        })
    }

    /// The value in `scope`.
    pub fn resolve(&self, scope: &Scope) -> Result<Value, EvaluateError> {
        Ok(match self {
            Template::Literal(value) => value.clone(),
            Template::Expression(expression) => expression.evaluate(scope)?,
            Template::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Literal(literal) => text.push_str(literal),
                        Part::Expression(expression) => {
                            text.push_str(&expression.evaluate(scope)?.to_string());
                            if text.len() as u64 > BYTES_MAX {
                                let message = format!("makes a text of more than {} MiB", BYTES_MAX >> 20);
                                return Err(EvaluateError { expression: expression.source().to_owned(), message });
                            }
                        }
                    }
                }
                Value::text(text)
            }
            Template::List(items) => {
                Value::List(items.iter().map(|item| item.resolve(scope)).collect::<Result<_, _>>()?)
            }
            Template::Map(entries) => Value::Map(Arc::new(
                entries.iter().map(|(key, template)| Ok((key.clone(), template.resolve(scope)?))).collect::<Result<
                    _,
                    EvaluateError,
                >>(
                )?,
            )),
        })
    }

    /// Calls `visit` with every expression inside.
    pub fn visit_expressions<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression)) {
        match self {
            Template::Literal(_) => {}
            Template::Expression(expression) => visit(expression),
            Template::Text(parts) => {
                for part in parts {
                    if let Part::Expression(expression) = part {
                        visit(expression);
                    }
                }
            }
            Template::List(items) => items.iter().for_each(|item| item.visit_expressions(visit)),
            Template::Map(entries) => entries.values().for_each(|item| item.visit_expressions(visit)),
        }
    }
}

/// The length of the expression before its closing `}`: braces nest, and braces in CEL strings do not count.
fn expression_length(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut quote = None;
    let mut escaped = false;
    for (index, character) in text.char_indices() {
        match (quote, character) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(index),
            (None, '}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}
