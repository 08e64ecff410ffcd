//! Typed access to the parsed TOML tree. A reader notes every fault and goes on, so that all are reported at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;

use super::files::{self, FileAccess};
use super::model::{CountAt, ExpressionAt};
use super::table::{Table, entries_of, items_of};
use super::{count, syntax};
use crate::diagnostic::{Code, Diagnostic, Span, suggestion, ticked};
use crate::duration;
use crate::expression::{Expression, Template};
use crate::outcome::OutcomeKind;
use crate::port::{At, Drivers, Notes, TemplateAt, Use};
use crate::value::Value;

/// A value of the file under its key.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    /// The key; for an item of a list, the list's.
    pub key: &'a str,
    /// The value.
    pub value: &'a DeValue<'a>,
    /// The value's place; for a table with a header, the header's.
    pub span: Span,
}

/// What stands in the file but could not be read. That it is missing elsewhere is not a fault of its own.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// Names of steps, of groups, and of values that expressions would use.
    pub names: BTreeSet<String>,
    /// Whether a target could not be read.
    pub targets: bool,
    /// Whether a worker group could not be read.
    pub groups: bool,
}

/// What has been found out about the file so far.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    /// The file's text.
    pub text: &'a str,
    /// Faults and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// What could not be read.
    pub unread: Unread,
    /// SQL files read, by the path in the file.
    pub files: BTreeMap<String, Arc<str>>,
    /// The drivers that the file may name.
    pub drivers: &'a Drivers,
    directory: &'a Path,
    access: FileAccess,
}

impl Notes for Reader<'_> {
    fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn inner(&self, span: &Span, text: &str) -> Option<usize> {
        Reader::inner(self, span, text)
    }
}

impl<'a> Reader<'a> {
    /// A reader of `text`, whose files are in `directory`, or wherever `access` allows.
    pub(crate) fn new(text: &'a str, directory: &'a Path, access: FileAccess, drivers: &'a Drivers) -> Self {
        Reader {
            text,
            diagnostics: Vec::new(),
            unread: Unread::default(),
            files: BTreeMap::new(),
            drivers,
            directory,
            access,
        }
    }

    /// Notes a diagnostic.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Notes that a value is of another type than wanted.
    fn wrong_type<T>(&mut self, node: &Node<'_>, wanted: &str) -> Option<T> {
        let found = match node.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let message = format!("`{}` must be {wanted}, but is {found}", node.key);
        self.push(Diagnostic::error(Code::WrongType, message).at(&node.span, format!("wanted {wanted}")));
        None
    }

    /// Text.
    pub(crate) fn string(&mut self, node: Node<'a>) -> Option<At<String>> {
        match node.value {
            DeValue::String(text) => Some(At { value: text.to_string(), span: node.span }),
            _ => self.wrong_type(&node, "a string"),
        }
    }

    /// Text that is not empty.
    pub(crate) fn name(&mut self, node: Node<'a>) -> Option<At<String>> {
        let key = node.key;
        let name = self.string(node)?;
        if name.value.trim().is_empty() {
            let message = format!("`{key}` must not be empty");
            self.push(Diagnostic::error(Code::BadValue, message).at(&name.span, "empty"));
            return None;
        }
        Some(name)
    }

    /// Whether a name can be used in expressions; that it cannot is a fault.
    pub(crate) fn check_identifier(&mut self, name: &At<String>) -> bool {
        let fits = syntax::is_identifier(&name.value);
        if !fits {
            let message = format!("`{}` cannot be a name in expressions", name.value);
            let help = "such a name is made of letters, digits and `_`, and does not begin with a digit";
            self.push(Diagnostic::error(Code::BadValue, message).at(&name.span, "not an identifier").help(help));
        }
        fits
    }

    /// A whole number of at least `least`.
    pub(crate) fn whole(&mut self, node: Node<'a>, least: u64) -> Option<u64> {
        let DeValue::Integer(_) = node.value else { return self.wrong_type(&node, "a whole number") };
        let number = match self.value(node.clone())? {
            Value::Int(number) => u64::try_from(number).ok().filter(|number| *number >= least),
            _ => None,
        };
        if number.is_none() {
            let message = format!("`{}` must be at least {least}", node.key);
            self.push(Diagnostic::error(Code::BadValue, message).at(&node.span, "too small"));
        }
        number
    }

