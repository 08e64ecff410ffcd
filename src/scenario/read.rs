//! Reads a scenario file, table by table, into the model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use toml::de::{DeTable, DeValue};

use super::files::FileAccess;
use super::model::*;
use super::reader::{Node, Reader, Unread};
use super::table::Table;
use super::{read_checks, steps, syntax};
use crate::diagnostic::{Code, Diagnostic, SourceFile, suggestion, ticked};
use crate::model::{ScenarioHead, Start};
use crate::port::{At, Drivers, Entry, Field, Need, Shape, TemplateAt};
use crate::value::Value;

/// The version of the scenario format that is read.
pub const SCHEMA: u64 = 1;

/// How many rounds a scenario that does not say races.
pub const DEFAULT_ROUNDS: u64 = 100;

/// How long a round of a scenario that does not say may take.
const DEFAULT_ROUND_TIMEOUT: Duration = Duration::from_secs(30);

/// What reading a file gives: a scenario unless it is too broken to have one, and everything found.
pub(super) struct Reading {
    /// The scenario, only to be relied on when no diagnostic is an error.
    pub scenario: Option<Scenario>,
    /// What was found.
    pub diagnostics: Vec<Diagnostic>,
    /// What could not be read.
    pub unread: Unread,
}

/// What is not TOML is wrong everywhere, and the rest of a file after a syntax error often is.
const SYNTAX_ERRORS_SHOWN: usize = 3;

/// Reads the text of a scenario, whose files are in `directory`.
pub(super) fn read(source: SourceFile, directory: &Path, access: FileAccess, drivers: &Drivers) -> Reading {
    let text = source.text().to_owned();
    let (document, errors) = DeTable::parse_recoverable(&text);
    let mut reader = Reader::new(&text, directory, access, drivers);
    for (index, error) in errors.iter().take(SYNTAX_ERRORS_SHOWN).enumerate() {
        let span = error.span().unwrap_or(0..0);
        let diagnostic = Diagnostic::error(Code::Syntax, format!("this is not TOML: {}", error.message()));
        let diagnostic = diagnostic.at(&span, "here");
        let more = errors.len() - SYNTAX_ERRORS_SHOWN.min(errors.len());
        reader.push(if index + 1 == SYNTAX_ERRORS_SHOWN && more > 0 {
            diagnostic.help(format!("and {more} more like this: is it a scenario file at all?"))
        } else {
            diagnostic
        });
    }
    // What is left of a file with syntax errors is incomplete: faults found in it would mislead.
    let scenario = if errors.is_empty() {
        let first_line = 0..text.lines().next().map_or(0, str::len);
        let table = Table::new(document.get_ref(), first_line, "a scenario");
        top(&mut reader, table, source)
    } else {
        None
    };
    Reading { scenario, diagnostics: reader.diagnostics, unread: reader.unread }
}

fn top<'a>(reader: &mut Reader<'a>, mut table: Table<'a>, source: SourceFile) -> Option<Scenario> {
    let readable = schema(reader, &mut table);
    if !readable {
        return None;
    }
    let name = table.require(reader, "name", scenario_name);
    let summary = table.get(reader, "summary", Reader::string).map(|text| text.value).unwrap_or_default();
    let tags = table.get(reader, "tags", |reader, node| reader.list_of(node, Reader::name)).unwrap_or_default();
    let rounds = table.get(reader, "rounds", |reader, node| reader.whole(node, 1)).unwrap_or(DEFAULT_ROUNDS);
    let timeout = table.get(reader, "timeout", Reader::duration).map_or(DEFAULT_ROUND_TIMEOUT, |at| at.value);
    let params = table.get(reader, "params", params).unwrap_or_default();
    let (axes, exclude) = table.get(reader, "matrix", matrix).unwrap_or_default();
    let targets = table.require(reader, "targets", targets).unwrap_or_default();
    let fixture = table.get(reader, "fixture", fixture).unwrap_or_default();
    let steps = table.get(reader, "steps", named_steps).unwrap_or_default();
    let groups = table.require(reader, "workers", |reader, node| {
        reader.some_list_of(node, "without workers nothing races: write `[[workers]]`", group)
    });
    let groups = groups.unwrap_or_default();
    let barriers = table.get(reader, "barriers", barriers).unwrap_or_default();
    let checks = read_checks::checks(reader, &mut table);
    let controls = table.get(reader, "controls", |reader, node| reader.list_of(node, read_checks::control));
    let classify = table.get(reader, "classify", |reader, node| reader.list_of(node, read_checks::classify));
    let ordered = table.get(reader, "ordered", read_checks::ordered);
    let compare = table.get(reader, "compare", read_checks::compare);
    table.unsupported(reader, "schedule", "workers race freely; remove `[schedule]`");
    table.finish(reader);

    let hash = hash(source.text(), &reader.files);
    let head = ScenarioHead {
        file: Arc::new(source.name.clone()),
        name: name?.value,
        summary,
        tags: tags.into_iter().map(|tag| tag.value).collect(),
        hash,
        compare,
    };
    Some(Scenario {
        drivers: reader.drivers.clone(),
        source,
        head: Arc::new(head),
        rounds,
        timeout,
        params,
        axes,
        exclude,
        targets,
        fixture,
        steps,
        groups,
        barriers,
        checks,
        controls: controls.unwrap_or_default(),
        ordered,
        classify: classify.unwrap_or_default(),
        used: BTreeSet::new(),
        warnings: Vec::new(),
    })
}

