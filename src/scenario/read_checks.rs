//! Reads what must hold: expectations, invariants, growth, controls, and the rules that classify refusals.

use toml::de::DeValue;

use super::model::*;
use super::read::condition;
use super::reader::{Node, Reader};
use super::steps;
use super::table::Table;
use crate::diagnostic::{Code, Diagnostic, suggestion};
use crate::duration;
use crate::measure::is_metric;
use crate::model::Compare;
use crate::outcome::OutcomeKind;
use crate::port::At;

/// The quantiles by their names.
pub(super) const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];

/// `[expect]`, `[sometimes]`, `[[invariants]]` and `[[growth]]`.
pub(super) fn checks<'a>(reader: &mut Reader<'a>, table: &mut Table<'a>) -> Checks {
    let mut checks = table.get(reader, "expect", expect).unwrap_or_default();
    checks.sometimes = table
        .get(reader, "sometimes", |reader, node| {
            let mut table = reader.table(node, "`sometimes`")?;
            Some(counts(reader, &mut table))
        })
        .unwrap_or_default();
    checks.invariants =
        table.get(reader, "invariants", |reader, node| reader.list_of(node, invariant)).unwrap_or_default();
    checks.growth = table.get(reader, "growth", |reader, node| reader.list_of(node, growth)).unwrap_or_default();
    checks
}

fn expect<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Checks> {
    let mut table = reader.table(node, "`expect`")?;
    let span = table.span.clone();
    let any_of_span = table.key_span("any_of");
    let any_of = table.get(reader, "any_of", |reader, node| {
        reader.some_list_of(node, "without alternatives nothing is expected: name some, or remove it", expectation)
    });
    let by_group = table.get(reader, "by_group", |reader, node| {
        let entries = reader.entries(node)?;
        Some(entries.into_iter().filter_map(|(name, node)| Some((name, expectation(reader, node)?))).collect())
    });
    let latency = table.get(reader, "latency", latency);
    let (counts, origins) = expected_counts(reader, &mut table);
    let expect = match (any_of, counts.first()) {
        (Some(_), Some((outcome, _))) => {
            let message = "`expect` has counts of its own beside `any_of`";
            let diagnostic = Diagnostic::error(Code::ConflictingKeys, message).at(&outcome.span, "beside `any_of`");
            let diagnostic = diagnostic.see(&any_of_span.unwrap_or(span), "alternatives");
            reader.push(diagnostic.help("write the counts into each alternative"));
            Vec::new()
        }
        (Some(alternatives), None) => alternatives,
        (None, Some(_)) => vec![Expectation { counts, origins, span }],
        (None, None) => Vec::new(),
    };
    Some(Checks {
        expect,
        by_group: by_group.unwrap_or_default(),
        latency: latency.unwrap_or_default(),
        ..Checks::default()
    })
}

fn expectation<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Expectation> {
    let mut table = reader.table(node, "an expectation")?;
    let span = table.span.clone();
    let (counts, origins) = expected_counts(reader, &mut table);
    Some(Expectation { counts, origins, span })
}

/// Counts by outcome: all keys that are left.
fn counts<'a>(reader: &mut Reader<'a>, table: &mut Table<'a>) -> Vec<(At<OutcomeKind>, CountAt)> {
    let mut counts = Vec::new();
    for (word, node) in table.rest() {
        let outcome = reader.outcome(word);
        let count = reader.count(node);
        counts.extend(outcome.zip(count));
    }
    counts
}

/// The same, where a count may also be a table that says where its outcome comes from.
fn expected_counts<'a>(
    reader: &mut Reader<'a>,
    table: &mut Table<'a>,
) -> (Vec<(At<OutcomeKind>, CountAt)>, Vec<OriginAt>) {
    let (mut counts, mut origins) = (Vec::new(), Vec::new());
    for (word, node) in table.rest() {
        let outcome = reader.outcome(word);
        if !matches!(node.value, DeValue::Table(_)) {
            counts.extend(outcome.zip(reader.count(node)));
            continue;
        }
        let Some(mut table) = reader.table(node, "a count") else { continue };
        let count = table.require(reader, "count", Reader::count);
        let (at, code) = (table.get(reader, "at", Reader::name), table.get(reader, "code", Reader::name));
        table.finish(reader);
        let Some(outcome) = outcome else { continue };
        if at.is_some() || code.is_some() {
            origins.push(OriginAt { outcome: outcome.value, at, code });
        }
        counts.extend(count.map(|count| (outcome, count)));
    }
    (counts, origins)
}

