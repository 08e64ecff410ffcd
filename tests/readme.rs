//! What README.md shows is what the program prints.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Command;

use regex::Regex;

/// Measured values replaced by `N`, as is in how many rounds workers met, and runs of spaces by one, since a value's width moves the columns.
fn without_measurements(text: &str) -> Vec<String> {
    let measured = Regex::new(r"(\d+(\.\d+)? (ns|µs|ms|s)\b)|raced in \d+").unwrap();
    let line = |line: &str| measured.replace_all(line, "N").split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect()
}

#[test]
fn the_caught_race_is_what_the_command_prints() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let block = readme.split("```console\n").nth(1).unwrap().split("```").next().unwrap();
    let (command, shown) = block.split_once('\n').unwrap();
    let arguments = command.strip_prefix("$ deadheat ").unwrap().split_whitespace();
    let out = tempfile::tempdir().unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_deadheat")).args(arguments).arg("--out").arg(out.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let printed = without_measurements(&String::from_utf8(output.stdout).unwrap());
    let shown = without_measurements(shown);
    assert_eq!(printed[..shown.len()], shown);
}

#[test]
fn the_caught_race_stands_within_the_first_forty_lines() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let caught = readme.lines().position(|line| line.starts_with("FAIL first-race")).unwrap();
    assert!(caught < 40, "line {}", caught + 1);
}

#[test]
fn the_fragment_is_part_of_the_scenario() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let fragment = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let scenario = std::fs::read_to_string("scenarios/basics/first-race.toml").unwrap();
    for line in fragment.lines().map(|line| line.split(" #").next().unwrap().trim()).filter(|line| !line.is_empty()) {
        assert!(scenario.contains(line), "{line}");
    }
}
