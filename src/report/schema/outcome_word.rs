//! The word of an attempt's outcome as it stands in a report: one of ours, or one that a later version has introduced.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::outcome::OutcomeKind;

/// How many words a reader accepts beyond those that it knows. No version of deadheat introduces as many.
const OTHER_WORDS_MAX: usize = 64;
/// How long such a word may be, in bytes.
const OTHER_WORD_MAX: usize = 40;

/// The class of an attempt's end.
///
/// A report of a later minor version may hold classes that this one does not know. They are read, shown and written as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
#[expect(missing_docs, reason = "the words are documented at `OutcomeKind`, in the same order")]
pub enum OutcomeWord {
    Success,
    Conflict,
    Deadlock,
    Busy,
    Serialization,
    Duplicate,
    Rejected,
    Disconnected,
    Timeout,
    Unknown,
    BrokenBarrier,
    Crash,
    /// A word of a later version.
    Other(OtherWord),
}

/// A kebab-case word that is not an [`OutcomeKind`]'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OtherWord(&'static str);

/// The text cannot be the word of an outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutcomeWordError {
    /// It does not look like one.
    #[error(
        "`{0}` is not the word of an outcome: at most {OTHER_WORD_MAX} letters from a to z, in parts joined by `-`"
    )]
    Malformed(String),
    /// There were others before it.
    #[error("`{0}` is one outcome too many that this version does not know; it reads at most {OTHER_WORDS_MAX}")]
    TooMany(String),
}

impl OutcomeWord {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            OutcomeWord::Other(OtherWord(word)) => word,
            known => known.kind().map_or("", OutcomeKind::as_str),
        }
    }

    /// The class that it stands for; `None` for a word of a later version.
    pub const fn kind(self) -> Option<OutcomeKind> {
        Some(match self {
            OutcomeWord::Success => OutcomeKind::Success,
            OutcomeWord::Conflict => OutcomeKind::Conflict,
            OutcomeWord::Deadlock => OutcomeKind::Deadlock,
            OutcomeWord::Busy => OutcomeKind::Busy,
            OutcomeWord::Serialization => OutcomeKind::Serialization,
            OutcomeWord::Duplicate => OutcomeKind::Duplicate,
            OutcomeWord::Rejected => OutcomeKind::Rejected,
            OutcomeWord::Disconnected => OutcomeKind::Disconnected,
            OutcomeWord::Timeout => OutcomeKind::Timeout,
            OutcomeWord::Unknown => OutcomeKind::Unknown,
            OutcomeWord::BrokenBarrier => OutcomeKind::BrokenBarrier,
            OutcomeWord::Crash => OutcomeKind::Crash,
            OutcomeWord::Other(_) => return None,
        })
    }
}

impl From<OutcomeKind> for OutcomeWord {
    fn from(kind: OutcomeKind) -> Self {
        match kind {
            OutcomeKind::Success => OutcomeWord::Success,
            OutcomeKind::Conflict => OutcomeWord::Conflict,
            OutcomeKind::Deadlock => OutcomeWord::Deadlock,
            OutcomeKind::Busy => OutcomeWord::Busy,
            OutcomeKind::Serialization => OutcomeWord::Serialization,
            OutcomeKind::Duplicate => OutcomeWord::Duplicate,
            OutcomeKind::Rejected => OutcomeWord::Rejected,
            OutcomeKind::Disconnected => OutcomeWord::Disconnected,
            OutcomeKind::Timeout => OutcomeWord::Timeout,
            OutcomeKind::Unknown => OutcomeWord::Unknown,
            OutcomeKind::BrokenBarrier => OutcomeWord::BrokenBarrier,
            OutcomeKind::Crash => OutcomeWord::Crash,
        }
    }
}

impl From<OutcomeWord> for &'static str {
    fn from(word: OutcomeWord) -> Self {
        word.as_str()
    }
}

impl TryFrom<String> for OutcomeWord {
    type Error = OutcomeWordError;

    fn try_from(word: String) -> Result<Self, OutcomeWordError> {
        match word.parse::<OutcomeKind>() {
            Ok(kind) => Ok(kind.into()),
            Err(_) => OtherWord::new(word).map(OutcomeWord::Other),
        }
    }
}

impl OtherWord {
    /// The words met so far. They live as long as the process, so that an [`OutcomeWord`] stays `Copy`.
    fn new(word: String) -> Result<Self, OutcomeWordError> {
        static MET: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
        let is_kebab =
            word.split('-').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase()));
        if !is_kebab || word.len() > OTHER_WORD_MAX {
            return Err(OutcomeWordError::Malformed(word.chars().take(OTHER_WORD_MAX).collect()));
        }
        let mut met = MET.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = met.iter().find(|known| **known == word) {
            return Ok(OtherWord(known));
        }
        if met.len() >= OTHER_WORDS_MAX {
            return Err(OutcomeWordError::TooMany(word));
        }
        let word: &'static str = word.leak();
        met.push(word);
        Ok(OtherWord(word))
    }
}

impl fmt::Display for OutcomeWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl JsonSchema for OutcomeWord {
    fn schema_name() -> Cow<'static, str> {
        "OutcomeWord".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let known = OutcomeKind::ALL.map(OutcomeKind::as_str);
        json_schema!({
            "description": "The class of an attempt's end. Later minor versions may add words.",
            "type": "string",
            "maxLength": OTHER_WORD_MAX,
            "pattern": "^[a-z]+(-[a-z]+)*$",
            "examples": known,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_on_disk_are_the_words_of_the_domain() {
        for kind in OutcomeKind::ALL {
            let word = OutcomeWord::from(kind);
            assert_eq!(serde_json::to_value(word).unwrap(), kind.as_str());
            assert_eq!(serde_json::from_value::<OutcomeWord>(kind.as_str().into()).unwrap(), word);
            assert_eq!(word.kind(), Some(kind));
        }
    }

    #[test]
    fn a_word_of_a_later_version_is_read_shown_and_written_as_it_is() {
        let read = |word: &str| serde_json::from_value::<OutcomeWord>(word.into());
        let word = read("went-fishing").unwrap();
        assert_eq!((word.kind(), word.to_string().as_str()), (None, "went-fishing"));
        assert_eq!(serde_json::to_value(word).unwrap(), "went-fishing");
        assert_eq!(read("went-fishing").unwrap(), word);
        assert_ne!(read("slept").unwrap(), word);
        for wrong in ["", "Success", "two words", "a--b", "\u{1b}[31m", &"x".repeat(41)] {
            assert!(read(wrong).unwrap_err().to_string().contains("is not the word of an outcome"), "{wrong}");
        }
    }
}
