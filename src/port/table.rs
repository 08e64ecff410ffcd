//! What can be asked of a driver's targets, as tables that the rest reads.

use std::fmt;
use std::time::Duration;

use crate::expression::Template;
use crate::value::Value;

use super::request::Request;
use super::written::{Notes, Written};

/// One thing that a target can be asked: a row of a driver's table.
pub struct RequestSpec {
    /// The key that asks for it: `append`.
    pub key: &'static str,
    /// Its word in step names and messages: `latest-version` for `latest_version`.
    pub word: &'static str,
    /// One sentence on what it does.
    pub doc: &'static str,
    /// Where it may stand.
    pub usages: &'static [Usage],
    /// How it is written.
    pub layout: Layout,
    /// Its fields, in the order in which they are read.
    pub fields: &'static [Field],
    /// What comes back.
    pub result: ResultShape,
    /// Whether it may change something.
    pub may_write: bool,
    /// The points inside it at which a worker can wait at a barrier of the same name: key `pause`.
    pub pauses: &'static [PausePoint],
    /// What its text shows without a server.
    pub rules: &'static dyn Rules,
}

impl RequestSpec {
    /// Whether it may stand at a place of this kind.
    pub fn serves(&self, usage: Usage) -> bool {
        self.usages.contains(&usage)
    }

    /// The keys that ask for it: its own, and the one that names a file.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> + use<> {
        let file = match self.layout {
            Layout::Statement { file, .. } => Some(file),
            Layout::Table => None,
        };
        [Some(self.key), file].into_iter().flatten()
    }
}

impl fmt::Debug for RequestSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestSpec").field(&self.key).finish()
    }
}

impl PartialEq for RequestSpec {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// A worker's step.
    Step,
    /// A step of the fixture.
    Fixture,
    /// What an invariant reads.
    Probe,
}

/// How a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The key holds a table of the fields.
    Table,
    /// The key holds the first field itself, and the other fields stand next to it.
    Statement {
        /// The key that names a file which holds the first field instead.
        file: &'static str,
        /// One sentence on that key.
        doc: &'static str,
    },
}

/// A key of a request, or of a target.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The key.
    pub key: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// Whether it must be there.
    pub need: Need,
    /// One sentence on what it does, without the default.
    pub doc: &'static str,
}

/// What a key holds. All but [`Shape::Text`] may hold `${expression}`.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Text that is taken as it stands.
    Text,
    /// Any value.
    Value,
    /// A list of values.
    Values,
    /// Names with values.
    Named,
    /// One of these words.
    Words(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Whole {
        /// The least that is allowed.
        least: i64,
    },
    /// A duration such as `20ms`.
    Duration {
        /// The least that is allowed.
        least: Duration,
        /// Who says so: `JetStream refuses a shorter one`.
        why: &'static str,
    },
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// It must.
    Required,
    /// Without it there is nothing.
    Optional,
    /// Without it there is this.
    Default(Literal),
}

/// A value that a table can hold.
#[derive(Debug, Clone, Copy)]
pub enum Literal {
    /// Null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text.
    Text(&'static str),
}

impl From<Literal> for Value {
    fn from(literal: Literal) -> Self {
        match literal {
            Literal::Null => Value::Null,
            Literal::Bool(value) => Value::Bool(value),
            Literal::Int(value) => Value::Int(value),
            Literal::Text(text) => Value::text(text),
        }
    }
}

/// What a request gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultShape {
    /// Rows: steps may say how many they want, and expressions see `rows` and `affected`.
    Rows,
    /// One value, which expressions see as `result`, and those of invariants also under this name.
    Value(&'static str),
}

/// A point inside a request at which a worker can wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PausePoint {
    /// Its word; the barrier is called the same.
    pub word: &'static str,
    /// One sentence on where it is.
    pub doc: &'static str,
}

/// What the text of a request shows without a server.
pub trait Rules: Sync {
    /// Notes what is certainly wrong with it as it is written.
    fn check(&self, written: &Written<'_>, notes: &mut dyn Notes) {
        let _ = (written, notes);
    }

    /// Whether it does nothing but sleep, so that a worker in it is not in play.
    fn only_sleeps(&self, request: &Request<Template>) -> bool {
        let _ = request;
        false
    }

    /// The words by which it succeeds also where it does nothing, if it has them.
    fn succeeds_silently(&self, written: &Written<'_>) -> Option<&'static str> {
        let _ = written;
        None
    }
}

/// Of a request whose text shows nothing.
pub struct NoRules;

impl Rules for NoRules {}
