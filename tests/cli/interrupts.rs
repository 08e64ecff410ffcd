//! Ctrl-C, SIGTERM and SIGKILL: how a run stops, and that nothing stays behind.

use deadheat::judge::RunVerdict;
use rustix::process::{Signal, kill_process};

use crate::cli::{Cli, Ended, eventually};
use crate::scenarios::{CLAIM, INSERT, PUBLISH, with};

/// The case was cut short, and what there was of it can be read.
fn is_partial(ended: &Ended) {
    let report = ended.report();
    assert_eq!(RunVerdict::from(report.verdict), RunVerdict::Interrupted);
    let race = &report.scenarios[0].cases[0].race;
    assert!(race.rounds > 0 && race.rounds < race.rounds_planned, "{} of {}", race.rounds, race.rounds_planned);
}

#[test]
fn once_ends_the_round_and_writes_what_there_is() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let cli = Cli::new().scenario(CLAIM).args(["run", "--rounds", "1000000"]);
        let mut running = cli.start();
        running.until_racing().signal(signal);
        let ended = running.wait().exits(130).stderr_has("stopping after this round").stdout_has("INTERRUPTED 1 case");
        is_partial(&ended.stdout_has("(exit code 130)").stdout_has("report: reports/"));
    }
}

#[test]
fn private_servers_go_with_the_run() {
    let text = with(INSERT, "rounds = 5", "rounds = 1000000");
    let cli = Cli::new().scenario(&text).scenario(PUBLISH).args(["run"]);
    let mut running = cli.start();
    running.until_racing();
    assert_eq!((cli.servers("postgres").len(), cli.servers("nats").len()), (1, 1));
    running.signal(Signal::INT);
    is_partial(&running.wait().exits(130).stdout_has("not raced: publish"));
}

#[test]
fn twice_ends_the_run_at_once() {
    // A round of this scenario takes longer than the test waits for its end. No other statement of the run is a `DO`.
    let sleep = "{ sql = \"DO $$ BEGIN PERFORM pg_sleep(1200); END $$\", timeout = \"1500s\" }";
    let text = with(INSERT, "steps = [\"take\"]", &format!("steps = [{sleep}, \"take\"]"));
    let text = with(&text, "rounds = 5", "rounds = 5\ntimeout = \"1800s\"");
    let cli = Cli::new().scenario(&text).args(["run"]);
    let mut running = cli.start();
    eventually("a worker that sleeps in the server", || {
        cli.leftovers()
            .iter()
            .any(|process| process.starts_with("postgres: ") && process.trim_end().ends_with(" DO"))
            .then_some(())
    });
    running.signal(Signal::INT).until_stderr_has("once more to stop now").after_a_moment().signal(Signal::INT);
    let ended = running.wait().exits(130).stderr_has("stopping now");
    assert_eq!(RunVerdict::from(ended.report().verdict), RunVerdict::Interrupted);
}

#[test]
fn an_interrupt_before_the_first_race_leaves_nothing() {
    let cli = Cli::new().scenario(INSERT).args(["run"]);
    for twice in [false, true] {
        let mut running = cli.start();
        // `initdb` is at work.
        eventually("a directory for the server", || {
            (!cli.leftovers().is_empty() && cli.tmp().read_dir().unwrap().next().is_some()).then_some(())
        });
        running.signal(Signal::INT);
        if twice {
            running.signal(Signal::INT);
        }
        running
            .wait()
            .exits(130)
            .stdout_has("INTERRUPTED 1 case in ")
            .stdout_has("1 not raced")
            .stdout_lacks("in 0 ns");
    }
}

#[test]
fn what_a_killed_run_left_is_removed_by_clean_and_by_the_next_run() {
    let cli = Cli::new().scenario(&with(INSERT, "rounds = 5", "rounds = 1000000"));
    let clean = cli.clone().args(["clean"]);
    let next = cli.clone().scenario(CLAIM).args(["run", "--tag", "quick", "--out", "other"]);
    let run = cli.args(["run"]);
    for remover in [clean, next] {
        let mut running = run.start();
        running.until_racing().signal(Signal::KILL);
        running.wait_killed().killed();
        let [(directory, server)] = &run.servers("postgres")[..] else { panic!("{:?}", run.leftovers()) };
        kill_process(*server, Signal::CONT).expect("the server outlives its run");

        let ended = remover.run().exits(0).stderr_has("stopped a PostgreSQL server (pid ");
        ended.stderr_has("that a killed run left behind").stderr_has(&directory.display().to_string());
        for folder in std::fs::read_dir(run.work().join("reports")).unwrap() {
            std::fs::remove_dir_all(folder.unwrap().path()).unwrap();
        }
    }
}

#[test]
fn files_of_a_killed_run_are_removed_too() {
    let text = with(CLAIM, "\"memory\"", "\"sqlite\"");
    let cli = Cli::new().scenario(&with(&text, "rounds = 10", "rounds = 1000000"));
    let (run, clean) = (cli.clone().args(["run"]), cli.args(["clean"]));
    let mut running = run.start();
    running.until_racing().signal(Signal::KILL);
    running.wait_killed().killed();
    assert_eq!(run.leftovers().len(), 1, "the database");
    let ended = clean.run().exits(0);
    ended.stderr_has("removed the files that a killed run left behind: `").stderr_has("deadheat-files-");
}

#[test]
fn twice_removes_files_as_well() {
    let text = with(CLAIM, "\"memory\"", "\"sqlite\"");
    let mut running = Cli::new().scenario(&with(&text, "rounds = 10", "rounds = 1000000")).args(["run"]).start();
    running.until_racing().signal(Signal::TERM).signal(Signal::TERM);
    // Two at once are one wish: what was raced is judged and reported.
    is_partial(&running.wait().exits(130));
}

#[test]
fn clean_says_so_where_nothing_is_left() {
    // Runs that were killed elsewhere on this machine may have left something, which is then removed.
    let clean = Cli::new().args(["clean"]);
    eventually("a sweep that finds nothing", || {
        (clean.run().exits(0).stderr == "nothing was left behind\n").then_some(())
    });
}

#[test]
fn clean_leaves_a_run_alone_that_lives() {
    let cli = Cli::new().scenario(&with(PUBLISH, "rounds = 5", "rounds = 1000000"));
    let (run, clean) = (cli.clone().args(["run"]), cli.clone().args(["clean"]));
    let mut running = run.start();
    running.until_racing();
    let servers = cli.servers("nats");
    let [(directory, _)] = &servers[..] else { panic!("{servers:?}") };
    // Its leftovers are those of the run.
    clean.start().wait_killed().exits(0).stderr_lacks(&directory.display().to_string());
    assert_eq!(cli.servers("nats"), servers);
    running.signal(Signal::INT);
    running.wait().exits(130);
}
