//! Races on a target that plays scripts, with the clock paused: see [`super::testing`] for the words.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::EngineError;
use super::record::{ArrivalKind, Attempt, InvariantResult, Outcome, RoundRecord};
use super::testing::{RESET_TAKES, Stage};
use crate::check::{CaseTally, judge_round};
use crate::outcome::{OutcomeKind, Tally};
use crate::plan::START;

fn kinds(round: &RoundRecord) -> Vec<OutcomeKind> {
    round.attempts.iter().map(|attempt| attempt.outcome.kind).collect()
}

fn steps(attempt: &Attempt) -> Vec<(usize, OutcomeKind)> {
    attempt.steps.iter().map(|step| (step.step, step.outcome)).collect()
}

fn arrivals(round: &RoundRecord, barrier: usize) -> Vec<(usize, ArrivalKind)> {
    round.barriers[barrier].arrivals.iter().map(|arrival| (arrival.worker, arrival.kind.clone())).collect()
}

fn millis(ns: u64) -> u64 {
    ns / 1_000_000
}

#[tokio::test(start_paused = true)]
async fn an_attempt_ends_with_its_first_refusal() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "winner"
        steps = [{ sql = "done" }, { sql = "row" }]

        [[workers]]
        name  = "loser"
        count = 2
        steps = [{ sql = "done" }, { sql = "refuse conflict" }, { sql = "refuse crash" }]
        "#,
    )
    .await;
    let round = stage.round(0).await;
    assert_eq!(kinds(&round), [OutcomeKind::Success, OutcomeKind::Conflict, OutcomeKind::Conflict]);
    assert_eq!(round.attempts.iter().map(|attempt| attempt.worker).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(steps(&round.attempts[0]), [(0, OutcomeKind::Success), (1, OutcomeKind::Success)]);
    assert_eq!(steps(&round.attempts[1]), [(0, OutcomeKind::Success), (1, OutcomeKind::Conflict)]);
    let Outcome { step, code, message, .. } = &round.attempts[1].outcome;
    assert_eq!((*step, code.as_str(), message.as_str()), (Some(1), "fake", "told to be conflict"));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_surrounds_the_steps_and_a_refused_one_is_not_committed() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "winner"
        transaction = "read committed"
        steps = [{ sql = "done" }]

        [[workers]]
        name  = "loser"
        transaction = "read committed"
        steps = [{ sql = "refuse deadlock" }]
        "#,
    )
    .await;
    let round = stage.round(0).await;
    assert_eq!(kinds(&round), [OutcomeKind::Success, OutcomeKind::Deadlock]);
    let step_indexes: Vec<usize> = round.attempts[0].steps.iter().map(|step| step.step).collect();
    assert_eq!(step_indexes, [Outcome::BEGIN, 0, Outcome::COMMIT]);
    let log = stage.log();
    let of = |worker: &str| -> Vec<String> { log.iter().filter(|line| line.starts_with(worker)).cloned().collect() };
    assert_eq!(of("0"), ["0: begin", "0: done", "0: commit"]);
    assert_eq!(of("1"), ["1: begin", "1: refuse deadlock", "1: rolled back"]);
}

