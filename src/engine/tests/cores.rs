//! Races on cores: real threads, and the real clock, which no test depends on.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;

use super::{arrivals, kinds};
use crate::engine::testing::Stage;
use crate::engine::{Choices, Cores, HeadStarts};
use crate::model::START;
use crate::model::record::{ArrivalKind, RoundRecord};
use crate::outcome::OutcomeKind;

const CHOICES: Choices = Choices { seed: 3, first_round: 0, head_starts: HeadStarts::Never };

/// Far longer than any round here takes, and shorter than the engine waits for workers who are lost.
const LIMIT: Duration = Duration::from_secs(20);

async fn round(stage: &mut Stage, number: u64) -> RoundRecord {
    timeout(LIMIT, stage.round(number)).await.expect("every worker is woken")
}

#[tokio::test]
async fn nobody_passes_before_the_parties_of_all_cores_have_come() {
    let cores = Cores::start(2).unwrap();
    let tables = r#"
        [[workers]]
        name  = "quick"
        count = 5
        steps = [{ sql = "done" }, { barrier = "inside" }, { sql = "done" }]

        [[workers]]
        name  = "slow"
        steps = [{ sql = "slow 20ms" }, { barrier = "inside" }, { sql = "done" }]
    "#;
    let mut stage = Stage::on(tables, CHOICES, &cores).await;
    for number in 0..20 {
        let round = round(&mut stage, number).await;
        assert_eq!(kinds(&round), [OutcomeKind::Success; 6]);
        for barrier in &round.barriers {
            let released = barrier.released_ns.unwrap();
            let came: Vec<_> = barrier.arrivals.iter().map(|arrival| (&arrival.kind, arrival.at_ns)).collect();
            let in_time = came.iter().all(|(kind, at_ns)| **kind == ArrivalKind::Arrived && *at_ns <= released);
            assert!(came.len() == 6 && in_time, "released at {released}: {came:?}");
        }
        let released = round.barriers[1].released_ns.unwrap();
        assert!(round.attempts.iter().all(|attempt| attempt.steps[2].started_ns >= released), "{:?}", round.attempts);
    }
    stage.close().await;
}

#[tokio::test]
async fn the_parties_of_every_core_are_woken() {
    let cores = Cores::start(3).unwrap();
    // At the last barrier the party that releases it is the only one on its core.
    let tables = r#"
        [[workers]]
        name  = "worker"
        count = 10
        steps = [{ barrier = "a" }, { sleep = "${worker}ms" }, { barrier = "b" }, { sql = "done" }]
    "#;
    let mut stage = Stage::on(tables, CHOICES, &cores).await;
    for number in 0..100 {
        let round = round(&mut stage, number).await;
        assert_eq!(kinds(&round), [OutcomeKind::Success; 10], "round {number}");
    }
    stage.close().await;
}

#[tokio::test]
async fn a_release_by_the_watch_and_a_broken_barrier_wake_the_parties_of_every_core() {
    let cores = Cores::start(2).unwrap();
    let tables = r#"
        [[workers]]
        name  = "locker"
        count = 3
        transaction = "read committed"
        steps = [{ sql = "lock a" }, { barrier = "locked" }, { sql = "done" }]

        [[workers]]
        name  = "waiter"
        count = 2
        steps = [{ barrier = "vain", timeout = "30ms" }]

        [[workers]]
        name  = "late"
        steps = [{ sql = "slow 200ms" }, { barrier = "vain", timeout = "30ms" }]
    "#;
    let mut stage = Stage::on(tables, CHOICES, &cores).await;
    let round = round(&mut stage, 0).await;
    let (success, broken) = (OutcomeKind::Success, OutcomeKind::BrokenBarrier);
    assert_eq!(kinds(&round), [success, success, success, broken, broken, broken]);
    let came = arrivals(&round, 1);
    let holder = came[0].0;
    let blocked = came.iter().filter(|(_, kind)| *kind == ArrivalKind::Blocked { by: vec![holder] }).count();
    assert_eq!((came.len(), blocked), (5, 2), "{came:?}");
    assert_eq!(round.barriers[2].missing.iter().map(|missing| missing.worker).collect::<Vec<_>>(), [5]);
    stage.close().await;
}

#[tokio::test]
async fn a_worker_and_its_session_stay_on_their_core() {
    let cores = Cores::start(2).unwrap();
    let tables = r#"
        [[workers]]
        name  = "worker"
        count = 4
        transaction = "read committed"
        steps = [{ sql = "done" }, { barrier = "inside" }, { sql = "refuse conflict" }]
    "#;
    let mut stage = Stage::on(tables, CHOICES, &cores).await;
    for number in 0..3 {
        round(&mut stage, number).await;
    }
    let threads = stage.threads();
    stage.close().await;
    let threads = threads.lock().unwrap();
    assert!(threads.values().all(|threads| threads.len() == 1), "{threads:?}");
    let all: BTreeSet<&str> = threads.values().flatten().map(String::as_str).collect();
    assert_eq!((threads.len(), all.into_iter().collect::<Vec<_>>()), (4, vec!["core-0", "core-1"]));
}

#[tokio::test]
async fn a_race_that_ends_leaves_nothing_on_its_cores() {
    let cores = Cores::start(2).unwrap();
    let alive = || (0..2).map(|core| cores.runtime(core).metrics().num_alive_tasks()).sum::<usize>();
    let tables = r#"
        [[workers]]
        name  = "worker"
        count = 4
        steps = [{ sql = "done" }]
    "#;
    let mut stage = Stage::on(tables, CHOICES, &cores).await;
    round(&mut stage, 0).await;
    assert_eq!(alive(), 6, "four workers and two heralds");
    timeout(LIMIT, stage.close()).await.expect("they end");
    assert_eq!(alive(), 0);
    // One that is given up ends as soon as its threads come to it.
    drop(Stage::on(tables, CHOICES, &cores).await);
    let gone = async {
        while alive() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, gone).await.expect("they end");
}

#[tokio::test]
async fn a_panic_on_a_core_is_a_crash_of_its_worker_alone() {
    let cores = Cores::start(2).unwrap();
    let tables = r#"
        [[workers]]
        name  = "panics"
        steps = [{ sql = "panic" }, { barrier = "inside" }]

        [[workers]]
        name  = "others"
        count = 3
        steps = [{ barrier = "inside" }, { sql = "done" }]
    "#;
    let mut stage = Stage::on(tables, CHOICES, &cores).await;
    for number in 0..3 {
        let round = round(&mut stage, number).await;
        let success = OutcomeKind::Success;
        assert_eq!(kinds(&round), [OutcomeKind::Crash, success, success, success]);
        assert_eq!(arrivals(&round, START).len(), 4);
    }
    stage.close().await;
}
