//! Reads requests by their drivers' tables.

use std::sync::Arc;

use super::reader::{Node, Reader};
use super::table::Table;
use crate::diagnostic::Span;
use crate::expression::Template;
use crate::port::{
    Entry, Field, Layout, Need, PauseAt, PausePoint, Request, RequestSpec, Shape, TemplateAt, Usage, Written,
};
use crate::value::Value;

/// The key of the point inside a request at which a worker waits.
pub(super) const PAUSE: &str = "pause";

/// The request `spec` that the key `kind` of `table` asks for.
pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    table: &mut Table<'a>,
    spec: &'static RequestSpec,
    kind: &'static str,
    usage: Usage,
) -> Option<Request<TemplateAt>> {
    let span = table.key_span(kind)?;
    let mut complete = true;
    let (fields, pauses) = match spec.layout {
        Layout::Statement { .. } => {
            let (main, further) = spec.fields.split_first()?;
            let text = table.get(reader, kind, |reader, node| text(reader, node, kind != main.key));
            let further = fields(reader, table, further, &span, &mut complete);
            let fields = std::iter::once(text.map(Entry::One)).chain(further).collect();
            (fields, Vec::new())
        }
        Layout::Table => {
            let node = table.take(kind)?;
            let whole = node.span.clone();
            let mut inner = reader.table(node, format!("`{kind}`"))?;
            let fields = fields(reader, &mut inner, spec.fields, &whole, &mut complete);
            let pauses = if usage == Usage::Step { spec.pauses } else { &[] };
            let pause =
                if pauses.is_empty() { None } else { inner.get(reader, PAUSE, |it, node| pause(it, node, pauses)) };
            inner.finish(reader);
            (fields, pause.into_iter().collect())
        }
    };
    let request = Request { spec, fields: fields.into_iter().collect::<Option<_>>()?, pauses };
    spec.rules.check(&Written { request: &request, usage, span: &span, complete }, reader);
    Some(request)
}

/// A text that is taken as it stands, or from the file that it names.
fn text<'a>(reader: &mut Reader<'a>, node: Node<'a>, is_file: bool) -> Option<TemplateAt> {
    let span = node.span.clone();
    let text: Arc<str> = if is_file { reader.file(node)? } else { Arc::from(reader.name(node)?.value) };
    Some(TemplateAt { template: Template::Literal(Value::Text(text)), span, uses: Vec::new() })
}

/// What each of `fields` holds; `None` for one that could not be read or is missing. `whole` is the place of the request.
fn fields<'a>(
    reader: &mut Reader<'a>,
    table: &mut Table<'a>,
    fields: &[Field],
    whole: &Span,
    complete: &mut bool,
) -> Vec<Option<Entry<TemplateAt>>> {
    let mut entry = |field: &Field| {
        if matches!(field.need, Need::Required) {
            return table.require(reader, field.key, |reader, node| value(reader, node, field.shape, complete));
        }
        let Some(node) = table.take(field.key) else {
            return Some(match field.need {
                Need::Default(literal) => Entry::One(TemplateAt {
                    template: Template::Literal(literal.into()),
                    span: whole.clone(),
                    uses: Vec::new(),
                }),
                Need::Required | Need::Optional => Entry::Absent,
            });
        };
        // What could not be read was noted. Without an optional value the rest can be checked all the same.
        let read = value(reader, node, field.shape, complete);
        *complete &= read.is_some();
        Some(read.unwrap_or(Entry::Absent))
    };
    fields.iter().map(&mut entry).collect()
}

fn value<'a>(reader: &mut Reader<'a>, node: Node<'a>, shape: Shape, complete: &mut bool) -> Option<Entry<TemplateAt>> {
    Some(match shape {
        Shape::Text => Entry::One(text(reader, node, false)?),
        Shape::Values => {
            let items = reader.list(node)?;
            let given = items.len();
            let values: Vec<TemplateAt> = items.into_iter().filter_map(|item| reader.template(item)).collect();
            *complete &= values.len() == given;
            Entry::Many(values)
        }
        Shape::Named => {
            let entries = reader.entries(node)?;
            Entry::Named(entries.into_iter().filter_map(|(name, node)| Some((name, reader.template(node)?))).collect())
        }
        Shape::Value | Shape::Words(_) | Shape::Flag | Shape::Whole { .. } | Shape::Duration { .. } => {
            Entry::One(reader.template(node)?)
        }
    })
}

/// The point that a step's `pause` names.
fn pause<'a>(reader: &mut Reader<'a>, node: Node<'a>, points: &[PausePoint]) -> Option<PauseAt> {
    let words: Vec<&'static str> = points.iter().map(|point| point.word).collect();
    let word = reader.word(node, &words)?;
    Some(PauseAt { point: Arc::from(word), barrier: 0 })
}
