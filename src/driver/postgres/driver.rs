//! The driver `postgres`: its word, its keys, and what its targets can be asked.

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::provider::POSTGRES_SERVERS;
use super::text::{self, Misfit};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::expression::{Expression, Template};
use crate::port::{
    self, Driver, Field, Given, Layout, Need, Notes, Options, Provider, Request, RequestSpec, ResultShape, Rules,
    Shape, Source, Target, TargetError, TargetSpec, Usage, Written,
};
use crate::value::Value;

/// SQL through tokio-postgres, one connection for each worker.
pub static POSTGRES: Postgres = Postgres;

/// The driver `postgres`.
#[derive(Debug)]
pub struct Postgres;

/// Settings of each session.
pub(in crate::driver) const SETTINGS: Field = Field {
    key: "settings",
    shape: Shape::Named,
    need: Need::Optional,
    doc: "settings of each session, such as `deadlock_timeout`.",
};

/// The key of a statement's text.
pub(super) const SQL: &str = "sql";

/// The key of a statement's arguments.
pub(super) const ARGS: &str = "args";

static REQUESTS: [RequestSpec; 1] = [RequestSpec {
    key: SQL,
    word: SQL,
    doc: "A statement; `$1`, `$2` … stand for `args`.",
    usages: &[Usage::Step, Usage::Fixture, Usage::Probe],
    layout: Layout::Statement {
        file: "file",
        doc: "A file in the scenario's directory, or below it, that holds the statement.",
    },
    fields: &[
        Field { key: SQL, shape: Shape::Text, need: Need::Required, doc: "The statement." },
        Field { key: ARGS, shape: Shape::Values, need: Need::Optional, doc: "What `$1`, `$2` … are bound to." },
    ],
    result: ResultShape::Rows,
    // Whatever it begins with: a SELECT can call functions that write.
    may_write: true,
    pauses: &[],
    rules: &SqlRules,
}];

/// What a target's keys say.
#[derive(Debug, Clone, Default)]
pub(super) struct PostgresOptions {
    /// `settings`.
    pub(super) settings: BTreeMap<String, String>,
}

impl Driver for Postgres {
    fn word(&self) -> &'static str {
        "postgres"
    }

    fn options(&self) -> &'static [Field] {
        &[SETTINGS]
    }

    fn requests(&self) -> &'static [RequestSpec] {
        &REQUESTS
    }

    fn has_transactions(&self) -> bool {
        true
    }

    fn configure(&self, given: &Given) -> Result<Options, port::Misfit> {
        Ok(Options::new(PostgresOptions { settings: given.named(SETTINGS.key) }))
    }

    fn provider(&self, _: &Options) -> Option<&'static dyn Provider> {
        Some(&POSTGRES_SERVERS)
    }

    fn open<'a>(
        &'a self,
        spec: &'a TargetSpec,
        source: &'a Source,
        namespace: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Target>, TargetError>> {
        async move {
            let options = spec.options.get().cloned().unwrap_or_else(PostgresOptions::default);
            let endpoint = source.server(&spec.name)?;
            let target = super::opened(&options.settings, &spec.requests, endpoint, namespace).await?;
            Ok(Box::new(target) as Box<dyn Target>)
        }
        .boxed()
    }
}

/// What the text of a statement shows without a server.
struct SqlRules;

impl Rules for SqlRules {
    fn check(&self, written: &Written<'_>, notes: &mut dyn Notes) {
        let Some((sql, span)) = statement(written) else { return };
        check_templates(sql, span, notes);
        if written.complete {
            check_arguments(sql, span, written.request.many(ARGS).len(), notes);
        }
        if let (Usage::Step, Some(word)) = (written.usage, text::transaction_control(sql)) {
            let message = format!("a step must not begin or end a transaction, but this one is `{word}`");
            let help =
                "set `transaction = \"read committed\"` (or another level) on the worker group: it wraps the steps";
            let diagnostic = Diagnostic::error(Code::TransactionControl, message).at(written.span, word);
            notes.push(diagnostic.help(help));
        }
    }

    fn only_sleeps(&self, request: &Request<Template>) -> bool {
        request.statement().is_some_and(text::only_sleeps)
    }

    fn succeeds_silently(&self, written: &Written<'_>) -> Option<&'static str> {
        text::silent(statement(written)?.0)
    }
}

/// The statement as it is written, with its place.
fn statement<'a>(written: &Written<'a>) -> Option<(&'a str, &'a Span)> {
    let sql = written.request.one(SQL)?;
    match &sql.template {
        Template::Literal(Value::Text(text)) => Some((text, &sql.span)),
        _ => None,
    }
}

/// The place of `part` of the text at `at`, and how a message says where it is. A text from a file is at its file's name.
fn place(notes: &dyn Notes, span: &Span, text: &str, at: usize, part: &str) -> (Span, String) {
    match notes.inner(span, text) {
        Some(base) => (base + at..base + at + part.len(), String::new()),
        None => (span.clone(), format!(", in line {} of the text", text[..at].matches('\n').count() + 1)),
    }
}

/// Notes `${…}`, which nobody evaluates there.
fn check_templates(sql: &str, span: &Span, notes: &mut dyn Notes) {
    let Some(found) = text::untemplated(sql) else { return };
    let (place, line) = place(notes, span, sql, found.at, found.text);
    let inner = found.text.trim_start_matches("${").trim_end_matches('}');
    let names_something = || Expression::compile(inner).is_ok_and(|inner| !inner.variables().is_empty());
    let diagnostic = if found.quoted {
        let message = format!("`{}` stands in a quoted text of the SQL, and is sent as it is{line}", found.text);
        Diagnostic::warning(Code::TemplateInSql, message)
    } else {
        let message = format!("`{}` stands in SQL, which is never templated{line}", found.text);
        Diagnostic::error(Code::TemplateInSql, message)
    };
    let help = "write `$1` instead, without quotes, and put the value into `args`; what cannot be an argument, such as a key \
                word or the name of a table, has to be written out";
    if !found.quoted || names_something() {
        notes.push(diagnostic.at(&place, "not evaluated").help(help));
    }
}

/// Notes placeholders that do not fit the arguments.
fn check_arguments(sql: &str, span: &Span, args: usize, notes: &mut dyn Notes) {
    match text::misfit(sql, args) {
        Some(Misfit::Unbound(at, placeholder)) => {
            let (place, line) = place(notes, span, sql, at, placeholder);
            let message = format!("`{placeholder}` has no value: {}{line}", held(args));
            let diagnostic = Diagnostic::error(Code::ArgumentMismatch, message).at(&place, "without a value");
            notes.push(diagnostic.help("give `args` the values of `$1`, `$2` …, in this order"));
        }
        Some(Misfit::Unused(number)) => {
            let message = format!("{}, but the statement has no `${number}`", held(args));
            let diagnostic =
                Diagnostic::error(Code::ArgumentMismatch, message).at(span, format!("no `${number}` here"));
            let help = format!("write `${number}` where its value belongs, or remove it from `args`");
            notes.push(diagnostic.help(help));
        }
        None => {}
    }
}

/// How many values `args` holds.
fn held(args: usize) -> String {
    match args {
        0 => "there are no `args`".to_owned(),
        1 => "`args` holds 1 value".to_owned(),
        _ => format!("`args` holds {args} values"),
    }
}
