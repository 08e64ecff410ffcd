//! Who waits at a barrier for whom, and what releases it.

use super::{arrivals, kinds, millis};
use crate::engine::testing::{RESET_TAKES, Stage};
use crate::model::START;
use crate::model::record::{ArrivalKind, InvariantResult, StepAt};
use crate::outcome::OutcomeKind;

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
    assert_eq!(came, [0, 1], "the free worker is not a party of the start barrier");
    assert_eq!(round.attempts[2].released_ns, round.attempts[2].started_ns);
    assert_eq!(round.attempts[0].released_ns, round.barriers[START].released_ns.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_barrier_inside_an_attempt_holds_every_worker() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "slow"
        steps = [{ sql = "slow 50ms" }, { barrier = "inside" }, { sql = "slow 1ms" }]

        [[workers]]
        name  = "quick"
        count = 3
        steps = [{ sql = "done" }, { barrier = "inside" }, { sql = "slow 1ms" }]
        "#,
    )
    .await;
    let round = stage.round(0).await;
    assert_eq!(round.overlap, 4);
    let log = stage.log();
    let first_row = log.iter().position(|line| line.ends_with(": slow 1ms")).unwrap();
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
    assert_eq!(missing, [(2, Some(StepAt::Step(1)), "worker 0".to_owned()), (3, Some(StepAt::Step(0)), String::new())]);
    assert!(record.missing.iter().all(|missing| (900..1_100).contains(&millis(missing.for_ns))), "{record:?}");
    let outcome = &round.attempts[1].outcome;
    assert_eq!(outcome.message, "barrier `inside` was not completed within 1s");
    assert!(millis(round.attempts[1].steps[0].ended_ns) >= 1_000, "not before its deadline");
    assert!(!stage.log().contains(&"1: done".to_owned()), "nobody goes on behind a broken barrier");
}

#[tokio::test(start_paused = true)]
async fn barriers_that_wait_for_each_other_break_when_the_round_is_over() {
    let mut stage = Stage::open(
        r#"
        [barriers]
        x = { timeout = "60s" }
        y = { timeout = "60s" }

        [[workers]]
        name  = "one"
        steps = [{ barrier = "x" }, { barrier = "y" }]

        [[workers]]
        name  = "other"
        steps = [{ barrier = "y" }, { barrier = "x" }]
        "#,
    )
    .await;
    let round = stage.round(0).await;
    assert_eq!(kinds(&round), [OutcomeKind::BrokenBarrier; 2]);
    assert_eq!(round.attempts[0].ended_ns / 1_000_000_000, 20, "the round's own timeout");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_party_that_waits_for_what_an_ended_attempt_keeps_is_blocked() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "leaky"
        steps = [{ sql = "keep it" }, { barrier = "kept" }, { sql = "refuse conflict" }]

        [[workers]]
        name  = "next"
        steps = [{ barrier = "kept" }, { sql = "lock it", timeout = "3s" }, { barrier = "inside" }]

        [[workers]]
        name  = "other"
        steps = [{ barrier = "inside", timeout = "1s" }]

        [[invariants]]
        name = "read before anything is freed"
        sql  = "calls cleaned"
        that = "rows[0][0] == round"
        "#,
    )
    .await;
    for number in 0..2 {
        let round = stage.round(number).await;
        assert_eq!(kinds(&round), [OutcomeKind::Conflict, OutcomeKind::Timeout, OutcomeKind::Success]);
        let blocked = ArrivalKind::Blocked { by: vec![0] };
        assert_eq!(arrivals(&round, 2), [(2, ArrivalKind::Arrived), (1, blocked)]);
        assert_eq!(round.invariants, [InvariantResult::Held]);
    }
}