    /// A number, whole or not.
    pub(crate) fn number(&mut self, node: Node<'a>) -> Option<f64> {
        match self.value(node.clone())? {
            Value::Int(number) => Some(number as f64),
            Value::Float(number) if number.is_finite() => Some(number),
            _ => self.wrong_type(&node, "a number"),
        }
    }

    /// A duration.
    pub(crate) fn duration(&mut self, node: Node<'a>) -> Option<At<Duration>> {
        if !matches!(node.value, DeValue::String(_)) {
            return self.wrong_type(&node, "a duration in quotes, such as `\"5s\"`");
        }
        let text = self.string(node)?;
        match duration::parse(&text.value) {
            Ok(value) => Some(At { value, span: text.span }),
            Err(error) => {
                self.push(Diagnostic::error(Code::BadDuration, error.to_string()).at(&text.span, "not a duration"));
                None
            }
        }
    }

    /// One of `words`.
    pub(crate) fn word(&mut self, node: Node<'a>, words: &[&'static str]) -> Option<&'static str> {
        let key = node.key;
        let text = self.string(node)?;
        let found = words.iter().copied().find(|word| *word == text.value);
        if found.is_none() {
            let message = format!("`{key}` cannot be `{}`", text.value);
            let mut diagnostic = Diagnostic::error(Code::BadValue, message).at(&text.span, "not one of the words");
            diagnostic.help = suggestion(&text.value, words.iter().copied());
            self.push(diagnostic);
        }
        found
    }

    /// An outcome's word.
    pub(crate) fn outcome(&mut self, text: At<String>) -> Option<At<OutcomeKind>> {
        match text.value.parse() {
            Ok(value) => Some(At { value, span: text.span }),
            Err(_) => {
                let message = format!("`{}` is not an outcome", text.value);
                let mut diagnostic = Diagnostic::error(Code::UnknownOutcome, message).at(&text.span, "no such outcome");
                diagnostic.help = suggestion(&text.value, OutcomeKind::ALL.map(OutcomeKind::as_str));
                self.push(diagnostic);
                None
            }
        }
    }

    /// The word of an outcome in which something refused can end.
    pub(crate) fn refusal(&mut self, text: At<String>) -> Option<At<OutcomeKind>> {
        let outcome = self.outcome(text)?;
        if OutcomeKind::REFUSALS.contains(&outcome.value) {
            return Some(outcome);
        }
        let message = match outcome.value {
            OutcomeKind::Success => "what was refused cannot be a success".to_owned(),
            other => format!("what was refused cannot be `{other}`: only deadheat can see that"),
        };
        let words = ticked(OutcomeKind::REFUSALS.map(OutcomeKind::as_str));
        let diagnostic = Diagnostic::error(Code::BadValue, message).at(&outcome.span, "no refusal");
        self.push(diagnostic.help(format!("choose one of {words}")));
        None
    }

    /// The items of a list.
    pub(crate) fn list(&mut self, node: Node<'a>) -> Option<Vec<Node<'a>>> {
        match node.value {
            DeValue::Array(items) => Some(items_of(node.key, items)),
            _ => self.wrong_type(&node, "a list"),
        }
    }

    /// A list whose items `read` reads; those it cannot read are left out.
    pub(crate) fn list_of<T>(
        &mut self,
        node: Node<'a>,
        mut read: impl FnMut(&mut Self, Node<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        Some(self.list(node)?.into_iter().filter_map(|item| read(self, item)).collect())
    }

    /// As [`Reader::list_of`], of a list that must have an item. `without` says what is missing without one.
    pub(crate) fn some_list_of<T>(
        &mut self,
        node: Node<'a>,
        without: &str,
        read: impl FnMut(&mut Self, Node<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let (key, span) = (node.key, node.span.clone());
        if matches!(&node.value, DeValue::Array(items) if items.is_empty()) {
            let diagnostic = Diagnostic::error(Code::BadValue, format!("`{key}` is empty")).at(&span, "an empty list");
            self.push(diagnostic.help(without));
            return None;
        }
        self.list_of(node, read)
    }

    /// The keys and values of a table, in file order. `what` names it in messages: "a step".
    pub(crate) fn table(&mut self, node: Node<'a>, what: impl Into<String>) -> Option<Table<'a>> {
        match node.value {
            DeValue::Table(table) => Some(Table::new(table, node.span, what)),
            _ => {
                let what = what.into();
                self.wrong_type(&node, &format!("a table that is {what}"))
            }
        }
    }

    /// The entries of a table whose keys are names.
    pub(crate) fn entries(&mut self, node: Node<'a>) -> Option<Vec<(At<String>, Node<'a>)>> {
        match node.value {
            DeValue::Table(table) => Some(
                entries_of(table)
                    .into_iter()
                    .map(|(key, node)| (At { value: key.value.to_owned(), span: key.span }, node))
                    .collect(),
            ),
            _ => self.wrong_type(&node, "a table"),
        }
    }

    /// A plain value, `${…}` being nothing special.
    pub(crate) fn value(&mut self, node: Node<'a>) -> Option<Value> {
        Some(match node.value {
            DeValue::String(text) => Value::text(text),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Int(number),
                Err(_) => {
                    let message = format!("`{number}` is out of range for a whole number of 64 bits");
                    self.push(Diagnostic::error(Code::BadValue, message).at(&node.span, "out of range"));
                    return None;
                }
            },
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(time) => Value::text(time.to_string()),
            DeValue::Array(items) => Value::list(
                items_of(node.key, items).into_iter().filter_map(|item| self.value(item)).collect::<Vec<_>>(),
            ),
            DeValue::Table(table) => {
                let mut entries = Vec::new();
                for (key, node) in entries_of(table) {
                    entries.push((key.value, self.value(node)?));
                }
                Value::map(entries)
            }
        })
    }

    /// A value that is known before any expression can be evaluated; `${…}` in it is a fault.
    pub(crate) fn plain_value(&mut self, node: Node<'a>) -> Option<Value> {
        let span = node.span.clone();
        let value = self.value(node)?;
        if value.to_string().contains("${") {
            let message = "a setting is a plain value and cannot hold `${…}`";
            let help = "write the expression where the value is used";
            self.push(Diagnostic::error(Code::BadValue, message).at(&span, "not evaluated").help(help));
            return None;
        }
        Some(value)
    }

    /// A value that may hold `${…}`.
    pub(crate) fn template(&mut self, node: Node<'a>) -> Option<TemplateAt> {
        let mut uses = Vec::new();
        let template = self.template_into(node.clone(), &mut uses)?;
        Some(TemplateAt { template, span: node.span, uses })
    }

    fn template_into(&mut self, node: Node<'a>, uses: &mut Vec<Use>) -> Option<Template> {
        match node.value {
            DeValue::String(text) => {
                let base = self.inner(&node.span, text);
                match Template::parse(text) {
                    Ok(template) => {
                        let mut from = 0;
                        template.visit_expressions(&mut |expression| {
                            let at = text[from..].find(expression.source()).map_or(from, |at| from + at);
                            from = at + expression.source().len();
                            let base = base.map(|base| base + at);
                            uses.extend(self.uses_of(expression, base, &node.span));
                        });
                        Some(template)
                    }
                    Err(error) => {
                        let span = syntax::within(&node.span, base, text, error.offset);
                        let diagnostic = Diagnostic::error(Code::BadExpression, error.to_string());
                        self.push(diagnostic.at(&span, "cannot be read"));
                        None
                    }
                }
            }
            DeValue::Array(items) => {
                let items = items_of(node.key, items).into_iter().map(|item| self.template_into(item, uses));
                Some(Template::List(items.collect::<Option<_>>()?))
            }
            DeValue::Table(table) => {
                let entries = entries_of(table)
                    .into_iter()
                    .map(|(key, node)| Some((key.value.to_owned(), self.template_into(node, uses)?)));
                Some(Template::Map(entries.collect::<Option<_>>()?))
            }
            _ => Some(Template::Literal(self.value(node)?)),
        }
    }

    /// A CEL expression, without `${}`.
    pub(crate) fn expression(&mut self, node: Node<'a>) -> Option<ExpressionAt> {
        let text = self.string(node)?;
        let base = self.inner(&text.span, &text.value);
        let expression = self.compile(&text.value, &text.span, base)?;
        let uses = self.uses_of(&expression, base, &text.span);
        Some(ExpressionAt { expression, span: text.span, uses })
    }

    /// A count: a whole number, or text with an expression.
    pub(crate) fn count(&mut self, node: Node<'a>) -> Option<CountAt> {
        if let DeValue::Integer(_) = node.value {
            let span = node.span.clone();
            let number = self.whole(node, 0)?;
            return Some(CountAt { count: super::model::Count::Number(number), span, uses: Vec::new() });
        }
        let DeValue::String(text) = node.value else {
            return self.wrong_type(&node, "a count: `1`, `\">= 1\"`, `\"writers - 1\"` or `\"1..=3\"`");
        };
        let base = self.inner(&node.span, text);
        let mut uses = Vec::new();
        let count = count::parse(text, &mut |part, offset| {
            let base = base.map(|base| base + offset);
            let expression = self.compile(part, &node.span, base)?;
            uses.extend(self.uses_of(&expression, base, &node.span));
            Some(expression)
        });
        match count {
            Ok(count) => Some(CountAt { count: count?, span: node.span, uses }),
            Err(help) => {
                let message = format!("`{text}` is not a count");
                self.push(Diagnostic::error(Code::BadCount, message).at(&node.span, "cannot be read").help(help));
                None
            }
        }
    }

    fn compile(&mut self, text: &str, span: &Span, base: Option<usize>) -> Option<Expression> {
        Expression::compile(text)
            .map_err(|error| {
                let span = syntax::within(span, base, text, error.offset);
                let diagnostic = Diagnostic::error(Code::BadExpression, error.to_string());
                self.push(diagnostic.at(&span, "cannot be read"));
            })
            .ok()
    }

    /// The names an expression uses, at their places if the text stands in the file as it is.
    fn uses_of(&mut self, expression: &Expression, base: Option<usize>, whole: &Span) -> Vec<Use> {
        let source = expression.source();
        let place = |name: &str| {
            let found = base.and_then(|base| syntax::find_word(source, name).map(|at| base + at));
            found.map_or(whole.clone(), |start| start..start + name.len())
        };
        for name in expression.unknown_functions() {
            let message = format!("there is no function `{name}`");
            let mut diagnostic =
                Diagnostic::error(Code::UnknownFunction, message).at(&place(&name), "no such function");
            diagnostic.help = suggestion(&name, Expression::FUNCTIONS.iter().copied());
            self.push(diagnostic);
        }
        expression.variables().iter().map(|name| At { value: name.clone(), span: place(name) }).collect()
    }

    /// Where the text of a string begins in the file; `None` if it is written with escapes.
    pub(crate) fn inner(&self, span: &Span, text: &str) -> Option<usize> {
        self.text.get(span.clone())?.find(text).map(|at| span.start + at)
    }

    /// The text of a file in the scenario's directory, or where else it may be.
    pub(crate) fn file(&mut self, node: Node<'a>) -> Option<Arc<str>> {
        let name = self.name(node)?;
        if let Some(text) = self.files.get(&name.value) {
            return Some(text.clone());
        }
        let read = files::read_named(self.directory, &name.value, self.access).map_err(|error| error.to_string());
        match read
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8: save it as UTF-8".to_owned()))
        {
            Ok(text) => {
                let text: Arc<str> = text.into();
                self.files.insert(name.value, text.clone());
                Some(text)
            }
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", name.value);
                let help = "files are looked up in the scenario's directory and below it";
                self.push(Diagnostic::error(Code::UnreadableFile, message).at(&name.span, "this file").help(help));
                None
            }
        }
    }
}
