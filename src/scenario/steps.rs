//! Reads steps: of workers, of fixtures, and the probes of invariants. Which key is there says what a step does.

use std::sync::Arc;

use toml::de::DeValue;

use super::model::{Action, At, FixtureStep, Save, Step, StepRef, TemplateAt};
use super::reader::{Node, Reader};
use super::sql::{self, Misfit};
use super::syntax;
use super::table::Table;
use crate::diagnostic::{Code, Diagnostic, Span, suggestion, ticked};
use crate::event_store::PausePoint;
use crate::expression::{Expression, Template};
use crate::model::{Operation, headers};
use crate::value::Value;

/// The keys that say what a worker's step does.
pub(crate) const STEP_KINDS: [&str; 12] = [
    "sql",
    "file",
    "barrier",
    "sleep",
    "assert",
    "let",
    "append",
    "latest_version",
    "read_events",
    "save_snapshot",
    "latest_snapshot",
    "publish",
];

/// The keys that say what a fixture's step does.
pub(crate) const FIXTURE_KINDS: [&str; 6] = ["sql", "file", "append", "fill", "save_snapshot", "publish"];

/// The keys that say what an invariant reads.
pub(crate) const PROBE_KINDS: [&str; 4] = ["sql", "file", "events", "messages"];

/// The words of pause points; the barrier is called the same.
pub(crate) const PAUSES: [(&str, PausePoint); 1] = [("checked", PausePoint::Checked)];

/// Steps of requests to services, which this version does not make.
const REQUESTS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// An item of a group's `steps`: a step's name, or a step.
pub(crate) fn step_ref<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<StepRef> {
    match node.value {
        DeValue::String(_) => reader.name(node).map(StepRef::Named),
        _ => step(reader, node, true).map(|step| StepRef::Inline(Box::new(step))),
    }
}

/// A worker's step. Only one that is written in place has a `name`.
pub(crate) fn step<'a>(reader: &mut Reader<'a>, node: Node<'a>, inline: bool) -> Option<Step> {
    let step = readable_step(reader, node.clone(), inline);
    if step.is_none() {
        reader.unread.names.extend(names_in(node.value));
    }
    step
}

/// The names that a step which could not be read would have bound, and its own.
fn names_in(step: &DeValue<'_>) -> Vec<String> {
    let bindings = ["name", "save", "let"].into_iter().filter_map(|key| step.get(key));
    let names = bindings.flat_map(|value| match value.get_ref() {
        DeValue::String(name) => vec![name.to_string()],
        DeValue::Table(table) => table.keys().map(|key| key.get_ref().to_string()).collect(),
        _ => Vec::new(),
    });
    names.collect()
}

fn readable_step<'a>(reader: &mut Reader<'a>, node: Node<'a>, inline: bool) -> Option<Step> {
    let mut table = reader.table(node, "a step")?;
    let requests = REQUESTS.map(|request| table.unsupported(reader, request, "this version has no `http` targets"));
    if requests.contains(&true) {
        return None;
    }
    let name = if inline { table.get(reader, "name", Reader::name) } else { None };
    let timeout = table.get(reader, "timeout", Reader::duration);
    let (kind, span) = kind_of(reader, &mut table, &STEP_KINDS)?;
    let mut step = Step {
        name,
        action: Action::Let(Vec::new()),
        on: None,
        rows: None,
        otherwise: None,
        save: Save::Nothing,
        timeout,
        span: span.clone(),
    };
    let action = match kind {
        "barrier" => table.get(reader, kind, Reader::name).map(Action::Barrier),
        "sleep" => table.get(reader, kind, sleep).map(Action::Sleep),
        "assert" => table.get(reader, kind, Reader::expression).map(Action::Assert),
        "let" => table.get(reader, kind, named_expressions).map(Action::Let),
        _ => {
            let operation = operation(reader, &mut table, kind);
            step.on = table.get(reader, "on", Reader::name);
            step.save = table.get(reader, "save", save).unwrap_or(Save::Nothing);
            operation.map(|operation| Action::Call(Box::new(operation)))
        }
    };
    let sql = matches!(kind, "sql" | "file");
    if sql {
        step.rows = table.get(reader, "rows", Reader::count);
    }
    if sql || kind == "assert" {
        step.otherwise = table.get(reader, "otherwise", |reader, node| {
            let word = reader.string(node)?;
            reader.refusal(word)
        });
    }
    let wants_nothing = sql && step.rows.is_none() && matches!(step.save, Save::Nothing);
    if let Some(otherwise) = step.otherwise.as_ref().filter(|_| wants_nothing) {
        let message =
            "`otherwise` says what happens when `rows` is not met or there is no row to `save`, but there is neither";
        reader.push(Diagnostic::error(Code::MissingKey, message).at(&otherwise.span, "without `rows` and `save`"));
    }
    table.finish(reader);
    step.action = action?;
    if let Action::Call(operation) = &step.action
        && let Operation::Sql { text, .. } = operation.as_ref()
        && let Some(word) = sql::transaction_control(text)
    {
        let message = format!("a step must not begin or end a transaction, but this one is `{word}`");
        let help = "set `transaction = \"read committed\"` (or another level) on the worker group: it wraps the steps";
        reader.push(Diagnostic::error(Code::TransactionControl, message).at(&span, word).help(help));
    }
    Some(step)
}