#[tokio::test(start_paused = true)]
async fn a_party_that_failed_arrives_after_its_rollback() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "waiter"
        steps = [{ barrier = "inside" }, { sql = "done" }]

        [[workers]]
        name  = "loser"
        steps = [{ sql = "refuse conflict" }, { barrier = "inside" }]
        "#,
    )
    .await;
    let round = stage.round(0).await;
    assert_eq!(kinds(&round), [OutcomeKind::Success, OutcomeKind::Conflict]);
    assert_eq!(arrivals(&round, 1), [(0, ArrivalKind::Arrived), (1, ArrivalKind::Failed)]);
    assert_eq!(stage.log(), ["1: refuse conflict", "1: rolled back", "0: done"]);
    let rolled_back = round.attempts[1].steps[0].ended_ns + RESET_TAKES.as_nanos() as u64;
    assert!(round.barriers[1].released_ns >= Some(rolled_back), "{:?}", round.barriers[1]);
    assert!(round.attempts[1].ended_ns >= rolled_back, "an attempt lasts until it is rolled back");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_has_crashed_and_races_again() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "unlucky"
        steps = [{ sql = "done" }, { sql = "panic" }, { barrier = "inside" }]

        [[workers]]
        name  = "other"
        steps = [{ barrier = "inside" }, { sql = "done" }]
        "#,
    )
    .await;
    for number in 0..3 {
        let round = stage.round(number).await;
        assert_eq!(kinds(&round), [OutcomeKind::Crash, OutcomeKind::Success]);
        let outcome = &round.attempts[0].outcome;
        assert_eq!((outcome.code.as_str(), outcome.message.as_str()), ("panic", "as the script says"));
        assert_eq!(arrivals(&round, 1), [(1, ArrivalKind::Arrived), (0, ArrivalKind::Failed)]);
        assert_eq!(stage.log(), ["0: done", "0: rolled back", "1: done"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_ends_at_its_deadline_or_at_the_rounds() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "short"
        steps = [{ sql = "hang", timeout = "700ms" }]

        [[workers]]
        name  = "long"
        steps = [{ sql = "hang", timeout = "50s" }]
        "#,
    )
    .await;
    let round = stage.round(0).await;
    assert_eq!(kinds(&round), [OutcomeKind::Timeout, OutcomeKind::Timeout]);
    let took = |worker: usize| {
        let step = round.attempts[worker].steps[0];
        millis(step.ended_ns - step.started_ns)
    };
    assert!((700..710).contains(&took(0)), "{} ms", took(0));
    assert!((19_900..20_010).contains(&took(1)), "the round may take 20 s: {} ms", took(1));
}

#[tokio::test(start_paused = true)]
async fn a_system_that_keeps_a_worker_for_ever_ends_the_run_and_names_the_worker() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "ordinary"
        steps = [{ sql = "done" }]

        [[workers]]
        name  = "stuck"
        steps = [{ sql = "deaf" }]
        "#,
    )
    .await;
    let began = Instant::now();
    let error = stage.try_round(0).await.unwrap_err();
    assert!(matches!(&error, EngineError::Environment { message } if message.starts_with("worker 1 of `stage`")));
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    stage.close().await;
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_fault_ends_the_race_at_its_step_and_nobody_waits_for_the_barrier() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "wrong"
        steps = [
          { sql = "fault" },
          { barrier = "inside" },
        ]

        [[workers]]
        name  = "waiter"
        steps = [{ barrier = "inside" }]
        "#,
    )
    .await;
    let began = Instant::now();
    let Err(EngineError::Fault { place: Some(place), message }) = stage.try_round(0).await else {
        panic!("a fault has a place")
    };
    assert_eq!((place.to_string().as_str(), message.as_str()), ("stage.toml:16:13", "no such table"));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn repeated_steps_are_one_attempt() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name   = "thrice"
        repeat = 3
        transaction = "read committed"
        steps  = [{ sql = "done" }]

        [[workers]]
        name   = "once"
        repeat = 3
        steps  = [{ sql = "row" }, { sql = "refuse busy" }]
        "#,
    )
    .await;
    let round = stage.round(0).await;
    assert_eq!(kinds(&round), [OutcomeKind::Success, OutcomeKind::Busy]);
    assert_eq!((round.attempts[0].steps.len(), round.attempts[1].steps.len()), (9, 2));
    let log = stage.log();
    assert_eq!(log.iter().filter(|line| *line == "0: commit").count(), 3);
    assert_eq!(log.iter().filter(|line| *line == "1: row").count(), 1, "a refusal ends the attempt");
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_saved_computed_with_and_asserted() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "reader"
        each  = [{ wanted = 41 }, { wanted = 40 }]
        steps = [
          { sql = "row", args = ["${40 + round}"], save = "read" },
          { let = { next = "read + 1" } },
          { assert = "next == wanted" },
          { sql = "row", args = ["${next}", "${worker}"], save = { sum = "rows[0][0] + rows[0][1]" } },
          { assert = "sum == 41", otherwise = "conflict" },
          { sql = "row", rows = 2 },
        ]
        "#,
    )
    .await;
    // The sides: what is asserted of round 0 is not true of round 1.
    let round = stage.round(0).await;
    assert_eq!(kinds(&round), [OutcomeKind::Conflict, OutcomeKind::Rejected]);
    let ends: Vec<_> = round.attempts.iter().map(|it| (it.outcome.step, it.outcome.code.as_str())).collect();
    assert_eq!(ends, [(Some(5), "rows"), (Some(2), "assert")]);
    assert_eq!(round.attempts[0].outcome.message, "1 rows, wanted 2");
    assert_eq!(kinds(&stage.round(1).await), [OutcomeKind::Rejected, OutcomeKind::Rejected]);
}

