//! A run's folder: rows stream into it while the run goes on, and the report is replaced after every case.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::judge::RoundJudgement;
use crate::model::record::RoundRecord;
use crate::model::{Case, KeptExchanges};
use crate::secrets;

use super::history::history;
use super::load::REPORT_FILE;
use super::rows::{ROUND_COLUMNS, STEP_COLUMNS, round_row, step_rows};
use super::schema::{DataFile, Git, Report};

/// The name of the file with a row for each round.
pub(super) const ROUNDS_FILE: &str = "rounds.csv";

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
    pub source: io::Error,
    /// What to do.
    pub remedy: &'static str,
}

impl SinkError {
    fn new(act: &'static str, path: &Path, source: io::Error) -> Self {
        let remedy = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room there, or choose another disk with `--out`"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "choose a folder that you may write to with `--out`"
            }
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                "a file is in the way: remove it, or choose another folder with `--out`"
            }
            _ => "check that place, or choose another folder with `--out`",
        };
        SinkError { act, path: path.to_owned(), source, remedy }
    }
}

/// The name of a run's folder: `2026-01-31T12-00-00-main-1a2b3c4`. `started` is RFC 3339.
pub fn run_name(started: &str, git: Option<&Git>) -> String {
    let time = started.chars().take(19).collect::<String>().replace(':', "-");
    match git {
        Some(git) => {
            let sha: String = git.sha.chars().take(7).collect();
            format!("{time}-{}-{sha}", file_name_part(&git.branch))
        }
        None => time,
    }
}

/// `text` with what file names may not hold everywhere turned into `-`, and not too long.
pub(super) fn file_name_part(text: &str) -> String {
    let safe =
        |character: char| if character.is_ascii_alphanumeric() || "._".contains(character) { character } else { '-' };
    text.chars().map(safe).take(60).collect()
}

/// Creates `out_dir/name`, or `name-2` and so on if that exists.
pub fn create_folder(out_dir: &Path, name: &str) -> Result<PathBuf, SinkError> {
    fs::create_dir_all(out_dir).map_err(|error| SinkError::new("create", out_dir, error))?;
    let mut path = out_dir.join(name);
    let mut number = 1;
    while let Err(error) = fs::create_dir(&path) {
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err(SinkError::new("create", &path, error));
        }
        number += 1;
        path = out_dir.join(format!("{name}-{number}"));
    }
    Ok(path)
}

/// The folder of one run.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    rounds: DataWriter,
    steps: DataWriter,
    history: DataWriter,
}

impl RunFolder {
    /// Creates `out_dir/name`, or `name-2` and so on if that exists, and its data files, so that a place that cannot be written to is
    /// noticed before the first race.
    pub fn create(out_dir: &Path, name: &str) -> Result<RunFolder, SinkError> {
        let path = create_folder(out_dir, name)?;
        let mut rounds = DataWriter::create(&path.join(ROUNDS_FILE))?;
        let mut steps = DataWriter::create(&path.join("steps.csv"))?;
        let history = DataWriter::create(&path.join("rounds.jsonl"))?;
        rounds.write(csv_line(&ROUND_COLUMNS).as_bytes(), 0)?;
        steps.write(csv_line(&STEP_COLUMNS).as_bytes(), 0)?;
        rounds.flush()?;
        steps.flush()?;
        Ok(RunFolder { path, rounds, steps, history })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder's name: the run's id.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Appends a round to `rounds.csv` and `steps.csv`, and, if it is kept, with what was asked in it, to `rounds.jsonl`.
    pub fn add_round(
        &mut self,
        case: &Case,
        record: &RoundRecord,
        judgement: &RoundJudgement,
        kept: Option<&KeptExchanges>,
    ) -> Result<(), SinkError> {
        self.rounds.write(secrets::hidden(&csv_line(&round_row(case, record, judgement))).as_bytes(), 1)?;
        let steps: Vec<String> = step_rows(case, record).iter().map(|row| csv_line(row)).collect();
        self.steps.write(secrets::hidden(&steps.concat()).as_bytes(), steps.len() as u64)?;
        if let Some(exchanges) = kept {
            for event in history(case, record, exchanges, self.history.rows) {
                let line = serde_json::to_string(&event).expect("events have text keys only");
                self.history.write(secrets::hidden(&format!("{line}\n")).as_bytes(), 1)?;
            }
        }
        Ok(())
    }

    /// Flushes the data files, names them in `report.files` with their hashes, and replaces `report.json`.
    pub fn write_report(&mut self, report: &mut Report) -> Result<(), SinkError> {
        report.files.clear();
        for file in [&mut self.rounds, &mut self.steps, &mut self.history] {
            file.flush()?;
            report.files.push(file.describe());
        }
        self.write_file(REPORT_FILE, &to_json(report))
    }

    /// Writes one more file, such as `junit.xml` or `hgrm/race.hgrm`, replacing it if it exists. A reader sees the old file or the new one,
    /// never half of it.
    pub fn write_file(&self, name: &str, content: &str) -> Result<(), SinkError> {
        write_file(&self.path, name, content)
    }
}

/// Writes `folder/name`, whose `name` may begin with a folder of its own, replacing it if it exists. A reader sees the old file or the new one, never half of it.
pub fn write_file(folder: &Path, name: &str, content: &str) -> Result<(), SinkError> {
    let path = folder.join(name);
    let (parent, file_name) =
        name.rsplit_once('/').map_or((folder.to_owned(), name), |(parent, file_name)| (folder.join(parent), file_name));
    fs::create_dir_all(&parent).map_err(|error| SinkError::new("create", &parent, error))?;
    let temporary = parent.join(format!(".{file_name}.tmp"));
    fs::write(&temporary, secrets::hidden(content)).map_err(|error| SinkError::new("write", &path, error))?;
    fs::rename(&temporary, &path).map_err(|error| SinkError::new("replace", &path, error))
}

/// The bytes of `report.json`: the same report gives the same bytes.
pub fn to_json(report: &Report) -> String {
    let mut json = serde_json::to_string_pretty(report).expect("reports have text keys only");
    json.push('\n');
    json
}

pub(super) fn csv_line<T: AsRef<[u8]>>(fields: &[T]) -> String {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(fields).expect("writing to memory does not fail");
    let bytes = writer.into_inner().expect("writing to memory does not fail");
    String::from_utf8(bytes).expect("fields are text")
}

/// Bytes in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file that only grows, and what is needed to recognise it later.
#[derive(Debug)]
struct DataWriter {
    path: PathBuf,
    file: BufWriter<File>,
    sha256: Sha256,
    bytes: u64,
    rows: u64,
}

impl DataWriter {
    fn create(path: &Path) -> Result<Self, SinkError> {
        let file = File::create(path).map_err(|error| SinkError::new("create", path, error))?;
        Ok(DataWriter { path: path.to_owned(), file: BufWriter::new(file), sha256: Sha256::new(), bytes: 0, rows: 0 })
    }

