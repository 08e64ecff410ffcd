//! What becomes of a finished run: the forms of its report, what CI services are told, and judging its rounds again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Two claim one name, and a third has a name of its own; needs no server.
const CLAIMS: &str = r#"schema = 1
name   = "claims"
rounds = 30

[params]
guard = "server"
rivals = 2

[targets.store]
driver  = "event-store"
backend = "memory"
guard   = "${guard}"

[[workers]]
name  = "rival"
count = "${rivals}"
steps = [{ append = { actor = "name-${round}", version = 1, type = "Claimed", pause = "checked" } }]

[[workers]]
name  = "loner"
steps = [{ append = { actor = "other-${round}", version = 1, type = "Claimed" } }]

[expect]
success  = 2
conflict = "rivals - 1"

[expect.by_group.loner]
success = 1

[expect.latency]
"append.p50" = "< 10s"

[[invariants]]
name   = "claimed once"
events = { actor = "name-${round}" }
that   = "size(events) == 1"

[[controls]]
name   = "no guard"
why    = "both find the name free"
set    = { guard = "none" }
breaks = ["success", "claimed once"]
"#;

/// A directory to work in, and the program in it.
struct Place(TempDir);

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        place.write("claims.toml", CLAIMS);
        place
    }

    /// With a finished run.
    fn raced() -> Place {
        let place = Place::new();
        place.deadheat("run claims.toml --quiet --seed 7").exits(0);
        place
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: impl AsRef<Path>, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: impl AsRef<Path>) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The folder of the newest run.
    fn folder(&self) -> PathBuf {
        self.newest_folder().expect("no run left a folder")
    }

    /// As [`Place::folder`], for a run under way, which may not have made its folder yet.
    fn newest_folder(&self) -> Option<PathBuf> {
        fs::read_dir(self.path("reports")).ok()?.map(|entry| entry.unwrap().path()).max()
    }

    /// Arguments are separated by spaces.
    fn deadheat(&self, args: &str) -> Ended {
        self.deadheat_with(args, &[])
    }

    fn deadheat_with(&self, args: &str, environment: &[(&str, &str)]) -> Ended {
        let output = self.command(args).envs(environment.iter().copied()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deadheat"));
        command.args(args.split(' ')).current_dir(&self.0).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("DEADHEAT_NO_COMPOSE", "1");
        command
    }

    /// The scenario with `from` turned into `to`, in another file.
    fn changed(&self, from: &str, to: &str) {
        assert!(CLAIMS.contains(from), "{from}");
        self.write("changed.toml", &CLAIMS.replace(from, to));
    }
}

impl Ended {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "wanted: {text}\n{}{}", self.stdout, self.stderr);
        self
    }

    /// One error, and it is this one.
    #[track_caller]
    fn fails(self, code: i32, text: &str) {
        let Ended { stdout, stderr, .. } = self.exits(code);
        assert!(stderr.contains(text), "wanted: {text}\n{stderr}");
        assert_eq!((stderr.matches("error: ").count(), stdout.as_str()), (1, ""), "{stderr}");
    }
}

#[test]
fn show_gives_every_form_that_the_run_left() {
    let place = Place::raced();
    let folder = place.folder();
    for (form, file) in [
        ("json", "report.json"),
        ("html", "report.html"),
        ("junit", "junit.xml"),
        ("markdown", "summary.md"),
        ("hlog", "latency.hlog"),
    ] {
        let shown = place.deadheat(&format!("show --format {form}")).exits(0);
        assert_eq!(shown.stdout, place.read(folder.join(file)), "{form}");
    }
    let text = place.deadheat(&format!("show {}", folder.join("report.json").display())).exits(0).says("PASS claims");
    assert!(text.stdout.contains("control `no guard` caught"), "{}", text.stdout);
    place.deadheat("show --format csv").exits(0).says("claims,claims,-,pass,3,30,0,0,60,30,");
    let sections = place.deadheat("show --format hgrm").exits(0).says("# claims.attempt.hgrm\n");
    place.deadheat("show --format hgrm --out plots").exits(0);
    assert!(sections.stdout.contains(&place.read("plots/claims.append.hgrm")));
    assert_eq!(place.read("plots/claims.append.hgrm"), place.read(folder.join("hgrm/claims.append.hgrm")));
    assert_eq!(place.deadheat("show --format junit --out shown.xml").exits(0).stdout, "");
    assert_eq!(place.read("shown.xml"), place.read(folder.join("junit.xml")));
    place.deadheat("show --out missing/file").fails(10, "choose another place with `--out`");
}

