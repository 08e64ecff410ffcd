//! Servers that are missing, silent, dying, or somebody else's.

use rustix::process::{Signal, kill_process};

use crate::cli::{Cli, Running, eventually};
use crate::given::Given;
use crate::scenarios::{CLAIM, INSERT, PUBLISH, with};

#[test]
fn cases_without_a_server_are_skipped_loudly_and_the_others_count() {
    let cli = Cli::new().scenario(CLAIM).scenario(INSERT).scenario(PUBLISH).no_servers().args(["run"]);
    let ended = cli.run().exits(0);
    let ended = ended.stdout_has("SKIP insert  no private PostgreSQL server").stdout_has("apt-get install postgresql");
    let ended = ended.stdout_has("SKIP publish  no private NATS server").stdout_has("apt-get install nats-server");
    let ended = ended.stdout_has("docker compose up -d").stdout_has("PASS 3 cases").stdout_has("1 passed, 2 skipped");
    let report = ended.report();
    let skipped: Vec<&str> = report.skipped.iter().map(|skipped| skipped.case.as_str()).collect();
    assert_eq!(skipped, ["insert", "publish"]);
}

#[test]
fn skipping_is_a_failure_where_it_is_forbidden() {
    let cli = Cli::new().scenario(CLAIM).scenario(INSERT).no_servers().args(["run", "--no-skip"]);
    let ended = cli.run().exits(10).stdout_has("SKIP insert").stdout_has("1 passed, 1 skipped");
    ended.stderr_has("error: 1 skipped for want of a server, which `--no-skip` makes a failure");
}

#[test]
fn a_run_that_skips_everything_proves_nothing() {
    let cli = Cli::new().scenario(INSERT).scenario(PUBLISH).no_servers().args(["run"]);
    let ended = cli.run().exits(4).stdout_has("INCONCLUSIVE 2 cases").stdout_has("2 skipped");
    assert!(ended.report().scenarios.is_empty());
}

#[test]
fn what_needs_no_server_never_fails_for_want_of_one() {
    for _ in 0..5 {
        let cli = Cli::new().scenario(CLAIM).no_servers().args(["run", "--no-skip"]);
        cli.run().exits(0).stdout_has("control `no guard` caught");
    }
}

#[test]
fn a_server_that_is_not_there_ends_the_run() {
    // Nobody listens on port 1.
    let url = "postgres://somebody:s3cret@127.0.0.1:1/db";
    let ended = Cli::new().scenario(INSERT).env("DEADHEAT_POSTGRES_URL", url).args(["run"]).run().exits(10);
    let ended = ended.stderr_has("error: cannot use PostgreSQL at 127.0.0.1:1, database `db`, user `somebody`");
    let ended = ended.stderr_has("from DEADHEAT_POSTGRES_URL").stderr_has("Connection refused");
    let ended = ended.stderr_has("; start the server, or correct the address").stdout_has("ENVIRONMENT");
    assert!(!ended.everything().contains("s3cret"));
    assert!(ended.report().error.unwrap().contains("Connection refused"), "{ended:?}");

    let ended = Cli::new().scenario(PUBLISH).args(["run", "--target", "stream=nats://s3cret@127.0.0.1:1"]).run();
    let ended = ended.exits(10).stderr_has("error: NATS at 127.0.0.1:1 (from --target) cannot be reached");
    assert!(!ended.stderr_has("start it with").everything().contains("s3cret"));
}

fn kill(running: &mut Running, cli: &Cli, kind: &str) {
    running.until_racing();
    let servers = eventually("a private server", || Some(cli.servers(kind)).filter(|servers| servers.len() == 1));
    kill_process(servers[0].1, Signal::KILL).unwrap();
}

#[test]
fn a_postgresql_server_that_dies_in_a_race_is_reported_with_its_last_words() {
    let cli = Cli::new().scenario(INSERT).args(["run", "--rounds", "100000"]);
    let mut running = cli.start();
    kill(&mut running, &cli, "postgres");
    let ended = running.wait().exits(10).stderr_has("error: the private PostgreSQL server ended with signal: 9");
    let ended = ended.stderr_has("its log ends:").stderr_has("database system is ready to accept connections");
    assert_eq!(deadheat::judge::RunVerdict::from(ended.report().verdict).exit_code(), 10);
}

#[test]
fn a_nats_server_that_dies_in_a_race_is_reported_with_its_last_words() {
    let cli = Cli::new().scenario(PUBLISH).args(["run", "--rounds", "100000"]);
    let mut running = cli.start();
    kill(&mut running, &cli, "nats");
    let ended = running.wait().exits(10).stderr_has("error: the private NATS server ended with signal: 9");
    ended.stderr_has("its log ends:").stderr_has("Server is ready").report();
}

#[test]
fn a_setting_that_needs_a_privilege_is_one_warning() {
    let server = Given::postgres(None);
    server.sql("CREATE USER racer; GRANT CREATE ON DATABASE postgres TO racer");
    let url = format!("db={}", server.url_for("racer"));
    let ended = Cli::new().scenario(INSERT).args(["run", "--target", &url]).run().exits(0);
    let warning = "GRANT SET ON PARAMETER deadlock_timeout TO racer";
    assert_eq!(ended.stdout.matches(warning).count(), 1, "{ended:?}");
    assert!(ended.report().scenarios[0].cases[0].warnings[0].contains(warning), "{ended:?}");
    assert_eq!(server.schemas(), [""; 0]);
    server.has_no_connections();
}

