//! The shipped scenarios, raced for real: all pass, every control is caught, and sabotage is noticed.

use deadheat::report::schema::{ControlVerdictWord, VerdictWord};

use crate::cli::Cli;
use crate::scenarios::with;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn all_shipped_scenarios_pass_and_catch_their_controls() {
    let cli = Cli::new().args(["run", &format!("{ROOT}/scenarios"), "--rounds", "3", "--no-skip"]);
    let report = cli.run().exits(0).report();
    assert!(report.skipped.is_empty());
    let mut controls = 0;
    for scenario in &report.scenarios {
        for case in &scenario.cases {
            assert_eq!(case.race.rounds, 3, "{}", case.id);
            for control in &case.controls {
                let caught = [ControlVerdictWord::Caught, ControlVerdictWord::AwaitsGrowth].contains(&control.verdict);
                assert!(caught, "control `{}` of {}", control.name, case.id);
                controls += 1;
            }
        }
        assert!(scenario.growth.iter().all(|growth| growth.verdict == VerdictWord::Pass), "{}", scenario.name);
    }
    assert!(controls >= report.scenarios.len(), "{controls}");
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
