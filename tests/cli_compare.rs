//! `deadheat compare` and `deadheat trend` from the outside, over an embedded store.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const SCENARIO: &str = r#"
schema  = 1
name    = "guarded"
summary = "one append may win"
rounds  = 12

[params]
guard = "server"

[targets.store]
driver  = "event-store"
backend = "memory"
guard   = "${guard}"

[[workers]]
name  = "writer"
count = 4
steps = [{ append = { actor = "a-${round}", version = 1, pause = "checked" } }]

[expect]
success  = 1
conflict = 3

[compare]
gate = "makespan"
threshold = 0.5
"#;

/// A folder with a scenario, in which the command is run.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.path("guarded.toml"), SCENARIO).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn deadheat(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deadheat"));
        // The folder is in no working copy, whatever holds the temporary directory.
        command.current_dir(self.0.path()).env("GIT_CEILING_DIRECTORIES", "/").env("NO_COLOR", "1");
        command.args(arguments).output().unwrap()
    }

    /// Runs the scenario, and gives the run's folder, moved to `name`.
    fn run(&self, name: &str, arguments: &[&str]) -> PathBuf {
        self.deadheat(&[&["run", "guarded.toml", "--quiet", "--out", "out"], arguments].concat());
        let made = fs::read_dir(self.path("out")).unwrap().next().unwrap().unwrap().path();
        fs::create_dir_all(self.path("reports")).unwrap();
        let folder = self.path("reports").join(name);
        fs::rename(made, &folder).unwrap();
        folder
    }

    /// Changes a run's report.
    fn edit(&self, run: &Path, change: impl FnOnce(&mut Value)) {
        let file = run.join("report.json");
        let mut report: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        change(&mut report);
        fs::write(file, serde_json::to_string(&report).unwrap()).unwrap();
    }

    fn on_branch(&self, run: &Path, branch: &str) {
        let git = serde_json::json!({ "branch": branch, "sha": "0123456789abcdef", "dirty": false });
        self.edit(run, |report| report["run"]["git"] = git);
    }
}

#[track_caller]
fn ends(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout:\n{stdout}\nstderr:\n{stderr}");
    (stdout, stderr)
}

#[test]
fn like_runs_pass_by_folder_file_or_branch() {
    let place = Place::new();
    place.on_branch(&place.run("a", &[]), "main");
    place.on_branch(&place.run("b", &[]), "fix/lock");
    let (stdout, _) = ends(&place.deadheat(&["compare", "reports/a", "reports/b/report.json"]), 0);
    assert!(stdout.contains("verdict pass on both sides; 1 success, 3 conflict each round"), "{stdout}");
    assert!(stdout.contains("sequential: weak"), "{stdout}");
    let (_, stderr) = ends(&place.deadheat(&["compare", "main", "fix/lock"]), 0);
    assert!(stderr.contains("`main` is a branch; its newest run is reports/a"), "{stderr}");
    let (_, stderr) = ends(&place.deadheat(&["compare", "main", "fix-lock"]), 64);
    assert!(
        stderr.contains("no finished run of a branch `fix-lock` in `reports`; there are runs of `fix/lock`, `main`"),
        "{stderr}"
    );
}