#[tokio::test(start_paused = true)]
async fn rounds_share_nothing() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "worker"
        count = 3
        steps = [
          { sql = "row", args = ["${round}"], save = "read" },
          { barrier = "inside" },
          { assert = "read == round" },
        ]
        "#,
    )
    .await;
    for number in 0..4 {
        let round = stage.round(number).await;
        assert_eq!(round.round, number);
        assert_eq!(kinds(&round), [OutcomeKind::Success; 3], "round {number}: {:?}", round.attempts[0].outcome);
        for barrier in [START, 1] {
            let mut arrivals = arrivals(&round, barrier);
            arrivals.sort_by_key(|(worker, _)| *worker);
            assert_eq!(arrivals, [0, 1, 2].map(|worker| (worker, ArrivalKind::Arrived)), "round {number}");
        }
        assert!(round.attempts.iter().all(|attempt| attempt.steps.len() == 3), "records of an earlier round");
        assert!(round.attempts.iter().all(|attempt| millis(attempt.started_ns) < 100), "times of an earlier round");
    }
}

#[tokio::test(start_paused = true)]
async fn a_round_lasts_until_its_last_worker_has_ended() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "quick"
        steps = [{ sql = "done" }]

        [[workers]]
        name  = "slow"
        steps = [{ sql = "slow 1s" }]
        "#,
    )
    .await;
    for number in 0..2 {
        let round = stage.round(number).await;
        assert_eq!(kinds(&round), [OutcomeKind::Success; 2]);
        assert!(round.makespan >= Duration::from_secs(1), "{:?}", round.makespan);
        assert!(millis(round.attempts[0].ended_ns) < 100, "the quick one did not wait for the slow one");
    }
}

#[tokio::test(start_paused = true)]
async fn a_free_group_does_not_wait_for_the_start() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "together"
        count = 2
        steps = [{ sql = "slow 10ms" }]

        [[workers]]
        name  = "free"
        start = "free"
        steps = [{ sql = "done" }]
        "#,
    )
    .await;
    let round = stage.round(0).await;
    assert_eq!(kinds(&round), [OutcomeKind::Success; 3]);
    let mut came: Vec<usize> = arrivals(&round, START).into_iter().map(|(worker, _)| worker).collect();
    came.sort_unstable();
    assert_eq!(came, [0, 1], "the free worker is no party of the start barrier");
    assert_eq!(round.attempts[2].released_ns, round.attempts[2].started_ns);
    assert_eq!(round.attempts[0].released_ns, round.barriers[START].released_ns.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_barrier_inside_an_attempt_holds_every_worker() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "slow"
        steps = [{ sql = "slow 50ms" }, { barrier = "inside" }, { sql = "row" }]

        [[workers]]
        name  = "quick"
        count = 3
        steps = [{ sql = "done" }, { barrier = "inside" }, { sql = "row" }]
        "#,
    )
    .await;
    let round = stage.round(0).await;
    assert_eq!(round.overlap, 4);
    let log = stage.log();
    let first_row = log.iter().position(|line| line.ends_with(": row")).unwrap();
    assert_eq!(first_row, 4, "everybody had done the first step: {log:?}");
    let released = round.barriers[1].released_ns.unwrap();
    for attempt in &round.attempts {
        let after = attempt.steps[2];
        assert_eq!(after.released_ns, released, "the clock of a step begins at the last barrier passed");
        assert!(after.started_ns >= released);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_blocked_by_a_parked_one_releases_the_barrier() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "locker"
        count = 3
        transaction = "read committed"
        steps = [{ sql = "lock a" }, { barrier = "locked" }, { sql = "done" }]
        "#,
    )
    .await;
    let round = stage.round(0).await;
    assert_eq!(kinds(&round), [OutcomeKind::Success; 3]);
    let arrivals = arrivals(&round, 1);
    let (holder, first) = &arrivals[0];
    assert_eq!(first, &ArrivalKind::Arrived);
    let blocked = arrivals.iter().filter(|(_, kind)| *kind == ArrivalKind::Blocked { by: vec![*holder] }).count();
    let late = arrivals.iter().filter(|(_, kind)| *kind == ArrivalKind::Late).count();
    assert_eq!((arrivals.len(), blocked, late), (5, 2, 2), "{arrivals:?}");
    assert!(millis(round.barriers[1].released_ns.unwrap()) < 100, "seen, and not waited out");
}

