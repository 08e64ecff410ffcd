//! Finds runs in a folder of reports, by the branch that they ran on.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use super::load::{LoadError, LoadErrorKind, REPORT_FILE};
use super::schema::{Git, KIND, RunVerdictWord};
use super::sinks::{file_name_part, run_name};

/// As many characters has the time that the name of a run's folder begins with.
const TIME_LENGTH: usize = "2026-01-31T12-00-00".len();

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
    /// When it began by its own clock, as in the name of its folder.
    time: String,
}

impl FoundRun {
    /// Whether it went through: an interrupted run has raced only some of its rounds.
    pub fn is_finished(&self) -> bool {
        !matches!(self.verdict, RunVerdictWord::Interrupted | RunVerdictWord::Environment | RunVerdictWord::Usage)
    }
}

/// What a folder of reports holds.
#[derive(Debug, Default)]
pub struct Stored {
    /// The runs, the oldest first.
    pub runs: Vec<FoundRun>,
    /// Those that cannot be read.
    pub damaged: Vec<DamagedRun>,
}

/// A folder whose report cannot be read. When it was raced and on which branch, only its name can tell.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct DamagedRun {
    name: String,
    error: LoadError,
}

impl DamagedRun {
    /// The time in the folder's name, if a run gave it that name.
    fn time(&self) -> Option<&str> {
        let time = self.name.get(..TIME_LENGTH)?;
        jiff::civil::DateTime::strptime("%Y-%m-%dT%H-%M-%S", time).is_ok().then_some(time)
    }

    /// Whether it may have been raced on `branch`: a folder of another name tells of no branch.
    pub fn may_be_of(&self, branch: &str) -> bool {
        let Some(rest) = self.time().map(|time| &self.name[time.len()..]) else { return true };
        let sha = rest.strip_prefix(&format!("-{}-", file_name_part(branch)));
        let sha = sha.map(|rest| rest.split_once('-').map_or(rest, |(sha, _number)| sha));
        sha.is_some_and(|sha| !sha.is_empty() && sha.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }

    fn may_be_newer_than(&self, run: &FoundRun) -> bool {
        self.time().is_none_or(|time| time >= run.time.as_str())
    }
}

/// The newest finished run of a branch.
#[derive(Debug, PartialEq, Eq)]
pub struct NewestRun {
    /// Its folder.
    pub folder: PathBuf,
    /// The folders of newer runs of the branch that did not go through.
    pub unfinished: Vec<PathBuf>,
}

/// A branch has no run to compare.
#[derive(Debug, thiserror::Error)]
pub enum NoSuchRun {
    /// None is finished.
    #[error("there is no report `{branch}`, and {}", found(reports, branch, branches))]
    None {
        /// The name given.
        branch: String,
        /// Where it was looked for.
        reports: PathBuf,
        /// The branches that have a finished run there.
        branches: BTreeSet<String>,
    },
    /// One that cannot be read may be the newest.
    #[error("the newest run of `{branch}` may be a damaged one: {damaged}")]
    Damaged {
        /// The branch.
        branch: String,
        /// The run.
        damaged: DamagedRun,
    },
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
    verdict: RunVerdictWord,
    run: HeadRun,
}

#[derive(Deserialize)]
struct HeadRun {
    started: String,
    git: Option<Git>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// The runs in a folder of reports. What holds no report is passed over.
pub fn stored(reports: &Path) -> std::io::Result<Stored> {
    let mut stored = Stored::default();
    for entry in std::fs::read_dir(reports)? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = folder.join(REPORT_FILE);
        match find(folder, &path) {
            Ok(run) => stored.runs.extend(run),
            Err(kind) => stored.damaged.push(DamagedRun { name, error: LoadError { path, kind } }),
        }
    }
    stored.runs.sort_by(|a, b| (a.started, &a.folder).cmp(&(b.started, &b.folder)));
    stored.damaged.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(stored)
}

/// The run in `folder`, whose report would be at `path`; `None` if there is no report.
fn find(folder: PathBuf, path: &Path) -> Result<Option<FoundRun>, LoadErrorKind> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(LoadErrorKind::Io(error)),
    };
    match serde_json::from_slice::<Kind>(&bytes) {
        Ok(Kind { kind }) if kind.as_deref() == Some(KIND) => {}
        Err(error) if !error.is_data() => return Err(LoadErrorKind::not_json(&error)),
        // Something else of the same name.
        Ok(_) | Err(_) => return Ok(None),
    }
    let malformed = |error: &dyn std::fmt::Display| LoadErrorKind::Malformed(error.to_string());
    let Head { verdict, run } = serde_json::from_slice(&bytes).map_err(|error| malformed(&error))?;
    let started = run.started.parse::<Timestamp>().map_err(|error| malformed(&error))?;
    let branch = run.git.map(|git| git.branch);
    Ok(Some(FoundRun { folder, started, branch, verdict, time: run_name(&run.started, None) }))
}

