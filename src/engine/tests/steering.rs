//! Schedules and actors.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::engine::testing::Stage;
use crate::engine::{Actor, Deeds, Schedule, Steering, Turn};

const TWO: &str = r#"
[[workers]]
name  = "worker"
count = 2
steps = [{ sql = "row $1", args = ["${worker}"] }, { sql = "done" }]
"#;

/// Steps that take time, also on a paused clock.
const SLOW: &str = r#"
[[workers]]
name  = "worker"
count = 2
steps = [{ sql = "slow 5ms" }, { sql = "slow 5ms" }]
"#;

/// Worker 1 takes all of its steps before worker 0 takes its first.
struct LastFirst(watch::Sender<usize>);

impl Schedule for LastFirst {
    fn turn(&self, turn: Turn) -> BoxFuture<'_, ()> {
        async move {
            if turn.worker == 0 {
                let mut ended = self.0.subscribe();
                ended.wait_for(|ended| *ended >= 2).await.unwrap();
            }
        }
        .boxed()
    }

    fn ended(&self, turn: Turn) {
        if turn.worker == 1 {
            self.0.send_modify(|ended| *ended += 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn steps_are_taken_in_the_order_of_the_schedule() {
    for _ in 0..5 {
        let mut stage = Stage::open(SLOW).await;
        let schedule: Arc<dyn Schedule> = Arc::new(LastFirst(watch::Sender::new(0)));
        stage.steer(Steering { schedule: Some(schedule), actors: Vec::new() });
        let round = stage.round(0).await;
        let steps = |worker: usize| &round.attempts[worker].steps;
        assert!(steps(1)[1].ended_ns <= steps(0)[0].started_ns, "{:?}", round.attempts);
        stage.close().await;
    }
}

struct Waits;

impl Actor for Waits {
    fn name(&self) -> &str {
        "waits"
    }

    fn act<'a>(&'a self, round: u64, deeds: &'a Deeds) -> BoxFuture<'a, ()> {
        async move {
            deeds.note(self.name(), format!("begins in round {round}"));
            tokio::time::sleep(Duration::from_millis(7)).await;
            deeds.note(self.name(), "ends");
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn what_actors_do_is_in_the_record_and_the_round_waits_for_them() {
    let mut stage = Stage::open(TWO).await;
    stage.steer(Steering { schedule: None, actors: vec![Arc::new(Waits)] });
    let round = stage.round(3).await;
    let deeds: Vec<(&str, &str)> = round.deeds.iter().map(|it| (it.actor.as_str(), it.what.as_str())).collect();
    assert_eq!(deeds, [("waits", "begins in round 3"), ("waits", "ends")]);
    assert!(round.deeds[1].at_ns >= 7_000_000, "{:?}", round.deeds);
    stage.close().await;
}
