//! Reads `rounds.csv` back: what each round ended like, for judging it anew.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::outcome::{OutcomeKind, Tally};

use super::rows::ROUND_COLUMNS;
use super::schema::{Counts, Report};
use super::sinks::{ROUNDS_FILE, hex};

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRound {
    /// The scenario.
    pub scenario: String,
    /// The case, or the case that the control makes of it.
    pub case: String,
    /// The control; empty for the case itself.
    pub control: String,
    /// Its number.
    pub round: u64,
    /// How its attempts ended.
    pub tally: Tally,
    /// The same by group; `None` for a single group, and before schema 1.1.
    pub groups: Option<BTreeMap<String, Counts>>,
    /// The most workers inside their attempts at once.
    pub overlap: u64,
    /// The invariants that were broken, and those that could not be evaluated; `None` before schema 1.1.
    pub invariants: Option<[Vec<String>; 2]>,
}

/// `rounds.csv` cannot be judged.
#[derive(Debug, thiserror::Error)]
#[error("cannot judge the rounds of `{}`: {kind}", path.display())]
pub struct RoundsError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub kind: RoundsErrorKind,
}

/// Why `rounds.csv` cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum RoundsErrorKind {
    /// It is not there.
    #[error("there is no such file; judging needs the whole folder of the run, not report.json alone")]
    Missing,
    /// The report does not name it.
    #[error("the report does not name it, so it cannot be told whether they belong together; use a run's own folder")]
    NotNamed,
    /// It cannot be read.
    #[error("{0}")]
    Io(io::Error),
    /// It is shorter than the report says.
    #[error("it has {found} bytes, and the report was written with {wanted}; it is incomplete, so fetch it again")]
    Truncated {
        /// Its bytes.
        found: u64,
        /// The bytes that the report names.
        wanted: u64,
    },
    /// It is not what the run wrote.
    #[error("its SHA-256 is not the one in the report; it was changed after the run, so use an unchanged copy")]
    Changed,
    /// A row is not as it should be.
    #[error("row {row}: {what}; it was not written by deadheat, so use another run")]
    Row {
        /// The row, from 1, without the header.
        row: u64,
        /// What is wrong.
        what: String,
    },
}

/// The rows that were there when `report` was written, one after the other. `folder` is the run's.
pub fn rounds(
    folder: &Path,
    report: &Report,
) -> Result<impl Iterator<Item = Result<StoredRound, RoundsError>> + use<>, RoundsError> {
    let path = folder.join(ROUNDS_FILE);
    let fail = |kind| RoundsError { path: path.clone(), kind };
    let named = report.files.iter().find(|file| file.name == ROUNDS_FILE);
    let named = named.ok_or_else(|| fail(RoundsErrorKind::NotNamed))?;
    let open = || {
        File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => fail(RoundsErrorKind::Missing),
            _ => fail(RoundsErrorKind::Io(error)),
        })
    };
    let mut digest = Sha256::new();
    let found = io::copy(&mut open()?.take(named.bytes), &mut digest);
    let found = found.map_err(|error| fail(RoundsErrorKind::Io(error)))?;
    if found < named.bytes {
        return Err(fail(RoundsErrorKind::Truncated { found, wanted: named.bytes }));
    }
    if hex(&digest.finalize()) != named.sha256 {
        return Err(fail(RoundsErrorKind::Changed));
    }
    let mut reader = csv::Reader::from_reader(open()?.take(named.bytes));
    let columns = reader.headers().map_err(|error| fail(RoundsErrorKind::Io(io::Error::other(error))))?.clone();
    let rows = reader.into_records().zip(1u64..);
    Ok(rows.map(move |(record, row)| {
        let parsed = record.map_err(|error| error.to_string()).and_then(|record| parse(&columns, &record));
        parsed.map_err(|what| RoundsError { path: path.clone(), kind: RoundsErrorKind::Row { row, what } })
    }))
}

fn parse(columns: &csv::StringRecord, record: &csv::StringRecord) -> Result<StoredRound, String> {
    let optional = |name: &str| columns.iter().position(|column| column == name).and_then(|index| record.get(index));
    let text = |name: &str| optional(name).ok_or_else(|| format!("there is no column `{name}`"));
    let number = |name: &str| {
        let text = text(name)?;
        text.parse::<u64>().map_err(|_| format!("`{name}` is `{text}`, not a number"))
    };
    let mut tally = Tally::default();
    for kind in OutcomeKind::ALL {
        tally.add(kind, number(&kind.as_str().replace('-', "_"))?);
    }
    let workers = number("workers")?;
    if tally.total() != workers {
        return Err(format!("{} outcomes of {workers} workers", tally.total()));
    }
    let names = |name: &str| optional(name).map(|text| list(name, text)).transpose();
    let [.., groups, broken, unevaluated] = ROUND_COLUMNS;
    let (broken, unevaluated) = (names(broken)?, names(unevaluated)?);
    let groups = optional(groups).filter(|text| !text.is_empty());
    let groups = groups.map(|text| serde_json::from_str(text).map_err(|error| format!("`groups`: {error}")));
    Ok(StoredRound {
        scenario: text("scenario")?.to_owned(),
        case: text("case")?.to_owned(),
        control: text("control")?.to_owned(),
        round: number("round")?,
        tally,
        groups: groups.transpose()?,
        overlap: number("overlap")?,
        invariants: broken.zip(unevaluated).map(|(broken, unevaluated)| [broken, unevaluated]),
    })
}

fn list(name: &str, text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(text).map_err(|error| format!("`{name}`: {error}"))
}
