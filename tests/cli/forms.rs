//! What files and lines hold is data, whatever names are in it.

use deadheat::judge::RunVerdict;

use crate::cli::Cli;
use crate::scenarios::{CLAIM, with};

/// Names that a spreadsheet, a terminal, an XML reader and a CI service would each like to act upon.
fn hostile() -> String {
    let hostile = r#"=HYPERLINK(1)\u001b[31m\n::error::gone\n##vso[task.complete]\uffff"#;
    let text = with(CLAIM, "rounds = 10", &format!("rounds = 10\nsummary = \"{hostile}\""));
    let text = text.replace("one claim stored", hostile);
    let text = with(&text, r#"name   = "no guard""#, r#"name   = "-1+1\n::error::gone""#);
    with(&text, r#"pause = "checked" } }]"#, r#"pause = "checked" }, name = "@SUM(1)" }]"#)
}

fn no_commands(text: &str) {
    assert!(!text.contains('\u{1b}') && !text.contains("##vso["), "{text}");
    assert!(text.lines().all(|line| !line.trim_start().starts_with("::")), "{text}");
}

#[test]
fn no_name_acts_on_a_terminal_or_a_ci_service() {
    let cli = Cli::new().scenario(&hostile());
    for args in [&["list"][..], &["check"], &["run"], &["show"]] {
        let ended = cli.clone().args(args.iter().copied()).run().exits(0);
        no_commands(&ended.stdout);
        no_commands(&ended.stderr);
    }
    let broken = Cli::new().scenario(&with(&hostile(), "schema = 1", "\"a\\u001b[31m\\n::error::b\" = 1\nschema = 1"));
    let ended = broken.args(["check"]).run().exits(64);
    no_commands(&ended.stderr);
}

#[test]
fn no_cell_is_a_formula_and_rows_are_judged_under_their_own_names() {
    let cli = Cli::new().scenario(&hostile());
    let ended = cli.clone().args(["run", "--rounds", "5"]).run().exits(0);
    assert_eq!(RunVerdict::from(ended.report().verdict), RunVerdict::Pass);
    let folder = ended.folder();
    for file in ["rounds.csv", "steps.csv"] {
        let mut reader = csv::Reader::from_path(folder.join(file)).unwrap();
        let mut controls = std::collections::BTreeSet::new();
        for row in reader.records().map(Result::unwrap) {
            assert!(
                row.iter().all(|cell| cell == "-" || !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])),
                "{row:?}"
            );
            controls.insert(row[2].to_owned());
        }
        assert_eq!(controls.len(), 2, "{controls:?}");
        assert!(controls.contains("-"), "{controls:?}");
    }
    let judge = cli.clone().args(["judge", "--scenario", "scenarios/0.toml"]);
    judge.run().exits(0).stdout_has("pass, as recorded").stdout_has("0 of 1 verdict changed");
}

#[test]
fn check_prints_json_also_of_a_file_that_is_missing_or_not_text() {
    let cli = Cli::new().file("race.toml", "schema = 1\n");
    std::fs::write(cli.work().join("race.toml"), b"schema = 1\nname = \"\xff\"\n").unwrap();
    for (path, place) in [("missing.toml", [None, None]), ("race.toml", [Some(2), Some(9)])] {
        let ended = cli.clone().args(["check", "--format", "json", path]).run().exits(64);
        let faults: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(faults.as_array().unwrap().len(), 1, "{faults}");
        assert_eq!((&faults[0]["code"], &faults[0]["file"]), (&"unreadable-file".into(), &path.into()));
        assert_eq!([&faults[0]["line"], &faults[0]["column"]], place.map(serde_json::Value::from).each_ref());
    }
}

#[test]
fn a_misspelt_exclude_is_not_an_axis() {
    let matrix = "[matrix]\nwriters2 = [1, 2]\nexcludes = [{ writers2 = 1 }]\n\n[targets.store]";
    let ended = Cli::new().scenario(&with(CLAIM, "[targets.store]", matrix)).args(["check"]).run().exits(64);
    ended.stderr_has("`excludes` would be an axis whose values are tables").stderr_has("did you mean `exclude`?");
}
