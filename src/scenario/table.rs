//! Tables of the parsed TOML tree, in file order, whose keys are taken out as they are read.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::reader::{Node, Reader};
use crate::diagnostic::{Code, Diagnostic, Span, suggestion, ticked};
use crate::port::At;

/// A table whose keys have meanings. Keys are taken out as they are read; what is left is unknown.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    /// What the table is, for messages: "a step".
    pub what: String,
    /// Its place.
    pub span: Span,
    entries: Vec<(At<&'a str>, Node<'a>)>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// A table and what to call it.
    pub(crate) fn new(table: &'a DeTable<'a>, span: Span, what: impl Into<String>) -> Self {
        Table { what: what.into(), span, entries: entries_of(table), known: Vec::new() }
    }

    /// Whether the key is there, and has not been taken.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(known, _)| known.value == key)
    }

    /// The place of a key that is there.
    pub(crate) fn key_span(&self, key: &str) -> Option<Span> {
        self.entries.iter().find(|(known, _)| known.value == key).map(|(known, _)| known.span.clone())
    }

    /// Takes the value of `key`.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.known.push(key);
        let index = self.entries.iter().position(|(known, _)| known.value == key)?;
        Some(self.entries.remove(index).1)
    }

    /// Takes the value of `key` and reads it, if it is there.
    pub(crate) fn get<T>(
        &mut self,
        reader: &mut Reader<'a>,
        key: &'static str,
        read: impl FnOnce(&mut Reader<'a>, Node<'a>) -> Option<T>,
    ) -> Option<T> {
        let node = self.take(key)?;
        read(reader, node)
    }

    /// Takes the value of `key` and reads it; that it is not there is a fault.
    pub(crate) fn require<T>(
        &mut self,
        reader: &mut Reader<'a>,
        key: &'static str,
        read: impl FnOnce(&mut Reader<'a>, Node<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.take(key) {
            Some(node) => read(reader, node),
            None => {
                let message = format!("{} needs `{key}`", self.what);
                reader.push(Diagnostic::error(Code::MissingKey, message).at(&self.span, format!("no `{key}` here")));
                None
            }
        }
    }

    /// Notes that `key`, if it is there, is a part of the format which this version of the tool does not carry out.
    pub(crate) fn unsupported(&mut self, reader: &mut Reader<'a>, key: &'static str, help: &str) -> bool {
        let Some(index) = self.entries.iter().position(|(known, _)| known.value == key) else { return false };
        let (key, _) = self.entries.remove(index);
        let message = format!("`{}` is not supported by this version", key.value);
        reader.push(Diagnostic::error(Code::Unsupported, message).at(&key.span, "not supported").help(help));
        true
    }

    /// Every entry that is left, with its key.
    pub(crate) fn rest(&mut self) -> Vec<(At<String>, Node<'a>)> {
        self.entries.drain(..).map(|(key, node)| (At { value: key.value.to_owned(), span: key.span }, node)).collect()
    }

    /// Notes every key that is left as unknown.
    pub(crate) fn finish(mut self, reader: &mut Reader<'a>) {
        self.known.sort_unstable();
        for (key, _) in &self.entries {
            let message = format!("{} has no key `{}`", self.what, key.value);
            let mut diagnostic = Diagnostic::error(Code::UnknownKey, message).at(&key.span, "unknown key");
            diagnostic.help = suggestion(key.value, self.known.iter().copied())
                .filter(|help| help.starts_with("did"))
                .or_else(|| Some(format!("its keys are {}", ticked(self.known.iter().copied()))));
            reader.push(diagnostic);
        }
    }
}

/// The items of a list, each under the list's key.
pub(super) fn items_of<'a>(key: &'a str, items: &'a DeArray<'a>) -> Vec<Node<'a>> {
    items.iter().map(|item| Node { key, value: item.get_ref(), span: item.span() }).collect()
}

/// The entries of a table in file order.
pub(super) fn entries_of<'a>(table: &'a DeTable<'a>) -> Vec<(At<&'a str>, Node<'a>)> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value): (&Spanned<_>, &Spanned<DeValue<'a>>)| {
            let name: &'a str = key.get_ref().as_ref();
            let node = Node { key: name, value: value.get_ref(), span: value.span() };
            (At { value: name, span: key.span() }, node)
        })
        .collect();
    entries.sort_by_key(|(key, _)| key.span.start);
    entries
}
