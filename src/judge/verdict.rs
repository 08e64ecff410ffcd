//! The words for how a round, a case and a run ended, and the exit codes of a run.

use std::fmt;

/// What a round, a case or a growth check proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Everything that was expected held.
    Pass,
    /// Nothing was seen to be wrong, but what was seen does not prove that all is well.
    Inconclusive,
    /// Something that must hold did not.
    Fail,
}

impl Verdict {
    /// The word used in reports and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Fail => "fail",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a run (or a comparison) ended. Each is an exit code; the same word stands in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunVerdict {
    /// Every case passed.
    Pass,
    /// A case failed.
    Fail,
    /// A comparison found a regression.
    Regression,
    /// A case proved nothing, or every case was skipped.
    Inconclusive,
    /// Two reports cannot be compared.
    NotComparable,
    /// A server was not reachable, a case was skipped under `--no-skip`, or the machine refused something the run needs.
    Environment,
    /// The command line or a scenario is wrong.
    Usage,
    /// The run was interrupted; its report is partial.
    Interrupted,
}

impl RunVerdict {
    /// All of them, the weightiest first: of several causes the first decides.
    pub const BY_WEIGHT: [RunVerdict; 8] = [
        RunVerdict::Interrupted,
        RunVerdict::Usage,
        RunVerdict::Fail,
        RunVerdict::Environment,
        RunVerdict::Regression,
        RunVerdict::Inconclusive,
        RunVerdict::NotComparable,
        RunVerdict::Pass,
    ];

    /// The exit code. 2 and 101 are never used: make and panics have them.
    pub const fn exit_code(self) -> u8 {
        match self {
            RunVerdict::Pass => 0,
            RunVerdict::Fail => 1,
            RunVerdict::Regression => 3,
            RunVerdict::Inconclusive => 4,
            RunVerdict::NotComparable => 5,
            RunVerdict::Environment => 10,
            RunVerdict::Usage => 64,
            RunVerdict::Interrupted => 130,
        }
    }

    /// The word used in reports and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            RunVerdict::Pass => "pass",
            RunVerdict::Fail => "fail",
            RunVerdict::Regression => "regression",
            RunVerdict::Inconclusive => "inconclusive",
            RunVerdict::NotComparable => "not-comparable",
            RunVerdict::Environment => "environment",
            RunVerdict::Usage => "usage",
            RunVerdict::Interrupted => "interrupted",
        }
    }

    /// The weightiest of several causes. No cause at all proves nothing: a run in which every case was skipped is inconclusive.
    pub fn decide(causes: impl IntoIterator<Item = RunVerdict>) -> RunVerdict {
        let causes: Vec<RunVerdict> = causes.into_iter().collect();
        RunVerdict::BY_WEIGHT.into_iter().find(|verdict| causes.contains(verdict)).unwrap_or(RunVerdict::Inconclusive)
    }
}

impl From<Verdict> for RunVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => RunVerdict::Pass,
            Verdict::Inconclusive => RunVerdict::Inconclusive,
            Verdict::Fail => RunVerdict::Fail,
        }
    }
}

impl fmt::Display for RunVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let codes: Vec<_> =
            RunVerdict::BY_WEIGHT.iter().map(|verdict| (verdict.as_str(), verdict.exit_code())).collect();
        assert_eq!(
            codes,
            [
                ("interrupted", 130),
                ("usage", 64),
                ("fail", 1),
                ("environment", 10),
                ("regression", 3),
                ("inconclusive", 4),
                ("not-comparable", 5),
                ("pass", 0)
            ]
        );
        assert!(!codes.iter().any(|(_, code)| [2, 101].contains(code)));
    }

    #[test]
    fn the_weightiest_cause_decides() {
        use RunVerdict::*;
        assert_eq!(RunVerdict::decide([Pass, Inconclusive, Pass]), Inconclusive);
        assert_eq!(RunVerdict::decide([Environment, Fail, Pass]), Fail);
        assert_eq!(RunVerdict::decide([Fail, Usage]), Usage);
        assert_eq!(RunVerdict::decide([Usage, Interrupted]), Interrupted);
        assert_eq!(RunVerdict::decide([Regression, Environment]), Environment);
        assert_eq!(RunVerdict::decide([Pass]), Pass);
    }

    #[test]
    fn every_case_skipped_is_inconclusive() {
        assert_eq!(RunVerdict::decide([]), RunVerdict::Inconclusive);
    }
}
