use super::*;
use crate::driver::proxy::{Cut, Proxy};
use crate::engine::{Cores, EngineError};
use crate::report::example;
use crate::server::find::{self, SearchPath};
use crate::server::postgres::{PostgresOptions, start};

#[test]
fn a_skipped_case_is_no_pass() {
    let mut report = example::report();
    let decide =
        |report: &Report, no_skip| verdict(report, Options { no_skip, ..Options::default() }, &Stop::default());
    assert!(!report.skipped.is_empty());
    assert_eq!(decide(&report, false), RunVerdict::Pass, "the other case did pass");
    assert_eq!(decide(&report, true), RunVerdict::Environment);
    report.scenarios.clear();
    assert_eq!(decide(&report, false), RunVerdict::Inconclusive, "every case was skipped");
}

const ENDLESS: &str = r#"
    schema = 1
    name = "endless"
    rounds = 1000000
    [targets.store]
    driver = "event-store"
    backend = "memory"
    guard = "mutex"
    [[workers]]
    name = "writer"
    count = 2
    steps = [{ append = { actor = "a-${round}", version = 1, type = "T" } }]
    [expect]
    success = 1
    conflict = 1
"#;

pub(super) fn planned(text: &str) -> PlannedScenario {
    let source = crate::diagnostic::SourceFile::new("embedded.toml", text);
    let scenario = crate::scenario::parse(
        source,
        std::path::Path::new(""),
        crate::scenario::FileAccess::Below,
        &crate::driver::builtin(),
    )
    .unwrap();
    let cases = crate::plan::cases(&scenario, &crate::plan::Overrides::default()).unwrap().cases;
    PlannedScenario { head: scenario.head.clone(), cases }
}

/// Races a scenario on embedded targets, or those at the URLs `given`; `stop` may be asked by `on_event`.
pub(super) async fn raced(
    text: &str,
    given: &[(&str, String)],
    stop: &Stop,
    on_event: &mut (dyn FnMut(Event<'_>) + Send),
) -> (Result<(), RunError>, Report) {
    let scenarios = [planned(text)];
    let sources = endpoints::Sources {
        given: given.iter().map(|(target, url)| ((*target).to_owned(), url.clone())).collect(),
        variable: |_| None,
        compose: false,
        search: SearchPath::below(std::path::Path::new("/"), None),
        allow_remote: false,
    };
    let endpoints = Endpoints::provide(sources, 1, std::iter::empty()).await.unwrap();
    let open = OpenTargets::default();
    let inputs = Inputs {
        began: Instant::now(),
        run: "dh_test",
        scenarios: &scenarios,
        endpoints: &endpoints,
        options: Options::default(),
        again: None,
        steering: &Steering::default(),
        stop,
        open: &open,
        cores: &Cores::in_place(),
    };
    let out = tempfile::tempdir().unwrap();
    let mut folder = RunFolder::create(out.path(), "run").unwrap();
    let mut report = new_report(1, Vec::new());
    let ended = run(inputs, &mut report, &mut folder, on_event).await;
    open.close(Duration::from_secs(1)).await;
    (ended, report)
}

#[tokio::test]
async fn a_run_that_is_told_to_stop_now_reports_the_rounds_before() {
    let stop = Stop::default();
    let mut on_event = |event: Event<'_>| {
        if matches!(event, Event::Round { raced: 10, .. }) {
            stop.ask();
            stop.ask();
        }
    };
    let (ended, report) = raced(ENDLESS, &[], &stop, &mut on_event).await;
    ended.unwrap();
    assert_eq!(RunVerdict::from(report.verdict), RunVerdict::Interrupted);
    let case = &report.scenarios[0].cases[0];
    assert_eq!((case.race.rounds, case.race.rounds_planned, case.targets.len()), (10, 1_000_000, 1));
}

#[tokio::test]
async fn a_case_whose_control_ended_with_an_error_is_not_passed() {
    let control = r#"
        [[controls]]
        name = "divided by nought"
        why = "it is a mistake in the control, which nobody is to miss"
        replace = { append = { append = { actor = "a", version = "${1 / 0}", type = "T" } } }
        breaks = ["success"]
    "#;
    let text = format!("{}{control}", ENDLESS.replace("rounds = 1000000", "rounds = 2"));
    let (ended, report) = raced(&text, &[], &Stop::default(), &mut |_| ()).await;
    assert!(matches!(ended, Err(RunError::Engine(EngineError::Fault { .. }))), "{ended:?}");
    let case = &report.scenarios[0].cases[0];
    assert_eq!((case.race.rounds, case.verdict), (2, Verdict::Inconclusive.into()));
    assert!(case.reasons[0].starts_with("it ended with an error"), "{:?}", case.reasons);
}

#[test]
fn a_run_is_as_bad_as_its_worst_case_and_says_when_it_was_interrupted() {
    let mut report = example::report();
    let mut failed = report.scenarios[0].cases[0].clone();
    failed.verdict = Verdict::Fail.into();
    report.scenarios[0].cases.insert(0, failed);
    let stop = Stop::default();
    assert_eq!(verdict(&report, Options::default(), &stop), RunVerdict::Fail, "though the last case passed");
    stop.ask();
    assert_eq!(verdict(&report, Options::default(), &stop), RunVerdict::Interrupted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_whose_fixture_lost_its_answer_is_set_up_once_more() {
    const SCENARIO: &str = r#"
        schema = 1
        name = "fixture"
        rounds = 2
        [targets.db]
        driver = "postgres"
        [fixture]
        setup = [{ sql = "CREATE TABLE t (a int); INSERT INTO t VALUES (770077)" }]
        [[workers]]
        name = "writer"
        count = 2
        steps = [{ sql = "INSERT INTO t VALUES (1)" }]
        [expect]
        success = 2
        [[invariants]]
        name = "the fixture ran once"
        sql = "SELECT count(*) FROM t WHERE a > 1"
        that = "rows[0][0] == 1"
    "#;
    let programs = find::postgres(&SearchPath::system(std::env::var_os("PATH").as_deref())).unwrap();
    let server = start(&programs, &PostgresOptions::default()).await.unwrap();
    let (_, address) = server.url.split_once('@').unwrap();
    let address = address.split_once('/').unwrap().0;
    let proxy = Proxy::start(address.parse().unwrap()).await;
    let url = server.url.replace(address, &proxy.address.to_string());

    proxy.cut_at(b"770077", Cut::AfterForwarding);
    let (ended, report) = raced(SCENARIO, &[("db", url)], &Stop::default(), &mut |_| ()).await;
    ended.unwrap();
    assert!(proxy.has_cut(), "the fixture's connection was to be lost");
    let case = &report.scenarios[0].cases[0];
    assert_eq!((case.race.rounds, case.verdict), (2, Verdict::Pass.into()), "{:?}", case.reasons);
}
