//! What the server says of each kind of refusal.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::port::Isolation;

const SETUP: &str = "
    CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL CHECK (balance >= 0), owner int REFERENCES account (id));
    CREATE TABLE booking (room int, during int4range, EXCLUDE USING gist (during WITH &&));
    INSERT INTO account VALUES (1, 100), (2, 100);
    INSERT INTO booking VALUES (1, '[1,5]');
    CREATE FUNCTION no() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$;
    CREATE FUNCTION bad() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT gone FROM account); END $$;
    CREATE FUNCTION elsewhere() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'peer gone' USING ERRCODE = '08006'; END $$";

const INSERT: &str = "INSERT INTO account VALUES ($1, $2, $3)";
const BOOK: &str = "INSERT INTO booking VALUES (1, '[3,7]')";
const REFUSE: &str = "SELECT no()";
const BAD: &str = "SELECT bad()";
const ELSEWHERE: &str = "SELECT elsewhere()";
const DIVIDE: &str = "SELECT 1 / $1::int";
const LOCK: &str = "SELECT balance FROM account WHERE id = $1 FOR UPDATE";
const NOWAIT: &str = "SELECT balance FROM account WHERE id = $1 FOR UPDATE NOWAIT";
const READ: &str = "SELECT balance FROM account WHERE id = $1";
const ADD: &str = "UPDATE account SET balance = balance + $2 WHERE id = $1";
/// Takes longer than the test has patience.
const SLEEP: &str = "SELECT pg_sleep(120)";
const STATEMENTS: [&str; 11] = [INSERT, BOOK, REFUSE, BAD, ELSEWHERE, DIVIDE, LOCK, NOWAIT, READ, ADD, SLEEP];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_have_the_outcomes_of_the_table() {
    let server = server().await;
    let spec = spec(&STATEMENTS, &[("deadlock_timeout", "20ms")]);
    let case = Case::with(&server.url, SETUP, &spec).await;
    let one = &mut *case.session(0).await;
    let two = &mut *case.session(1).await;
    let int = Value::Int;

    let refusals = [
        (INSERT, vec![int(1), int(0), Value::Null], OutcomeKind::Conflict, "23505"),
        (BOOK, vec![], OutcomeKind::Conflict, "23P01"),
        (INSERT, vec![int(9), int(0), int(77)], OutcomeKind::Rejected, "23503"),
        (INSERT, vec![int(9), int(-1), Value::Null], OutcomeKind::Rejected, "23514"),
        (INSERT, vec![int(9), Value::Null, Value::Null], OutcomeKind::Rejected, "23502"),
        (REFUSE, vec![], OutcomeKind::Rejected, "P0001"),
        (ELSEWHERE, vec![], OutcomeKind::Unknown, "08006"),
        (DIVIDE, vec![int(0)], OutcomeKind::Crash, "22012"),
    ];
    for (text, args, kind, code) in refusals {
        let reply = case.call(one, text, args).await;
        assert_refused(&reply, kind, code);
    }
    assert_refused(&case.call(one, BAD, []).await, OutcomeKind::Crash, "42703");

    // Deadlock: each holds one row and wants the other's.
    for session in [&mut *one, &mut *two] {
        done(session.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
    }
    done(case.call(one, LOCK, [int(1)]).await);
    done(case.call(two, LOCK, [int(2)]).await);
    let (reply_one, reply_two) = tokio::join!(case.call(one, LOCK, [int(2)]), async {
        let reply = case.call(two, LOCK, [int(1)]).await;
        two.reset().await.unwrap();
        reply
    });
    let victim = if matches!(reply_one, Reply::Refused(_)) { &reply_one } else { &reply_two };
    assert_refused(victim, OutcomeKind::Deadlock, "40P01");

    // Busy: the row is held.
    one.reset().await.unwrap();
    done(one.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
    done(case.call(one, LOCK, [int(1)]).await);
    let reply = case.call(two, NOWAIT, [int(1)]).await;
    assert_refused(&reply, OutcomeKind::Busy, "55P03");
    done(one.transactions().unwrap().commit(soon()).await.unwrap());

    // Serialization: the row has changed since the transaction's snapshot.
    done(one.transactions().unwrap().begin(Isolation::RepeatableRead, soon()).await.unwrap());
    done(case.call(one, READ, [int(1)]).await);
    assert_eq!(done(case.call(two, ADD, [int(1), int(5)]).await).affected, 1);
    let reply = case.call(one, ADD, [int(1), int(5)]).await;
    assert_refused(&reply, OutcomeKind::Serialization, "40001");

    // COMMIT of what has failed is not a success, and the next transaction is fresh.
    let reply = one.transactions().unwrap().commit(soon()).await.unwrap();
    assert_refused(&reply, OutcomeKind::Serialization, "40001");
    assert_eq!(case.observe("SELECT balance FROM account WHERE id = 1").await, int(105));
    done(one.transactions().unwrap().begin(Isolation::Serializable, soon()).await.unwrap());
    done(case.call(one, ADD, [int(1), int(5)]).await);
    done(one.transactions().unwrap().commit(soon()).await.unwrap());
    assert_eq!(case.observe("SELECT balance FROM account WHERE id = 1").await, int(110));

    // Our own deadline: cancelled and rolled back, and the connection is as good as before. There is little time for
    // cancelling, so the connection that does it is opened first; where it is not enough, once more with more before it.
    assert_eq!(case.target.waits().await.unwrap(), []);
    for seconds in [1, 5, 25] {
        let started = Instant::now();
        let deadline = started + Duration::from_secs(seconds);
        let reply = one.call(&mut case.bound(SLEEP, []), deadline, None).await.unwrap();
        assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
        let was_cancelled = matches!(&reply, Reply::Refused(refusal) if refusal.code == "57014");
        if was_cancelled || seconds == 25 {
            assert_refused(&reply, OutcomeKind::Timeout, "57014");
            break;
        }
        one.reset().await.unwrap();
    }
    assert_eq!(done(case.call(one, READ, [int(1)]).await).rows, [[int(110)]]);
    case.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_the_scenario_say_where_they_are() {
    let server = server().await;
    let wrong = [
        ("SELECT *\nFROM nowhere", ["42P01", "line 2, column 6", "nowhere"]),
        ("SELECT gone FROM t", ["42703", "line 1, column 8", "gone"]),
        ("SELEC 1", ["42601", "line 1, column 1", "SELEC"]),
        ("SELECT point(1, 2) AS spot", ["`spot`", "`point`", "spot::text"]),
    ];
    for (text, parts) in wrong {
        let target = open(&spec(&[text], &[]), &endpoint(&server.url), "dh_wrong").await.unwrap();
        target.apply(&sql("CREATE TABLE t (a int)", [])).await.unwrap();
        let mut session = target.session(0).await.unwrap();
        // When it is opened fixtures may still make what is missing; before a round they no longer can.
        let mut prepared = session.prepare().await;
        if prepared.is_ok() {
            prepared = session.prepare().await;
        }
        let message = fault(prepared);
        for part in parts {
            assert!(message.contains(part), "{part}: {message}");
        }
        drop(session);
        target.close().await.unwrap();
    }

    let case =
        Case::open(&server.url, "CREATE TABLE t (a int); INSERT INTO t VALUES (7)", &["SELECT a FROM t WHERE a = $1"])
            .await;
    let session = &mut *case.session(0).await;
    let misfit = case.call(session, "SELECT a FROM t WHERE a = $1", [Value::list([Value::Int(1)])]).await;
    assert_refused(&misfit, OutcomeKind::Crash, "22P02");
    let message = case.target.never_asked().unwrap().to_string();
    assert!(message.contains("argument $1") && message.contains("22P02") && message.contains("list"), "{message}");
    done(session.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
    let message = fault(case.try_call(session, "SELECT a FROM t WHERE a = $1", []).await);
    assert_refused(
        &session.transactions().unwrap().commit(soon()).await.unwrap(),
        OutcomeKind::Disconnected,
        "connection-lost",
    );
    session.prepare().await.unwrap();
    assert_eq!(done(case.call(session, "SELECT a FROM t WHERE a = $1", [Value::Int(7)]).await).affected, 1);
    assert_eq!(case.target.never_asked(), None, "it did fit once");
    assert!(message.contains("takes 1 arguments, found 0"), "{message}");

    let message = fault(case.target.apply(&sql("INSERT INTO t VALUES (1);\nINSERT INTO t VALUES ('x')", [])).await);
    assert!(message.contains("22P02") && message.contains("line 2, column 23"), "{message}");
    let message = fault(case.target.apply(&sql("INSERT INTO t VALUES ($1)", [Value::text("x")])).await);
    assert!(message.contains("argument $1"), "{message}");
    let message = fault(case.target.observe(&sql("SELECT 1 / (a - 7) FROM t", [])).await);
    assert!(message.contains("22012"), "{message}");
    for _ in 0..2 {
        let message = fault(case.target.apply(&sql("COPY t FROM STDIN", [])).await);
        assert!(message.contains("COPY"), "{message}");
    }
    let message = fault(
        case.target
            .apply(&Request { spec: &crate::judge::fixture::READ, fields: Vec::new(), pauses: Vec::new() })
            .await,
    );
    assert!(message.contains("latest-version"), "{message}");
    case.target.close().await.unwrap();
}
