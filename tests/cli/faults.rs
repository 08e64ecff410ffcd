//! Scenarios that cannot be raced: told with place and remedy, exit code 64, and no folder for a run that never was.

use crate::cli::{Cli, Ended};
use crate::scenarios::{CLAIM, INSERT, line_of, with};

/// Neither `check` nor `run` goes on; the errors are those of the returned run.
fn refused(cli: Cli) -> Ended {
    cli.clone().args(["check"]).run().exits(64);
    let reports = cli.work().join("reports");
    let ended = cli.args(["run"]).run().exits(64).stdout_is("");
    assert!(!reports.exists(), "a run that raced nothing leaves nothing\n{ended:?}");
    ended
}

#[test]
fn a_path_that_leads_nowhere_is_named() {
    let ended = Cli::new().args(["run", "scenarios/none.toml"]).run().exits(64);
    ended.stderr_is("error: there is no `scenarios/none.toml`; name a scenario file, or a directory that holds some\n");
    refused(Cli::new()).stderr_has("there is no `scenarios`");
}

#[test]
fn a_directory_without_scenarios_is_named() {
    let cli = Cli::new().file("scenarios/notes.txt", "");
    refused(cli).stderr_has("`scenarios` holds no scenario files (`*.toml`)");
}

#[test]
fn a_scenario_that_is_no_text_is_named() {
    let cli = Cli::new().scenario("");
    std::fs::write(cli.work().join("scenarios/0.toml"), b"\xff\xfe").unwrap();
    refused(cli).stderr_has("the file is not UTF-8: byte 0xff is not text").stderr_has("scenarios/0.toml:1:1");
}

#[test]
fn malformed_toml_is_shown_where_it_breaks() {
    let broken = with(CLAIM, "rounds = 10", "rounds = = 10");
    let ended = refused(Cli::new().scenario(&broken));
    let place = format!("scenarios/0.toml:{}:", line_of(&broken, "rounds"));
    ended.stderr_has("error[syntax]").stderr_has(&place).stderr_has("nothing was raced");
}

#[test]
fn an_unknown_key_is_shown_with_what_was_probably_meant() {
    let broken = with(CLAIM, "rounds = 10", "round = 10");
    let ended = refused(Cli::new().scenario(&broken));
    ended.stderr_has("error[unknown-key]").stderr_has("`round`").stderr_has("did you mean `rounds`?");
    let ended = Cli::new().scenario(&broken).args(["check", "--format", "json"]).run().exits(64).stderr_is("");
    let faults: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(faults[0]["code"], "unknown-key", "{faults:#}");
    assert_eq!(faults[0]["file"], "scenarios/0.toml", "{faults:#}");
    assert_eq!(faults[0]["line"], line_of(&broken, "round ="), "{faults:#}");
}

#[test]
fn all_faults_of_all_files_are_told_at_once() {
    let first = with(&with(CLAIM, "rounds = 10", "round = 10"), "success  = 1", "succes = 1");
    let second = with(INSERT, "\"take\"", "\"tke\"");
    let ended = refused(Cli::new().scenario(&first).scenario(&second));
    let ended = ended.stderr_has("`round`").stderr_has("`succes`").stderr_has("`tke`");
    ended.stderr_has("scenarios/0.toml").stderr_has("scenarios/1.toml").stderr_has("3 faults; nothing was raced");
}

#[test]
fn a_missing_sql_file_is_named_with_its_place() {
    let broken = with(INSERT, "{ sql = \"CREATE TABLE taken (id int PRIMARY KEY)\" }", "{ file = \"none.sql\" }");
    let ended = refused(Cli::new().scenario(&broken));
    ended.stderr_has("none.sql").stderr_has(&format!("scenarios/0.toml:{}:", line_of(&broken, "none.sql")));
}

#[test]
fn expressions_are_read_before_anything_is_raced() {
    let broken = with(CLAIM, "\"writers - 1\"", "\"writers -\"");
    refused(Cli::new().scenario(&broken)).stderr_has("error[").stderr_has("writers -");
    let broken = with(CLAIM, "\"name-${round}\"", "\"name-${ruond}\"");
    let ended = refused(Cli::new().scenario(&broken));
    ended.stderr_has("error[unknown-name]").stderr_has("did you mean `round`?");
}

#[test]
fn an_expression_that_fails_in_the_race_is_a_fault_at_its_line() {
    let broken = with(CLAIM, "version = 1", "version = \"${1 / round}\"");
    let ended = Cli::new().scenario(&broken).args(["run"]).run().exits(64);
    ended.stderr_has(&format!("scenarios/0.toml:{}:", line_of(&broken, "append")));
}