#[test]
fn an_interrupted_run_leaves_every_form() {
    let place = Place::new();
    let mut run = place.command("run claims.toml --for 1h --quiet").stdout(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let raced = || place.newest_folder().is_some_and(|folder| folder.join("report.json").is_file());
    while !raced() && began.elapsed() < Duration::from_secs(300) {
        std::thread::sleep(Duration::from_millis(20));
    }
    // Asked to end whether it has raced or not, so that it never outlives the test.
    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    for file in ["junit.xml", "summary.md", "latency.hlog", "hgrm/claims.append.hgrm"] {
        assert!(place.folder().join(file).is_file(), "{file}");
    }
    assert!(place.read(place.folder().join("summary.md")).starts_with("## deadheat: interrupted"));
    // However many rounds were raced after the last report, those that it counts can be judged.
    place.deadheat("judge --scenario claims.toml").says("claims: pass, as recorded");
}

#[test]
fn github_is_told_where_its_environment_asks_for_it() {
    let place = Place::new();
    place.write("step.md", "from an earlier command");
    let summary = place.path("step.md").display().to_string();
    let run = "run claims.toml --quiet --seed 7 --param guard=none";
    let asked = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", summary.as_str())];
    let ended = place.deadheat_with(run, &asked).exits(1);
    let line_of = |text: &str| CLAIMS.lines().position(|line| line == text).unwrap() + 1;
    let (line, conflict) = (line_of("success  = 2"), line_of("conflict = \"rivals - 1\""));
    let ended = ended.says(&format!(
        "\n::error file=claims.toml,line={line},col=1,title=claims::expect success: expected 2, observed 3 in round 0;"
    ));
    let ended =
        ended.says(&format!("\n::error file=claims.toml,line={conflict},col=1,title=claims::expect conflict: "));
    let ended = ended.says("(seed 7)%0Adeadheat run claims.toml --param guard=none --filter claims --seed 7\n");
    assert!(
        ended.stdout.contains("::error file=claims.toml") && !ended.stdout.contains("::warning"),
        "{}",
        ended.stdout
    );
    let text = place.read("step.md");
    assert!(text.starts_with("from an earlier command\n## deadheat: fail\n"), "{text}");
    assert_eq!(text.split_once('\n').unwrap().1, place.read(place.folder().join("summary.md")));
    let below = [("GITHUB_ACTIONS", "true"), ("GITHUB_WORKSPACE", place.0.path().parent().unwrap().to_str().unwrap())];
    let name = place.0.path().file_name().unwrap().to_str().unwrap();
    place.deadheat_with(run, &below).exits(1).says(&format!("::error file={name}/claims.toml,line={line}"));
    assert!(!place.deadheat(run).exits(1).stdout.contains("::"), "no annotations where nobody reads them");
    let unwritable = [("GITHUB_STEP_SUMMARY", "missing/step.md")];
    let ended = place.deadheat_with(run, &unwritable).exits(1);
    assert!(ended.stderr.contains("warning: cannot add to the job summary `missing/step.md`"), "{}", ended.stderr);
}

#[test]
fn a_case_id_of_any_length_leaves_every_form() {
    let place = Place::new();
    let long = "n".repeat(300);
    place.write("long.toml", &CLAIMS.replace("[params]", &format!("[matrix]\nnote = [\"{long}\"]\n\n[params]")));
    place.deadheat("run long.toml --quiet").exits(0);
    assert_eq!(fs::read_dir(place.folder().join("hgrm")).unwrap().count(), 2, "attempts and one step");
}

#[test]
fn github_is_told_of_a_run_whose_forms_cannot_be_written() {
    let place = Place::new();
    let summary = place.path("step.md").display().to_string();
    let mut run = place.command("run claims.toml --for 1h --quiet --param guard=none");
    run.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    let raced = || place.newest_folder().is_some_and(|folder| folder.join("report.json").is_file());
    while !raced() && began.elapsed() < Duration::from_secs(300) {
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::create_dir_all(place.folder().join("report.html/in the way")).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&run), rustix::process::Signal::INT).unwrap();
    let ended = run.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap());
    assert_eq!(ended.status.code(), Some(130), "{stdout}{stderr}");
    assert!(stderr.contains("error: cannot replace `"), "{stderr}");
    assert!(stdout.contains("::error title=deadheat::cannot replace `"), "{stdout}");
    assert!(stdout.contains("::error file=claims.toml,line="), "{stdout}");
    assert!(!stdout.contains("\nreport: "), "there is no page: {stdout}");
    assert!(place.read("step.md").contains("> error: cannot replace `"));
    assert!(place.read(place.folder().join("report.json")).contains("\"error\": \"cannot replace `"));
}

