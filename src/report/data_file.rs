//! Opens the data files beside a report, and makes sure that they are what the run wrote.

use std::fs::File;
use std::io::{self, Read, Take};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::schema::Report;
use super::sinks::hex;

/// Why a data file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFileError {
    /// It is not there.
    #[error("it is not beside the report; copy the run's whole folder")]
    Missing,
    /// It is there and cannot be read.
    #[error("{0}")]
    Io(io::Error),
    /// It is shorter than when the report was written.
    #[error(
        "it has {found} bytes, but had {wanted} when the report was written; the copy is incomplete, so fetch it again or use another run"
    )]
    Truncated {
        /// Its size.
        found: u64,
        /// Its size in the report.
        wanted: u64,
    },
    /// It is not what it was when the report was written.
    #[error(
        "its SHA-256 is not the one in the report; it was changed or damaged, so fetch it again or use another run"
    )]
    Changed,
    /// The report does not name it.
    #[error("the report does not name it; use a report that `deadheat run` wrote")]
    Unlisted,
}

/// The part of a data file that was there when the report was written: an interrupted run may have written more since.
pub(super) fn open(path: &Path, report: &Report) -> Result<Take<File>, DataFileError> {
    let name = path.file_name().unwrap_or_default();
    let part = |bytes| {
        File::open(path).map(|file| file.take(bytes)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => DataFileError::Missing,
            _ => DataFileError::Io(error),
        })
    };
    let listed = report.files.iter().find(|file| name == file.name.as_str());
    let listed = listed.ok_or(DataFileError::Unlisted)?;
    let mut digest = Sha256::new();
    let found = io::copy(&mut part(listed.bytes)?, &mut digest).map_err(DataFileError::Io)?;
    if found < listed.bytes {
        return Err(DataFileError::Truncated { found, wanted: listed.bytes });
    }
    if hex(&digest.finalize()) != listed.sha256 {
        return Err(DataFileError::Changed);
    }
    part(listed.bytes)
}
