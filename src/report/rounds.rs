//! Reads `rounds.csv` back: what each round ended like, for judging it again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::outcome::{OutcomeKind, Tally};

use super::cells;
use super::data_file::{DataFileError, open};
use super::rows::first_outcomes;
use super::schema::{Counts, Report};
use super::sinks::ROUNDS_FILE;

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
    /// Its number since `setup` ran; `None` before schema 1.4.
    pub since_setup: Option<u64>,
    /// How its attempts ended.
    pub tally: Tally,
    /// The same by group; `None` for a single group, and before schema 1.1.
    pub groups: Option<BTreeMap<String, Counts>>,
    /// For how long others were held back, in a round in which some workers had a head start.
    pub head_start: Option<Duration>,
    /// The most workers in play at once; before schema 1.4, inside their attempts.
    pub overlap: u64,
    /// What its invariants said; `None` before schema 1.1.
    pub invariants: Option<StoredInvariants>,
}

/// The invariants that did not simply hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredInvariants {
    /// Those that were broken.
    pub broken: Vec<String>,
    /// Those to which what was read gave no value; before schema 1.4 all that could not be evaluated.
    pub undefined: Vec<String>,
    /// Those that depend on the number of unknown attempts that took effect, with the numbers for which they hold; `None` for
    /// one that was not read.
    pub undecided: BTreeMap<String, Option<Vec<u64>>>,
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
    /// It is not what the run wrote.
    #[error(transparent)]
    File(#[from] DataFileError),
    /// A row is not as it should be.
    #[error("row {row}: {what}; it was not written by deadheat, so use another run")]
    Row {
        /// The row, from 1; 0 is the header.
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
    let file = open(&path, report).map_err(|error| fail(error.into()))?;
    let mut reader = csv::Reader::from_reader(file);
    let columns = reader.headers().cloned();
    let columns = columns.map_err(|error| fail(RoundsErrorKind::Row { row: 0, what: error.to_string() }))?;
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
    for kind in first_outcomes() {
        tally.add(kind, number(&kind.as_str().replace('-', "_"))?);
    }
    if optional("disconnected").is_some() {
        tally.add(OutcomeKind::Disconnected, number("disconnected")?);
    }
    let names = |name: &str| optional(name).map(|text| list(name, text)).transpose();
    let (broken, undefined) = (names("invariants_broken")?, names("invariants_unevaluated")?);
    let undecided = optional("invariants_undecided").map(|text| list("invariants_undecided", text)).transpose()?;
    let undecided: BTreeMap<String, Option<Vec<u64>>> = undecided.unwrap_or_default();
    let groups = optional("groups").filter(|text| !text.is_empty());
    let groups = groups.map(|text| serde_json::from_str(text).map_err(|error| format!("`groups`: {error}")));
    Ok(StoredRound {
        scenario: cells::read(text("scenario")?).to_owned(),
        case: cells::read(text("case")?).to_owned(),
        control: cells::read_control(text("control")?).to_owned(),
        round: number("round")?,
        since_setup: optional("round_since_setup").map(|_| number("round_since_setup")).transpose()?,
        tally,
        groups: groups.transpose()?,
        head_start: optional("head_start_us").filter(|text| !text.is_empty()).map(micros).transpose()?,
        overlap: number("overlap")?,
        invariants: broken.zip(undefined).map(|(broken, undefined)| StoredInvariants { broken, undefined, undecided }),
    })
}

/// Microseconds with three decimals.
fn micros(text: &str) -> Result<Duration, String> {
    let micros = text.parse::<f64>().map_err(|_| format!("`head_start_us` is `{text}`, not a number"))?;
    Duration::try_from_secs_f64(micros / 1e6).map_err(|_| format!("`head_start_us` is `{text}`, out of range"))
}

fn list<T: Default + DeserializeOwned>(name: &str, text: &str) -> Result<T, String> {
    if text.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(text).map_err(|error| format!("`{name}`: {error}"))
}
