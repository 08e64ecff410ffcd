//! What a run leaves on disk, and what happens where nothing can be left.

use std::collections::BTreeSet;

use crate::cli::Cli;
use crate::scenarios::{CLAIM, with};

#[test]
fn a_run_leaves_a_report_and_rows_that_agree() {
    let ended = Cli::new().scenario(CLAIM).args(["run"]).run().exits(0);
    let (folder, report) = (ended.folder(), ended.report());
    let case = &report.scenarios[0].cases[0];
    let control_rounds: u64 = case.controls.iter().map(|control| control.race.rounds).sum();
    assert_eq!((case.race.rounds, control_rounds > 0), (10, true));

    let mut rows = csv::Reader::from_path(folder.join("rounds.csv")).unwrap();
    let header: Vec<&str> = rows.headers().unwrap().iter().collect::<Vec<_>>();
    assert_eq!(header[..8], ["scenario", "case", "control", "round", "verdict", "workers", "success", "conflict"]);
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let own: Vec<&csv::StringRecord> = rows.iter().filter(|row| &row[2] == "-").collect();
    assert_eq!((own.len() as u64, (rows.len() - own.len()) as u64), (10, control_rounds));
    for (number, row) in own.iter().enumerate() {
        let found: Vec<&str> = row.iter().take(8).collect();
        assert_eq!(found, ["claim", "claim", "-", &number.to_string(), "pass", "4", "1", "3"]);
    }

    let mut steps = csv::Reader::from_path(folder.join("steps.csv")).unwrap();
    let steps: Vec<csv::StringRecord> = steps.records().map(Result::unwrap).collect();
    let names: BTreeSet<&str> = steps.iter().map(|row| &row[4]).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["append", "attempt"]);
    assert_eq!(steps.len(), rows.len() * 2);

    let events = std::fs::read_to_string(folder.join("rounds.jsonl")).unwrap();
    let events: Vec<serde_json::Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let invoked = events.iter().filter(|event| event["type"] == "invoke").count();
    assert_eq!((invoked > 0, invoked * 2), (true, events.len()), "every operation has one completion");

    let rows_told: Vec<(&str, u64)> = report.files.iter().map(|file| (file.name.as_str(), file.rows)).collect();
    let counted = [("rounds.csv", rows.len()), ("steps.csv", steps.len()), ("rounds.jsonl", events.len())];
    assert_eq!(rows_told, counted.map(|(name, rows)| (name, rows as u64)));
    let temporary = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(temporary.filter(|name| name.to_string_lossy().contains(".tmp")).count(), 0);
}

#[test]
fn runs_at_once_have_folders_of_their_own_and_do_not_meet() {
    let cli = Cli::new().scenario(CLAIM).args(["run", "--rounds", "30"]);
    let other = cli.clone().args(["--param", "guard=none"]);
    let running = [cli.start(), other.start(), cli.start()];
    let codes = [0, 1, 0];
    for (running, code) in running.into_iter().zip(codes) {
        running.wait_killed().exits(code);
    }
    assert_eq!(cli.leftovers(), [""; 0]);
    let folders: Vec<_> =
        std::fs::read_dir(cli.work().join("reports")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(folders.len(), 3);
    for folder in folders {
        deadheat::report::load(&folder).unwrap();
    }
}

#[test]
fn a_place_that_takes_no_folder_is_told_before_the_race() {
    let cli = Cli::new().scenario(CLAIM).file("file", "").args(["run", "--out"]);
    for (out, remedy) in [
        ("file", "a file is in the way: remove it, or choose another folder with `--out`"),
        ("file/below", "a file is in the way: remove it, or choose another folder with `--out`"),
        ("/proc/deadheat", "check that place, or choose another folder with `--out`"),
    ] {
        let ended = cli.clone().args([out]).run().exits(10).stdout_is("");
        let ended = ended.stderr_has(&format!("error: cannot create `{out}")).stderr_has(remedy);
        assert_eq!(ended.errors(), 1, "{ended:?}");
    }
}

#[test]
fn a_disk_that_is_full_ends_the_run_in_one_error() {
    // 64 KiB for each file: enough to begin, too little for 100 000 rows.
    let cli = Cli::new().scenario(&with(CLAIM, "rounds = 10", "rounds = 100000"));
    let ended = cli.args(["run"]).after("trap '' XFSZ; ulimit -f 64").run().exits(10);
    let ended = ended.stderr_has("error: cannot write `reports/").stderr_has("File too large");
    assert_eq!(ended.errors(), 1, "{ended:?}");
}