#[test]
fn a_newest_run_that_is_damaged_or_did_not_finish_is_not_passed_over_in_silence() {
    let place = Place::new();
    let (old, new) = (place.run("a", &[]), place.run("b", &[]));
    place.on_branch(&old, "main");
    place.on_branch(&new, "main");
    place.edit(&new, |report| report["verdict"] = "interrupted".into());
    let (_, stderr) = ends(&place.deadheat(&["compare", "main", "main", "--force"]), 0);
    assert!(stderr.contains("its newest finished run is reports/a; reports/b did not finish"), "{stderr}");
    let text = fs::read_to_string(new.join("report.json")).unwrap();
    fs::write(new.join("report.json"), &text[..text.len() / 2]).unwrap();
    let damaged = "cannot read the report `reports/b/report.json`: it ends in the middle, at line ";
    let (_, stderr) = ends(&place.deadheat(&["compare", "main", "reports/a"]), 64);
    assert!(stderr.contains(&format!("the newest run of `main` may be a damaged one: {damaged}")), "{stderr}");
    assert_eq!(stderr.matches("error: ").count(), 1, "{stderr}");
    let (_, stderr) = ends(&place.deadheat(&["show"]), 64);
    assert!(stderr.contains(damaged), "{stderr}");
    let (_, stderr) = ends(&place.deadheat(&["trend", "reports"]), 0);
    assert!(stderr.contains(&format!("warning: {damaged}")), "{stderr}");
}

#[test]
fn a_run_that_ended_early_is_not_compared_in_silence() {
    let place = Place::new();
    place.run("a", &[]);
    let head = place.run("b", &[]);
    place.edit(&head, |report| report["verdict"] = "environment".into());
    let (stdout, _) = ends(&place.deadheat(&["compare", "reports/a", "reports/b"]), 5);
    assert!(stdout.contains("ended early (environment)"), "{stdout}");
}

#[test]
fn every_format_says_the_same() {
    let place = Place::new();
    place.run("a", &[]);
    place.run("b", &[]);
    let print = |format| ends(&place.deadheat(&["compare", "reports/a", "reports/b", "--format", format]), 0).0;
    let json: Value = serde_json::from_str(&print("json")).unwrap();
    assert_eq!((json["kind"].as_str(), json["verdict"].as_str()), (Some("deadheat-comparison"), Some("pass")));
    let gate = &json["cases"][0]["latency"][0];
    assert_eq!(
        (gate["metric"].as_str(), gate["gate"].as_bool(), gate["threshold"].as_f64()),
        (Some("makespan"), Some(true), Some(0.5))
    );
    // Of four rounds, one may have a head start, which measures nothing.
    assert!((9..=12).contains(&gate["samples"].as_u64().unwrap()), "{gate}");
    assert!(print("markdown").starts_with("## deadheat compare: PASS"));
    let page = print("html");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<svg"));
}

#[test]
fn a_worse_verdict_fails_and_a_better_one_only_when_asked() {
    let place = Place::new();
    place.run("good", &[]);
    place.run("bad", &["--param", "guard=none"]);
    let (stdout, _) = ends(&place.deadheat(&["compare", "reports/good", "reports/bad"]), 3);
    assert!(stdout.contains("`guarded` is worse: verdict pass became fail"), "{stdout}");
    assert!(stdout.contains("target `store`: `guard` was `server`, is `none`"), "{stdout}");
    ends(&place.deadheat(&["compare", "reports/bad", "reports/good"]), 0);
    ends(&place.deadheat(&["compare", "reports/bad", "reports/good", "--fail-on", "change"]), 3);
}

#[test]
fn what_is_not_comparable_needs_force() {
    let place = Place::new();
    place.run("a", &[]);
    let other = place.run("b", &[]);
    place.edit(&other, |report| report["run"]["machine"]["cores"] = 1024.into());
    let (stdout, _) = ends(&place.deadheat(&["compare", "reports/a", "reports/b"]), 5);
    assert!(stdout.contains("machine: cores was") && stdout.contains("NOT-COMPARABLE"), "{stdout}");
    let (stdout, _) = ends(&place.deadheat(&["compare", "reports/a", "reports/b", "--force"]), 0);
    assert!(stdout.contains("not comparable, and compared all the same"), "{stdout}");
}

#[test]
fn a_run_held_against_itself_needs_force() {
    let place = Place::new();
    place.on_branch(&place.run("a", &[]), "main");
    let (stdout, _) = ends(&place.deadheat(&["compare", "main", "main"]), 5);
    assert!(stdout.contains("both sides are the same run: `"), "{stdout}");
    ends(&place.deadheat(&["compare", "main", "main", "--force"]), 0);
}

