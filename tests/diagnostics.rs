//! Each fault of a scenario is reported with its place and a remedy: `tests/diagnostics/*.toml` with what is printed beside each.
//! `UPDATE_EXPECT=1` writes what is printed now.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use deadheat::diagnostic::{Code, Diagnostic, SourceFile};
use deadheat::plan::{self, Overrides};
use deadheat::scenario::{self, FileAccess, LoadError};
use proptest::prelude::*;

/// Everything that is found in a scenario file, as text.
fn report(path: &Path) -> String {
    let (source, diagnostics): (SourceFile, Vec<Diagnostic>) =
        match scenario::load(path, FileAccess::Below, &deadheat::driver::builtin()) {
            Err(LoadError::Invalid { source_file, diagnostics }) => (*source_file, diagnostics),
            Err(error) => panic!("{error}"),
            Ok(scenario) => {
                let planned = plan::cases(&scenario, &Overrides::default());
                let found = planned.map_or_else(|faults| faults, |plan| plan.warnings);
                (scenario.source, [scenario.warnings, found].concat())
            }
        };
    diagnostics.iter().map(|diagnostic| diagnostic.render(&source, false) + "\n\n").collect()
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir("tests/diagnostics")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_fault_is_reported_as_expected() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut differing = Vec::new();
    for path in files() {
        let (found, expected_path) = (report(&path), path.with_extension("stderr"));
        assert!(!found.is_empty(), "nothing is found in {}", path.display());
        if update {
            std::fs::write(&expected_path, &found).unwrap();
        } else if std::fs::read_to_string(&expected_path).unwrap_or_default() != found {
            differing.push(format!("{}:\n{found}", expected_path.display()));
        }
    }
    assert!(differing.is_empty(), "set UPDATE_EXPECT=1 if this is right:\n{}", differing.join("\n"));
}

#[test]
fn every_code_has_an_example() {
    let all: String = files().iter().map(|path| report(path)).collect();
    let missing: Vec<&str> =
        Code::ALL.iter().map(|code| code.as_str()).filter(|code| !all.contains(&format!("[{code}]"))).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn two_faults_of_one_file_are_both_reported_once() {
    let text = report(Path::new("tests/diagnostics/several-faults.toml"));
    let headings: BTreeSet<&str> = text.lines().filter(|line| line.starts_with("error[")).collect();
    let count = text.lines().filter(|line| line.starts_with("error[")).count();
    assert!(count >= 5 && headings.len() == count, "{text}");
}

/// A right scenario with one part replaced by arbitrary text.
fn broken(seed: &str, position: usize, length: usize, text: &str) -> String {
    let boundary = |at: usize| (0..=at.min(seed.len())).rev().find(|at| seed.is_char_boundary(*at)).unwrap();
    let (from, to) = (boundary(position), boundary(position + length));
    format!("{}{text}{}", &seed[..from], &seed[to..])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
        let source = SourceFile::new("any.toml", text);
        let _ = scenario::parse(source, Path::new("."), FileAccess::Below, &deadheat::driver::builtin());
    }

    #[test]
    fn no_damage_makes_reading_planning_or_drawing_panic(
        which in 0usize..5, position in 0usize..2000, length in 0usize..40, text in "[ -~äß\n]{0,12}",
    ) {
        let folder = Path::new("tests/fixtures/scenarios");
        let name = ["version-conflict", "subgroup-cycle", "spend", "latest-version", "outbox"][which];
        let seed = std::fs::read_to_string(folder.join(name).with_extension("toml")).unwrap();
        let source = SourceFile::new("any.toml", broken(&seed, position % seed.len(), length, &text));
        let found = match scenario::parse(source.clone(), folder, FileAccess::Below, &deadheat::driver::builtin()) {
            Err(LoadError::Invalid { diagnostics, .. }) => diagnostics,
            Err(error) => panic!("{error}"),
            Ok(scenario) => plan::cases(&scenario, &Overrides::default()).map_or_else(|faults| faults, |plan| plan.warnings),
        };
        for diagnostic in found {
            prop_assert!(!diagnostic.render(&source, true).is_empty());
            let json = diagnostic.to_json(&source);
            prop_assert!(json.line.is_none_or(|line| line >= 1));
        }
    }
}
