//! A small report for tests.

use std::time::Duration;

use crate::judge::fixture::{TestCase, record};
use crate::judge::{CaseTally, KeptRound, judge_case, judge_control, judge_control_round, judge_round};
use crate::model::Case;
use crate::port::{Description, ServerOrigin};

use super::build::{case_report, control_report};
use super::schema::*;

/// Races `rounds` and tallies them.
pub(crate) fn raced(case: &Case, rounds: &[&str]) -> CaseTally {
    let mut tally = CaseTally::new(case);
    for (round, outcomes) in rounds.iter().enumerate() {
        let mut record = record(case, round as u64, outcomes);
        let exchanges = record.take_exchanges();
        if tally.add(case, &record, &judge_round(case, &record)) {
            tally.keep_exchanges(record.kept(&exchanges));
        }
    }
    tally
}

/// A case of three writers of which one must win, with a control, and the rounds as told.
pub(crate) fn case(rounds: &[&str], control_rounds: &[&str]) -> CaseReport {
    let plan =
        || TestCase::new(3).expect("success = 1, conflict = 2").invariant("one event stored").latency(0.5, 5_000);
    let case = plan().change(|case| case.rounds = rounds.len() as u64).build();
    let control_case = plan().control(&["success", "one event stored"]).build();
    let control_tally = raced(&control_case, control_rounds);
    let control = control_case.control.as_ref().unwrap();
    let ends = raced(&case, rounds).ends;
    let caught = |kept: &KeptRound| judge_control_round(&control_case, &kept.record, &kept.judgement, &ends);
    let caught = control_tally.kept.iter().find_map(caught);
    let control_verdict = caught.unwrap_or_else(|| judge_control(&control_case, &control_tally));
    let tally = raced(&case, rounds);
    let verdict = judge_case(&case, &tally, &[(control.name.clone(), control_verdict.clone())]);
    let target = Description {
        driver: "event-store/memory".to_owned(),
        version: "0.1.0".to_owned(),
        origin: ServerOrigin::Embedded,
        ..Description::default()
    };
    let control = control_report(&control_case, &control_tally, &control_verdict);
    case_report(&case, &tally, &verdict, vec![control], &[target], Duration::from_millis(1_234))
}

/// The run around the cases.
pub(crate) fn run() -> Run {
    Run {
        id: "20260131T120000Z-main-1a2b3c4".to_owned(),
        started: "2026-01-31T12:00:00Z".to_owned(),
        elapsed_ns: 1_300_000_000,
        seed: 42,
        command: vec!["deadheat".to_owned(), "run".to_owned(), "race.toml".to_owned()],
        git: Some(Git { branch: "main".to_owned(), sha: "1a2b3c4d".repeat(5), dirty: false }),
        machine: Machine {
            cpu: "An Example CPU".to_owned(),
            cores: 2,
            os: "Linux 6.1".to_owned(),
            memory: 8 * 1024 * 1024 * 1024,
        },
    }
}

/// A run of one passing case.
pub(crate) fn report() -> Report {
    Report {
        kind: KIND.to_owned(),
        schema: SCHEMA,
        tool: Tool { name: "deadheat".to_owned(), version: "0.1.0".to_owned() },
        verdict: RunVerdictWord::Pass,
        run: run(),
        scenarios: vec![ScenarioReport {
            file: "race.toml".to_owned(),
            name: "race".to_owned(),
            summary: "one wins".to_owned(),
            tags: vec!["smoke".to_owned()],
            hash: "00".repeat(32),
            compare: None,
            cases: vec![case(&["1 success, 2 conflict"; 3], &["1 success, 2 conflict", "3 success"])],
            growth: vec![GrowthReport {
                name: "lookup is O(1)".to_owned(),
                control: None,
                metric: "latest-version.p50".to_owned(),
                over: "events".to_owned(),
                others: Default::default(),
                points: [1.0, 10.0, 100.0]
                    .map(|x| GrowthPointReport { case: format!("race[events={x}]"), x, y_ns: Some(1_000) })
                    .to_vec(),
                exponent: Some(0.0),
                spread: Some(1.0),
                at_most: 0.1,
                verdict: VerdictWord::Pass,
                reason: None,
                place: Some("race.toml:30:1".to_owned()),
            }],
        }],
        skipped: vec![SkippedCase {
            scenario: "race".to_owned(),
            case: "race[backend=jetstream]".to_owned(),
            reason: "no nats-server was found".to_owned(),
            remedy: "docker compose up -d nats".to_owned(),
        }],
        not_raced: Vec::new(),
        error: None,
        warnings: Vec::new(),
        files: Vec::new(),
    }
}

/// A run in which a case failed, one was inconclusive, and a cost grew.
pub(crate) fn failing_report() -> Report {
    let mut report = report();
    report.verdict = RunVerdictWord::Fail;
    let scenario = &mut report.scenarios[0];
    let mut inconclusive = case(&["1 success, 2 conflict"], &["3 success"]);
    inconclusive.id = "race[backend=postgres]".to_owned();
    inconclusive.controls[0].case = Some(inconclusive.id.clone());
    inconclusive.verdict = VerdictWord::Inconclusive;
    inconclusive.reasons = vec!["only 1 of 3 rounds were raced".to_owned()];
    scenario.cases =
        vec![case(&["1 success, 2 conflict", "2 success, 1 conflict"], &["1 success, 2 conflict"; 4]), inconclusive];
    let growth = &mut scenario.growth[0];
    growth.exponent = Some(1.0);
    growth.verdict = VerdictWord::Fail;
    growth.reason = Some("`latest-version.p50` grows like events^1.00, expected at most events^0.1".to_owned());
    report.warnings =
        vec!["`deadlock_timeout` was refused; GRANT SET ON PARAMETER deadlock_timeout TO racer".to_owned()];
    report
}