#[test]
fn the_command_in_a_failure_repeats_it() {
    let place = Place::new();
    place.deadheat("run claims.toml --quiet --seed 7 --rounds 3 --param guard=none").exits(1);
    let xml = place.read(place.folder().join("junit.xml"));
    let repeat = xml.split("repeat:   deadheat ").nth(1).unwrap().split(['\n', '<']).next().unwrap();
    place.deadheat(repeat).exits(1).says("success: expected 2, observed 3");
}

#[test]
fn judging_by_the_same_expectations_changes_nothing() {
    let place = Place::raced();
    let judged = place.deadheat("judge --scenario claims.toml").exits(0);
    assert_eq!(judged.stdout, "claims: pass, as recorded\npass: 0 of 1 verdict changed\n");
    place.deadheat("run claims.toml --quiet --param guard=none").exits(1);
    // The params of the race hold, not those of the file.
    place.deadheat("judge --scenario claims.toml").exits(1).says("claims: fail, as recorded\n");
}

#[test]
fn rounds_are_judged_by_expectations_as_they_are_now() {
    let place = Place::raced();
    let judge = |from: &str, to: &str| {
        place.changed(from, to);
        place.deadheat("judge --scenario changed.toml")
    };
    let judged = judge("success  = 2\nconflict = \"rivals - 1\"", "success  = 3").exits(1);
    let judged = judged.says("claims: pass -> fail\n").says("  + 30 of 30 rounds failed, first: round 0\n");
    judged
        .says("    round 0: success: expected 3, observed 2  changed.toml:24:1\n")
        .says("1 of 1 verdict changed (exit code 1)");
    let judged = judge("[expect.by_group.loner]\nsuccess = 1", "[expect.by_group.loner]\nconflict = 1").exits(1);
    judged.says("round 0: loner: success: expected 0, observed 1");
    let judged = judge("[expect.by_group.loner]\nsuccess = 1", "[expect.by_group.rival]\nsuccess = 2").exits(1);
    judged.says("rival: conflict: expected 0, observed 1");
    judge("< 10s", "< 1ns").exits(1).says("`append.p50` is ").says("expected at most 1 ns");
    judge("append.p50", "append.p99").exits(4).says("`append.p99` needs 299 operations, and ");
    let sometimes = "[sometimes]\nbusy = 1\n\n[[invariants]]";
    judge("[[invariants]]", sometimes).exits(1).says("no round had 1 busy");
    // The control ended in its first round, which does not break this check.
    let judged = judge("breaks = [\"success\", \"claimed once\"]", "breaks = [\"busy\"]").exits(4);
    judged
        .says("pass -> inconclusive")
        .says("control `no guard` is not caught in 1 round, and 30 were to be raced; race it");
    judge("\"claimed once\"\nevents", "\"another\"\nevents").exits(64);
    let judged = judge("that   = \"size(events) == 1\"", "that   = \"size(events) >= 1\"").exits(0);
    judged.says("note: invariant `claimed once` was `size(events) == 1` when this was raced; what it said then stands");
}