#[tokio::test(start_paused = true)]
async fn a_worker_blocked_by_somebody_else_breaks_the_barrier_which_names_it() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "holder"
        transaction = "read committed"
        steps = [{ sql = "lock a" }, { sql = "slow 3s" }]

        [[workers]]
        name  = "parked"
        steps = [{ barrier = "inside", timeout = "1s" }, { sql = "done" }]

        [[workers]]
        name  = "blocked"
        transaction = "read committed"
        steps = [{ sleep = "5ms" }, { sql = "lock a" }, { barrier = "inside", timeout = "1s" }]

        [[workers]]
        name  = "slow"
        steps = [{ sql = "slow 2s" }, { barrier = "inside", timeout = "1s" }]
        "#,
    )
    .await;
    let round = stage.round(0).await;
    let broken = OutcomeKind::BrokenBarrier;
    assert_eq!(kinds(&round), [OutcomeKind::Success, broken, broken, broken]);
    let record = &round.barriers[1];
    assert_eq!(record.released_ns, None);
    let missing: Vec<_> = record.missing.iter().map(|it| (it.worker, it.step, it.waits_for.join(", "))).collect();
    assert_eq!(missing, [(2, Some(1), "worker 0".to_owned()), (3, Some(0), String::new())]);
    assert!(record.missing.iter().all(|missing| (900..1_100).contains(&millis(missing.for_ns))), "{record:?}");
    let outcome = &round.attempts[1].outcome;
    assert_eq!(outcome.message, "barrier `inside` was not completed within 1s");
    assert!(millis(round.attempts[1].steps[0].ended_ns) >= 1_000, "not before its deadline");
    assert!(!stage.log().contains(&"1: done".to_owned()), "nobody goes on behind a broken barrier");
}

#[tokio::test(start_paused = true)]
async fn the_seed_decides_who_is_told_first() {
    let order = async |seed: u64| {
        let workers = r#"
            [[workers]]
            name  = "worker"
            count = 8
            start = "free"
            steps = [{ sql = "done" }]
            "#;
        let mut stage = Stage::with_seed(workers, seed).await;
        let mut orders = Vec::new();
        for number in 0..5 {
            stage.round(number).await;
            orders.push(stage.log());
        }
        orders
    };
    let seven = order(7).await;
    assert_eq!(seven, order(7).await);
    assert_ne!(seven, order(8).await);
    assert_ne!(seven[0], seven[1], "each round has an order of its own");
}

#[tokio::test(start_paused = true)]
async fn fixtures_surround_rounds_and_invariants_are_read_before_the_state_is_removed() {
    let mut stage = Stage::open(
        r#"
        [fixture]
        setup        = [{ sql = "row" }]
        before_round = [{ sql = "done before" }]
        after_round  = [{ sql = "done after" }]
        teardown     = [{ sql = "done teardown" }]

        [[workers]]
        name  = "worker"
        count = 2
        steps = [{ sql = "done" }]

        [[invariants]]
        name = "every call of every round was seen"
        sql  = "calls done"
        that = "rows[0][0] == 2 * (round + 1) && success == 2"

        [[invariants]]
        name = "at most two"
        sql  = "calls done"
        that = "rows[0][0] <= 2"
        "#,
    )
    .await;
    assert_eq!(stage.log(), ["control: row"]);
    let round = stage.round(0).await;
    assert_eq!(round.invariants, [InvariantResult::Held, InvariantResult::Held]);
    let log = stage.log();
    let control: Vec<&str> = log.iter().filter_map(|line| line.strip_prefix("control: ")).collect();
    assert_eq!(control, ["done before", "calls done", "calls done", "done after"]);
    assert_eq!((log[0].as_str(), log.len()), ("control: done before", 6));
}

#[tokio::test(start_paused = true)]
async fn an_invariant_that_does_not_hold_says_what_it_saw() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "worker"
        count = 2
        steps = [{ sql = "done" }]

        [[invariants]]
        name = "one"
        sql  = "calls done"
        that = "rows[0][0] == 1"

        [[invariants]]
        name = "nobody to ask"
        sql  = "environment"
        that = "true"
        "#,
    )
    .await;
    let round = stage.round(0).await;
    let broken = InvariantResult::Broken { observed: "rows = [[2]]".to_owned() };
    let unevaluated = InvariantResult::Unevaluated { reason: "no such server".to_owned() };
    assert_eq!(round.invariants, [broken, unevaluated]);
}

