//! What a session keeps and how long, and what races do to what its statements need.

use crate::cli::Cli;

/// A scenario of a PostgreSQL target, with the tables that matter.
fn scenario(tables: &str) -> String {
    format!("schema = 1\nname = \"session\"\nrounds = 4\n[targets.db]\ndriver = \"postgres\"\n{tables}")
}

#[test]
fn a_lock_that_a_failed_attempt_keeps_is_met_by_the_next_worker_of_the_round_and_of_no_other() {
    let text = scenario(
        r#"
        [[workers]]
        name  = "leaky"
        steps = [{ sql = "SELECT pg_advisory_lock(9)" }, { barrier = "locked" }, { assert = "false" }]

        [[workers]]
        name  = "next"
        steps = [{ barrier = "locked" }, { name = "lock", sql = "SELECT pg_advisory_lock(9)", timeout = "300ms" }]

        [expect]
        rejected = 1
        timeout  = 1
        "#,
    );
    // The lock's holder asks for nothing while the next worker waits, so nobody races it.
    let ordered =
        "rounds = 4\nordered = { why = \"the lock is asked for after the attempt of its holder has failed\" }";
    let text = text.replace("rounds = 4", ordered);
    Cli::new().scenario(&text).args(["run"]).run().exits(0).stdout_has("PASS session  4 rounds");
}

#[test]
fn what_somebody_else_made_first_is_a_conflict() {
    let text = scenario(
        r#"
        [fixture]
        before_round = [{ sql = "DROP TABLE IF EXISTS made" }]

        [[workers]]
        name  = "instance"
        count = 2
        transaction = "read committed"
        steps = [{ sql = "SELECT pg_advisory_xact_lock(3)" }, { sql = "CREATE TABLE made (a int)" }, { sql = "INSERT INTO made VALUES (1)" }]

        [expect]
        success  = 1
        conflict = 1
        "#,
    );
    Cli::new().scenario(&text).args(["run"]).run().exits(0).stdout_has("PASS session  4 rounds");
}

#[test]
fn a_fault_in_the_losing_path_is_a_crash_with_the_rule_to_paste() {
    let text = scenario(
        r#"
        [fixture]
        setup = [{ sql = "CREATE FUNCTION lose() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT gone FROM nothing); END'" }]

        [[workers]]
        name  = "loser"
        count = 2
        steps = [{ name = "lose", sql = "SELECT lose()" }]

        [expect]
        rejected = 2
        "#,
    );
    let ended = Cli::new().scenario(&text).args(["run"]).run().exits(1).stdout_has("crash: expected 0, observed 2");
    let report = ended.report();
    let attempt = format!("{:?}", report.scenarios[0].cases[0].race.kept[0].attempts[0]);
    assert!(attempt.contains("does not exist; if the race may end so: `classify = [{ code ="), "{attempt}");
    let expected = format!("classify = [{{ code = \"42P01\", outcome = \"rejected\" }}]\n{text}");
    Cli::new().scenario(&expected).args(["run"]).run().exits(0);
}

#[test]
fn a_statement_that_could_never_be_prepared_is_a_fault_whatever_was_expected() {
    let text = scenario(
        r#"
        [[workers]]
        name  = "instance"
        count = 2
        steps = [{ sql = "CREATE TABLE IF NOT EXISTS made (a int)" }, { name = "typo", sql = "INSERT INTO maid VALUES (1)" }]

        [expect]
        success = ">= 0"
        rejected = ">= 0"
        conflict = ">= 0"
        "#,
    );
    let ended = Cli::new().scenario(&text).args(["run"]).run().exits(64);
    ended.stderr_has("relation \"maid\" does not exist (42P01)").stderr_has("error: scenarios/0.toml:");
}

#[test]
fn a_wait_for_a_safe_snapshot_is_seen_by_barriers() {
    let text = scenario(
        r#"
        [fixture]
        setup = [{ sql = "CREATE TABLE t (a int)" }]

        [[workers]]
        name  = "writer"
        transaction = "serializable"
        steps = [{ sql = "INSERT INTO t VALUES (1)" }, { barrier = "begun" }, { barrier = "written" }]

        [[workers]]
        name  = "report"
        transaction = "serializable"
        steps = [{ sql = "SET TRANSACTION READ ONLY, DEFERRABLE" }, { barrier = "begun" }, { sql = "SELECT count(*) FROM t" }, { barrier = "written" }]

        [expect]
        success = 2
        "#,
    );
    Cli::new().scenario(&text).args(["run"]).run().exits(0).stdout_has("PASS session  4 rounds");
}
