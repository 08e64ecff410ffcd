//! The schema of `report.json`, version by version. These types face the outside: no other type is written to disk.
//!
//! Times are whole nanoseconds (`_ns`). Text that names an outcome is one of [`OutcomeWord`]'s words. Later versions only add:
//! readers ignore what they do not know, and what an older version lacks has a default.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::port::ServerOrigin;

mod comparison;
mod outcome_word;
mod race;
mod round;
mod words;

pub use comparison::*;
pub use outcome_word::*;
pub use race::*;
pub use round::*;
pub use words::*;

/// The version written by this build.
///
/// - 1.0: first.
/// - 1.1: `place` of expectations, invariants, latency bounds, controls and growth checks; `compare` of scenarios; groups
///   and invariants in `rounds.csv`.
/// - 1.2: `not_raced` and `error`.
/// - 1.3: `case` of controls.
/// - 1.4: `raced`, `ordered` and `controlled`; `overlap` counts workers in play; the outcome `disconnected`; `disturbed` controls; `no_bound`; `rounds` of refusals;
///   `undecided` of invariants, and `invariants_undecided` in `rounds.csv`;
///   `since_setup` of kept rounds, and `round_since_setup` in `rounds.csv`.
/// - 2.0: words of outcomes and causes are open: a reader shows those that it does not know as they are, where those of 1.x refused
///   them. `cause` of attempts; `request`, `result` and `end` of kept steps; the same in `rounds.jsonl`, where each repetition of
///   a transaction is an operation of its own.
pub const SCHEMA: SchemaVersion = SchemaVersion { major: 2, minor: 0 };

/// A version of this schema, written `major.minor`. A reader of one major version reads all its minor versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct SchemaVersion {
    /// Raised when a reader of the former version would misread the report.
    pub major: u32,
    /// Raised when something was added.
    pub minor: u32,
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl From<SchemaVersion> for String {
    fn from(version: SchemaVersion) -> Self {
        version.to_string()
    }
}

impl TryFrom<String> for SchemaVersion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for SchemaVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let (major, minor) = parsed.ok_or_else(|| format!("`{text}` is not a schema version such as `{SCHEMA}`"))?;
        Ok(SchemaVersion { major, minor })
    }
}

/// The JSON Schema of `report.json`.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Report).to_value()
}

/// The value of `kind`, by which a report is recognised.
pub const KIND: &str = "deadheat-report";

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Always `deadheat-report`.
    pub kind: String,
    /// The version of this schema.
    pub schema: SchemaVersion,
    /// What wrote it.
    pub tool: Tool,
    /// How the run ended; `interrupted` while it is under way.
    pub verdict: RunVerdictWord,
    /// When, where and how it ran.
    pub run: Run,
    /// What was raced, scenario by scenario.
    pub scenarios: Vec<ScenarioReport>,
    /// Cases that were not raced for want of a server.
    #[serde(default)]
    pub skipped: Vec<SkippedCase>,
    /// Cases that the run did not come to, by id: it ended before, or is still under way. Since 1.2.
    #[serde(default)]
    pub not_raced: Vec<String>,
    /// What ended the run before its time, as it was told. Since 1.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Remarks about the run as a whole.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The data files beside the report.
    #[serde(default)]
    pub files: Vec<DataFile>,
}

/// The program that wrote a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `deadheat`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// When, where and how a run ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// The name of the run's folder.
    pub id: String,
    /// RFC 3339.
    pub started: String,
    /// How long it had run when this was written.
    pub elapsed_ns: u64,
    /// The seed of the workers' choices.
    pub seed: u64,
    /// The command line, without secrets.
    pub command: Vec<String>,
    /// The working copy that the run was started in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<Git>,
    /// The machine.
    pub machine: Machine,
}

/// A git working copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Git {
    /// The branch; `HEAD` when detached.
    pub branch: String,
    /// The commit, in full.
    pub sha: String,
    /// Whether tracked files differed from it.
    pub dirty: bool,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// The processor's model.
    pub cpu: String,
    /// Cores this process may use.
    pub cores: u64,
    /// The operating system and its version.
    pub os: String,
    /// Bytes.
    pub memory: u64,
}

/// A scenario and its cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioReport {
    /// The file, as the user named it.
    pub file: String,
    /// Its `name`.
    pub name: String,
    /// Its `summary`.
    pub summary: String,
    /// Its `tags`.
    pub tags: Vec<String>,
    /// SHA-256 of the file and of the SQL files it names, in hex.
    pub hash: String,
    /// `[compare]`. Since 1.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<CompareRule>,
    /// The cases raced.
    pub cases: Vec<CaseReport>,
    /// `[[growth]]`, judged over the cases.
    #[serde(default)]
    pub growth: Vec<GrowthReport>,
}