#[test]
fn a_threshold_of_a_metric_that_no_case_has_is_refused() {
    let place = Place::new();
    place.run("a", &[]);
    place.run("b", &[]);
    for sides in [["reports/a", "reports/b"], ["--live", "guarded.toml"]] {
        let (_, stderr) =
            ends(&place.deadheat(&[&["compare"], &sides[..], &["--threshold", "nostep.p50=5%"]].concat()), 64);
        assert!(stderr.contains("`--threshold nostep.p50=…` names a metric that no compared case has"), "{stderr}");
        assert!(stderr.contains("append.p50") && stderr.contains("makespan"), "{stderr}");
    }
    ends(&place.deadheat(&["compare", "reports/a", "reports/b", "--threshold", "append.p50=5%"]), 0);
}

#[test]
fn too_few_rounds_are_inconclusive() {
    let place = Place::new();
    place.run("a", &["--rounds", "5"]);
    place.run("b", &["--rounds", "5"]);
    let (stdout, _) = ends(&place.deadheat(&["compare", "reports/a", "reports/b"]), 0);
    assert!(stdout.contains(", needs 6"), "{stdout}");
    ends(&place.deadheat(&["compare", "reports/a", "reports/b", "--fail-on", "inconclusive"]), 4);
}

#[test]
fn damaged_runs_are_refused_with_one_error() {
    let place = Place::new();
    place.run("a", &[]);
    let broken = place.run("b", &[]);
    let refused = |what: &str| {
        let (stdout, stderr) = ends(&place.deadheat(&["compare", "reports/a", "reports/b"]), 64);
        assert!(stderr.contains(what) && stderr.matches("error:").count() == 1 && stdout.is_empty(), "{stderr}");
    };
    let rounds = fs::read_to_string(broken.join("rounds.csv")).unwrap();
    fs::write(broken.join("rounds.csv"), rounds.replacen("pass", "fail", 1)).unwrap();
    refused("its SHA-256 is not the one in the report");
    fs::write(broken.join("rounds.csv"), &rounds[..rounds.len() / 2]).unwrap();
    refused("the copy is incomplete");
    fs::remove_file(broken.join("rounds.csv")).unwrap();
    refused("rounds.csv`: it is not beside the report");
    let report = fs::read_to_string(broken.join("report.json")).unwrap();
    fs::write(broken.join("report.json"), &report[..report.len() / 2]).unwrap();
    refused("it ends in the middle");
    fs::remove_file(broken.join("report.json")).unwrap();
    refused("there is no such file");
}

#[test]
fn wrong_words_are_refused() {
    let place = Place::new();
    for wrong in [
        ["compare", "main"].as_slice(),
        &["compare", "a", "b", "--base", "guard=none"],
        &["compare", "a", "b", "--rounds", "5"],
        &["compare", "a", "b", "--threshold", "mean=5%"],
        &["compare", "a", "b", "--threshold", "makespan=5"],
        &["compare", "a", "b", "--fail-on", "everything"],
        &["compare", "a", "b", "--live", "guarded.toml"],
        &["compare", "--live", "guarded.toml", "--head", "gaurd=none"],
        &["compare", "--live", "guarded.toml", "--head", "target:sotre=nats://127.0.0.1:4222"],
        &["trend", "nowhere"],
    ] {
        ends(&place.deadheat(wrong), 64);
    }
    for option in ["--base", "--head"] {
        let (_, said) = ends(&place.deadheat(&["compare", "--live", "guarded.toml", option, "gaurd=none"]), 64);
        assert!(said.contains(&format!("`{option} gaurd=…` names no param")), "{said}");
    }
}

