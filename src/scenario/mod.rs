//! From the text of a scenario file to a [`Scenario`]: `reader` gives typed access to the parsed TOML and notes faults,
//! `read*` and `steps` read each table into the `model`, `names` and `rules` check what tables say of each other.

mod count;
mod files;
pub mod model;
mod model_checks;
mod names;
mod read;
mod read_checks;
mod reader;
mod requests;
mod rules;
pub mod schema;
pub(crate) mod steps;
mod syntax;
mod table;
pub(crate) mod variant;

use std::path::{Path, PathBuf};

pub use files::{FILE_BYTES_MAX, FileAccess, FileError, files_below};
pub use model::Scenario;
pub use read::{DEFAULT_ROUNDS, SCHEMA};

use crate::diagnostic::{self, Code, Diagnostic, Severity, SourceFile};
use crate::port::Drivers;

/// Why there is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read the scenario `{}`: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: FileError,
    },
    /// The file was read, and is wrong.
    #[error("the scenario `{}` has {}", source_file.name.display(), count(diagnostics))]
    Invalid {
        /// The file.
        source_file: Box<SourceFile>,
        /// All faults, and warnings, in the order of their places.
        diagnostics: Vec<Diagnostic>,
    },
}

fn count(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    if errors == 1 { "1 fault".to_owned() } else { format!("{errors} faults") }
}

/// Reads and checks a scenario file and the files it names.
pub fn load(path: &Path, access: FileAccess, drivers: &Drivers) -> Result<Scenario, LoadError> {
    let bytes = files::read(path).map_err(|error| LoadError::Unreadable { path: path.to_owned(), error })?;
    let text = String::from_utf8(bytes).map_err(|error| not_text(path, &error))?;
    parse(SourceFile::new(path, text), path.parent().unwrap_or(Path::new("")), access, drivers)
}

/// The fault of a file that is not UTF-8, at its first byte that is not.
fn not_text(path: &Path, error: &std::string::FromUtf8Error) -> LoadError {
    let at = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let byte = error.as_bytes().get(at).copied().unwrap_or_default();
    let diagnostic =
        Diagnostic::error(Code::UnreadableFile, format!("the file is not UTF-8: byte 0x{byte:02x} is not text"))
            .at(&(at..at + char::REPLACEMENT_CHARACTER.len_utf8()), "not UTF-8")
            .help("save the file as UTF-8");
    let source_file = Box::new(SourceFile::new(path, text));
    LoadError::Invalid { source_file, diagnostics: vec![diagnostic] }
}

/// Checks the text of a scenario that may name `drivers`, and whose files are in `directory`, or wherever `access` allows.
pub fn parse(
    source: SourceFile,
    directory: &Path,
    access: FileAccess,
    drivers: &Drivers,
) -> Result<Scenario, LoadError> {
    let copy = source.clone();
    let read::Reading { mut scenario, mut diagnostics, unread } = read::read(source, directory, access, drivers);
    let faultless = |diagnostics: &[Diagnostic]| diagnostics.iter().all(|found| found.severity == Severity::Warning);
    if let Some(scenario) = &mut scenario {
        let names = names::check(scenario, &unread);
        scenario.used = names.used;
        diagnostics.extend(names.diagnostics);
        diagnostics.extend(rules::check(scenario, &unread));
        if faultless(&diagnostics) {
            diagnostics.extend(rules::warn(scenario));
        }
    }
    let diagnostics = diagnostic::sorted(diagnostics);
    match scenario {
        Some(scenario) if faultless(&diagnostics) => Ok(Scenario { warnings: diagnostics, ..scenario }),
        _ => Err(LoadError::Invalid { source_file: Box::new(copy), diagnostics }),
    }
}
