//! Scenarios that are right are read and planned as they say.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use deadheat::diagnostic::{Code, SourceFile};
use deadheat::model::{Case, START};
use deadheat::plan::{self, Overrides, PlannedCase};
use deadheat::scenario::{self, FileAccess, LoadError, Scenario};
use proptest::prelude::*;

fn load(name: &str) -> Scenario {
    let path = Path::new("tests/fixtures/scenarios").join(name);
    scenario::load(&path, FileAccess::Below, &deadheat::driver::builtin()).unwrap_or_else(|error| match error {
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
            let others: Vec<_> = plan.warnings.iter().filter(|warning| warning.code != Code::NoControl).collect();
            assert!(others.is_empty(), "{others:?}");
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
    let append = &case.request(&case.groups[0].steps[0]).unwrap().request;
    assert_eq!((append.spec.key, append.pauses[0].barrier), ("append", 1));
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
fn a_case_is_controlled_if_a_control_breaks_it_here_or_where_that_makes_the_same_case() {
    let text = |only: &str| {
        format!(
            r#"
            schema = 1
            name = "x"
            [matrix]
            guard = ["none", "mutex", "server"]
            [targets.store]
            driver = "event-store"
            backend = "memory"
            guard = "${{guard}}"
            [[workers]]
            name = "writer"
            count = 2
            steps = [{{ append = {{ actor = "a-${{round}}", version = 1 }} }}]
            [expect]
            success = ">= 1"
            conflict = "<= 1"
            [[controls]]
            name = "no guard"
            why = "both append"
            set = {{ guard = "none" }}
            breaks = ["success"]
            {only}
            "#
        )
    };
    let controlled = |text: &str| {
        let cases = planned(text, &Overrides::default());
        let of = |it: &PlannedCase| (it.controls.len(), it.case.controlled);
        cases.iter().map(of).collect::<Vec<_>>()
    };
    // Without a guard, the two guarded cases are the same, and raced once.
    assert_eq!(controlled(&text("")), [(0, false), (1, true), (0, true)]);
    assert_eq!(controlled(&text("only = { guard = \"server\" }")), [(0, false), (0, false), (1, true)]);
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
    assert!(statements(case)[0].contains("FOR UPDATE NOWAIT"));
    assert!(!statements(&controls[0]).iter().any(|statement| statement.contains("FOR UPDATE")));
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
    assert_eq!(statements(case).len(), 3);
}

/// The distinct statements of the case's first target.
fn statements(case: &Case) -> Vec<&str> {
    let mut statements: Vec<&str> = Vec::new();
    for statement in case.targets[0].requests.iter().filter_map(|it| it.request.statement()) {
        if !statements.contains(&statement) {
            statements.push(statement);
        }
    }
    statements
}

fn planned(text: &str, overrides: &Overrides) -> Vec<PlannedCase> {
    let source = SourceFile::new("any.toml", text);
    let scenario = scenario::parse(source, Path::new("."), FileAccess::Below, &deadheat::driver::builtin())
        .unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    plan::cases(&scenario, overrides).unwrap_or_else(|faults| panic!("{faults:?}\n{text}")).cases
}

#[test]
fn a_control_that_pins_an_axis_runs_once_for_cells_that_differ_in_nothing_else() {
    let text = r#"
        schema = 1
        name = "guards"
        workers = [{ name = "writer", count = 2, steps = [{ append = { actor = "a", version = 1 } }] }]
        expect = { success = 1, conflict = 1 }
        [matrix]
        guard = ["mutex", "server"]
        backend = ["memory", "sqlite"]
        [targets.store]
        driver = "event-store"
        backend = "${backend}"
        guard = "${guard}"
        [[controls]]
        name = "no guard"
        why = "nothing is held"
        set = { guard = "none" }
        breaks = ["success"]
    "#;
    let cases = planned(text, &Overrides::default());
    assert_eq!(cases.len(), 4);
    assert_eq!(
        control_ids(&cases),
        ["guards[guard=none,backend=memory]/no guard", "guards[guard=none,backend=sqlite]/no guard"]
    );
    let filter = Overrides { filters: vec!["sqlite".into()], ..Overrides::default() };
    assert_eq!(planned(text, &filter).len(), 2);
}

#[test]
fn the_hash_covers_the_files_that_a_scenario_names() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = r#"
        schema = 1
        name = "files"
        targets = { db = { driver = "postgres" } }
        workers = [{ name = "reader", count = 2, steps = [{ file = "read.sql" }] }]
        expect = { success = 2 }
    "#;
    let path = folder.path().join("files.toml");
    std::fs::write(&path, scenario).unwrap();
    let hash = |sql: &str| {
        std::fs::write(folder.path().join("read.sql"), sql).unwrap();
        scenario::load(&path, FileAccess::Below, &deadheat::driver::builtin()).unwrap().head.hash.clone()
    };
    let (first, second) = (hash("SELECT 1"), hash("SELECT 2"));
    assert_eq!(first.len(), 64);
    assert_ne!(first, second);
    assert_eq!(first, hash("SELECT 1"));
}

#[test]
fn url_env_is_looked_up_by_the_caller() {
    let text = r#"
        schema = 1
        name = "urls"
        targets = { db = { driver = "postgres", url_env = "SOME_URL" } }
        workers = [{ name = "reader", count = 2, steps = [{ sql = "SELECT 1" }] }]
        expect = { success = 2 }
    "#;
    let overrides = Overrides { variable: |name| Some(format!("value of {name}")), ..Overrides::default() };
    assert_eq!(planned(text, &overrides)[0].case.targets[0].url.as_deref(), Some("value of SOME_URL"));
    assert_eq!(planned(text, &Overrides::default())[0].case.targets[0].url, None);
}

proptest! {
    #[test]
    fn planning_conserves_workers_and_names_every_case_differently(
        groups in proptest::collection::vec((1u64..5, 0usize..4, any::<bool>()), 1..4),
        axes in proptest::collection::vec(1usize..4, 0..4),
    ) {
        let mut text = "schema = 1\nname = 'any'\n[targets.db]\ndriver = 'postgres'\n[matrix]\n".to_owned();
        for (axis, values) in axes.iter().enumerate() {
            text += &format!("axis_{axis} = {:?}\n", (0..*values).collect::<Vec<_>>());
        }
        for (group, (count, rows, free)) in groups.iter().enumerate() {
            let start = if *free { "free" } else { "together" };
            text += &format!("[[workers]]\nname = 'g{group}'\ncount = {count}\nstart = '{start}'\n");
            if *rows > 0 {
                let rows: Vec<String> = (0..*rows).map(|row| format!("{{ row = {row} }}")).collect();
                text += &format!("each = [{}]\n", rows.join(", "));
            }
            text += "steps = [{ barrier = 'met' }, { sql = 'SELECT 1' }]\n";
        }
        text += "[expect]\nsuccess = 'workers'\n";
        let total: usize = groups.iter().map(|(count, rows, _)| *count as usize * (*rows).max(1)).sum();
        let cases = planned(&text, &Overrides::default());
        prop_assert_eq!(cases.len(), axes.iter().product::<usize>());
        let distinct: BTreeSet<&str> = ids(&cases).into_iter().collect();
        prop_assert_eq!(distinct.len(), cases.len());
        for PlannedCase { case, .. } in &cases {
            prop_assert_eq!(case.workers.len(), total);
            prop_assert_eq!(&case.barriers[1].parties, &(0..total).collect::<Vec<_>>());
            prop_assert!(case.workers.windows(2).all(|pair| pair[0].group <= pair[1].group));
            for (index, (count, rows, _)) in groups.iter().enumerate() {
                let members = case.workers.iter().filter(|worker| worker.group == index).count();
                prop_assert_eq!(members, *count as usize * (*rows).max(1));
                for row in 0..*rows {
                    let value = i64::try_from(row).unwrap().into();
                    let copies = case.workers.iter().filter(|w| w.group == index && w.scope.get("row") == Some(&value));
                    prop_assert_eq!(copies.count() as u64, *count);
                }
            }
            let numbers: Vec<_> = case.workers.iter().map(|worker| worker.scope.get("worker").cloned()).collect();
            prop_assert_eq!(numbers, (0..total).map(|n| Some((n as i64).into())).collect::<Vec<_>>());
        }
    }
}