/// Whether the file's schema is one that can be read.
fn schema<'a>(reader: &mut Reader<'a>, table: &mut Table<'a>) -> bool {
    let Some(node) = table.take("schema") else {
        let message = "a scenario needs `schema`";
        let diagnostic = Diagnostic::error(Code::MissingKey, message).at(&table.span, "no `schema` in this file");
        reader.push(diagnostic.help(format!("begin the file with `schema = {SCHEMA}`")));
        return true;
    };
    let span = node.span.clone();
    match reader.whole(node, 1) {
        Some(version) if version > SCHEMA => {
            let message = format!("the scenario has schema {version}, but this version reads only schema {SCHEMA}");
            let diagnostic = Diagnostic::error(Code::UnsupportedSchema, message).at(&span, "newer");
            reader.push(diagnostic.help("use a newer version of deadheat"));
            false
        }
        _ => true,
    }
}

/// A name that can stand in a case's id and in a path.
fn scenario_name<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<At<String>> {
    let name = reader.name(node)?;
    let fits = name.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.');
    if !fits {
        let message = format!("`{}` cannot be a scenario's name", name.value);
        let help = "it becomes part of case ids and file names: use letters, digits, `-`, `_` and `.`";
        reader.push(Diagnostic::error(Code::BadValue, message).at(&name.span, "not a plain name").help(help));
    }
    Some(name)
}

fn params<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Vec<Param>> {
    let mut params = Vec::new();
    for (name, node) in reader.entries(node)? {
        let fits = reader.check_identifier(&name);
        match (reader.plain_value(node), fits) {
            (Some(value), true) => params.push(Param { name, value }),
            _ => {
                reader.unread.names.insert(name.value);
            }
        }
    }
    Some(params)
}

fn matrix<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<(Vec<Axis>, Vec<At<Condition>>)> {
    let mut table = reader.table(node, "the matrix")?;
    let exclude = table.get(reader, "exclude", |reader, node| {
        reader.list_of(node, |reader, node| {
            let span = node.span.clone();
            Some(At { value: condition(reader, node)?, span })
        })
    });
    let mut axes = Vec::new();
    for (name, node) in table.rest() {
        let fits = reader.check_identifier(&name);
        let span = node.span.clone();
        let Some(values) = reader.list_of(node, Reader::plain_value) else {
            reader.unread.names.insert(name.value);
            continue;
        };
        if is_exclude_misspelt(&name.value, &values) {
            let message = format!("`{}` would be an axis whose values are tables", name.value);
            let diagnostic = Diagnostic::error(Code::UnknownKey, message).at(&name.span, "a list of tables");
            reader.push(diagnostic.help("did you mean `exclude`?"));
        }
        if values.is_empty() {
            let message = format!("axis `{}` has no values", name.value);
            reader.push(Diagnostic::error(Code::NoCases, message).at(&span, "empty").help("give at least one value"));
        }
        if let Some(twice) = values.iter().enumerate().find(|(index, value)| values[..*index].contains(value)) {
            let message = format!("axis `{}` has the value `{}` twice", name.value, twice.1);
            reader.push(Diagnostic::error(Code::DuplicateName, message).at(&span, "a value twice"));
        }
        if fits {
            axes.push(Axis { name, values });
        }
    }
    Some((axes, exclude.unwrap_or_default()))
}