/// A fixture's step.
pub(crate) fn fixture_step<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<FixtureStep> {
    let mut table = reader.table(node, "a fixture step")?;
    let (kind, span) = kind_of(reader, &mut table, &FIXTURE_KINDS)?;
    let operation = operation(reader, &mut table, kind);
    let on = table.get(reader, "on", Reader::name);
    table.finish(reader);
    Some(FixtureStep { operation: operation?, on, span })
}

/// What an invariant reads, with the place of the key that says so.
pub(crate) fn probe<'a>(reader: &mut Reader<'a>, table: &mut Table<'a>) -> Option<(Operation<TemplateAt>, Span)> {
    let (kind, span) = kind_of(reader, table, &PROBE_KINDS)?;
    Some((operation(reader, table, kind)?, span))
}

/// The one key of `kinds` that is there, with its place. That none is there, or several, is a fault.
fn kind_of<'a>(reader: &mut Reader<'a>, table: &mut Table<'a>, kinds: &[&'static str]) -> Option<(&'static str, Span)> {
    let found: Vec<(&'static str, Span)> =
        kinds.iter().filter_map(|kind| Some((*kind, table.key_span(kind)?))).collect();
    match found.as_slice() {
        [] => {
            let message = format!("{} needs a key that says what it does", table.what);
            let help = format!("one of {}", ticked(kinds.iter().copied()));
            reader.push(Diagnostic::error(Code::MissingKey, message).at(&table.span, "no such key").help(help));
            table.rest();
            None
        }
        [(kind, span)] => {
            for general in ["step", "fixture step"] {
                if table.what == format!("a {general}") {
                    table.what = format!("{} {general}", syntax::with_article(kind));
                }
            }
            Some((kind, span.clone()))
        }
        [(first, span), (second, other), ..] => {
            let message = format!("{} does one thing, but has both `{first}` and `{second}`", table.what);
            let diagnostic = Diagnostic::error(Code::ConflictingKeys, message).at(other, "one too many");
            reader.push(diagnostic.see(span, "does this").help("make two steps of it"));
            table.rest();
            None
        }
    }
}

/// The operation that the key `kind` asks for.
fn operation<'a>(reader: &mut Reader<'a>, table: &mut Table<'a>, kind: &'static str) -> Option<Operation<TemplateAt>> {
    match kind {
        "sql" | "file" => {
            let text = table.get(reader, kind, |reader, node| {
                let span = node.span.clone();
                let text =
                    if kind == "sql" { reader.name(node).map(|text| Arc::from(text.value)) } else { reader.file(node) };
                Some((text?, span))
            });
            let mut given = if table.has("args") { None } else { Some(0) };
            let args = table.get(reader, "args", |reader, node| {
                let items = reader.list(node)?;
                given = Some(items.len());
                Some(items.into_iter().filter_map(|item| reader.template(item)).collect())
            });
            let (text, span) = text?;
            check_sql(reader, &text, &span, given);
            Some(Operation::Sql { statement: 0, text, args: args.unwrap_or_default() })
        }
        _ => {
            let node = table.take(kind)?;
            let span = node.span.clone();
            let allow_pause = table.what != "an `append` fixture step";
            let mut inner = reader.table(node, format!("`{kind}`"))?;
            let operation = store_or_stream(reader, &mut inner, kind, &span, allow_pause);
            inner.finish(reader);
            operation
        }
    }
}

