//! How a worker's attempt ended, and counts of it.

mod cause;

use std::fmt;
use std::str::FromStr;

pub use cause::Cause;

/// The class of an attempt's end. A refusal by the system raced against is data like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutcomeKind {
    /// Every step took effect.
    Success,
    /// Somebody else was first: a unique key, a wrong expected version, a row count not met.
    Conflict,
    /// The server ended a deadlock at this attempt's cost.
    Deadlock,
    /// A lock was not available and the attempt did not wait (any longer) for it.
    Busy,
    /// A serializable (or repeatable-read) transaction could not be serialized.
    Serialization,
    /// The message was stored before under the same id; nothing new was stored.
    Duplicate,
    /// A rule said no: another constraint, a failed `assert`, a missing snapshot.
    Rejected,
    /// The connection was lost, and nothing of what was asked for took effect. Earlier autocommit steps did.
    Disconnected,
    /// A deadline passed and the effect certainly did not happen.
    Timeout,
    /// Whether the effect happened is not known: no reply to something that was sent.
    Unknown,
    /// A barrier was never completed.
    BrokenBarrier,
    /// Anything not mapped, or a worker that panicked.
    Crash,
}

impl OutcomeKind {
    /// All kinds, in the order in which reports list them.
    pub const ALL: [OutcomeKind; 12] = [
        OutcomeKind::Success,
        OutcomeKind::Conflict,
        OutcomeKind::Deadlock,
        OutcomeKind::Busy,
        OutcomeKind::Serialization,
        OutcomeKind::Duplicate,
        OutcomeKind::Rejected,
        OutcomeKind::Disconnected,
        OutcomeKind::Timeout,
        OutcomeKind::Unknown,
        OutcomeKind::BrokenBarrier,
        OutcomeKind::Crash,
    ];

    /// Those that a scenario may say a refusal is. The others are only ever observed: a refusal is an answer, so that the
    /// connection was not lost, and what took effect is known.
    pub const REFUSALS: [OutcomeKind; 8] = [
        OutcomeKind::Conflict,
        OutcomeKind::Deadlock,
        OutcomeKind::Busy,
        OutcomeKind::Serialization,
        OutcomeKind::Duplicate,
        OutcomeKind::Rejected,
        OutcomeKind::Timeout,
        OutcomeKind::Crash,
    ];

    /// The kebab-case word used in scenario files, reports and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            OutcomeKind::Success => "success",
            OutcomeKind::Conflict => "conflict",
            OutcomeKind::Deadlock => "deadlock",
            OutcomeKind::Busy => "busy",
            OutcomeKind::Serialization => "serialization",
            OutcomeKind::Duplicate => "duplicate",
            OutcomeKind::Rejected => "rejected",
            OutcomeKind::Disconnected => "disconnected",
            OutcomeKind::Timeout => "timeout",
            OutcomeKind::Unknown => "unknown",
            OutcomeKind::BrokenBarrier => "broken-barrier",
            OutcomeKind::Crash => "crash",
        }
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The word is not an outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an outcome; the outcomes are success, conflict, deadlock, busy, serialization, duplicate, rejected, disconnected, timeout, unknown, broken-barrier and crash"
)]
pub struct UnknownOutcome(pub String);

impl FromStr for OutcomeKind {
    type Err = UnknownOutcome;

    fn from_str(word: &str) -> Result<Self, UnknownOutcome> {
        OutcomeKind::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| UnknownOutcome(word.to_owned()))
    }
}

/// How many attempts ended in each kind of outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tally([u64; OutcomeKind::ALL.len()]);

impl Tally {
    /// Counts one more attempt that ended in `kind`.
    pub fn count(&mut self, kind: OutcomeKind) {
        self.add(kind, 1);
    }

    /// Counts `number` more attempts that ended in `kind`.
    pub fn add(&mut self, kind: OutcomeKind, number: u64) {
        self.0[kind as usize] += number;
    }

    /// Takes back one attempt that ended in `kind` and was counted before.
    pub fn remove_one(&mut self, kind: OutcomeKind) {
        self.0[kind as usize] -= 1;
    }

    /// How many attempts ended in `kind`.
    pub fn of(&self, kind: OutcomeKind) -> u64 {
        self.0[kind as usize]
    }

    /// How many attempts were counted in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds everything that `other` counted.
    pub fn merge(&mut self, other: &Tally) {
        for kind in OutcomeKind::ALL {
            self.add(kind, other.of(kind));
        }
    }

    /// The lesser count of each kind.
    pub fn least(&self, other: &Tally) -> Tally {
        Tally(std::array::from_fn(|kind| self.0[kind].min(other.0[kind])))
    }

    /// The greater count of each kind.
    pub fn most(&self, other: &Tally) -> Tally {
        Tally(std::array::from_fn(|kind| self.0[kind].max(other.0[kind])))
    }

    /// The kinds that occurred, with their counts, in report order.
    pub fn occurred(&self) -> impl Iterator<Item = (OutcomeKind, u64)> + '_ {
        OutcomeKind::ALL.into_iter().map(|kind| (kind, self.of(kind))).filter(|(_, number)| *number > 0)
    }
}

impl FromIterator<OutcomeKind> for Tally {
    fn from_iter<I: IntoIterator<Item = OutcomeKind>>(kinds: I) -> Self {
        let mut tally = Tally::default();
        for kind in kinds {
            tally.count(kind);
        }
        tally
    }
}

impl fmt::Display for Tally {
    /// `1 success, 49 conflict`, or `nothing`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (kind, number) in self.occurred() {
            let comma = if first { "" } else { ", " };
            write!(f, "{comma}{number} {kind}")?;
            first = false;
        }
        if first { f.write_str("nothing") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_parses_back_to_its_kind() {
        for kind in OutcomeKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("succes".parse::<OutcomeKind>().is_err());
    }

    #[test]
    fn a_tally_conserves_what_it_counts() {
        let mut tally: Tally =
            [OutcomeKind::Success, OutcomeKind::Conflict, OutcomeKind::Conflict].into_iter().collect();
        let other = tally;
        tally.merge(&other);
        assert_eq!(tally.total(), 6);
        assert_eq!(tally.to_string(), "2 success, 4 conflict");
        assert_eq!(Tally::default().to_string(), "nothing");
    }
}