/// Whether an axis is `exclude` with a slip in it: nearly its name, and the tables that it would hold.
fn is_exclude_misspelt(name: &str, values: &[Value]) -> bool {
    const SLIPS: usize = 2;
    let tables = !values.is_empty() && values.iter().all(|value| matches!(value, Value::Map(_)));
    tables && strsim::damerau_levenshtein(&name.to_lowercase(), "exclude") <= SLIPS
}

/// Names, each with a value or a list of values.
pub(super) fn condition<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Condition> {
    let mut condition = Vec::new();
    for (name, node) in reader.entries(node)? {
        let values = match node.value {
            DeValue::Array(_) => reader.list_of(node, Reader::value)?,
            _ => vec![reader.value(node)?],
        };
        condition.push((name, values));
    }
    Some(condition)
}

fn targets<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Vec<Target>> {
    let entries = reader.entries(node)?;
    let count = entries.len();
    let targets: Vec<Target> = entries.into_iter().filter_map(|(name, node)| target(reader, name, node)).collect();
    reader.unread.targets = targets.len() < count;
    Some(targets)
}

fn target<'a>(reader: &mut Reader<'a>, name: At<String>, node: Node<'a>) -> Option<Target> {
    let mut table = reader.table(node, "a target")?;
    if !table.has("driver") {
        let diagnostic =
            Diagnostic::error(Code::MissingKey, "a target needs `driver`").at(&table.span, "no `driver` here");
        reader.push(diagnostic.help(format!("the drivers are {}", ticked(reader.drivers.words()))));
        return None;
    }
    let word = table.get(reader, "driver", Reader::string)?;
    table.what = format!("{} target", syntax::with_article(&word.value));
    let Some(driver) = reader.drivers.find(&word.value) else {
        let unknown = word.value.as_str();
        let diagnostic = if ["http", "sql"].contains(&unknown) {
            let message = format!("the driver `{unknown}` is not supported by this version");
            let help = format!("the drivers are {}", ticked(reader.drivers.words()));
            Diagnostic::error(Code::Unsupported, message).at(&word.span, "not supported").help(help)
        } else {
            let message = format!("there is no driver `{unknown}`");
            let diagnostic = Diagnostic::error(Code::BadValue, message).at(&word.span, "no such driver");
            Diagnostic { help: suggestion(unknown, reader.drivers.words()), ..diagnostic }
        };
        reader.push(diagnostic);
        return None;
    };
    let options: Vec<_> =
        driver.options().iter().map(|field| Some((field, option(reader, &mut table, field)?))).collect();
    let url_span = table.key_span("url");
    let url = table.get(reader, "url", Reader::template);
    let url_env = table.get(reader, "url_env", variable);
    if let (Some(url), Some(variable)) = (url_span, &url_env) {
        let message = "`url` and `url_env` exclude each other";
        let diagnostic = Diagnostic::error(Code::ConflictingKeys, message).at(&variable.span, "one too many");
        reader.push(diagnostic.see(&url, "the URL stands here"));
    }
    table.finish(reader);
    Some(Target { name, driver, options: options.into_iter().collect::<Option<_>>()?, url, url_env })
}

/// The name of an environment variable, and not what the variable should hold.
fn variable<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<At<String>> {
    let name = reader.name(node)?;
    if name.value.contains([':', '/', '@', '=', ' ']) {
        let message = "`url_env` takes the name of an environment variable, not a URL";
        let help = "write `url_env = \"MY_SERVER\"` and set that variable to the URL";
        reader.push(Diagnostic::error(Code::BadValue, message).at(&name.span, "not a variable's name").help(help));
        return None;
    }
    Some(name)
}

/// What a target's own key holds; `None` for one that could not be read or is missing.
fn option<'a>(reader: &mut Reader<'a>, table: &mut Table<'a>, field: &Field) -> Option<Entry<TemplateAt>> {
    match field.need {
        Need::Required => table.require(reader, field.key, Reader::template).map(Entry::One),
        Need::Default(_) | Need::Optional => Some(if matches!(field.shape, Shape::Named) {
            table.get(reader, field.key, named).map_or(Entry::Absent, Entry::Named)
        } else {
            table.get(reader, field.key, Reader::template).map_or(Entry::Absent, Entry::One)
        }),
    }
}

fn named<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Vec<(At<String>, TemplateAt)>> {
    let entries = reader.entries(node)?;
    Some(entries.into_iter().filter_map(|(name, node)| Some((name, reader.template(node)?))).collect())
}