/// What a comparison of this scenario's cases goes by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompareRule {
    /// The metric whose change counts; absent where the scenario leaves it to the default, `makespan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// By which share that metric may change: 0.1 for 10 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

/// A case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CaseReport {
    /// `version-conflict[backend=sqlite]`.
    pub id: String,
    /// The matrix axes with this case's values.
    pub axes: BTreeMap<String, serde_json::Value>,
    /// The params with this case's values.
    pub params: BTreeMap<String, serde_json::Value>,
    /// The systems raced against.
    pub targets: Vec<TargetReport>,
    /// What the case proved.
    pub verdict: VerdictWord,
    /// Why it is not a pass.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// How long the case took, controls included.
    pub elapsed_ns: u64,
    /// What happened.
    pub race: Race,
    /// Its controls.
    #[serde(default)]
    pub controls: Vec<ControlReport>,
    /// Whether a control breaks it: one of its own, or another case's that would be the same. Since 1.4; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controlled: Option<bool>,
    /// Remarks.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A system raced against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetReport {
    /// The name under `[targets]`.
    pub name: String,
    /// The driver's word, with the backend for an event store.
    pub driver: String,
    /// The server's or embedded library's version.
    pub version: String,
    /// Where it came from: `embedded`, `private server`, …
    pub origin: String,
    /// Settings that matter when reports are compared.
    pub settings: BTreeMap<String, String>,
}

impl TargetReport {
    /// Whether there is no server: the library is inside deadheat.
    pub fn is_embedded(&self) -> bool {
        self.origin == ServerOrigin::Embedded.as_str()
    }
}

/// A control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ControlReport {
    /// Its name.
    pub name: String,
    /// The case id that its own settings make, and its rows and histograms have: another than that of its case where `set`
    /// changes an axis. Since 1.3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// Why it is broken.
    pub why: String,
    /// The checks of which one must break.
    pub breaks: Vec<String>,
    /// How it ended.
    pub verdict: ControlVerdictWord,
    /// The catching, or the invalidating round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u64>,
    /// The check that caught it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// What that check expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was observed instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// Why it is invalid, what disturbed it, or what broke in place of what should have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `file:line:column` of the control. Since 1.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What happened.
    pub race: Race,
}

impl ControlReport {
    /// The case id in its rows. (Reports before 1.3 do not tell another than that of `its`, the case it belongs to.)
    pub fn case_id<'a>(&'a self, its: &'a CaseReport) -> &'a str {
        self.case.as_deref().unwrap_or(&its.id)
    }
}

/// A growth check, for one combination of the axes it does not go over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GrowthReport {
    /// Its name.
    pub name: String,
    /// The control whose cases these are; absent for the scenario's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// `latest-version.p50`.
    pub metric: String,
    /// The axis.
    pub over: String,
    /// The axes held fixed.
    pub others: BTreeMap<String, serde_json::Value>,
    /// The points, by rising x.
    pub points: Vec<GrowthPointReport>,
    /// The fitted exponent; absent with fewer than three usable points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exponent: Option<f64>,
    /// By which factor points typically lie off the fitted law.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<f64>,
    /// The greatest exponent allowed.
    pub at_most: f64,
    /// For a control: pass means caught.
    pub verdict: VerdictWord,
    /// Why it is not a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `file:line:column` of the check. Since 1.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// One case's point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GrowthPointReport {
    /// The case.
    pub case: String,
    /// The axis.
    pub x: f64,
    /// The metric; absent when too few operations support it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y_ns: Option<u64>,
}

/// A case that was not raced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedCase {
    /// Its scenario.
    pub scenario: String,
    /// Its id.
    pub case: String,
    /// Why.
    pub reason: String,
    /// What would provide what it needs.
    pub remedy: String,
}

/// A data file beside the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataFile {
    /// Its name in the run's folder.
    pub name: String,
    /// SHA-256 in hex of its first `bytes` bytes.
    pub sha256: String,
    /// Its size when the report was written.
    pub bytes: u64,
    /// Its rows, without a header.
    pub rows: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_written_as_major_and_minor() {
        assert_eq!("1.0".parse(), Ok(SchemaVersion { major: 1, minor: 0 }));
        assert_eq!(SCHEMA.to_string(), "2.0");
        assert!("1".parse::<SchemaVersion>().is_err());
    }

    #[test]
    fn the_json_schema_describes_every_field() {
        fn undescribed(name: &str, schema: &serde_json::Value, found: &mut Vec<String>) {
            for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
                if schema.get("description").is_none() {
                    found.push(format!("{name}.{property}"));
                }
            }
        }
        let schema = json_schema();
        let mut found = Vec::new();
        undescribed("Report", &schema, &mut found);
        for (name, definition) in schema["$defs"].as_object().unwrap() {
            undescribed(name, definition, &mut found);
        }
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(schema["required"].as_array().unwrap().iter().filter(|it| *it == "kind").count(), 1);
    }
}
