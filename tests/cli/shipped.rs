//! The shipped scenarios, raced for real: all pass, every control is caught, and sabotage is noticed.

use std::path::{Path, PathBuf};

use deadheat::report::schema::{ControlVerdictWord, VerdictWord};
use deadheat::scenario::files_below;

use crate::cli::Cli;
use crate::scenarios::with;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Every race and every control of these. What grows is a matter of time, which a busy machine has less of: the exit code is
/// only looked at where nothing grows. On a busy machine a round may also pass in which nobody met anybody, so there have to
/// be some more where that is judged.
fn races_as_it_says(files: &[PathBuf], has_growth: bool) {
    let rounds = if has_growth { 3 } else { 12 };
    let cli = Cli::new().args(["run", "--rounds", &rounds.to_string(), "--no-skip"]).args(files);
    let ended = cli.run();
    let ended = if has_growth { ended } else { ended.exits(0) };
    let report = ended.report();
    assert!(report.skipped.is_empty());
    assert_eq!(report.scenarios.len(), files.len());
    for scenario in &report.scenarios {
        assert!(scenario.cases.iter().any(|case| !case.controls.is_empty()), "{} has no control", scenario.name);
        let wanted = if has_growth { ControlVerdictWord::AwaitsGrowth } else { ControlVerdictWord::Caught };
        for case in &scenario.cases {
            assert_eq!((case.verdict, case.race.rounds), (VerdictWord::Pass, rounds), "{}", case.id);
            for control in &case.controls {
                assert_eq!(control.verdict, wanted, "control `{}` of {}", control.name, case.id);
            }
        }
        assert_eq!(!scenario.growth.is_empty(), has_growth, "{}", scenario.name);
        assert!(scenario.growth.iter().all(|growth| growth.exponent.is_some()), "{}", scenario.name);
    }
}

#[test]
fn all_shipped_scenarios_pass_and_catch_their_controls() {
    let files = files_below(&Path::new(ROOT).join("scenarios")).unwrap();
    let (growing, others): (Vec<PathBuf>, Vec<PathBuf>) =
        files.into_iter().partition(|file| std::fs::read_to_string(file).unwrap().contains("[[growth]]"));
    races_as_it_says(&others, false);
    races_as_it_says(&growing, true);
}

fn shipped(path: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}/scenarios/{path}")).unwrap()
}

#[test]
fn an_event_store_without_its_guard_fails() {
    let text = with(&shipped("event-store/version-conflict.toml"), "guard   = \"server\"", "guard   = \"none\"");
    let ended = Cli::new().scenario(&text).args(["run", "--rounds", "3", "--no-skip"]).run().exits(1);
    let report = ended.report();
    let cases = &report.scenarios[0].cases;
    assert_eq!(cases.len(), 4);
    assert!(cases.iter().all(|case| case.verdict == VerdictWord::Fail), "{ended:?}");
    ended.stdout_has("one event stored");
}

#[test]
fn user_groups_without_their_locks_fail() {
    let text = shipped("user-groups/cycle.toml");
    let text = with(&text, "file = \"lock-closure.sql\"", "file = \"closure.sql\"");
    let text = with(&text, "AND realm = $2 FOR UPDATE", "AND realm = $2");
    let cli = Cli::new().shipped("scenarios/user-groups").file("scenarios/user-groups/sabotaged.toml", &text);
    let ended = cli.args(["run", "scenarios/user-groups/sabotaged.toml", "--rounds", "3"]).run().exits(1);
    let ended = ended.stdout_has("FAIL subgroup-cycle").stdout_has("success: expected 1, observed 2");
    ended.stdout_has("groups stay a DAG").stdout_has("sabotaged.toml:");
}
