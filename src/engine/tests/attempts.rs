//! How an attempt goes through its steps, and ends.

use std::time::Duration;

use tokio::time::Instant;

use super::{arrivals, kinds, millis, steps};
use crate::engine::EngineError;
use crate::engine::testing::Stage;
use crate::model::record::{ArrivalKind, Outcome, StepAt};
use crate::outcome::{Cause, OutcomeKind};
use crate::value::Value;

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
    assert_eq!(
        (*step, code.as_str(), message.to_string().as_str()),
        (Some(StepAt::Step(1)), "fake", "told to be conflict")
    );
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
    let step_indexes: Vec<StepAt> = round.attempts[0].steps.iter().map(|step| step.step).collect();
    assert_eq!(step_indexes, [StepAt::Begin, StepAt::Step(0), StepAt::Commit]);
    let log = stage.log();
    let of = |worker: &str| -> Vec<String> { log.iter().filter(|line| line.starts_with(worker)).cloned().collect() };
    assert_eq!(of("0"), ["0: begin", "0: done", "0: commit"]);
    assert_eq!(of("1"), ["1: begin", "1: refuse deadlock", "1: rolled back"]);
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
        assert_eq!((outcome.code.as_str(), outcome.message.to_string().as_str()), ("panic", "as the script says"));
        assert_eq!(arrivals(&round, 1), [(1, ArrivalKind::Arrived), (0, ArrivalKind::Failed)]);
        assert_eq!(stage.log(), ["0: done", "0: rolled back", "1: done"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_step_asked_and_got_stays_with_it() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name   = "reader"
        repeat = 2
        transaction = "serializable"
        steps = [
            { sql = "row $1", args = ["${round}"], save = "n" },
            { let = { m = "n + 1" } },
            { sql = "row $1", args = ["${m}"] },
            { sleep = "1ms" },
        ]

        [[workers]]
        name  = "refused"
        steps = [{ sql = "row $1", args = ["a"], rows = 2 }, { sql = "done" }]

        [[workers]]
        name  = "unlucky"
        steps = [{ sql = "row $1", args = ["b"] }, { sql = "panic" }]
        "#,
    )
    .await;
    for number in 0..2 {
        let mut round = stage.round(number).await;
        let exchanges = round.take_exchanges();
        let kept = round.kept(&exchanges);
        let told = |worker: usize| -> Vec<String> {
            let said = |value: Option<Value>| value.map_or("-".to_owned(), |value| value.to_string());
            let steps = (0..round.attempts[worker].steps.len()).map(|position| kept.get(worker, position));
            steps.map(|it| format!("{} {}", said(it.request), said(it.result))).collect()
        };
        let row = |value: &str| {
            let value = value.to_owned();
            format!(r#"{{"args":[{value}],"sql":"row $1"}} {{"affected":1,"rows":[[{value}]]}}"#)
        };
        let [first, second] = [number, number + 1].map(|value| row(&value.to_string()));
        let of_one = ["- -", &first, "- -", &second, "- -", "- -"];
        assert_eq!(told(0), [of_one, of_one].concat());
        assert_eq!(told(1), [row(r#""a""#)], "refused for its rows, which are known");
        assert_eq!(told(2), [row(r#""b""#)], "nothing of the call that panicked, nor of the round before");
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
          { sql = "row $1", args = ["${40 + round}"], save = "read" },
          { let = { next = "read + 1" } },
          { assert = "next == wanted" },
          { sql = "row $1 $2", args = ["${next}", "${worker}"], save = { sum = "rows[0][0] + rows[0][1]" } },
          { assert = "sum == 41", otherwise = "conflict" },
          { sql = "row", rows = 2 },
        ]
        "#,
    )
    .await;
    // The sides: what is asserted of round 0 is not true of round 1.
    let round = stage.round(0).await;
    assert_eq!(kinds(&round), [OutcomeKind::Conflict, OutcomeKind::Rejected]);
    let ends: Vec<_> = round.attempts.iter().map(|it| (it.outcome.step, it.outcome.cause)).collect();
    let rows = Some(Cause::Rows { found: 1 });
    assert_eq!(ends, [(Some(StepAt::Step(5)), rows), (Some(StepAt::Step(2)), Some(Cause::Assertion))]);
    assert_eq!(round.attempts[0].outcome.message, "1 rows, wanted 2");
    assert_eq!(kinds(&stage.round(1).await), [OutcomeKind::Rejected, OutcomeKind::Rejected]);
}

#[tokio::test(start_paused = true)]
async fn what_the_race_gave_a_step_may_not_fit_and_that_is_an_outcome() {
    let of = async |step: &str| {
        let steps = format!(r#"[{{ sql = "row $1", args = ["${{round}}"], save = "n" }}, {step}]"#);
        let mut stage = Stage::open(&format!("[[workers]]\nname = \"reader\"\nsteps = {steps}")).await;
        let round = stage.round(0).await;
        let outcome = &round.attempts[0].outcome;
        (outcome.kind, outcome.step, outcome.cause, outcome.code.clone())
    };
    let ended = |kind, code: &str| (kind, Some(StepAt::Step(1)), Some(Cause::Malformed), code.to_owned());
    let saves = |otherwise: &str| format!("{{ sql = \"done\", save = \"m\"{otherwise} }}");
    assert_eq!(of(&saves("")).await, ended(OutcomeKind::Crash, "save"));
    assert_eq!(of(&saves(", otherwise = \"conflict\"")).await, ended(OutcomeKind::Conflict, "save"));
    let first = "{ sql = \"done\", save = { m = \"rows[0][0]\" }, otherwise = \"rejected\" }";
    assert_eq!(of(first).await, ended(OutcomeKind::Rejected, "save"));
    assert_eq!(of("{ assert = \"1 / n == 1\" }").await, ended(OutcomeKind::Crash, "expression"));
    assert_eq!(of("{ assert = \"1 / n == 1\", otherwise = \"busy\" }").await, ended(OutcomeKind::Busy, "expression"));
    assert_eq!(of("{ let = { m = \"1 / n\" } }").await, ended(OutcomeKind::Crash, "expression"));
    assert_eq!(of("{ sql = \"row $1\", args = [\"${1 / n}\"] }").await, ended(OutcomeKind::Crash, "expression"));
    assert_eq!(of("{ sleep = \"${n}x\" }").await, ended(OutcomeKind::Crash, "expression"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_evaluated_is_a_fault_only_if_its_step_is_reached() {
    let divided_after = async |asserted: &str| {
        let steps = format!(r#"[{{ assert = "{asserted}" }}, {{ let = {{ ratio = "1 / 0" }} }}]"#);
        let mut stage = Stage::open(&format!("[[workers]]\nname = \"divider\"\nsteps = {steps}")).await;
        stage.try_round(0).await.map(|round| kinds(&round))
    };
    assert_eq!(divided_after("false").await, Ok(vec![OutcomeKind::Rejected]));
    let Err(EngineError::Fault { place: Some(_), message }) = divided_after("true").await else {
        panic!("a fault has a place")
    };
    assert!(message.contains("1 / 0"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_sleep_lasts_as_long_as_it_says_and_is_never_cut_short_in_silence() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name  = "whole"
        steps = [{ sleep = "15s" }]

        [[workers]]
        name  = "bounded"
        steps = [{ sleep = "15s", timeout = "2s" }]

        [[workers]]
        name  = "overslept"
        steps = [{ sleep = "60s" }]
        "#,
    )
    .await;
    let round = stage.round(0).await;
    assert_eq!(kinds(&round), [OutcomeKind::Success, OutcomeKind::Timeout, OutcomeKind::Timeout]);
    let ended = |worker: usize| round.attempts[worker].steps[0].ended_ns / 1_000_000_000;
    assert_eq!([ended(0), ended(1)], [15, 2]);
    assert!(round.attempts[2].outcome.message.mentions("during a sleep of 60s"), "{:?}", round.attempts[2]);
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_asks_nothing_is_not_taken_after_the_rounds_time() {
    for step in ["{ assert = \"true\" }", "{ let = { a = \"1\" } }"] {
        let steps = format!("[{{ sleep = \"20s\" }}, {step}]");
        let mut stage = Stage::open(&format!("[[workers]]\nname = \"late\"\nsteps = {steps}")).await;
        let round = stage.round(0).await;
        let Outcome { kind, step, code, .. } = &round.attempts[0].outcome;
        assert_eq!((*kind, *step, code.as_str()), (OutcomeKind::Timeout, Some(StepAt::Step(1)), "deadline"));
    }
}

#[tokio::test]
async fn workers_whose_steps_ask_nothing_let_each_other_run() {
    let mut stage = Stage::open(
        r#"
        [[workers]]
        name   = "busy"
        count  = 2
        repeat = 20000
        steps  = [{ assert = "worker >= 0" }]
        "#,
    )
    .await;
    let round = stage.round(0).await;
    assert_eq!(kinds(&round), [OutcomeKind::Success; 2]);
    let [one, other] = &round.attempts[..] else { panic!("two workers") };
    assert!(one.started_ns < other.ended_ns && other.started_ns < one.ended_ns, "on one thread, they take turns");
}