#[test]
fn an_invariant_that_cannot_be_evaluated_fails_its_rounds_and_ends_no_run() {
    // The race may have taken away what the expression looks at.
    let broken = with(CLAIM, "size(events) == 1", "events[7].version == 1");
    let ended = Cli::new().scenario(&broken).scenario(INSERT).args(["run"]).run().exits(1).stdout_has("PASS insert");
    let ended = ended.stdout_has("10 of 10 rounds failed").stdout_has("a list of 4 has no item 7");
    let reason = "is invalid and proves nothing: in round 0 invariant `one claim stored` could not be evaluated";
    ended.stdout_has(reason);
}

#[test]
fn params_must_mean_something() {
    let cli = Cli::new().scenario(CLAIM).args(["run"]);
    let ended = cli.clone().args(["--param", "wrtiers=3"]).run().exits(64);
    ended.stderr_has("`--param wrtiers=…` names no param and no axis").stderr_has("`guard`, `writers`");
    let ended = Cli::new().scenario(INSERT).args(["run", "--param", "x=3"]).run().exits(64);
    ended.stderr_has("`--param x=…` names no param and no axis of these scenarios; they have none");
    let ended = cli.args(["--param", "writers=many"]).run().exits(64);
    ended.stderr_has("param `writers` is of type int and cannot be `many`").stderr_has("scenarios/0.toml:8:1");
}

#[test]
fn two_scenarios_of_one_name_are_both_named() {
    let ended = refused(Cli::new().scenario(CLAIM).scenario(CLAIM));
    ended.stderr_has("`scenarios/0.toml` and `scenarios/1.toml` are both named `claim`");
}

#[test]
fn targets_given_must_exist_and_be_urls_of_this_machine() {
    for (given, said) in [
        ("dv=postgres://127.0.0.1/x", "`--target dv=…` names no target of these scenarios; their targets are `db`"),
        ("db=127.0.0.1", "the URL of target `db` from --target cannot be used: relative URL without a base"),
        ("db=mysql://127.0.0.1/x", "its scheme is `mysql`; wanted `postgres://"),
        ("db=postgres:s3cret", "it cannot be parsed; wanted `postgres://"),
        ("db=postgres://db.example.com/x", "target `db` is at `db.example.com`, which is not this machine"),
    ] {
        let cli = Cli::new().scenario(INSERT).args(["run", "--target", given]);
        let ended = cli.run().exits(64).stderr_has(said).stderr_lacks("s3cret").stdout_is("");
        assert!(!cli.work().join("reports").exists(), "{ended:?}");
    }
    let remote = with(INSERT, "driver   = \"postgres\"", "driver = \"postgres\"\nurl = \"postgres://10.1.2.3/x\"");
    let ended = Cli::new().scenario(&remote).args(["run"]).run().exits(64);
    ended.stderr_has("`10.1.2.3`, which is not this machine").stderr_has("--allow-remote");
    let unset = with(INSERT, "driver   = \"postgres\"", "driver = \"postgres\"\nurl_env = \"STAGING_URL\"");
    for value in [None, Some("")] {
        let cli = Cli::new().scenario(&unset).args(["run"]);
        let cli = value.into_iter().fold(cli, |cli, value| cli.env("STAGING_URL", value));
        cli.run().exits(64).stderr_has("`STAGING_URL`, which is not set").stderr_has("`--target db=URL`");
    }
    for hidden in ["127.0.0.1/x?hostaddr=10.1.2.3", "127.0.0.1/x?host=10.1.2.3", "127.0.0.1,10.1.2.3/x"] {
        let given = format!("db=postgres://{hidden}");
        let ended = Cli::new().scenario(INSERT).args(["run", "--target", &given]).run().exits(64);
        ended.stderr_has("`10.1.2.3`, which is not this machine");
    }
}

/// One row is there in all rounds but the third.
const GONE: &str = r#"
schema = 1
name = "gone"
rounds = 5
[targets.db]
driver = "postgres"
[fixture]
setup = [{ sql = "CREATE TABLE seen (n int)" }]
before_round = [{ sql = "DELETE FROM seen" }, { sql = "INSERT INTO seen SELECT 1 WHERE $1::int <> 2", args = ["${round}"] }]
[[workers]]
name = "reader"
count = 2
steps = [{ name = "read", sql = "SELECT n FROM seen", save = "n" }]
[expect]
success = 2
"#;

