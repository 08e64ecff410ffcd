//! How races end: verdicts, what is shown of them, and the exit codes.

use std::time::Instant;

use crate::cli::Cli;
use crate::scenarios::{CLAIM, INSERT, with};

#[test]
fn a_race_that_ends_as_it_should_passes() {
    let ended = Cli::new().scenario(CLAIM).args(["run"]).run().exits(0);
    assert_eq!(ended.errors(), 0, "{ended:?}");
    let ended = ended.stdout_has("PASS claim  10 rounds of 4 workers").stdout_has("control `no guard` caught in round");
    ended.stdout_has("PASS 1 case in").stdout_has("report: reports/");
}

#[test]
fn a_race_that_ends_otherwise_fails_with_its_trace() {
    let cli = Cli::new().scenario(CLAIM).args(["run", "--param", "guard=none", "--seed", "7"]);
    let ended = cli.run().exits(1).stdout_has("FAIL claim").stdout_has("10 of 10 rounds failed");
    let ended = ended.stdout_has("round 0 failed (seed 7)").stdout_has("success: expected 1, observed 4");
    let ended = ended.stdout_has("scenarios/0.toml:").stdout_has("one claim stored").stdout_has("writer 3");
    let ended =
        ended.stdout_has("|append=").stdout_has("checked").stdout_has("FAIL 1 case").stdout_has("(exit code 1)");
    let report = ended.report();
    let case = &report.scenarios[0].cases[0];
    assert_eq!((case.race.rounds_failed, case.race.first_failed), (10, Some(0)));
    assert_eq!(case.race.kept[0].attempts.len(), 4);
}

#[test]
fn a_control_that_nobody_notices_fails_its_case() {
    let text = with(CLAIM, "set    = { guard = \"none\" }", "set    = { guard = \"mutex\" }");
    let ended = Cli::new().scenario(&text).args(["run"]).run().exits(1);
    ended.stdout_has("FAIL claim").stdout_has("control `no guard` was not caught in 10 rounds");
}

#[test]
fn a_control_that_only_crashes_is_invalid_and_not_caught() {
    let control = "\n[[controls]]\nname = \"typo\"\nwhy = \"it divides by zero instead\"\n\
                   replace = { take = { sql = \"SELECT 1 / 0\" } }\nbreaks = [\"success\"]\n";
    let ended = Cli::new().scenario(&format!("{INSERT}{control}")).args(["run"]).run().exits(1);
    let ended = ended.stdout_has("FAIL insert").stdout_has("control `typo` is invalid").stdout_has("crash");
    ended.stdout_lacks("caught");
}

#[test]
fn a_crash_fails_whatever_was_expected() {
    let text = with(INSERT, "success  = 1\nconflict = 2", "success = \">= 0\"\ncrash = 3");
    let text = with(&text, "\"INSERT INTO taken VALUES ($1)\"\nargs = [\"${round}\"]", "\"SELECT 1 / 0\"");
    let ended = Cli::new().scenario(&text).args(["run"]).run().exits(1).stdout_lacks("PASS");
    ended.stdout_has("FAIL insert").stdout_has("5 of 5 rounds failed").stdout_has("crash: expected 0, observed 3");
}

#[test]
fn workers_that_never_meet_prove_nothing() {
    // Each begins by itself, works for a moment, and long before the other.
    let text = r#"
        schema = 1
        name = "apart"
        rounds = 1
        [targets.store]
        driver = "event-store"
        backend = "memory"
        [[workers]]
        name = "early"
        start = "free"
        steps = [{ latest_version = { actor = "a" } }]
        [[workers]]
        name = "late"
        start = "free"
        steps = [{ latest_version = { actor = "a" } }]
        [expect]
        success = 2
    "#;
    // Two workers may meet by chance, on a machine with more than one core; not in every run.
    let vacuous = (0..50).find_map(|_| {
        let ended = Cli::new().scenario(text).args(["run"]).run();
        ended.stdout.contains("vacuous").then_some(ended)
    });
    let ended = vacuous.expect("one of 50 runs is without overlap").exits(4);
    ended.stdout_has("INCONCLUSIVE apart").stdout_has("a barrier between their steps makes them meet");
}

#[test]
fn a_run_can_stop_at_the_first_failure() {
    let cli = Cli::new().scenario(CLAIM).scenario(&with(CLAIM, "\"claim\"", "\"second\"")).args(["run"]);
    let cli = cli.args(["--param", "guard=none", "--rounds", "1000"]);
    let ended =
        cli.clone().args(["--fail-fast"]).run().exits(1).stdout_has("FAIL claim").stdout_has("not raced: second");
    assert_eq!(ended.report().scenarios[0].cases[0].race.rounds, 1);
    let ended = Cli::new().scenario(CLAIM).args(["run", "--until-fail", "--param", "guard=none"]).run().exits(1);
    assert_eq!(ended.report().scenarios[0].cases[0].race.rounds, 1);
}