#[test]
fn a_users_server_that_goes_away_in_a_race_ends_the_run() {
    let server = Given::postgres(None);
    let url = format!("db={}", server.url);
    let mut running = Cli::new().scenario(INSERT).args(["run", "--rounds", "100000", "--target", &url]).start();
    running.until_racing();
    drop(server);
    let ended = running.wait().exits(10).stderr_has("error: cannot use PostgreSQL at 127.0.0.1:");
    ended.stderr_has("(from --target)").report();
}

#[test]
fn too_low_a_limit_of_open_files_is_named_before_anything_is_raced() {
    let cli = Cli::new().scenario(&with(&with(INSERT, "count = 3", "count = 300"), "conflict = 2", "conflict = 299"));
    let program = env!("CARGO_BIN_EXE_deadheat");
    let script = format!("ulimit -n 100; cd '{}'; exec '{program}' run", cli.work().display());
    let ended = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(10), "{said}");
    assert!(said.contains("may have 100 files open") && said.contains("`ulimit -n 428`"), "{said}");
    // A runtime opens a few before its threads.
    let small = Cli::new().scenario(CLAIM);
    let script = format!("ulimit -n 8; cd '{}'; exec '{program}' run", small.work().display());
    let ended = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("may have 8 files open") && said.contains("`ulimit -n 128`"), "{said}");
    // A soft limit is raised as far as it may be.
    let script = format!("ulimit -S -n 100; cd '{}'; exec '{program}' run --rounds 1", cli.work().display());
    let ended = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(!String::from_utf8_lossy(&ended.stderr).contains("files open"), "{ended:?}");
}

#[test]
fn a_run_that_ends_early_names_what_it_did_not_come_to() {
    let broken = with(INSERT, "INSERT INTO taken VALUES", "INSERT INTO tkaen VALUES");
    let ended = Cli::new().scenario(CLAIM).scenario(&broken).scenario(PUBLISH).args(["run"]).run().exits(64);
    let ended = ended.stdout_has("not raced: insert\n").stdout_has("USAGE 3 cases in ");
    let ended = ended.stdout_has("2 passed, 1 not raced").stderr_has("relation \"tkaen\" does not exist");
    let report = ended.report();
    assert_eq!(report.not_raced, ["insert"]);
    assert!(report.error.unwrap().contains("tkaen"));
    let read = |name: &str| std::fs::read_to_string(ended.folder().join(name)).unwrap();
    let junit = read("junit.xml");
    assert!(junit.contains("<error message=\"scenarios/1.toml") && junit.contains("type=\"run\""), "{junit}");
    assert!(junit.contains("classname=\"insert\"") && junit.contains("the run ended before it"), "{junit}");
    let summary = read("summary.md");
    assert!(summary.contains("> error: ") && summary.contains("> not raced: insert"), "{summary}");
    assert!(read("report.html").contains("not raced"));
}

#[test]
fn variants_are_raced_in_turns_on_servers_too() {
    // The numbers of all rounds fit the table's `int`, those that warm up included.
    let cli = Cli::new().scenario(INSERT).args(["compare", "--live", "scenarios/0.toml", "--rounds", "8"]);
    let ended = cli.args(["--threshold", "makespan=900%", "--format", "json"]).run().exits(0);
    let comparison: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let case = &comparison["cases"][0];
    assert_eq!((case["base_rounds"].as_u64(), case["head_rounds"].as_u64()), (Some(8), Some(8)), "{ended:?}");
}

#[test]
fn two_runs_at_once_on_one_server_do_not_meet() {
    let server = Given::postgres(None);
    let cli = Cli::new().scenario(INSERT).args(["run", "--rounds", "20", "--target", &format!("db={}", server.url)]);
    for running in [cli.start(), cli.start()] {
        running.wait_killed().exits(0);
    }
    assert_eq!(server.schemas(), [""; 0]);
}

#[test]
fn a_users_server_is_left_as_it_was_however_the_run_ends() {
    let server = Given::postgres(Some("s3cret"));
    let url = format!("db={}", server.url);
    let broken = with(INSERT, "INSERT INTO taken VALUES", "INSERT INTO tkaen VALUES");
    let cli = |text: &str| Cli::new().scenario(text).args(["run", "--target", &url]);
    cli(INSERT).run().exits(0);
    cli(&broken).run().exits(64);
    let mut running = cli(INSERT).args(["--rounds", "100000"]).start();
    running.until_racing().signal(Signal::INT);
    running.wait().exits(130);
    assert_eq!(server.schemas(), [""; 0]);
    server.has_no_connections();

    // The second signal leaves little time: what could not be removed in it is named.
    let mut running = cli(INSERT).args(["--rounds", "100000"]).start();
    running.until_racing().signal(Signal::TERM);
    running.signal(Signal::TERM);
    let mut ended = running.wait().exits(130);
    server.has_no_connections();
    for schema in server.schemas() {
        let (run, _) = schema.rsplit_once('_').unwrap();
        ended = ended.stderr_has("was left behind").stderr_has(&format!("its name begins with `{run}`"));
    }

    let server = Given::nats("t0ken");
    let url = format!("stream={}", server.url);
    let cli = || Cli::new().scenario(PUBLISH).args(["run", "--target", &url]);
    cli().run().exits(0);
    let mut running = cli().args(["--rounds", "100000"]).start();
    running.until_racing().signal(Signal::INT);
    running.wait().exits(130);
    assert_eq!(server.streams(), [""; 0]);
}