#[test]
fn what_does_not_match_is_named() {
    let place = Place::raced();
    place.changed("name  = \"loner\"", "name  = \"loner\"\ncount = 2");
    let more = place.read("changed.toml").replace("success  = 2", "success  = 3").replace("success = 1", "success = 2");
    place.write("changed.toml", &more);
    let judged = place.deadheat("judge --scenario changed.toml").exits(4);
    judged.says(
        "claims: not judged\n  its workers were 2 x rival, 1 x loner and are 2 x rival, 2 x loner now; race it again\n",
    );
    place.changed("[targets.store]", "[matrix]\nsize = [1, 2]\n\n[targets.store]");
    place.write("changed.toml", &place.read("changed.toml").replace("round}\", version", "round}-${size}\", version"));
    let judged = place.deadheat("judge --scenario changed.toml").exits(4);
    let judged = judged.says("claims[size=2]: not judged\n  the report has no such case; race it\n");
    judged.says("claims: not judged\n  the scenario has no such case any more\n");
    place.write("changed.toml", &CLAIMS.replace("name   = \"claims\"", "name   = \"other\""));
    let other = place.deadheat("judge --scenario changed.toml");
    other.fails(64, "the report has no scenario `other`; its scenarios are `claims`");
}

#[test]
fn rounds_that_are_not_the_runs_are_not_judged() {
    let place = Place::raced();
    let rounds = place.folder().join("rounds.csv");
    let written = place.read(&rounds);
    let judge = || place.deadheat("judge --scenario claims.toml");
    place.write(&rounds, &written.replacen("pass,3,2,1", "pass,3,1,2", 1));
    judge().fails(64, "its SHA-256 is not the one in the report; it was changed or damaged, so fetch it again");
    place.write(&rounds, &written[..written.len() / 2]);
    judge().fails(64, "the copy is incomplete, so fetch it again");
    place.write(&rounds, &format!("{written}a row of a round under way"));
    judge().exits(0);
    fs::remove_file(&rounds).unwrap();
    judge().fails(64, "it is not beside the report; copy the run's whole folder");
}

#[test]
fn what_is_no_whole_report_gets_one_error() {
    let place = Place::raced();
    let report = place.read(place.folder().join("report.json"));
    for (text, error) in [
        (&report[..report.len() / 2], "it ends in the middle, at line "),
        ("{\"kind\": \"hyperfine\"}", "its `kind` is `hyperfine`, not `deadheat-report`; name a report.json"),
        ("success,1", "it is not a deadheat report: it is not JSON"),
        (
            &report.replace("\"schema\": \"2.0\"", "\"schema\": \"3.0\""),
            "use the version that wrote it (deadheat 0.1.0)",
        ),
        (&report.replacen("\"conflict\": 30", "\"conflict\": 31", 1), "its counts do not add up in `claims`"),
        (&report.replacen("\"rounds\": 30", "\"rounds\": \"30\"", 1), "it does not follow its schema"),
    ] {
        place.write("stored.json", text);
        for command in
            ["show stored.json", "show stored.json --format junit", "judge stored.json --scenario claims.toml"]
        {
            place.deadheat(command).fails(64, error);
        }
    }
    place.deadheat("show elsewhere").fails(64, "there is no such file; name a report.json, or a run's folder");
    place.deadheat("judge --scenario missing.toml").exits(64);
    fs::remove_dir_all(place.path("reports")).unwrap();
    place.deadheat("show").fails(64, "no run is stored below `reports`; name a report.json, or a run's folder");
}

