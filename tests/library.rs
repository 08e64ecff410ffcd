//! The library as a user calls it: scenarios from text, and closures as workers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use deadheat::{OutcomeKind, Refused, Run, RunVerdict, race};

const FIRST_WINS: &str = r#"
schema = 1
name = "first-wins"
rounds = 5
[params]
writers = 3
[targets.store]
driver = "event-store"
backend = "memory"
[[workers]]
name = "writer"
count = "${writers}"
steps = [{ append = { actor = "a-${round}", version = 1, pause = "checked" } }]
[expect]
success = 1
conflict = "writers - 1"
"#;

#[tokio::test]
async fn a_scenario_from_text_is_raced_with_its_params() {
    let report = Run::text("first.toml", FIRST_WINS).param("writers", 4).rounds(7).run().await.unwrap();
    report.assert_passed();
    assert_eq!((report.count(OutcomeKind::Success), report.count(OutcomeKind::Conflict)), (7, 21));
    assert!(report.text().contains("first-wins"), "{}", report.text());
}

#[tokio::test]
async fn what_is_wrong_with_a_scenario_is_drawn() {
    let error = Run::text("first.toml", FIRST_WINS.replace("append", "apend")).run().await.unwrap_err();
    assert_eq!(error.verdict(), RunVerdict::Usage);
    assert!(error.to_string().contains("first.toml:13"), "{error}");
    let error = Run::file("no/such/file.toml").run().await.unwrap_err();
    assert!(error.to_string().contains("no/such/file.toml"), "{error}");
    let error = Run::text("first.toml", FIRST_WINS).filter("nothing").run().await.unwrap_err();
    assert!(error.to_string().contains("no case of `first-wins`"), "{error}");
}

#[tokio::test]
async fn the_files_of_a_run_are_kept_where_they_are_wanted() {
    let out = tempfile::tempdir().unwrap();
    Run::text("first.toml", FIRST_WINS).out(out.path()).run().await.unwrap();
    let run = std::fs::read_dir(out.path()).unwrap().next().unwrap().unwrap().path();
    for file in ["report.json", "report.html", "rounds.csv", "junit.xml"] {
        assert!(run.join(file).is_file(), "{file}");
    }
}

#[tokio::test]
async fn a_lost_update_in_rust_is_caught() {
    let counter = Arc::new(AtomicI64::new(0));
    let (reset, own, found) = (counter.clone(), counter.clone(), counter);
    let report = race(3)
        .rounds(10)
        .before_round(move |_| {
            reset.store(0, SeqCst);
            async { Ok::<_, Refused>(()) }
        })
        .barrier("read")
        .worker(move |context| {
            let counter = own.clone();
            async move {
                let seen = counter.load(SeqCst);
                context.barrier("read").await?;
                counter.store(seen + 1, SeqCst);
                Ok::<_, Refused>(())
            }
        })
        .invariant("every addition is there", "found == success", move || {
            let found = found.load(SeqCst);
            async move { Ok::<_, Refused>(found) }
        })
        .run()
        .await
        .unwrap();
    assert_eq!(report.verdict(), RunVerdict::Fail, "{}", report.text());
    assert_eq!(report.schema().scenarios[0].cases[0].race.rounds_failed, 10);
}

/// What each worker does is the outcome that the report counts.
#[tokio::test]
async fn every_end_of_a_closure_is_an_outcome() {
    let report = race(3)
        .rounds(3)
        .worker(|context| async move {
            match context.worker {
                0 => Ok(()),
                1 => Err(Refused::conflict("another was first")),
                _ => Err(Refused::new(OutcomeKind::Busy, "EBUSY", "try again")),
            }
        })
        .expect("success", 1)
        .expect("conflict", 1)
        .expect("busy", 1)
        .run()
        .await
        .unwrap();
    report.assert_passed();
    assert!(report.text().contains("EBUSY"), "{}", report.text());
}

#[tokio::test]
async fn a_panic_is_a_crash_and_never_passes() {
    let panics = |context: deadheat::Context| async move {
        assert!(context.worker > 0, "worker 0 does not like it");
        Ok::<_, Refused>(())
    };
    let report = race(2).rounds(2).worker(panics).expect("success", 1).expect("crash", 1).run().await.unwrap();
    assert_eq!((report.verdict(), report.count(OutcomeKind::Crash)), (RunVerdict::Fail, 2));
    assert!(report.text().contains("worker 0 does not like it"), "{}", report.text());
}

#[tokio::test]
async fn a_barrier_releases_those_that_come_when_another_cannot() {
    let report = race(2)
        .rounds(5)
        .barrier("both")
        .worker(|context| async move {
            // Both are at work at once; else it would not be a race.
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            if context.worker == 0 {
                return Err(Refused::rejected("not I"));
            }
            context.barrier("both").await
        })
        .expect("success", 1)
        .expect("rejected", 1)
        .run()
        .await
        .unwrap();
    report.assert_passed();
}

#[tokio::test]
async fn a_control_of_closures_that_is_not_caught_fails_the_race() {
    let report = race(2)
        .rounds(5)
        .control("as sound", "it is not", &["success"], |_| async { Ok::<_, Refused>(()) })
        .worker(|_| async { Ok::<_, Refused>(()) })
        .run()
        .await
        .unwrap();
    assert_eq!(report.verdict(), RunVerdict::Fail, "{}", report.text());
}

#[tokio::test]
async fn errors_of_the_drivers_have_the_outcomes_of_the_tables() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", directory.path().join("a.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query("CREATE TABLE seat (n INTEGER PRIMARY KEY)").execute(&pool).await.unwrap();
    let insert = || sqlx::query("INSERT INTO seat VALUES (1)").execute(&pool);
    insert().await.unwrap();
    let refused = Refused::from(insert().await.unwrap_err());
    assert_eq!(refused.kind(), OutcomeKind::Conflict, "{refused}");
    assert_eq!(Refused::from(sqlx::Error::PoolTimedOut).kind(), OutcomeKind::Timeout);
    assert_eq!(Refused::from(sqlx::Error::RowNotFound).kind(), OutcomeKind::Rejected);
}

/// The lock's holder is let go by a fault, and by nobody else.
#[tokio::test]
async fn a_fault_acts_while_the_workers_race_and_stands_in_the_history() {
    let out = tempfile::tempdir().unwrap();
    let cut = Arc::new(tokio::sync::Notify::new());
    let held = cut.clone();
    let report = race(2)
        .rounds(2)
        .worker(move |context| {
            let held = held.clone();
            async move {
                if context.worker > 0 {
                    return Ok(());
                }
                held.notified().await;
                Err(Refused::new(OutcomeKind::Disconnected, "cut", "the connection was cut"))
            }
        })
        .fault("cut", move |_| {
            cut.notify_one();
            async { Ok::<_, Refused>(()) }
        })
        .expect("success", 1)
        .expect("disconnected", 1)
        .expect("conflict", 0)
        .out(out.path())
        .run()
        .await
        .unwrap();
    report.assert_passed();
    let fails = race(2).rounds(1).worker(|_| async { Err::<(), _>(Refused::conflict("no")) });
    let fails = fails.fault("cut", |_| async { Err::<(), _>(Refused::crash("no server to cut")) });
    fails.out(out.path()).run().await.unwrap();
    let histories = std::fs::read_dir(out.path()).unwrap().map(|run| run.unwrap().path().join("rounds.jsonl"));
    let history: String = histories.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    assert!(history.contains(r#""process":2"#) && history.contains(r#""f":"cut""#), "{history}");
    assert!(history.contains("failed: crash: no server to cut"), "{history}");
}