    fn write(&mut self, bytes: &[u8], rows: u64) -> Result<(), SinkError> {
        self.file.write_all(bytes).map_err(|error| SinkError::new("write", &self.path, error))?;
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
        self.rows += rows;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.file.flush().map_err(|error| SinkError::new("write", &self.path, error))
    }

    fn describe(&self) -> DataFile {
        DataFile {
            name: self.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            sha256: hex(&self.sha256.clone().finalize()),
            bytes: self.bytes,
            rows: self.rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fixture::{TestCase, record};
    use crate::judge::judge_round;
    use crate::report::{example, load};

    #[test]
    fn a_run_leaves_rows_a_history_and_a_report_that_loads() {
        let out = tempfile::tempdir().unwrap();
        let mut folder = RunFolder::create(&out.path().join("reports"), "run").unwrap();
        let case = TestCase::new(2).expect("success = 1, conflict = 1").build();
        for (round, outcomes) in ["1 success, 1 conflict", "2 success"].iter().enumerate() {
            let mut record = record(&case, round as u64, outcomes);
            let exchanges = record.take_exchanges();
            let kept = Some(&record.kept(&exchanges));
            folder.add_round(&case, &record, &judge_round(&case, &record), kept.filter(|_| round == 1)).unwrap();
        }
        let mut report = example::report();
        folder.write_report(&mut report).unwrap();
        assert_eq!(load(folder.path()).unwrap(), report);
        for (file, rows) in report.files.iter().zip([2, 4, 4]) {
            let bytes = fs::read(folder.path().join(&file.name)).unwrap();
            let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!((file.bytes, &file.sha256, file.rows), (bytes.len() as u64, &hash, rows), "{}", file.name);
        }
        let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        insta::assert_snapshot!("rounds.csv", text("rounds.csv"));
        insta::assert_snapshot!("steps.csv", text("steps.csv"));
        insta::assert_snapshot!("rounds.jsonl", text("rounds.jsonl"));
    }

    #[test]
    fn folders_are_never_shared() {
        let out = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..3).map(|_| RunFolder::create(out.path(), "run").unwrap().name()).collect();
        assert_eq!(names, ["run", "run-2", "run-3"]);
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_named_with_a_remedy() {
        let out = tempfile::tempdir().unwrap();
        let file = out.path().join("file");
        fs::write(&file, "").unwrap();
        let error = RunFolder::create(&file, "run").unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot create `{}`", file.display())), "{error}");
        assert!(error.ends_with("a file is in the way: remove it, or choose another folder with `--out`"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_and_not_a_panic() {
        let out = tempfile::tempdir().unwrap();
        let path = out.path().join("rounds.csv");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let mut writer = DataWriter::create(&path).unwrap();
        writer.write(b"row\n", 1).unwrap();
        let error = writer.flush().unwrap_err().to_string();
        assert!(error.ends_with("make room there, or choose another disk with `--out`"), "{error}");

        let mut folder = RunFolder::create(out.path(), "run").unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.path().join(".report.json.tmp")).unwrap();
        let error = folder.write_report(&mut example::report()).unwrap_err();
        assert_eq!((error.act, error.source.kind()), ("write", io::ErrorKind::StorageFull));
    }

    #[test]
    fn names_of_runs_are_safe_and_sort_by_time() {
        let git = Git { branch: "feature/fix #7".to_owned(), sha: "1a2b3c4d5e".to_owned(), dirty: true };
        assert_eq!(run_name("2026-01-31T12:00:05.123Z", Some(&git)), "2026-01-31T12-00-05-feature-fix--7-1a2b3c4");
        assert_eq!(run_name("2026-01-31T12:00:05+01:00", None), "2026-01-31T12-00-05");
        let long = Git { branch: "x".repeat(300), ..git };
        assert!(run_name("2026-01-31T12:00:05Z", Some(&long)).len() < 100);
    }
}
