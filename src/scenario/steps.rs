//! Reads steps: of workers, of fixtures, and the probes of invariants. Which key is there says what a step does.

use toml::de::DeValue;

use super::model::{Action, FixtureStep, Save, Step, StepRef};
use super::reader::{Node, Reader};
use super::table::Table;
use super::{requests, syntax};
use crate::diagnostic::{Code, Diagnostic, Span, ticked};
use crate::expression::Template;
use crate::outcome::OutcomeKind;
use crate::port::{At, Request, RequestSpec, ResultShape, TemplateAt, Usage};

/// The keys of steps that ask no target.
pub(crate) const OWN_KINDS: [&str; 4] = ["barrier", "sleep", "assert", "let"];

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
    let requests = reader.drivers.requests(Usage::Step);
    let (kind, span) = kind_of(reader, &mut table, &OWN_KINDS, &requests)?;
    let spec = requests.into_iter().find(|spec| spec.keys().any(|key| key == kind));
    let action = match kind {
        "barrier" => table.get(reader, kind, Reader::name).map(Action::Barrier),
        "sleep" => table.get(reader, kind, sleep).map(Action::Sleep),
        "assert" => table.get(reader, kind, Reader::expression).map(Action::Assert),
        "let" => table.get(reader, kind, named_expressions).map(Action::Let),
        _ => spec.and_then(|spec| requests::read(reader, &mut table, spec, kind, Usage::Step)).map(Action::Call),
    };
    let on = if spec.is_some() { table.get(reader, "on", Reader::name) } else { None };
    let save = if spec.is_some() { table.get(reader, "save", save) } else { None };
    let has_rows = spec.is_some_and(|spec| spec.result == ResultShape::Rows);
    let rows = if has_rows { table.get(reader, "rows", Reader::count) } else { None };
    let otherwise = if has_rows || kind == "assert" { table.get(reader, "otherwise", otherwise) } else { None };
    if let (Some(otherwise), true, None, None) = (&otherwise, has_rows, &rows, &save) {
        let message =
            "`otherwise` says what happens when `rows` is not met or there is no row to `save`, but there is neither";
        reader.push(Diagnostic::error(Code::MissingKey, message).at(&otherwise.span, "without `rows` and `save`"));
    }
    table.finish(reader);
    Some(Step { name, action: action?, on, rows, otherwise, save: save.unwrap_or(Save::Nothing), timeout, span })
}

fn otherwise<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<At<OutcomeKind>> {
    let word = reader.string(node)?;
    reader.refusal(word)
}

/// A fixture's step.
pub(crate) fn fixture_step<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<FixtureStep> {
    let mut table = reader.table(node, "a fixture step")?;
    let (request, span) = request(reader, &mut table, Usage::Fixture)?;
    let on = table.get(reader, "on", Reader::name);
    table.finish(reader);
    Some(FixtureStep { request: request?, on, span })
}

/// What an invariant reads, with the place of the key that says so.
pub(crate) fn probe<'a>(reader: &mut Reader<'a>, table: &mut Table<'a>) -> Option<(Request<TemplateAt>, Span)> {
    let (request, span) = request(reader, table, Usage::Probe)?;
    Some((request?, span))
}

/// The one request that stands in `table`, with the place of its key; the inner `None` if it could not be read.
fn request<'a>(
    reader: &mut Reader<'a>,
    table: &mut Table<'a>,
    usage: Usage,
) -> Option<(Option<Request<TemplateAt>>, Span)> {
    let requests = reader.drivers.requests(usage);
    let (kind, span) = kind_of(reader, table, &[], &requests)?;
    let spec = requests.into_iter().find(|spec| spec.keys().any(|key| key == kind))?;
    Some((requests::read(reader, table, spec, kind, usage), span))
}

/// The one key of `own` and of `requests` that is there, with its place. That none is there, or several, is a fault.
fn kind_of<'a>(
    reader: &mut Reader<'a>,
    table: &mut Table<'a>,
    own: &[&'static str],
    requests: &[&'static RequestSpec],
) -> Option<(&'static str, Span)> {
    let kinds: Vec<&'static str> = own.iter().copied().chain(requests.iter().flat_map(|spec| spec.keys())).collect();
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
