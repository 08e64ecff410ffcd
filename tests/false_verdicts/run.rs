//! One run of the built program whose workers' connections go through a proxy.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use deadheat::outcome::OutcomeKind;
use deadheat::plan::PlannedCase;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::oracle::{Counts, Row};
use super::proxy::{Cut, Proxy, Seen};
use super::wire::Protocol;

/// A run of a few rounds that takes longer hangs.
const RUN_WITHIN: Duration = Duration::from_secs(90);

/// The servers that everything is raced on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Servers {
    pub(crate) postgres: SocketAddr,
    pub(crate) nats: SocketAddr,
}

/// What a run left.
pub(crate) struct Ran {
    pub(crate) exit: Option<i32>,
    /// What it said of failures.
    pub(crate) told: String,
    pub(crate) rows: Vec<Row>,
    /// The case's verdict in the report, and the reasons for it.
    pub(crate) verdict: String,
    pub(crate) reasons: String,
    /// By control: the round that caught it, if one did.
    pub(crate) caught: BTreeMap<String, Option<u64>>,
    pub(crate) seen: Seen,
}

/// Races `case` of `file` for this number of rounds.
pub(crate) async fn run(servers: Servers, file: &Path, case: &PlannedCase, rounds: u64, cut: Option<Cut>) -> Ran {
    let postgres = Proxy::start(Protocol::Postgres, servers.postgres, cut).await;
    let nats = Proxy::start(Protocol::Nats, servers.nats, cut).await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_deadheat"));
    command.arg("run").arg(file).args(["--filter", &case.case.id, "--rounds", &rounds.to_string(), "--quiet"]);
    command.args(["--seed", &cut.map_or(0, |cut| cut.request).to_string()]);
    command.arg("--out").arg(folder.path());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("DEADHEAT_POSTGRES_URL", format!("postgres://postgres@{}/postgres?sslmode=disable", postgres.address));
    command.env("DEADHEAT_NATS_URL", format!("nats://{}", nats.address));
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let (exit, told) = match timeout(RUN_WITHIN, output).await {
        Ok(output) => {
            let output = output.unwrap();
            let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            (output.status.code(), told.concat())
        }
        Err(_) => (None, format!("it had not ended after {} s", RUN_WITHIN.as_secs())),
    };
    let mut seen = postgres.seen();
    let other = nats.seen();
    seen.requests.extend(other.requests);
    seen.cuts.extend(other.cuts);
    let mut ran = Ran {
        exit,
        told,
        rows: Vec::new(),
        verdict: String::new(),
        reasons: String::new(),
        caught: BTreeMap::new(),
        seen,
    };
    if let Some(report) = report_folder(folder.path()) {
        ran.read(&report, case);
    }
    ran
}

fn report_folder(out: &Path) -> Option<PathBuf> {
    let folder = std::fs::read_dir(out).ok()?.next()?.ok()?.path();
    folder.join("report.json").is_file().then_some(folder)
}

impl Ran {
    fn read(&mut self, folder: &Path, case: &PlannedCase) {
        let report: Value = serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
        let read = &report["scenarios"][0]["cases"][0];
        self.verdict = read["verdict"].as_str().unwrap_or_default().to_owned();
        self.reasons = texts(&read["reasons"]).join("; ");
        for control in list(&read["controls"]) {
            let name = control["name"].as_str().unwrap_or_default().to_owned();
            let is_caught = control["verdict"] == "caught";
            self.caught.insert(name, control["round"].as_u64().filter(|_| is_caught));
        }
        let mut reader = csv::Reader::from_path(folder.join("rounds.csv")).unwrap();
        self.rows = reader.deserialize().map(|row| row_of(&row.unwrap(), case)).collect();
    }
}

fn row_of(cells: &BTreeMap<String, String>, case: &PlannedCase) -> Row {
    let names = |column: &str| match cells[column].as_str() {
        "" => Vec::new(),
        text => texts(&serde_json::from_str(text).unwrap()),
    };
    let undecided: BTreeMap<String, Option<Vec<u64>>> = match cells["invariants_undecided"].as_str() {
        "" => BTreeMap::new(),
        text => serde_json::from_str(text).unwrap(),
    };
    let unread = undecided.iter().filter(|(_, holds)| holds.is_none()).map(|(name, _)| name.clone());
    Row {
        control: Some(cells["control"].clone()).filter(|name| name != "-"),
        round: cells["round"].parse().unwrap(),
        verdict: cells["verdict"].clone(),
        groups: groups(cells, case),
        not_held: [names("invariants_broken"), names("invariants_unevaluated"), unread.collect()].concat(),
        holds_for: undecided.values().flatten().map(|holds| holds.iter().copied().collect()).collect(),
    }
}

fn groups(cells: &BTreeMap<String, String>, case: &PlannedCase) -> Vec<Counts> {
    if cells["groups"].is_empty() {
        let counts = OutcomeKind::ALL.map(|kind| (kind, cells[&kind.as_str().replace('-', "_")].parse().unwrap()));
        return vec![Counts::from(counts)];
    }
    let by_name: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_str(&cells["groups"]).unwrap();
    let counts = |words: &BTreeMap<String, u64>| {
        words.iter().map(|(word, count)| (word.replace('_', "-").parse().unwrap(), *count)).collect()
    };
    let groups = case.case.groups.iter();
    groups.map(|group| by_name.get(&group.name).map(counts).unwrap_or_default()).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> Vec<String> {
    list(value).filter_map(|text| text.as_str().map(str::to_owned)).collect()
}
