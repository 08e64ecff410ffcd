//! What a CI service is told of a run: GitHub's annotations and job summary, where its environment asks for them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::output::Output;
use crate::report::annotations::annotations;
use crate::report::schema::Report;
use crate::report::summary::{LIMIT, summary};

/// Prints annotations when `GITHUB_ACTIONS=true`, and adds to the file that `GITHUB_STEP_SUMMARY` names.
/// What cannot be written there is a warning: the run's verdict does not depend on it.
pub(crate) fn announce(report: &Report, output: &Output) {
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        output.data(&annotations(report, &directory()));
    }
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(PathBuf::from)
        && let Err(error) = append(&path, report)
    {
        output.warning(&format!(
            "cannot add to the job summary `{}`: {error}; the run's folder has summary.md",
            path.display()
        ));
    }
}

/// Where this process runs, relative to the repository.
fn directory() -> PathBuf {
    let workspace = std::env::var_os("GITHUB_WORKSPACE");
    let current = std::env::current_dir().ok();
    let below = current.zip(workspace).and_then(|(current, root)| Some(current.strip_prefix(root).ok()?.to_owned()));
    below.unwrap_or_default()
}

/// All that a step says must fit into the limit together.
fn append(path: &Path, report: &Report) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let written = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let text = crate::secrets::hidden(&summary(report, LIMIT.saturating_sub(written + 1)));
    // Whatever an earlier command left there, a heading begins a line.
    file.write_all(if written > 0 { b"\n" } else { b"" })?;
    file.write_all(text.as_bytes())
}