#[test]
fn a_row_that_the_race_took_away_fails_its_round_and_ends_no_run() {
    let ended = Cli::new().scenario(GONE).args(["run"]).run().exits(1);
    let ended = ended.stdout_has("1 of 5 rounds failed: round 2").stdout_has("`read` returned 0 rows");
    ended.stdout_has("classify = [{ code = \"save\"");
    let expected = with(
        &with(GONE, "save = \"n\"", "save = \"n\", otherwise = \"rejected\""),
        "success = 2",
        "any_of = [{ success = 2 }, { rejected = 2 }]",
    );
    Cli::new().scenario(&expected).args(["run"]).run().exits(0).stdout_has("success 0..=2");
}

/// The second of two deferred duplicates is refused at COMMIT.
const DEFERRED: &str = r#"
schema = 1
name = "deferred"
rounds = 5
[targets.db]
driver = "postgres"
[fixture]
setup = [{ sql = "CREATE TABLE seat (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)" }]
before_round = [{ sql = "DELETE FROM seat" }]
[[workers]]
name = "guest"
count = 2
transaction = "read committed"
steps = [{ name = "take", sql = "INSERT INTO seat VALUES (1)" }, { barrier = "taken" }]
[expect]
success = 1
conflict = { count = 1, at = "commit", code = "23505" }
"#;

#[test]
fn an_outcome_at_another_step_than_expected_fails_its_rounds() {
    let ended = Cli::new().scenario(DEFERRED).args(["run"]).run().exits(0);
    ended.stdout_has("conflict 1 (expected 1 at commit (23505)) at commit (23505)");
    let moved = with(DEFERRED, " DEFERRABLE INITIALLY DEFERRED", "");
    let moved = with(&moved, ", { barrier = \"taken\" }", "");
    let ended = Cli::new().scenario(&moved).args(["run"]).run().exits(1);
    ended.stdout_has("conflict: expected 1 at commit (23505), observed 1, of which 1 at take (23505)");
}

#[test]
fn an_error_of_one_scenario_stops_no_other() {
    let broken = with(INSERT, "INSERT INTO taken VALUES ($1)", "INSERT INTO tkaen VALUES ($1)");
    let ended = Cli::new().scenario(&broken).scenario(CLAIM).args(["run", "--rounds", "2"]).run().exits(64);
    ended.stdout_has("PASS claim").stderr_has("relation \"tkaen\" does not exist");
    let other = with(&with(INSERT, "\"insert\"", "\"other\""), "INTO taken VALUES", "INTO tkane VALUES");
    let ended = Cli::new().scenario(&broken).scenario(&other).scenario(CLAIM).args(["run", "--rounds", "2"]).run();
    ended
        .exits(64)
        .stdout_has("PASS claim")
        .stderr_has("\"tkaen\" does not exist")
        .stderr_has("\"tkane\" does not exist");
}

#[test]
fn a_case_whose_control_ended_with_an_error_is_not_passed() {
    let control = "\n[[controls]]\nname = \"typo\"\nwhy = \"no such table\"\nreplace = { take = { sql = \"INSERT INTO tkaen VALUES (1)\" } }\nbreaks = [\"success\"]\n";
    let ended = Cli::new().scenario(&format!("{INSERT}{control}")).args(["run", "--rounds", "2"]).run().exits(64);
    ended.stdout_has("INCONCLUSIVE insert").stdout_lacks("PASS insert").stderr_has("\"tkaen\" does not exist");
}

#[test]
fn what_only_the_server_can_know_is_told_at_the_steps_line() {
    let take = "INSERT INTO taken VALUES ($1)";
    for (part, other, line, said) in [
        (take, "INSERT INTO tkaen VALUES ($1)", "tkaen", "relation \"tkaen\" does not exist (42P01)"),
        (take, "INSRT INTO taken VALUES ($1)", "INSRT", "syntax error at or near \"INSRT\" (42601)"),
        (
            take,
            "INSERT INTO taken (di) VALUES ($1)",
            "(di)",
            "column \"di\" of relation \"taken\" does not exist (42703)",
        ),
        ("\"${round}\"", "\"abc\"", take, "argument $1 of"),
        ("CREATE TABLE", "CREATE TABL", "CREATE", "syntax error at or near \"TABL\" (42601)"),
        ("deadlock_timeout", "deadlok_timeout", "[targets.db]", "`deadlok_timeout = 20ms` cannot be set"),
    ] {
        let broken = with(INSERT, part, other);
        let ended = Cli::new().scenario(&broken).args(["run", "--rounds", "1"]).run().exits(64).stderr_has(said);
        let ended = ended.stderr_has(&format!("error: scenarios/0.toml:{}:", line_of(&broken, line)));
        // Whether an argument fits may depend on the race: that none ever did is known only after it.
        if !said.starts_with("argument") {
            ended.stdout_lacks(said);
        }
    }
}

