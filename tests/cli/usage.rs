//! Words on the command line, help, and what is printed for programs.

use crate::cli::Cli;
use crate::scenarios::{CLAIM, INSERT, with};

#[test]
fn without_arguments_the_help_is_printed_and_the_usage_is_wrong() {
    Cli::new().run().exits(64).stdout_is("").stderr_has("Usage: deadheat <COMMAND>").stderr_has("64 wrong usage");
}

#[test]
fn an_unknown_command_or_flag_is_named() {
    Cli::new().args(["runn"]).run().exits(64).stderr_has("unrecognized subcommand 'runn'").stderr_has("'run'");
    let wrong = Cli::new().args(["run", "--round", "3"]).run();
    wrong.exits(64).stderr_has("unexpected argument '--round'").stderr_has("'--rounds'");
}

#[test]
fn wrong_values_of_flags_are_told_what_was_wanted() {
    for (flag, value, wanted) in [
        ("--rounds", "0", "wanted a whole number of at least 1"),
        ("--rounds", "many", "wanted a whole number of at least 1"),
        ("--seed", "-1", "wanted a whole number from 0 to"),
        ("--for", "5", "wanted a duration such as `30s`"),
        ("--target", "db", "wanted NAME=VALUE"),
        ("--param", "=3", "wanted NAME=VALUE"),
    ] {
        let given = format!("{flag}={value}");
        let ended = Cli::new().scenario(CLAIM).args(["run", &given]).run().exits(64);
        ended.stderr_has(&format!("invalid value '{value}' for '{flag}")).stderr_has(wanted);
    }
}

#[test]
fn the_version_is_printed() {
    let version = format!("deadheat {}\n", env!("CARGO_PKG_VERSION"));
    Cli::new().args(["--version"]).run().exits(0).stdout_is(&version);
}

#[test]
fn every_command_explains_itself() {
    let help = Cli::new().args(["--help"]).run().exits(0).stderr_is("").stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description that goes on in a second line is indented further.
    let commands = commands.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let commands: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"run"), "{commands:?}");
    for command in commands.into_iter().filter(|command| *command != "help") {
        let ended = Cli::new().args([command, "--help"]).run().exits(0).stderr_is("");
        insta::assert_snapshot!(format!("help_{command}"), ended.stdout);
    }
    insta::assert_snapshot!("help", help);
}

#[test]
fn shells_get_their_completions() {
    for shell in ["bash", "zsh", "fish"] {
        Cli::new().args(["completions", shell]).run().exits(0).stderr_is("").stdout_has("until-fail");
    }
    Cli::new().args(["completions", "tcsh"]).run().exits(64).stderr_has("bash");
}

#[test]
fn the_schema_of_scenarios_is_the_one_that_shipped_scenarios_refer_to() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scenario.schema.json");
    let printed = Cli::new().args(["schema"]).run().exits(0).stderr_is("").stdout;
    serde_json::from_str::<serde_json::Value>(&printed).unwrap();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &printed).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == printed, "run `deadheat schema > docs/scenario.schema.json`, or this test with UPDATE_EXPECT=1");
}

#[test]
fn the_schema_of_reports_is_json_and_describes_their_parts() {
    let printed = Cli::new().args(["schema", "report"]).run().exits(0).stderr_is("").stdout;
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    for part in ["verdict", "scenarios", "run", "files"] {
        assert!(schema["properties"].get(part).is_some(), "{part}");
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    for command in ["list --format json", "schema", "run --quiet"] {
        let cli = Cli::new().scenario(CLAIM).after("exec > /dev/full").args(command.split(' '));
        let ended = cli.run().exits(10);
        ended.stderr_has("error: not all of the output could be written: No space left on device");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    // `pipefail` would tell of a program killed by SIGPIPE or ending with an error.
    let cli = Cli::new()
        .scenario(CLAIM)
        .args(["schema"])
        .after("set -o pipefail; \"$0\" schema | head -c 1 >/dev/null || exit 99");
    cli.run().exits(0);
}

#[test]
fn scenarios_are_listed_and_checked() {
    let cli = Cli::new().scenario(CLAIM).scenario(INSERT);
    let listed = cli.clone().args(["list"]).run().exits(0).stderr_is("");
    listed.stdout_has("claim").stdout_has("10 rounds").stdout_has("control claim/no guard").stdout_has("insert");
    cli.clone().args(["list", "--tag", "db"]).run().exits(0).stdout_lacks("claim").stdout_has("insert");
    let listed = cli.clone().args(["list", "--format", "json"]).run().exits(0).stderr_is("").stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["cases"][0]["id"], "claim");
    assert_eq!(listed[1]["cases"][0]["workers"], 3);
    let checked = cli.clone().args(["check"]).run().exits(0).stderr_has("`insert` has no control");
    checked.stdout_is("2 scenarios, 2 cases and 1 control: no faults\n");
    let checked = cli.args(["check", "--tag", "quick"]);
    checked.clone().run().exits(0).stderr_is("").stdout_is("1 scenario, 1 case and 1 control: no faults\n");
    checked.args(["--format", "json"]).run().exits(0).stdout_is("[]\n");
}

#[test]
fn tags_and_filters_choose_cases() {
    let matrix = with(CLAIM, "[targets.store]", "[matrix]\nbackend = [\"memory\", \"sqlite\"]\n\n[targets.store]");
    let matrix = with(&matrix, "\"memory\"\nguard", "\"${backend}\"\nguard");
    let cli = Cli::new().scenario(&matrix).scenario(INSERT).args(["run", "--rounds", "1"]);
    let ended = cli.clone().args(["--tag", "quick", "--filter", "backend=sqlite"]).run().exits(0);
    ended.stdout_has("claim[backend=sqlite]").stdout_lacks("claim[backend=memory]").stdout_lacks("insert");
    let ended = cli.clone().args(["--tag", "quick", "--param", "backend=memory"]).run().exits(0);
    ended.stdout_has("claim[backend=memory]").stdout_lacks("claim[backend=sqlite]");
    for [flag, value] in [["--filter", "backend=mysql"], ["--tag", "slow"]] {
        let ended = cli.clone().args([flag, value]).run().exits(64);
        ended.stderr_has(&format!("no case of 2 scenario files matches `{flag} {value}`")).stderr_has("deadheat list");
    }
    let ended = cli.args(["--param", "backend=mysql"]).run().exits(64);
    ended.stderr_has("axis `backend` has no value `mysql`").stderr_has("`memory`");
}

#[test]
fn colours_are_for_terminals_and_those_who_ask() {
    let cli = Cli::new().scenario(CLAIM).args(["run", "--rounds", "1"]);
    cli.run().exits(0).stdout_lacks("\u{1b}").stderr_lacks("\u{1b}");
    cli.clone().env("CLICOLOR_FORCE", "1").run().exits(0).stdout_has("\u{1b}[32mPASS");
    cli.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").run().exits(0).stdout_lacks("\u{1b}");
    let wrong = Cli::new().args(["run", "nowhere.toml"]);
    wrong.run().exits(64).stderr_lacks("\u{1b}");
    wrong.env("CLICOLOR_FORCE", "1").run().exits(64).stderr_has("\u{1b}[1m\u{1b}[31merror");
}
