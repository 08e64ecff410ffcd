//! Finds runs in a folder of reports, by the branch that they ran on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use super::load::REPORT_FILE;
use super::schema::{Git, KIND, RunVerdictWord};

/// A run in a folder of reports: as much as is needed to choose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRun {
    /// Its folder.
    pub folder: PathBuf,
    /// When it began.
    pub started: Timestamp,
    /// The branch it ran on; `None` outside of git.
    pub branch: Option<String>,
    /// How it ended.
    pub verdict: RunVerdictWord,
}

impl FoundRun {
    /// Whether it went through: an interrupted run has raced only some of its rounds.
    pub fn is_finished(&self) -> bool {
        !matches!(self.verdict, RunVerdictWord::Interrupted | RunVerdictWord::Environment | RunVerdictWord::Usage)
    }
}

/// A branch has no run to compare.
#[derive(Debug, thiserror::Error)]
#[error("there is no report `{branch}`, and {}", found(reports, branch, branches))]
pub struct NoSuchRun {
    /// The name given.
    pub branch: String,
    /// Where it was looked for.
    pub reports: PathBuf,
    /// The branches that have a finished run there.
    pub branches: BTreeSet<String>,
}

fn found(reports: &Path, branch: &str, branches: &BTreeSet<String>) -> String {
    let reports = reports.display();
    if branches.is_empty() {
        return format!(
            "no finished run of any branch in `{reports}`; name a report.json or a run's folder, or another place with `--reports`"
        );
    }
    let branches: Vec<String> = branches.iter().map(|branch| format!("`{branch}`")).collect();
    format!("no finished run of a branch `{branch}` in `{reports}`; there are runs of {}", branches.join(", "))
}

#[derive(Deserialize)]
struct Head {
    kind: String,
    verdict: RunVerdictWord,
    run: HeadRun,
}

#[derive(Deserialize)]
struct HeadRun {
    started: String,
    git: Option<Git>,
}

/// The runs in a folder of reports, the oldest first. What is not a report is passed over.
pub fn runs(reports: &Path) -> std::io::Result<Vec<FoundRun>> {
    let mut runs = Vec::new();
    for entry in std::fs::read_dir(reports)? {
        let folder = entry?.path();
        let Ok(bytes) = std::fs::read(folder.join(REPORT_FILE)) else { continue };
        let Ok(Head { kind, verdict, run }) = serde_json::from_slice::<Head>(&bytes) else { continue };
        let Ok(started) = run.started.parse::<Timestamp>() else { continue };
        if kind == KIND {
            let branch = run.git.map(|git| git.branch);
            runs.push(FoundRun { folder, started, branch, verdict });
        }
    }
    runs.sort_by(|a, b| (a.started, &a.folder).cmp(&(b.started, &b.folder)));
    Ok(runs)
}

/// The folder of the newest finished run of `branch`.
pub fn newest(reports: &Path, branch: &str) -> Result<PathBuf, NoSuchRun> {
    // A folder that cannot be read holds no runs.
    let mut runs = runs(reports).unwrap_or_default();
    runs.retain(FoundRun::is_finished);
    let newest = runs.iter().rfind(|run| run.branch.as_deref() == Some(branch));
    newest.map(|run| run.folder.clone()).ok_or_else(|| NoSuchRun {
        branch: branch.to_owned(),
        reports: reports.to_owned(),
        branches: runs.iter().filter_map(|run| run.branch.clone()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;
    use crate::report::sinks::to_json;

    fn put(reports: &Path, name: &str, started: &str, branch: &str, verdict: RunVerdictWord) {
        let mut report = example::report();
        report.run.started = started.to_owned();
        report.run.git.as_mut().unwrap().branch = branch.to_owned();
        report.verdict = verdict;
        std::fs::create_dir(reports.join(name)).unwrap();
        std::fs::write(reports.join(name).join(REPORT_FILE), to_json(&report)).unwrap();
    }

    #[test]
    fn the_newest_finished_run_of_a_branch_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let reports = folder.path();
        assert!(
            newest(&reports.join("none"), "main").unwrap_err().to_string().contains("no finished run of any branch")
        );
        put(reports, "a", "2026-01-02T00:30:00+01:00", "main", RunVerdictWord::Pass);
        put(reports, "b", "2026-01-02T00:00:00+00:00", "main", RunVerdictWord::Fail);
        put(reports, "c", "2026-01-03T00:00:00+00:00", "main", RunVerdictWord::Interrupted);
        put(reports, "d", "2026-01-04T00:00:00+00:00", "fix/lock", RunVerdictWord::Pass);
        std::fs::write(reports.join("README.md"), "no run").unwrap();
        std::fs::create_dir(reports.join("empty")).unwrap();
        assert_eq!(newest(reports, "main").unwrap(), reports.join("b"));
        assert_eq!(newest(reports, "fix/lock").unwrap(), reports.join("d"));
        let error = newest(reports, "mian").unwrap_err().to_string();
        assert!(error.ends_with("there are runs of `fix/lock`, `main`"), "{error}");
        assert_eq!(runs(reports).unwrap().len(), 4);
    }
}