fn fixture<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Fixture> {
    let mut table = reader.table(node, "the fixture")?;
    let mut list = |reader: &mut Reader<'a>, key| {
        table.get(reader, key, |reader, node| reader.list_of(node, steps::fixture_step)).unwrap_or_default()
    };
    let fixture = Fixture {
        setup: list(reader, "setup"),
        before_round: list(reader, "before_round"),
        after_round: list(reader, "after_round"),
        teardown: list(reader, "teardown"),
    };
    table.finish(reader);
    Some(fixture)
}

fn named_steps<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<BTreeMap<String, NamedStep>> {
    let entries = reader.entries(node)?;
    let mut named = BTreeMap::new();
    for (name, node) in entries {
        match steps::step(reader, node, false) {
            Some(step) => {
                named.insert(name.value.clone(), NamedStep { name, step });
            }
            None => {
                reader.unread.names.insert(name.value);
            }
        }
    }
    Some(named)
}

fn group<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Group> {
    let mut table = reader.table(node, "a worker group")?;
    let name = table.require(reader, "name", Reader::name);
    let count = table.get(reader, "count", group_count);
    let each = table.get(reader, "each", |reader, node| {
        let span = node.span.clone();
        let rows = reader.list_of(node, row)?;
        if rows.is_empty() {
            let message = "`each` makes a worker of each row, but has no rows";
            reader.push(Diagnostic::error(Code::NoWorkers, message).at(&span, "empty"));
        }
        Some(rows)
    });
    let on = table.get(reader, "on", Reader::name);
    let transaction = table.get(reader, "transaction", Reader::template);
    let start = match table.get(reader, "start", |reader, node| reader.word(node, &["together", "free"])) {
        Some("free") => Start::Free,
        _ => Start::Together,
    };
    let repeat = table.get(reader, "repeat", |reader, node| {
        let span = node.span.clone();
        Some(At { value: reader.whole(node, 1)?, span })
    });
    let steps = table.require(reader, "steps", |reader, node| {
        let span = node.span.clone();
        let items = reader.list(node)?;
        if items.is_empty() {
            let message = "a worker group needs at least one step";
            reader.push(Diagnostic::error(Code::MissingKey, message).at(&span, "no steps"));
        }
        let count = items.len();
        let steps: Vec<StepRef> = items.into_iter().filter_map(|item| steps::step_ref(reader, item)).collect();
        reader.unread.groups |= steps.len() < count;
        Some(steps)
    });
    table.unsupported(reader, "retry", "a refused attempt is counted by its outcome and not tried again");
    table.finish(reader);
    let each = each.unwrap_or_default();
    if let (Some(name), None) = (&name, &steps) {
        reader.unread.names.insert(name.value.clone());
    }
    reader.unread.groups |= name.is_none() || steps.is_none();
    Some(Group { name: name?, count, each, on, transaction, start, repeat, steps: steps? })
}

/// `count`: a whole number, or `"${expression}"`.
fn group_count<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<TemplateAt> {
    match node.value {
        DeValue::String(_) => reader.template(node),
        _ => {
            reader.whole(node.clone(), 0)?;
            reader.template(node)
        }
    }
}

fn row<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Row> {
    let mut row = Vec::new();
    for (name, node) in reader.entries(node)? {
        let fits = reader.check_identifier(&name);
        match (reader.template(node), fits) {
            (Some(value), true) => row.push((name, value)),
            _ => {
                reader.unread.names.insert(name.value);
            }
        }
    }
    Some(row)
}

fn barriers<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<BTreeMap<String, Barrier>> {
    let mut barriers = BTreeMap::new();
    for (name, node) in reader.entries(node)? {
        let Some(mut table) = reader.table(node, "a barrier") else { continue };
        let timeout = table.get(reader, "timeout", Reader::duration);
        let help = "only workers of this scenario can be parties of a barrier";
        let remote = table.unsupported(reader, "remote", help);
        table.finish(reader);
        if !remote {
            barriers.insert(name.value.clone(), Barrier { name, timeout });
        }
    }
    Some(barriers)
}

/// SHA-256 in hex over the scenario and its files, each with its name and length, so that no two sets of files run together.
fn hash(text: &str, files: &BTreeMap<String, Arc<str>>) -> String {
    let mut hasher = Sha256::new();
    let files = files.iter().map(|(name, text)| (name.as_str(), text.as_ref()));
    for (name, text) in std::iter::once(("", text)).chain(files) {
        hasher.update(format!("{}:{name}{}:", name.len(), text.len()));
        hasher.update(text);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