fn latency<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Vec<LatencyBound>> {
    let mut bounds = Vec::new();
    for (key, node) in reader.entries(node)? {
        // `append.p99` without quotes is a table in a table.
        let entries = match node.value {
            DeValue::Table(_) => reader
                .entries(node)?
                .into_iter()
                .map(|(quantile, node)| {
                    let dotted = format!("{}.{}", key.value, quantile.value);
                    (At { value: dotted, span: key.span.start..quantile.span.end }, node)
                })
                .collect(),
            _ => vec![(key, node)],
        };
        for (key, node) in entries {
            let metric = metric(reader, key);
            let text = reader.string(node);
            if let (Some(metric), Some(text)) = (metric, text) {
                let bound =
                    text.value.trim_start().strip_prefix('<').map(|rest| rest.strip_prefix('=').unwrap_or(rest));
                match bound.and_then(|bound| duration::parse(bound.trim()).ok()) {
                    Some(at_most) => bounds.push(LatencyBound { metric, at_most }),
                    None => {
                        let message = format!("`{}` is not a bound of a latency", text.value);
                        let diagnostic = Diagnostic::error(Code::BadDuration, message).at(&text.span, "cannot be read");
                        reader.push(diagnostic.help("write `\"< 50ms\"`"));
                    }
                }
            }
        }
    }
    Some(bounds)
}

fn metric<'a>(reader: &mut Reader<'a>, key: At<String>) -> Option<Metric> {
    let split = key.value.rsplit_once('.');
    let found = split.and_then(|(step, word)| {
        let quantile = QUANTILES.iter().find(|(known, _)| *known == word)?;
        Some((step.to_owned(), quantile.1))
    });
    match found {
        Some((step, quantile)) => Some(Metric { key, step, quantile }),
        None => {
            let message = format!("`{}` is not a step and a quantile, such as `append.p99`", key.value);
            let mut diagnostic = Diagnostic::error(Code::BadValue, message).at(&key.span, "not a metric");
            diagnostic.help = suggestion(split.map_or("", |(_, word)| word), QUANTILES.map(|(word, _)| word))
                .map(|help| format!("of the quantiles, {help}"));
            reader.push(diagnostic);
            None
        }
    }
}

fn invariant<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Invariant> {
    let mut table = reader.table(node, "an invariant")?;
    let name = table.require(reader, "name", Reader::name);
    let on = table.get(reader, "on", Reader::name);
    let that = table.require(reader, "that", Reader::expression);
    let probe = steps::probe(reader, &mut table);
    table.finish(reader);
    let (probe, span) = probe?;
    Some(Invariant { name: name?, probe, span, on, that: that? })
}

fn growth<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Growth> {
    let mut table = reader.table(node, "a growth")?;
    let name = table.require(reader, "name", Reader::name);
    let metric = table.require(reader, "metric", |reader, node| {
        let key = reader.name(node)?;
        metric(reader, key)
    });
    let over = table.require(reader, "over", Reader::name);
    let at_most = table.require(reader, "at_most", Reader::number);
    table.finish(reader);
    Some(Growth { name: name?, metric: metric?, over: over?, at_most: at_most? })
}

/// The `[compare]` table. Whether the gate's step exists is not checked: comparisons say when a metric is missing.
pub(super) fn compare<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Compare> {
    let mut table = reader.table(node, "`compare`")?;
    let gate = table.get(reader, "gate", |reader, node| {
        let gate = reader.name(node)?;
        if !is_metric(&gate.value) {
            let message = format!("`{}` is not a metric that comparisons know", gate.value);
            let help = "name `makespan`, `p50`, `p99`, or a step's, such as `append.p50`";
            reader.push(Diagnostic::error(Code::BadValue, message).at(&gate.span, "not a metric").help(help));
        }
        Some(gate.value)
    });
    let threshold = table.get(reader, "threshold", |reader, node| {
        let span = node.span.clone();
        let share = reader.number(node)?;
        if !(share > 0.0 && share < 10.0) {
            let message = format!("`threshold` cannot be {share}");
            let help = "write a share above 0, such as 0.1 for 10 %";
            reader.push(Diagnostic::error(Code::BadValue, message).at(&span, "out of range").help(help));
        }
        Some(share)
    });
    table.finish(reader);
    Some(Compare { gate, threshold })
}

