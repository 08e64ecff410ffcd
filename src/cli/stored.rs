//! Finds and reads the stored report that a command is about.

use std::path::{Path, PathBuf};

use super::Failure;
use crate::judge::RunVerdict;
use crate::report::schema::Report;
use crate::report::{self, lookup};

/// Where runs leave their folders if not told otherwise.
const REPORTS: &str = "reports";

/// The report at `path`, or that of the newest run below `reports`, and the path it was found at.
pub(crate) fn load(path: Option<&Path>) -> Result<(PathBuf, Report), Failure> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => newest(Path::new(REPORTS))?,
    };
    let report = report::load(&path).map_err(|error| Failure::new(RunVerdict::Usage, error))?;
    Ok((path, report))
}

/// The folder of the newest run, however it ended.
fn newest(reports: &Path) -> Result<PathBuf, Failure> {
    // A folder that cannot be read holds no runs.
    let newest = lookup::stored(reports).unwrap_or_default().newest().map_err(|damaged| {
        let message = format!("the newest run below `{}` may be a damaged one: {damaged}", reports.display());
        Failure::new(RunVerdict::Usage, message)
    })?;
    newest.map(|run| run.folder).ok_or_else(|| {
        let message = format!("no run is stored below `{}`; name a report.json, or a run's folder", reports.display());
        Failure::new(RunVerdict::Usage, message)
    })
}