#[test]
fn a_report_of_an_older_schema_is_shown() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reports");
    let place = Place::new();
    let mut versions = 0;
    for entry in fs::read_dir(fixtures).unwrap() {
        let path = entry.unwrap().path();
        for form in ["terminal", "html", "markdown", "junit", "csv", "hlog", "hgrm", "json"] {
            place.deadheat(&format!("show {} --format {form}", path.display())).exits(0).says("race");
        }
        versions += 1;
    }
    assert_eq!(versions, 6);
}

#[test]
fn the_password_of_a_server_that_is_not_there_is_written_nowhere() {
    let place = Place::new();
    let scenario = |url: &str| {
        let steps =
            "[[workers]]\nname = \"asker\"\ncount = 2\nsteps = [{ sql = \"SELECT 1\" }]\n\n[expect]\nsuccess = 2\n";
        let url = if url.is_empty() { String::new() } else { format!("url = \"{url}\"\n") };
        let params = "[params]\nserver = \"postgres://racer:s3cret-default@127.0.0.1:1/races\"\n";
        format!(
            "schema = 1\nname = \"ask\"\nrounds = 1\n\n{params}\n[targets.db]\ndriver = \"postgres\"\n{url}\n{steps}"
        )
    };
    let url = "postgres://racer:s3cret-pass@127.0.0.1:1/races?options=s3cret-option";
    place.write("given.toml", &scenario("").replace("[params]\n", "").replace("server = ", "# "));
    place.write("param.toml", &scenario("${server}"));
    for run in [
        format!("run given.toml --target db={url}"),
        "run param.toml".to_owned(),
        format!("run param.toml --param server={url}"),
        format!("run param.toml --param=server={url}"),
    ] {
        let github = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", "step.md")];
        let ended = place.deadheat_with(&run, &github).exits(10);
        let printed = format!("{}{}{}", ended.stdout, ended.stderr, place.read("step.md"));
        let everything = format!("{printed}{}", all_text(&place.path("reports")));
        assert!(!everything.contains("s3cret"), "{run}\n{everything}");
        assert!(everything.contains("127.0.0.1:1"), "{everything}");
    }
}

#[test]
fn urls_among_params_lose_their_credentials_in_every_form() {
    let place = Place::new();
    place.write(
        "claims.toml",
        &CLAIMS
            .replace("type = \"Claimed\" }", "type = \"Claimed\", data = { at = \"${at}\" } }")
            .replace("[params]\n", "[params]\nat = \"nats://s3cret-token@127.0.0.1:4222\"\n"),
    );
    place.deadheat("run claims.toml --quiet --param at=nats://s3cret-other@127.0.0.1:4222").exits(0);
    let everything = all_text(&place.path("reports"));
    assert!(!everything.contains("s3cret"), "{everything}");
    place.deadheat("judge --scenario claims.toml").exits(0).says("claims: pass, as recorded");
}

/// Lines of a page's code blocks in this language.
fn code(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

#[test]
fn the_examples_for_ci_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/ci.md")).unwrap();
    let place = Place::new();
    fs::create_dir_all(place.path("scenarios/basics")).unwrap();
    fs::copy(root.join("scenarios/basics/first-race.toml"), place.path("scenarios/basics/first-race.toml")).unwrap();
    let commands = code(&page, "sh");
    assert!(commands.len() >= 5, "{commands:?}");
    for command in commands {
        place.deadheat(command.strip_prefix("deadheat ").unwrap()).exits(0);
    }
}

#[test]
fn the_exit_codes_are_as_written_down() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci.md")).unwrap();
    for verdict in deadheat::judge::RunVerdict::BY_WEIGHT {
        let row = format!("\n| {} | `{verdict}` |", verdict.exit_code());
        assert!(page.contains(&row), "{row}");
    }
}

/// The text of all files below a folder.
fn all_text(folder: &Path) -> String {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| if path.is_dir() { all_text(&path) } else { fs::read_to_string(path).unwrap() }).collect()
}
