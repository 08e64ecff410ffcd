//! What surrounds the attempts of a round, and what rounds do not share.

use std::time::Duration;

use tokio::time::Instant;

use super::{arrivals, kinds, millis};
use crate::engine::testing::Stage;
use crate::engine::{Choices, EngineError, HeadStarts};
use crate::model::START;
use crate::model::record::{ArrivalKind, HeadStart, InvariantResult};
use crate::outcome::OutcomeKind;

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
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    stage.close().await;
    assert!(began.elapsed() < Duration::from_secs(100), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn rounds_share_nothing() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "worker"
        count = 3
        steps = [
          { sql = "row $1", args = ["${round}"], save = "read" },
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
    let unread = InvariantResult::Unread { reason: "no such server".to_owned() };
    assert_eq!(round.invariants, [broken, unread]);
}

#[tokio::test(start_paused = true)]
async fn what_depends_on_unknown_attempts_is_not_decided() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "worker"
        count = 2
        steps = [{ name = "send", sql = "refuse unknown" }]

        [[classify]]
        step    = "send"
        outcome = "conflict"

        [[invariants]]
        name = "acknowledged equals stored"
        sql  = "calls refuse unknown"
        that = "rows[0][0] == success"

        [[invariants]]
        name = "no more than were sent"
        sql  = "calls refuse unknown"
        that = "success <= rows[0][0]"

        [[invariants]]
        name = "more than were sent"
        sql  = "calls refuse unknown"
        that = "success > rows[0][0]"
        "#,
    )
    .await;
    let round = stage.round(0).await;
    assert_eq!(round.tally().of(OutcomeKind::Unknown), 2, "no rule makes something else of it");
    let depends = InvariantResult::Depends { holds_for: vec![2], observed: "rows = [[2]]".to_owned() };
    let broken = InvariantResult::Broken { observed: "rows = [[2]]".to_owned() };
    assert_eq!(round.invariants, [depends, InvariantResult::Held, broken]);
}

#[tokio::test(start_paused = true)]
async fn round_begins_at_nought_wherever_setup_ran_and_its_id_goes_on() {
    let tables = r#"
        [[workers]]
        name  = "worker"
        steps = [{ sql = "row $1", args = ["${round_id}"], save = "id" }, { assert = "round == 0 && id > 0" }]

        [[invariants]]
        name = "the third round of the run is the first since set-up"
        sql  = "calls row"
        that = "round == 0"
    "#;
    let mut stage = Stage::open(tables).await;
    let round = stage.round(2).await;
    assert_eq!((round.round, round.since_setup), (2, 0));
    assert_eq!(kinds(&round), [OutcomeKind::Success]);
    assert_eq!(round.invariants, [InvariantResult::Held]);
}

#[tokio::test(start_paused = true)]
async fn a_head_start_holds_the_others_back_once_and_is_recorded() {
    let tables = r#"
        [[workers]]
        name  = "worker"
        count = 3
        steps = [{ sql = "done" }, { barrier = "inside" }, { sql = "done" }]
    "#;
    let lead = Duration::from_millis(50);
    let choices = Choices { seed: 4, first_round: 0, head_starts: HeadStarts::Of(lead) };
    let mut stage = Stage::with(tables, choices).await;
    for number in 0..5 {
        let round = stage.round(number).await;
        let HeadStart { ahead, lead_ns } = round.head_start.clone().unwrap();
        assert_eq!(Duration::from_nanos(lead_ns), lead);
        for attempt in &round.attempts {
            let waited_ns = attempt.started_ns - round.barriers[START].released_ns.unwrap();
            let was_held_back = millis(waited_ns) >= 50;
            assert_eq!(was_held_back, !ahead.contains(&attempt.worker), "round {number}: {waited_ns} ns");
            let [_, inside, last] = &attempt.steps[..] else { panic!("three steps") };
            assert_eq!(millis(last.started_ns), millis(inside.released_ns), "round {number}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn workers_change_places_from_round_to_round_and_keep_their_numbers_names_and_waits() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "worker"
        each  = [{ number = 0 }, { number = 1 }]
        steps = [{ assert = "number == worker" }, { sql = "lock a" }, { barrier = "inside" }, { sql = "done" }]
        transaction = "read committed"
        "#,
    )
    .await;
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..4 {
        let round = stage.round(number).await;
        assert_eq!(kinds(&round), [OutcomeKind::Success; 2], "round {number}: {:?}", round.attempts[0].outcome);
        assert_eq!([0, 1].map(|worker| round.attempts[worker].worker), [0, 1]);
        let [first, second] = round.order[..] else { panic!("{:?}", round.order) };
        let mut came = arrivals(&round, 1);
        came.retain(|(_, kind)| *kind != ArrivalKind::Late);
        let blocked = (second, ArrivalKind::Blocked { by: vec![first] });
        assert_eq!(came, [(first, ArrivalKind::Arrived), blocked], "round {number}");
        let session = stage.log().iter().find_map(|line| line.strip_suffix(": lock a").map(str::to_owned)).unwrap();
        assert_eq!(session, round.places[first].to_string());
        seen.insert((first, session));
    }
    assert_eq!(seen.len(), 4, "each worker was first over each session: {seen:?}");
}