/// Notes what a statement's text shows to be wrong: `${…}`, which nobody evaluates there, and placeholders that do not fit the
/// arguments, if their number is known. `span` is that of the text, or of its file's name.
fn check_sql(reader: &mut Reader<'_>, text: &str, span: &Span, args: Option<usize>) {
    let place = |reader: &Reader<'_>, at: usize, part: &str| match reader.inner(span, text) {
        Some(base) => (base + at..base + at + part.len(), String::new()),
        None => (span.clone(), format!(", in line {} of the text", text[..at].matches('\n').count() + 1)),
    };
    if let Some(found) = sql::untemplated(text) {
        let (place, line) = place(reader, found.at, found.text);
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
            reader.push(diagnostic.at(&place, "not evaluated").help(help));
        }
    }
    match args.and_then(|args| Some((args, sql::misfit(text, args)?))) {
        Some((args, Misfit::Unbound(at, placeholder))) => {
            let (place, line) = place(reader, at, placeholder);
            let message = format!("`{placeholder}` has no value: {}{line}", held(args));
            let diagnostic = Diagnostic::error(Code::ArgumentMismatch, message).at(&place, "without a value");
            reader.push(diagnostic.help("give `args` the values of `$1`, `$2` …, in this order"));
        }
        Some((args, Misfit::Unused(number))) => {
            let message = format!("{}, but the statement has no `${number}`", held(args));
            let diagnostic =
                Diagnostic::error(Code::ArgumentMismatch, message).at(span, format!("no `${number}` here"));
            reader
                .push(diagnostic.help(format!("write `${number}` where its value belongs, or remove it from `args`")));
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

fn store_or_stream<'a>(
    reader: &mut Reader<'a>,
    table: &mut Table<'a>,
    kind: &str,
    span: &Span,
    allow_pause: bool,
) -> Option<Operation<TemplateAt>> {
    let literal =
        |value: Value| TemplateAt { template: Template::Literal(value), span: span.clone(), uses: Vec::new() };
    let mut require = |reader: &mut Reader<'a>, key| table.require(reader, key, Reader::template);
    Some(match kind {
        "append" => {
            let (actor, version) = (require(reader, "actor"), require(reader, "version"));
            let kind = table.get(reader, "type", Reader::template).unwrap_or_else(|| literal(Value::text("Event")));
            let data = table.get(reader, "data", Reader::template).unwrap_or_else(|| literal(Value::Null));
            let pause = if allow_pause { table.get(reader, "pause", pause) } else { None };
            Operation::Append { actor: actor?, version: version?, kind, data, pause }
        }
        "latest_version" => Operation::LatestVersion { actor: require(reader, "actor")? },
        "read_events" | "events" => {
            let actor = require(reader, "actor");
            let since = table.get(reader, "since", Reader::template).unwrap_or_else(|| literal(Value::Int(0)));
            Operation::ReadEvents { actor: actor?, since }
        }
        "save_snapshot" => {
            let (actor, version) = (require(reader, "actor"), require(reader, "version"));
            let data = table.get(reader, "data", Reader::template).unwrap_or_else(|| literal(Value::Null));
            Operation::SaveSnapshot { actor: actor?, version: version?, data }
        }
        "latest_snapshot" => Operation::LatestSnapshot { actor: require(reader, "actor")? },
        "fill" => {
            let (actor, events) = (require(reader, "actor"), require(reader, "events"));
            Operation::Fill { actor: actor?, events: events? }
        }
        "messages" => {
            let subject = table.get(reader, "subject", Reader::template);
            Operation::Messages { subject: subject.unwrap_or_else(|| literal(Value::text(">"))) }
        }
        _ => {
            let subject = require(reader, "subject");
            let data = table.get(reader, "data", Reader::template).unwrap_or_else(|| literal(Value::text("")));
            let expected_last_sequence = table.get(reader, "expected_last_sequence", Reader::template);
            let expected_last_subject_sequence = table.get(reader, "expected_last_subject_sequence", Reader::template);
            let message_id = table.get(reader, "message_id", Reader::template);
            let written = table.get(reader, "headers", headers).unwrap_or_default();
            let keys = [
                ("message_id", &message_id),
                ("expected_last_sequence", &expected_last_sequence),
                ("expected_last_subject_sequence", &expected_last_subject_sequence),
            ];
            check_headers(reader, &written, &keys);
            let headers = written.into_iter().map(|(name, value)| (name.value, value)).collect();
            Operation::Publish {
                subject: subject?,
                data,
                expected_last_sequence,
                expected_last_subject_sequence,
                message_id,
                headers,
            }
        }
    })
}

/// A table of headers. Those that a server acts on get the server's spelling: it compares them with case.
fn headers<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Vec<(At<String>, TemplateAt)>> {
    let entries = reader.entries(node)?;
    let spelled = |name: At<String>| match headers::known(&name.value) {
        Some(known) => At { value: known.name.to_owned(), span: name.span },
        None => name,
    };
    Some(entries.into_iter().filter_map(|(name, node)| Some((spelled(name), reader.template(node)?))).collect())
}

/// Notes headers that say twice what only one can say, and those that no server knows.
fn check_headers(reader: &mut Reader<'_>, written: &[(At<String>, TemplateAt)], keys: &[(&str, &Option<TemplateAt>)]) {
    for (position, (name, _)) in written.iter().enumerate() {
        let text = &name.value;
        let key = headers::key_of(text).and_then(|key| keys.iter().find(|(known, _)| *known == key));
        if let Some((key, Some(value))) = key {
            let message = format!("the header `{text}` and the key `{key}` say the same thing");
            let diagnostic = Diagnostic::error(Code::ConflictingKeys, message).at(&name.span, "one too many");
            reader.push(diagnostic.see(&value.span, "said here").help("keep one of them"));
        }
        let other = written[..position].iter().find(|(other, _)| other.value.eq_ignore_ascii_case(text));
        if let Some((other, _)) = other {
            let message = format!("the header `{text}` is written twice; case makes no difference");
            let diagnostic = Diagnostic::error(Code::ConflictingKeys, message).at(&name.span, "one too many");
            reader.push(diagnostic.see(&other.span, "written here").help("keep one of them"));
        }
        if text.eq_ignore_ascii_case(headers::DATA_MARK) {
            let message = format!("the header `{text}` is deadheat's own: it says what type `data` has");
            reader.push(Diagnostic::error(Code::BadValue, message).at(&name.span, "reserved"));
        }
        let is_of_nats = text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("nats-"));
        if is_of_nats && headers::known(text).is_none() {
            let message = format!("no server is known to act on the header `{text}`");
            let mut diagnostic = Diagnostic::warning(Code::BadValue, message).at(&name.span, "only stored");
            diagnostic.help = suggestion(text, headers::KNOWN.iter().map(|header| header.name));
            reader.push(diagnostic);
        }
    }
}