#[test]
fn variants_are_raced_in_turns() {
    let place = Place::new();
    let live = |head: &str| {
        let set = format!("guard={head}");
        let arguments = ["compare", "--live", "guarded.toml", "--base", "guard=server", "--head", &set];
        place.deadheat(
            &[&arguments[..], &["--rounds", "8", "--threshold", "makespan=900%", "--format", "json"]].concat(),
        )
    };
    let (stdout, stderr) = ends(&live("server"), 0);
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["form"].as_str(), Some("live"));
    let case = &json["cases"][0];
    assert_eq!((case["base_rounds"].as_u64(), case["latency"][0]["samples"].as_u64()), (Some(8), Some(8)));
    assert_eq!(case["warm_up"]["head_ns"].as_array().unwrap().len(), 3);
    let folder = place.path(stderr.lines().last().unwrap().rsplit_once(": ").unwrap().1);
    for file in ["comparison.json", "comparison.html", "base/report.json", "head/rounds.csv"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let report: Value = serde_json::from_str(&fs::read_to_string(folder.join("base/report.json")).unwrap()).unwrap();
    assert_eq!((&report["verdict"], &report["not_raced"]), (&"pass".into(), &serde_json::json!([])));
    let rounds = fs::read_to_string(folder.join("base/rounds.csv")).unwrap();
    assert_eq!(rounds.lines().count(), 9, "rounds that warm up are not among them");
    let (stdout, _) = ends(&live("none"), 3);
    assert!(stdout.contains("became fail"), "{stdout}");
}

#[test]
fn an_interrupted_live_comparison_leaves_reports_that_say_so() {
    let place = Place::new();
    let matrix = SCENARIO.replace("[params]", "[matrix]\nnote = [1, 2]\n\n[params]");
    fs::write(place.path("two.toml"), matrix).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_deadheat"));
    command.current_dir(place.0.path()).env("GIT_CEILING_DIRECTORIES", "/").stdout(Stdio::null());
    command.args(["compare", "--live", "two.toml", "--rounds", "1000000"]);
    let mut racing = command.stderr(Stdio::null()).spawn().unwrap();
    let folder = || Some(fs::read_dir(place.path("reports")).ok()?.next()?.ok()?.path());
    let raced =
        || folder().and_then(|folder| fs::metadata(folder.join("base/rounds.csv")).ok()).map_or(0, |it| it.len());
    let began = Instant::now();
    while raced() < 1_000 && began.elapsed() < Duration::from_secs(300) {
        std::thread::sleep(Duration::from_millis(20));
    }
    // Asked to end whether it has raced or not, so that it never outlives the test.
    rustix::process::kill_process(rustix::process::Pid::from_child(&racing), rustix::process::Signal::INT).unwrap();
    assert_eq!(racing.wait().unwrap().code(), Some(130));
    for side in ["base", "head"] {
        let text = fs::read_to_string(folder().unwrap().join(side).join("report.json")).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["verdict"], "interrupted", "{side}");
        assert_eq!(report["not_raced"], serde_json::json!(["guarded[note=2]"]), "{side}");
        assert_eq!(report["scenarios"][0]["cases"][0]["verdict"], "inconclusive", "{side}");
    }
}

#[test]
fn a_trend_has_a_row_for_each_run() {
    let place = Place::new();
    place.on_branch(&place.run("a", &[]), "main");
    place.on_branch(&place.run("b", &[]), "fix");
    let (stdout, _) = ends(&place.deadheat(&["trend"]), 0);
    assert!(stdout.starts_with("guarded\n") && stdout.matches("1 success, 3 conflict").count() == 2, "{stdout}");
    let (stdout, _) = ends(&place.deadheat(&["trend", "reports", "--branch", "fix"]), 0);
    assert!(stdout.contains("fix@0123456") && !stdout.contains("main@"), "{stdout}");
    ends(&place.deadheat(&["trend", "--html", "trend.html"]), 0);
    assert!(fs::read_to_string(place.path("trend.html")).unwrap().contains("<svg"));
    ends(&place.deadheat(&["trend", "--filter", "nothing"]), 64);
}
