//! What came of a race.

use crate::judge::RunVerdict;
use crate::outcome::OutcomeKind;
use crate::report::schema::{self, OutcomeWord};
use crate::report::terminal::{self, Style};

/// The report of a run.
#[derive(Debug, Clone)]
pub struct Report(pub(super) schema::Report);

impl Report {
    /// How the run ended.
    pub fn verdict(&self) -> RunVerdict {
        self.0.verdict.into()
    }

    /// In how many attempts of all cases `kind` was the outcome. Controls do not count.
    pub fn count(&self, kind: OutcomeKind) -> u64 {
        let cases = self.0.scenarios.iter().flat_map(|scenario| &scenario.cases);
        cases.filter_map(|case| case.race.counts.get(&OutcomeWord::from(kind))).sum()
    }

    /// What `deadheat run` would have printed, without colours.
    pub fn text(&self) -> String {
        terminal::whole(&self.0, Style { colour: false })
    }

    /// The report as it is written to disk.
    pub fn schema(&self) -> &schema::Report {
        &self.0
    }

    /// Panics with the text of the report unless every case passed.
    #[track_caller]
    pub fn assert_passed(&self) {
        assert!(self.verdict() == RunVerdict::Pass, "the race did not pass:\n{}", self.text());
    }
}