impl Stored {
    /// The newest run, however it ended. An error is one that cannot be read and may be newer.
    pub fn newest(mut self) -> Result<Option<FoundRun>, DamagedRun> {
        let newest = self.runs.pop();
        match self.damaged.pop_if(|damaged| newest.as_ref().is_none_or(|run| damaged.may_be_newer_than(run))) {
            Some(damaged) => Err(damaged),
            None => Ok(newest),
        }
    }
}

/// The newest finished run of `branch`.
pub fn newest(reports: &Path, branch: &str) -> Result<NewestRun, NoSuchRun> {
    // A folder that cannot be read holds no runs.
    let Stored { runs, damaged } = stored(reports).unwrap_or_default();
    let of_branch = |run: &&FoundRun| run.branch.as_deref() == Some(branch);
    let newest = runs.iter().rfind(|run| of_branch(run) && run.is_finished());
    let may_be_newest = |damaged: &DamagedRun| {
        damaged.may_be_of(branch) && newest.is_none_or(|newest| damaged.may_be_newer_than(newest))
    };
    if let Some(damaged) = damaged.into_iter().rfind(may_be_newest) {
        return Err(NoSuchRun::Damaged { branch: branch.to_owned(), damaged });
    }
    let Some(newest) = newest else {
        let branches = runs.iter().filter(|run| run.is_finished()).filter_map(|run| run.branch.clone()).collect();
        return Err(NoSuchRun::None { branch: branch.to_owned(), reports: reports.to_owned(), branches });
    };
    let newer = runs.iter().rev().filter(of_branch).take_while(|run| *run != newest);
    Ok(NewestRun { folder: newest.folder.clone(), unfinished: newer.map(|run| run.folder.clone()).collect() })
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
        std::fs::create_dir(reports.join("other")).unwrap();
        std::fs::write(reports.join("other").join(REPORT_FILE), r#"{"kind": "hyperfine"}"#).unwrap();
        let unfinished = vec![reports.join("c")];
        assert_eq!(newest(reports, "main").unwrap(), NewestRun { folder: reports.join("b"), unfinished });
        let only = NewestRun { folder: reports.join("d"), unfinished: Vec::new() };
        assert_eq!(newest(reports, "fix/lock").unwrap(), only);
        let error = newest(reports, "mian").unwrap_err().to_string();
        assert!(error.ends_with("there are runs of `fix/lock`, `main`"), "{error}");
        let stored = stored(reports).unwrap();
        assert_eq!((stored.runs.len(), stored.damaged.len()), (4, 0));
        assert_eq!(stored.newest().unwrap().unwrap().folder, reports.join("d"));
    }

    #[test]
    fn a_damaged_run_is_not_passed_over_where_it_may_be_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let reports = folder.path();
        let damaged = |name: &str| {
            put(reports, name, "2026-01-02T00:00:00Z", "main", RunVerdictWord::Pass);
            let file = reports.join(name).join(REPORT_FILE);
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, &text[..text.len() / 2]).unwrap();
        };
        let refused = |branch: &str| newest(reports, branch).unwrap_err().to_string();
        put(reports, "good", "2026-01-02T00:00:00Z", "main", RunVerdictWord::Pass);
        damaged("2026-01-01T00-00-00-main-1a2b3c4");
        damaged("2026-01-03T00-00-00-main-fix-1a2b3c4");
        assert_eq!(
            newest(reports, "main").unwrap().folder,
            reports.join("good"),
            "one is older, one of another branch"
        );
        assert!(refused("main-fix").contains("main-fix-1a2b3c4/report.json"), "{}", refused("main-fix"));
        let newest_of_all = stored(reports).unwrap().newest().unwrap_err().to_string();
        assert!(newest_of_all.contains("2026-01-03T00-00-00-main-fix"), "{newest_of_all}");
        damaged("2026-01-03T00-00-00-main-1a2b3c4-2");
        let error = refused("main");
        assert!(error.starts_with("the newest run of `main` may be a damaged one: "), "{error}");
        assert!(error.contains("main-1a2b3c4-2/report.json`: it ends in the middle, at line "), "{error}");
        damaged("renamed");
        assert!(refused("other").contains("renamed/report.json"), "{}", refused("other"));
    }
}