/// A step of a random scenario.
#[derive(Debug, Clone)]
enum Script {
    Sql(&'static str),
    Barrier(usize),
    Sleep(u64),
}

/// What the steps of a group lead to when no barrier breaks: the outcome, and the barriers that come before it.
fn expected(steps: &[Script]) -> OutcomeKind {
    let end = steps.iter().find_map(|step| match step {
        Script::Sql("panic") => Some(OutcomeKind::Crash),
        Script::Sql("hang") => Some(OutcomeKind::Timeout),
        Script::Sql(text) => text.strip_prefix("refuse ").map(|kind| kind.parse().unwrap()),
        Script::Barrier(_) | Script::Sleep(_) => None,
    });
    end.unwrap_or(OutcomeKind::Success)
}

fn any_step() -> impl Strategy<Value = Script> {
    let sql = ["done", "row", "slow 3ms", "hang", "panic", "lock a", "lock b", "refuse conflict", "refuse unknown"];
    prop_oneof![
        6 => prop::sample::select(sql.to_vec()).prop_map(Script::Sql),
        2 => (0usize..2).prop_map(Script::Barrier),
        1 => (0u64..20).prop_map(Script::Sleep),
    ]
}

/// Groups of up to three workers, who take each barrier at most once.
fn any_groups() -> impl Strategy<Value = Vec<(usize, Vec<Script>)>> {
    let steps = prop::collection::vec(any_step(), 1..6).prop_map(|mut steps| {
        let mut seen = [false; 2];
        steps.retain(|step| !matches!(step, Script::Barrier(barrier) if std::mem::replace(&mut seen[*barrier], true)));
        steps
    });
    prop::collection::vec((1usize..4, steps), 1..4)
}

fn tables(groups: &[(usize, Vec<Script>)]) -> String {
    let step = |step: &Script| match step {
        Script::Sql(text) => format!("{{ sql = \"{text}\", timeout = \"900ms\" }}"),
        Script::Barrier(barrier) => format!("{{ barrier = \"b{barrier}\", timeout = \"2s\" }}"),
        Script::Sleep(millis) => format!("{{ sleep = \"{millis}ms\" }}"),
    };
    let table = |(index, (count, steps)): (usize, &(usize, Vec<Script>))| {
        let steps: Vec<String> = steps.iter().map(step).collect();
        format!(
            "[[workers]]\nname = \"g{index}\"\ncount = {count}\ntransaction = \"read committed\"\nsteps = [{}]\n",
            steps.join(", ")
        )
    };
    groups.iter().enumerate().map(table).collect()
}

/// Races `groups` a few times, and checks that every attempt is there once and every party of every barrier is
/// accounted for once.
async fn conserved(groups: &[(usize, Vec<Script>)]) {
    let mut stage = Stage::open(&tables(groups)).await;
    let case = stage.case.clone();
    let mut sum = CaseTally::new(&case);
    for number in 0..3 {
        let round = stage.round(number).await;
        let workers: Vec<usize> = round.attempts.iter().map(|attempt| attempt.worker).collect();
        assert_eq!(workers, (0..case.workers.len()).collect::<Vec<_>>(), "one attempt per worker, by number");
        for attempt in &round.attempts {
            let (_, steps) = &groups[case.workers[attempt.worker].group];
            let allowed = [expected(steps), OutcomeKind::BrokenBarrier, OutcomeKind::Timeout];
            assert!(allowed.contains(&attempt.outcome.kind), "{:?} of {steps:?}", attempt.outcome);
            assert!(attempt.started_ns <= attempt.ended_ns);
        }
        for (spec, barrier) in case.barriers.iter().zip(&round.barriers) {
            let came = barrier.arrivals.iter().filter(|arrival| arrival.kind != ArrivalKind::Late);
            let mut parties: Vec<usize> = came.map(|arrival| arrival.worker).collect();
            parties.extend(barrier.missing.iter().map(|missing| missing.worker));
            parties.sort_unstable();
            assert_eq!(parties, spec.parties, "barrier `{}`: {barrier:?}", spec.name);
            assert_eq!(barrier.released_ns.is_some(), barrier.missing.is_empty(), "{barrier:?}");
        }
        // Panics if anything does not add up.
        sum.add(&case, &round, &judge_round(&case, &round));
    }
    assert_eq!(sum.tally.total(), 3 * case.workers.len() as u64);
    assert_eq!(sum.groups.iter().map(Tally::total).sum::<u64>(), sum.tally.total());
    stage.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_workers_do_no_outcome_is_lost_and_no_party_forgotten(groups in any_groups()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(conserved(&groups));
    }
}
