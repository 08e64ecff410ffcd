//! The shipped scenarios and the scenarios in the reference are without fault or warning, and can be planned.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use deadheat::diagnostic::SourceFile;
use deadheat::plan::{Overrides, Plan, cases};
use deadheat::scenario::{FileAccess, LoadError, Scenario, parse};

/// The shipped scenario files with their text, sorted by path.
fn shipped() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<PathBuf> = files_below(&root).into_iter().filter(|path| has_extension(path, "toml")).collect();
    files.sort();
    assert!(!files.is_empty(), "no scenarios below {}", root.display());
    files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

/// The scenario and its plan; panics with every fault and warning, drawn.
fn planned(name: &Path, text: &str, directory: &Path) -> (Scenario, Plan) {
    let source = SourceFile::new(name, text);
    let drawn = |diagnostics: &[deadheat::diagnostic::Diagnostic]| {
        let drawn: Vec<String> = diagnostics.iter().map(|diagnostic| diagnostic.render(&source, false)).collect();
        drawn.join("\n\n")
    };
    let scenario = match parse(source.clone(), directory, FileAccess::Below, &deadheat::driver::builtin()) {
        Ok(scenario) => scenario,
        Err(LoadError::Invalid { diagnostics, .. }) => panic!("{}", drawn(&diagnostics)),
        Err(error) => panic!("{error}"),
    };
    assert!(scenario.warnings.is_empty(), "{}", drawn(&scenario.warnings));
    match cases(&scenario, &Overrides::default()) {
        Ok(plan) => {
            assert!(plan.warnings.is_empty(), "{}", drawn(&plan.warnings));
            (scenario, plan)
        }
        Err(diagnostics) => panic!("{}", drawn(&diagnostics)),
    }
}

#[test]
fn every_shipped_scenario_can_be_planned_and_has_a_control() {
    let mut names = Vec::new();
    for (path, text) in shipped() {
        assert!(
            text.starts_with("#:schema ../../docs/scenario.schema.json\n\n# "),
            "{}: begins otherwise",
            path.display()
        );
        let (scenario, plan) = planned(&path, &text, path.parent().unwrap());
        assert!(plan.cases.iter().any(|case| !case.controls.is_empty()), "{}: no control", path.display());
        names.push(scenario.head.name.clone());
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "two scenarios share a name");
}

#[test]
fn every_shipped_scenario_is_in_the_index() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let index = std::fs::read_to_string(root.join("README.md")).unwrap();
    for (path, _) in shipped() {
        let link = format!("({})", path.strip_prefix(&root).unwrap().display());
        assert!(index.contains(&link), "{link} is not in scenarios/README.md");
    }
}

#[test]
fn every_sql_file_is_used_by_a_scenario_beside_it() {
    let scenarios = shipped();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    for path in files_below(&root).into_iter().filter(|path| has_extension(path, "sql")) {
        let quoted = format!("\"{}\"", path.file_name().unwrap().to_str().unwrap());
        let used =
            scenarios.iter().any(|(scenario, text)| scenario.parent() == path.parent() && text.contains(&quoted));
        assert!(used, "{} is used by no scenario", path.display());
    }
}

#[test]
fn the_blocks_of_the_reference_are_toml_and_its_whole_scenarios_can_be_planned() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenario-reference.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let blocks: Vec<&str> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    for block in &blocks {
        if let Err(error) = toml::from_str::<toml::Table>(block) {
            panic!("{error}\n{block}");
        }
    }
    let whole: Vec<&&str> = blocks.iter().filter(|block| block.starts_with("schema = 1")).collect();
    assert!(!whole.is_empty(), "the reference shows no whole scenario");
    for block in whole {
        planned(&path, block, Path::new(""));
    }
}
