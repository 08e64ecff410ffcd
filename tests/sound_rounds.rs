//! How often deadheat cries wolf: races the shipped scenarios that need no server, where nothing is wrong, so often that
//! even a rare false alarm is seen. `scripts/sound-rounds` runs it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and says how far it is"
)]

use std::path::Path;
use std::process::Command;

use deadheat::report::schema::{CaseReport, Report, VerdictWord};

/// Rounds of each case in one run.
const ROUNDS: u64 = 500;

/// The cases that need no server. Growth is judged over all cases of a scenario by their latency, and is another question.
const EMBEDDED: [&str; 3] = ["first-race", "backend=memory", "backend=sqlite"];

#[test]
#[ignore = "it takes many minutes; scripts/sound-rounds runs it"]
fn every_sound_round_passes() {
    let total: u64 = std::env::var("SOUND_ROUNDS").map_or(200_000, |total| total.parse().unwrap());
    let mut raced = 0;
    while raced < total {
        let folder = tempfile::tempdir().unwrap();
        let report = run(folder.path());
        let rounds: u64 = cases(&report).map(|case| case.race.rounds).sum();
        assert!(rounds > 0, "nothing was raced");
        raced += rounds;
        let wrong: Vec<String> = cases(&report).filter_map(wrong).collect();
        assert!(wrong.is_empty(), "seed {}: {}", report.run.seed, wrong.join("; "));
        eprintln!("{raced} rounds, all passed and none alone");
    }
}

/// What should not be so of a case: a round that did not pass, another verdict than PASS, or rounds that were not a race.
fn wrong(case: &CaseReport) -> Option<String> {
    let race = &case.race;
    let is_vacuous = race.workers > 1 && race.ordered.is_none() && race.raced == Some(0);
    let is_wrong = case.verdict != VerdictWord::Pass || race.rounds_failed + race.rounds_inconclusive > 0 || is_vacuous;
    is_wrong.then(|| {
        format!(
            "{}: {:?}; of {} rounds {} failed, {} were inconclusive, {:?} were raced",
            case.id, case.verdict, race.rounds, race.rounds_failed, race.rounds_inconclusive, race.raced
        )
    })
}

fn cases(report: &Report) -> impl Iterator<Item = &CaseReport> {
    report.scenarios.iter().flat_map(|scenario| &scenario.cases)
}

fn run(folder: &Path) -> Report {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deadheat"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["run", "scenarios", "--quiet", "--rounds"]);
    command.arg(ROUNDS.to_string()).arg("--out").arg(folder);
    command.args(EMBEDDED.iter().flat_map(|text| ["--filter", text]));
    let output = command.output().unwrap();
    let report = std::fs::read_dir(folder).unwrap().find_map(|entry| {
        let file = entry.unwrap().path().join("report.json");
        file.is_file().then(|| std::fs::read_to_string(file).unwrap())
    });
    let report = report.unwrap_or_else(|| panic!("no report: {}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(&report).unwrap()
}
