//! Scenarios that are right are read and planned as they say.

use std::path::{Path, PathBuf};

use deadheat::plan::{self, Action, Case, Operation, Overrides, PlannedCase, START};
use deadheat::scenario::{self, LoadError, Scenario};

fn load(name: &str) -> Scenario {
    let path = Path::new("tests/fixtures/scenarios").join(name);
    scenario::load(&path).unwrap_or_else(|error| match error {
        LoadError::Invalid { source_file, diagnostics } => {
            let all: Vec<String> =
                diagnostics.iter().map(|diagnostic| diagnostic.render(&source_file, false)).collect();
            panic!("{}", all.join("\n"))
        }
        other => panic!("{other}"),
    })
}

fn plan_with(name: &str, overrides: &Overrides) -> Vec<PlannedCase> {
    let scenario = load(name);
    match plan::cases(&scenario, overrides) {
        Ok(plan) => {
            assert_eq!(plan.warnings, []);
            plan.cases
        }
        Err(diagnostics) => {
            let all: Vec<String> =
                diagnostics.iter().map(|diagnostic| diagnostic.render(&scenario.source, false)).collect();
            panic!("{}", all.join("\n"))
        }
    }
}

fn ids(cases: &[PlannedCase]) -> Vec<&str> {
    cases.iter().map(|planned| planned.case.id.as_str()).collect()
}

fn control_ids(cases: &[PlannedCase]) -> Vec<&str> {
    cases.iter().flat_map(|planned| &planned.controls).map(|control| control.id.as_str()).collect()
}

fn step_names(case: &Case) -> Vec<Vec<&str>> {
    case.groups.iter().map(|group| group.steps.iter().map(|step| step.name.as_str()).collect()).collect()
}

#[test]
fn every_fixture_is_read_and_planned() {
    let folder: PathBuf = "tests/fixtures/scenarios".into();
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let cases = plan_with(path.file_name().unwrap().to_str().unwrap(), &Overrides::default());
            assert!(!cases.is_empty());
            read += 1;
        }
    }
    assert_eq!(read, 5);
}

#[test]
fn a_matrix_makes_a_case_of_each_cell() {
    let cases = plan_with("version-conflict.toml", &Overrides::default());
    assert_eq!(
        ids(&cases),
        ["memory", "sqlite", "postgres", "jetstream"].map(|word| format!("version-conflict[backend={word}]"))
    );
    let case = &cases[1].case;
    assert_eq!((case.workers.len(), case.rounds, case.barriers.len()), (50, 100, 2));
    assert_eq!(case.barriers[START].parties.len(), 50);
    assert_eq!(case.barriers[1].name, "checked");
    assert_eq!(case.barriers[1].parties, (0..50).collect::<Vec<_>>());
    let Action::Call { operation, .. } = &case.groups[0].steps[0].action else { panic!("an append is a call") };
    assert!(matches!(operation.as_ref(), Operation::Append { pause: Some((_, 1)), .. }));
    assert_eq!(cases[1].controls[0].id, "version-conflict[backend=sqlite]/check, then publish");
    assert_eq!(cases[1].controls[0].rounds, 50);
}

#[test]
fn overrides_set_params_and_narrow_axes() {
    let overrides = Overrides {
        params: vec![("writers".into(), "8".into()), ("backend".into(), "memory,sqlite".into())],
        rounds: Some(3),
        ..Overrides::default()
    };
    let cases = plan_with("version-conflict.toml", &overrides);
    assert_eq!(cases.len(), 2);
    assert_eq!(cases[0].case.workers.len(), 8);
    assert_eq!(cases[0].case.rounds, 3);
    for (wrong, value) in [("writer", "8"), ("writers", "many"), ("backend", "oracle")] {
        let overrides = Overrides { params: vec![(wrong.into(), value.into())], ..Overrides::default() };
        assert!(plan::cases(&load("version-conflict.toml"), &overrides).is_err(), "{wrong}={value}");
    }
}

#[test]
fn exclude_takes_cells_away_and_only_limits_controls() {
    let cases = plan_with("latest-version.toml", &Overrides::default());
    assert_eq!(cases.len(), 7);
    assert!(!ids(&cases).contains(&"latest-version[events=1000,backend=sqlite]"));
    assert_eq!(
        control_ids(&cases),
        [1, 10, 100, 1000].map(|n| format!("latest-version[events={n},backend=jetstream]/read everything"))
    );
    assert_eq!(step_names(&cases[0].case), [["latest-version", "assert"]]);
}

#[test]
fn controls_replace_and_drop_steps() {
    let cases = plan_with("subgroup-cycle.toml", &Overrides::default());
    let [PlannedCase { case, controls }] = cases.as_slice() else { panic!("there is one case") };
    assert_eq!(step_names(case), [["lock-subgroups", "barrier", "lock-supergroup", "no-cycle", "insert"]]);
    assert_eq!(step_names(&controls[0]), [["lock-subgroups", "barrier", "no-cycle", "insert"]]);
    assert!(case.targets[0].statements[0].contains("FOR UPDATE NOWAIT"));
    assert!(!controls[0].targets[0].statements.iter().any(|statement| statement.contains("FOR UPDATE")));
    assert_eq!(case.workers[1].scope.get("supergroup"), Some(&1.into()));
}

#[test]
fn count_times_each_makes_copies_of_each_row() {
    let cases = plan_with("outbox.toml", &Overrides::default());
    let case = &cases[0].case;
    assert_eq!(case.workers.len(), 5);
    assert_eq!(step_names(case), [vec!["let", "sleep", "send", "sql"], vec!["sql", "sql-2"]]);
    let levels: Vec<_> = case.workers.iter().map(|worker| worker.transaction.map(|t| t.isolation.as_str())).collect();
    let (committed, serializable) = (Some("read committed"), Some("serializable"));
    assert_eq!(levels, [committed, serializable, committed, serializable, None]);
    assert_eq!(case.barriers[START].parties, [0, 1, 2, 3]);
    assert_eq!(case.targets[0].statements.len(), 3);
}
