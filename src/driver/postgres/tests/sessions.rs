//! Sessions between attempts, and who waits for whom.

use std::time::Duration;

use futures::FutureExt;

use super::*;
use crate::port::{Holder, Isolation, Wait};

const LOCK: &str = "SELECT a FROM t WHERE a = 1 FOR UPDATE";
/// Takes longer than any test has patience.
const SLEEP: &str = "SELECT pg_sleep(120)";
const SETUP: &str = "CREATE TABLE t (a int); INSERT INTO t VALUES (1)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_name_workers_and_strangers() {
    let server = server().await;
    let case = Case::open(&server.url, SETUP, &[LOCK]).await;
    let mut sessions = Vec::new();
    for worker in [10, 20, 30] {
        let mut session = case.session(worker).await;
        done(session.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
        sessions.push(session);
    }
    assert_eq!(case.target.waits().await.unwrap(), []);
    let [one, two, three] = &mut sessions[..] else { unreachable!() };
    done(case.call(&mut **one, LOCK, []).await);
    let mut operation = case.bound(LOCK, []);
    let (waits, two_got_it) = {
        let mut waiting = two.call(&mut operation, soon(), None);
        let waits = tokio::select! {
            _ = &mut waiting => panic!("the row is held"),
            waits = seen_waits(&*case.target, 1) => waits,
        };
        let (reply, _) = tokio::join!(waiting, one.transactions().unwrap().commit(soon()));
        (waits, reply.unwrap())
    };
    done(two_got_it);
    assert_eq!(waits, [Wait { waiter: 20, holders: vec![Holder::Worker(10)] }]);

    // A stranger holds the table; the session that waits for it is named, also after it was connected again.
    done(two.transactions().unwrap().commit(soon()).await.unwrap());
    drop(one.call(&mut operation, soon(), None).now_or_never());
    renewed(&mut **one).await;
    let (stranger, connection) =
        tokio_postgres::connect(&format!("{}?application_name=psql", server.url), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    stranger.batch_execute("BEGIN; LOCK TABLE dh_test_1.t").await.unwrap();
    let waits = tokio::select! {
        _ = one.call(&mut operation, soon(), None) => panic!("the table is locked"),
        waits = seen_waits(&*case.target, 1) => waits,
    };
    let [Wait { waiter: 10, holders }] = &waits[..] else { panic!("{waits:?}") };
    let [Holder::Other(name)] = &holders[..] else { panic!("{holders:?}") };
    assert!(name.starts_with("pid ") && name.ends_with("(psql, idle in transaction)"), "{name}");
    drop(stranger);
    let _ = three.reset().await;
    drop(sessions);
    case.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_of_a_session_do_not_outlive_their_round() {
    let server = server().await;
    let advisory = "SELECT pg_try_advisory_lock(1)";
    let case = Case::open(&server.url, SETUP, &[advisory]).await;
    let (mut one, mut two) = (case.session(1).await, case.session(2).await);
    let locked = |reply| done(reply).rows == [[Value::Bool(true)]];
    for _ in 0..2 {
        // As after every round.
        one.clean().await.unwrap();
        two.clean().await.unwrap();
        assert!(locked(case.call(&mut *one, advisory, []).await));
        assert!(!locked(case.call(&mut *two, advisory, []).await));
        std::mem::swap(&mut one, &mut two);
    }
    drop((one, two));
    case.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_in_a_session_does_not_outlive_its_round() {
    let server = server().await;
    let (show, set) = ("SHOW work_mem", "SET work_mem = '77MB'");
    let more = ["CREATE TEMP TABLE passing (a int)", "LISTEN news", "PREPARE one AS SELECT 1", "SET ROLE racer"];
    let statements = [&[show, set, "SHOW statement_timeout"][..], &more].concat();
    let spec = spec(&statements, &[("statement_timeout", "88s")]);
    let case = Case::with(&server.url, "CREATE ROLE racer", &spec).await;
    let session = &mut *case.session(0).await;
    let text = |value: &str| [[Value::Text(value.into())]];
    for _ in 0..3 {
        let shown = done(case.call(session, show, []).await);
        assert_eq!((shown.rows, shown.affected), (text("4MB").map(Vec::from).to_vec(), 1));
        done(case.call(session, set, []).await);
        assert_eq!(done(case.call(session, show, []).await).rows, text("77MB"));
        assert_eq!(done(case.call(session, "SHOW statement_timeout", []).await).rows, text("88s"));
        for statement in more {
            done(case.call(session, statement, []).await);
        }
        // As after every round.
        session.clean().await.unwrap();
    }
    case.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_a_step_has_ended_is_a_fault() {
    let server = server().await;
    let (insert, rollback) = ("INSERT INTO t VALUES (2)", "ROLLBACK");
    let case = Case::open(&server.url, SETUP, &[insert, rollback]).await;
    let session = &mut *case.session(0).await;
    done(session.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
    done(case.call(session, insert, []).await);
    done(case.call(session, rollback, []).await);
    let message = session.transactions().unwrap().commit(soon()).await.unwrap_err().to_string();
    assert!(message.contains("had ended before its COMMIT"), "{message}");
    session.reset().await.unwrap();
    done(session.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
    done(case.call(session, insert, []).await);
    done(session.transactions().unwrap().commit(soon()).await.unwrap());
    case.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_for_a_safe_snapshot_are_seen() {
    const READ_ONLY: &str = "SET TRANSACTION READ ONLY, DEFERRABLE";
    const COUNT: &str = "SELECT count(*) FROM t";
    let insert = "INSERT INTO t VALUES (2)";
    let server = server().await;
    let case = Case::open(&server.url, SETUP, &[READ_ONLY, COUNT, insert]).await;
    let (mut writer, mut reader) = (case.session(1).await, case.session(2).await);
    for session in [&mut writer, &mut reader] {
        done(session.transactions().unwrap().begin(Isolation::Serializable, soon()).await.unwrap());
    }
    done(case.call(&mut *writer, insert, []).await);
    done(case.call(&mut *reader, READ_ONLY, []).await);
    let mut count = case.bound(COUNT, []);
    let (waits, read) = {
        let mut reading = reader.call(&mut count, soon(), None);
        let waits = tokio::select! {
            _ = &mut reading => panic!("the writer may yet make the snapshot unsafe"),
            waits = seen_waits(&*case.target, 1) => waits,
            () = tokio::time::sleep(PATIENCE) => Vec::new(),
        };
        let (read, _) = tokio::join!(reading, writer.transactions().unwrap().commit(soon()));
        (waits, read.unwrap())
    };
    assert_eq!(waits, [Wait { waiter: 2, holders: vec![Holder::Worker(1)] }]);
    done(read);
    done(reader.transactions().unwrap().commit(soon()).await.unwrap());
    drop((writer, reader));
    case.target.close().await.unwrap();
}

async fn seen_waits(target: &dyn Target, number: usize) -> Vec<Wait> {
    loop {
        let waits = target.waits().await.unwrap();
        if waits.len() >= number {
            return waits;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_were_made_anew_are_prepared_anew() {
    let server = server().await;
    let read = "SELECT * FROM t";
    let through_function = "SELECT remake()";
    let setup = "CREATE TABLE t (a int); INSERT INTO t VALUES (1);
        CREATE FUNCTION remake() RETURNS void LANGUAGE sql AS 'ALTER TABLE t ADD COLUMN c int'";
    let case = Case::open(&server.url, setup, &[read]).await;
    let session = &mut *case.session(0).await;
    assert_eq!(done(case.call(session, read, []).await).rows, [[Value::Int(1)]]);
    let row = |length| vec![vec![Value::Null; length]];

    // By a fixture that shows it: known before the transaction begins.
    let again = sql("DROP TABLE t; CREATE TABLE t (a int, b int); INSERT INTO t VALUES (NULL, NULL)", []);
    case.target.apply(&again).await.unwrap();
    done(session.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
    assert_eq!(done(case.call(session, read, []).await).rows, row(2));
    done(session.transactions().unwrap().commit(soon()).await.unwrap());

    // Behind a function: known when the server refuses the statement.
    case.target.apply(&sql(through_function, [])).await.unwrap();
    assert_eq!(done(case.call(session, read, []).await).rows, row(3));
    case.target
        .apply(&sql("DO 'BEGIN EXECUTE format(''%s TABLE t ADD COLUMN d int'', chr(65) || ''LTER''); END'", []))
        .await
        .unwrap();
    done(session.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
    assert_refused(&case.call(session, read, []).await, OutcomeKind::Crash, "0A000");
    session.reset().await.unwrap();
    done(session.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
    assert_eq!(done(case.call(session, read, []).await).rows, row(4));
    done(session.transactions().unwrap().commit(soon()).await.unwrap());
    assert_eq!(case.observe("SELECT count(*) FROM t").await, Value::Int(1));
    case.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_attempt_rolls_back_and_keeps_what_its_session_holds_until_the_round_is_over() {
    let server = server().await;
    let advisory = "SELECT pg_try_advisory_lock(1)";
    let insert = "INSERT INTO t VALUES (2)";
    let case = Case::open(&server.url, SETUP, &[advisory, insert, LOCK, SLEEP]).await;
    let one = &mut *case.session(0).await;
    let two = &mut *case.session(1).await;
    let locked = |reply| done(reply).rows == [[Value::Bool(true)]];
    done(one.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
    done(case.call(one, insert, []).await);
    assert!(locked(case.call(one, advisory, []).await));
    assert!(!locked(case.call(two, advisory, []).await));
    one.reset().await.unwrap();
    assert_eq!(case.observe("SELECT count(*) FROM t").await, Value::Int(1));
    assert!(!locked(case.call(two, advisory, []).await), "a pooled connection keeps it");
    one.clean().await.unwrap();
    assert!(locked(case.call(two, advisory, []).await));

    // A call that was dropped in the middle leaves neither its statement nor its locks behind.
    done(one.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
    done(case.call(one, LOCK, []).await);
    tokio::select! {
        reply = case.call(one, SLEEP, []) => panic!("it sleeps: {reply:?}"),
        () = case.until_active(SLEEP) => {}
    }
    one.reset().await.unwrap();
    case.target.settle().await.unwrap();
    assert_eq!(case.active(SLEEP).await, Value::Int(0));
    done(case.call(two, LOCK, []).await);
    case.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_cleaned_whatever_hides_what_it_keeps() {
    let server = server().await;
    let setup = "CREATE PROCEDURE grab(INOUT ok bool) LANGUAGE plpgsql AS $$ BEGIN ok := pg_try_advisory_lock(7); END $$;
        CREATE VIEW peek AS SELECT pg_try_advisory_lock(7) AS ok;
        CREATE FUNCTION hurry() RETURNS void LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET a = 2; SET statement_timeout = '9s'; END $$;
        CREATE TABLE t (a int)";
    let statements =
        ["CALL grab(NULL)", "SELECT ok FROM peek", "SELECT hurry()", "SHOW statement_timeout", "DEALLOCATE ALL"];
    let case = Case::open(&server.url, setup, &statements).await;
    let (one, two) = (&mut *case.session(1).await, &mut *case.session(2).await);
    for statement in &statements[..2] {
        for session in [&mut *one, &mut *two] {
            assert_eq!(done(case.call(session, statement, []).await).rows, [[Value::Bool(true)]], "{statement}");
            session.clean().await.unwrap();
            session.prepare().await.unwrap();
        }
    }
    done(case.call(one, "SELECT hurry()", []).await);
    // What the driver had prepared is gone with it.
    done(case.call(one, "DEALLOCATE ALL", []).await);
    one.clean().await.unwrap();
    one.prepare().await.unwrap();
    assert_eq!(done(case.call(one, "SHOW statement_timeout", []).await).rows, [[Value::text("0")]]);
    case.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_connection_that_was_given_up_had_in_flight_is_over_once_it_is_settled() {
    let server = server().await;
    let insert = "INSERT INTO t VALUES (2)";
    let lock = "LOCK TABLE t";
    let case = Case::open(&server.url, SETUP, &[insert, lock]).await;
    let (one, two) = (&mut *case.session(1).await, &mut *case.session(2).await);
    done(one.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
    done(case.call(one, lock, []).await);
    tokio::select! {
        reply = case.call(two, insert, []) => panic!("the table is locked: {reply:?}"),
        () = case.until_active(insert) => {}
    }
    two.reset().await.unwrap();
    case.target.settle().await.unwrap();
    done(one.transactions().unwrap().commit(soon()).await.unwrap());
    assert_eq!(case.observe("SELECT count(*) FROM t").await, Value::Int(1), "it was stored after its client's end");
    case.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_that_waits_for_a_workers_lock_is_given_up_and_names_both() {
    let server = server().await;
    let advisory = "SELECT pg_advisory_lock(77)";
    let case = Case::open(&server.url, SETUP, &[advisory]).await;
    let session = &mut *case.session(3).await;
    done(case.call(session, advisory, []).await);
    let message = environment(case.target.observe(&sql("SELECT pg_advisory_xact_lock(77)::text", [])).await);
    assert!(message.contains("advisory lock 77") && message.contains("session 3"), "{message}");
    session.clean().await.unwrap();
    assert_eq!(case.observe("SELECT pg_try_advisory_lock(77)").await, Value::Bool(true));
    // Nor does what reading has left reach the next round.
    case.target.clean().await.unwrap();
    done(case.call(session, advisory, []).await);
    case.target.close().await.unwrap();
}