fn pause<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<(PausePoint, usize)> {
    let word = reader.word(node, &PAUSES.map(|(word, _)| word))?;
    PAUSES.iter().find(|(known, _)| *known == word).map(|(_, point)| (*point, 0))
}

/// A pause is a duration, or a template that gives one.
fn sleep<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<TemplateAt> {
    let template = reader.template(node.clone())?;
    match &template.template {
        Template::Expression(_) | Template::Text(_) => Some(template),
        _ => reader.duration(node).map(|_| template),
    }
}

fn save<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Save> {
    match node.value {
        DeValue::String(_) => Some(Save::Value(binding(reader, node)?)),
        _ => named_expressions(reader, node).map(Save::Expressions),
    }
}

fn binding<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<At<String>> {
    let name = reader.name(node)?;
    reader.check_identifier(&name).then_some(name)
}

fn named_expressions<'a>(
    reader: &mut Reader<'a>,
    node: Node<'a>,
) -> Option<Vec<(At<String>, super::model::ExpressionAt)>> {
    let entries = reader.entries(node)?;
    Some(
        entries
            .into_iter()
            .filter_map(|(name, node)| {
                let fits = reader.check_identifier(&name);
                let expression = reader.expression(node);
                if expression.is_none() {
                    reader.unread.names.insert(name.value.clone());
                }
                fits.then_some((name, expression?))
            })
            .collect(),
    )
}