#[test]
fn a_cost_that_grows_fails_and_a_control_is_caught_by_growing() {
    // What grows is a sleep, which lasts as long as it says on any machine, and longer only by far less than the others.
    let growing = r#"
schema = 1
name   = "growing"
rounds = 5

[params]
grows = false

[matrix]
size = [1, 30, 900]

[targets.store]
driver  = "event-store"
backend = "memory"

[[workers]]
name  = "worker"
steps = [{ sleep = "${grows ? size : 300}ms" }, { latest_version = { actor = "a" } }]

[expect]
success = 1

[[growth]]
name    = "the cost is flat"
metric  = "attempt.p50"
over    = "size"
at_most = 0.2

[[controls]]
name   = "it sleeps in proportion"
why    = "a cost that is proportional to the size is no flat one"
set    = { grows = true }
breaks = ["the cost is flat"]
"#;
    let cli = || Cli::new().scenario(growing).args(["run"]);
    let ended = cli().run().exits(0).stdout_has("PASS the cost is flat  attempt.p50 ~ size^");
    let ended = ended.stdout_has("[control `it sleeps in proportion`]").stdout_has("caught above size^0.2");
    let growth = &ended.report().scenarios[0].growth;
    let exponents: Vec<(bool, f64)> = growth.iter().map(|it| (it.control.is_some(), it.exponent.unwrap())).collect();
    let [(false, flat), (true, caught)] = exponents[..] else { panic!("{exponents:?}") };
    assert!(flat <= 0.2 && caught > 0.2, "{exponents:?}");
    let ended = cli().args(["--param", "grows=true"]).run().exits(1);
    ended.stdout_has("FAIL the cost is flat").stdout_has("expected at most size^0.2");
}

#[test]
fn of_scenarios_that_a_run_did_not_come_to_nothing_is_told() {
    let growing = r#"
schema = 1
name   = "growing"
rounds = 2

[matrix]
events = [1, 10, 100]

[targets.store]
driver  = "event-store"
backend = "memory"

[fixture]
setup = [{ fill = { actor = "a", events = "${events}" } }]

[[workers]]
name  = "reader"
steps = [{ latest_version = { actor = "a" } }]

[expect]
success = 1

[[growth]]
name    = "the lookup is flat"
metric  = "latest-version.p50"
over    = "events"
at_most = 0.9
"#;
    let cli = || Cli::new().scenario(CLAIM).scenario(growing).args(["run", "--param", "guard=none"]);
    cli().run().exits(1).stdout_has("the lookup is flat");
    let ended = cli().args(["--fail-fast"]).run().exits(1).stdout_lacks("the lookup is flat");
    assert_eq!(ended.report().scenarios.len(), 1);
}

#[test]
fn a_run_can_last_for_a_time() {
    // However slow the machine is, there is time for the one round that the case wants.
    let text = with(CLAIM, "rounds = 10", "rounds = 1");
    let start = Instant::now();
    let ended = Cli::new().scenario(&text).args(["run", "--for", "2s"]).run().exits(0);
    assert!(start.elapsed().as_millis() >= 1900, "{:?}", start.elapsed());
    let rounds = ended.report().scenarios[0].cases[0].race.rounds;
    assert!(rounds >= 1, "{rounds}");
}

#[test]
fn a_run_that_lasts_for_a_time_ends_by_itself_however_many_rounds_are_left() {
    let cli = Cli::new().scenario(CLAIM).args(["run", "--for", "1s", "--rounds", "1000000000"]);
    // What was raced did not fail, but is less than was wanted.
    let ended = cli.run().exits(4).stdout_has("INCONCLUSIVE claim").stdout_has(" of 1000000000 rounds were raced");
    assert!(ended.report().scenarios[0].cases[0].race.rounds >= 1, "{ended:?}");
}

#[test]
fn rounds_can_be_chosen_and_seeds_are_printed_to_be_given_again() {
    let ended = Cli::new().scenario(CLAIM).args(["run", "--rounds", "3"]).run().exits(0).stdout_has("3 rounds of 4");
    let report = ended.report();
    assert_eq!(report.scenarios[0].cases[0].race.rounds, 3);
    let seed = report.run.seed.to_string();
    let ended = ended.stdout_has(&format!("seed {seed}"));
    drop(ended);
    let ended = Cli::new().scenario(CLAIM).args(["run", "--rounds", "3", "--seed", &seed]).run().exits(0);
    assert_eq!(ended.report().run.seed.to_string(), seed);
}

#[test]
fn a_quiet_run_says_what_failed_and_how_it_ended() {
    let cli = Cli::new().scenario(CLAIM).args(["run", "--quiet"]);
    let ended = cli.run().exits(0).stdout_lacks("PASS claim").stdout_has("PASS 1 case in");
    assert!(ended.stdout.lines().count() <= 4 && ended.errors() == 0, "{ended:?}");
    let ended = cli.args(["--param", "guard=none"]).run().exits(1);
    ended.stdout_has("FAIL claim").stdout_has("round 0 failed");
}