#[test]
fn a_file_that_is_named_twice_is_read_once() {
    let cli = Cli::new().file("a/claim.toml", CLAIM).file("b/insert.toml", INSERT);
    let ended = cli.args(["list", "b", "a/claim.toml", "./a/claim.toml", "b/../a", "b/insert.toml"]).run().exits(0);
    let scenarios: Vec<&str> =
        ended.stdout.lines().filter_map(|line| line.split_once(":   ")).map(|(name, _)| name).collect();
    assert_eq!(scenarios, ["insert", "claim"], "in the order in which they were named");
}

#[test]
fn sql_outside_the_scenarios_directory_is_read_only_if_that_is_allowed() {
    let outside = with(INSERT, "sql = \"CREATE TABLE", "file = \"../outside.sql\" }, { sql = \"CREATE TABLE");
    let cli = Cli::new().file("outside.sql", "SELECT 1").scenario(&outside);
    let ended = refused(cli.clone());
    ended
        .stderr_has("cannot read `../outside.sql`: it is outside the scenario's directory")
        .stderr_has("--allow-outside");
    cli.args(["check", "--allow-outside"]).run().exits(0).stderr_lacks("error");
}

#[test]
fn a_scenario_that_is_a_pipe_or_a_device_is_named_and_not_waited_for() {
    let cli = Cli::new();
    let pipe = cli.work().join("pipe.toml");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    for (path, what) in [("pipe.toml", "a pipe (FIFO)"), ("/dev/zero", "a device")] {
        let ended = cli.clone().args(["check", path]).run().exits(64);
        ended.stderr_has(&format!("cannot read the scenario `{path}`: it is {what}; only regular files are read"));
    }
}

#[test]
fn a_matrix_of_a_million_cells_is_counted_and_not_built() {
    let values: Vec<String> = (0..100).map(|value| value.to_string()).collect();
    let axis = |name: &str| format!("{name} = [{}]\n", values.join(", "));
    let cli = Cli::new().scenario(&format!("{CLAIM}\n[matrix]\n{}{}{}", axis("a"), axis("b"), axis("c")));
    refused(cli.clone()).stderr_has("has 1000000 cells, and at most 10000 are planned").stderr_has("--max-cases");
    let few = ["check", "--param", "a=1,2", "--param", "b=3", "--param", "c=4,5"];
    cli.clone().args(few).run().exits(0).stdout_has("4 cases");
    cli.args(few).args(["--max-cases", "3"]).run().exits(64).stderr_has("has 4 cells, and at most 3 are planned");
}

#[test]
fn of_many_faults_the_first_are_drawn_and_all_are_in_the_json() {
    let keys: String = (0..60).map(|number| format!("key{number} = 1\n")).collect();
    let cli = Cli::new().scenario(&format!("{keys}{CLAIM}"));
    let ended = refused(cli.clone()).stderr_has("`key49`").stderr_has("10 more in `scenarios/0.toml`");
    assert!(!ended.stderr.contains("`key50`"), "{ended:?}");
    let json = cli.args(["check", "--format", "json"]).run().exits(64).stdout;
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&json).unwrap().len(), 60);
}

#[test]
fn a_param_that_no_chosen_case_uses_is_named() {
    let cli = Cli::new().scenario(CLAIM).scenario(INSERT);
    cli.clone().args(["check", "--param", "writers=3"]).run().exits(0);
    let ended = cli.clone().args(["run", "--param", "writers=3", "--filter", "insert"]).run().exits(64);
    ended.stderr_has("`--param writers=3` changes nothing: no case chosen uses `writers`");
    // A step that nobody takes does not use it either.
    let idle = with(CLAIM, "[params]", "[steps.idle]\nsleep = \"${pause}\"\n\n[params]\npause = \"1ms\"");
    let ended = Cli::new().scenario(&idle).args(["check", "--param", "pause=2ms"]).run().exits(64);
    ended
        .stderr_has("warning[unused-param]: nothing uses the param `pause`")
        .stderr_has("`--param pause=2ms` changes nothing");
}

#[test]
fn a_race_without_a_control_is_raced_and_says_so() {
    let controls = CLAIM.find("[[controls]]").unwrap();
    let cli = Cli::new().scenario(&CLAIM[..controls]);
    cli.clone().args(["check"]).run().exits(0).stderr_has("warning[no-control]: `claim` has no control");
    let ended = cli.clone().args(["run"]).run().exits(0).stderr_is("");
    assert!(ended.stdout.lines().any(|line| line.starts_with("PASS") && line.ends_with("; no control")), "{ended:?}");
    let ended = Cli::new().scenario(CLAIM).args(["run"]).run().exits(0);
    assert!(!ended.stdout.contains("no control"), "{ended:?}");
}
