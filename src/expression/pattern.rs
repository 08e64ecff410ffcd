//! Regular expressions of `matches`, whose size and time are bounded.

use regex::{Regex, RegexBuilder};

/// The longest pattern, in bytes.
const LENGTH_MAX: usize = 16 * 1024;

/// Sizes that are tried in turn, so that a pattern's cost is known: the time of a match grows with both sizes.
const SIZES: [usize; 4] = [1 << 14, 1 << 16, 1 << 18, 1 << 20];

/// How deep groups may nest.
const NEST_MAX: u32 = 100;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    /// Steps that a byte of text costs.
    cost: u64,
}

impl Pattern {
    /// Compiles `pattern`; the error is the end of a sentence that begins with the pattern.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        if pattern.len() > LENGTH_MAX {
            return Err(format!("has {} bytes, wanted at most {LENGTH_MAX}", pattern.len()));
        }
        let mut last = None;
        for size in SIZES {
            match RegexBuilder::new(pattern).size_limit(size).dfa_size_limit(1 << 20).nest_limit(NEST_MAX).build() {
                Ok(regex) => return Ok(Pattern { regex, cost: (size / SIZES[0]) as u64 }),
                Err(regex::Error::CompiledTooBig(_)) => {
                    last = Some(format!("is too large once compiled, wanted at most {} bytes", SIZES[3]));
                }
                Err(error) => {
                    let said = error.to_string();
                    let why = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                    return Err(format!("is not a regular expression: {why}"));
                }
            }
        }
        Err(last.unwrap_or_default())
    }

    /// The steps that looking at `text` costs.
    pub(super) fn steps(&self, text: &str) -> u64 {
        1 + self.cost * text.len() as u64 / 8
    }

    /// The steps that compiling it cost.
    pub(super) fn compiling(&self) -> u64 {
        self.cost * 1000
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}