/// A `[[controls]]` table.
pub(super) fn control<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Control> {
    let mut table = reader.table(node, "a control")?;
    let name = table.require(reader, "name", Reader::name);
    let why = table.require(reader, "why", Reader::name);
    let set = table.get(reader, "set", |reader, node| {
        let entries = reader.entries(node)?;
        Some(entries.into_iter().filter_map(|(name, node)| Some((name, reader.plain_value(node)?))).collect())
    });
    let replace = table.get(reader, "replace", |reader, node| {
        let entries = reader.entries(node)?;
        Some(entries.into_iter().filter_map(|(name, node)| Some((name, steps::step_ref(reader, node)?))).collect())
    });
    let drop = table.get(reader, "drop", |reader, node| reader.list_of(node, Reader::name));
    let only = table.get(reader, "only", condition);
    let breaks = table.require(reader, "breaks", |reader, node| {
        let span = node.span.clone();
        let breaks = reader.list_of(node, Reader::name)?;
        if breaks.is_empty() {
            let message = "`breaks` names no check, so nothing could catch this control";
            reader.push(Diagnostic::error(Code::MissingKey, message).at(&span, "empty"));
        }
        Some(breaks)
    });
    let span = table.span.clone();
    table.finish(reader);
    let control = Control {
        name: name?,
        why: why?.value,
        set: set.unwrap_or_default(),
        replace: replace.unwrap_or_default(),
        drop: drop.unwrap_or_default(),
        only: only.unwrap_or_default(),
        breaks: breaks?,
    };
    if control.set.is_empty() && control.replace.is_empty() && control.drop.is_empty() {
        let message = format!("control `{}` changes nothing", control.name.value);
        let diagnostic = Diagnostic::error(Code::ControlChangesNothing, message).at(&span, "nothing is broken here");
        reader.push(diagnostic.help("break the scenario with `set`, `replace` or `drop`"));
    }
    Some(control)
}

/// `ordered`.
pub(super) fn ordered<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Ordered> {
    let mut table = reader.table(node, "`ordered`")?;
    let why = table.require(reader, "why", Reader::name);
    let only = table.get(reader, "only", condition).unwrap_or_default();
    table.finish(reader);
    Some(Ordered { why: why?.value, only })
}

/// A `[[classify]]` table.
pub(super) fn classify<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<ClassifyRule> {
    let mut table = reader.table(node, "a classify rule")?;
    let span = table.span.clone();
    let conditions = ["code", "message", "step"].iter().any(|key| table.has(key));
    let code = table.get(reader, "code", code);
    let message = table.get(reader, "message", |reader, node| {
        let text = reader.string(node)?;
        regex::Regex::new(&text.value)
            .map_err(|error| {
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let message = format!("`{}` is not a regular expression: {reason}", text.value);
                reader.push(Diagnostic::error(Code::BadPattern, message).at(&text.span, "cannot be read"));
            })
            .ok()
    });
    let step = table.get(reader, "step", Reader::name);
    let outcome = table.require(reader, "outcome", |reader, node| {
        let word = reader.string(node)?;
        reader.refusal(word).map(|outcome| outcome.value)
    });
    table.finish(reader);
    if !conditions {
        let message = "a classify rule needs `code`, `message` or `step`, else it fits every refusal";
        reader.push(Diagnostic::error(Code::MissingKey, message).at(&span, "no condition"));
    }
    Some(ClassifyRule { code, message, step, outcome: outcome? })
}

/// A code is text, but codes that are numbers may be written as such.
fn code<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<String> {
    match node.value {
        DeValue::Integer(_) => Some(reader.whole(node, 0)?.to_string()),
        _ => Some(reader.string(node)?.value),
    }
}
