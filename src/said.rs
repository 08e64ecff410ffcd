//! What somebody said in words: shown to people, and decided on by nobody.

use std::fmt;

use regex::Regex;

/// A message: a server's, a library's, or our own. It can be shown and not compared, for the words change with the version
/// and the language of whoever said them. What decides is the code, or the [`Cause`](crate::outcome::Cause).
///
/// Its doors are two: [`Said::matches`], for the rules of a scenario, and the hints: [`Said::mentions`] and
/// [`Said::number_after`], for remedies and for what a system says in words only.
///
/// ```compile_fail
/// use deadheat::said::Said;
/// assert!(Said::new("duplicate key") == Said::new("duplicate key"));
/// ```
///
/// ```compile_fail
/// use deadheat::said::Said;
/// assert!(Said::new("0 rows, wanted 1").starts_with("0 rows"));
/// ```
#[derive(Debug, Clone, Default)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub struct Said(String);

impl Said {
    /// No words at all.
    pub const NOTHING: Said = Said(String::new());

    /// What somebody said.
    pub fn new(text: impl Into<String>) -> Self {
        Said(text.into())
    }

    /// Whether a `[[classify]]` rule of the scenario means it.
    pub fn matches(&self, rule: &Regex) -> bool {
        rule.is_match(&self.0)
    }

    /// Whether the words are in it: a hint, where a system has no code for what it says.
    pub fn mentions(&self, words: &'static str) -> bool {
        self.0.contains(words)
    }

    /// The number that follows the words: a hint, as [`Said::mentions`].
    pub fn number_after(&self, words: &'static str) -> Option<usize> {
        let (_, rest) = self.0.split_once(words)?;
        let digits = rest.find(|next: char| !next.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().ok()
    }

    /// The same, and more after it, such as a remedy.
    #[must_use]
    pub fn and(mut self, more: &str) -> Self {
        self.0.push_str(more);
        self
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
impl PartialEq<&str> for Said {
    fn eq(&self, words: &&str) -> bool {
        self.0 == *words
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_read_from_words() {
        let said = Said::new("invalid input for portal parameter $12 = 'x'").and("; mend it");
        assert_eq!((said.number_after("parameter $"), said.number_after("column ")), (Some(12), None));
        assert_eq!(Said::new("parameter $x").number_after("parameter $"), None);
        assert!(said.mentions("portal") && said.matches(&Regex::new("^invalid").unwrap()) && !said.mentions("Portal"));
        assert_eq!(said.to_string(), "invalid input for portal parameter $12 = 'x'; mend it");
    }
}
