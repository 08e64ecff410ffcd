//! What becomes of an effect whose reply is lost.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::driver::proxy::{Cut, Proxy};
use crate::port::Isolation;

const INSERT: &str = "INSERT INTO t VALUES ($1)";
const COUNT: &str = "SELECT count(*) FROM t";
// Both take longer than any test has patience.
const SLEEP: &str = "SELECT pg_sleep(120)";
const SLOW_INSERT: &str = "INSERT INTO t SELECT 99 FROM pg_sleep(120)";
const SETUP: &str = "CREATE TABLE t (a int)";

fn through(server: &PrivateServer, proxy: &Proxy) -> String {
    server.url.replace(&address(server).to_string(), &proxy.address.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_is_unknown_only_if_something_may_have_happened() {
    let server = server().await;
    let proxy = Proxy::start(address(&server)).await;
    let case = Case::open(&through(&server, &proxy), SETUP, &[INSERT, COUNT]).await;
    let session = &mut *case.session(0).await;

    // COMMIT arrived, its reply did not.
    done(session.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
    done(case.call(session, INSERT, [Value::Int(1)]).await);
    proxy.cut_at(b"COMMIT", Cut::AfterForwarding);
    let reply = session.transactions().unwrap().commit(soon()).await.unwrap();
    assert_refused(&reply, OutcomeKind::Unknown, "connection-lost");
    assert_eq!(case.observe(COUNT).await, Value::Int(1), "it had happened");
    renewed(session).await;

    // COMMIT did not arrive: we cannot tell that from the above.
    done(session.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
    done(case.call(session, INSERT, [Value::Int(2)]).await);
    proxy.cut_at(b"COMMIT", Cut::Before);
    assert_refused(
        &session.transactions().unwrap().commit(soon()).await.unwrap(),
        OutcomeKind::Unknown,
        "connection-lost",
    );
    renewed(session).await;
    assert_eq!(case.observe(COUNT).await, Value::Int(1), "it had not happened");

    // Lost before COMMIT was sent: certainly rolled back, and the COMMIT is refused, too.
    done(session.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
    proxy.cut_at(b"33", Cut::AfterForwarding);
    let reply = case.call(session, INSERT, [Value::Int(33)]).await;
    assert_refused(&reply, OutcomeKind::Disconnected, "connection-lost");
    assert_refused(
        &session.transactions().unwrap().commit(soon()).await.unwrap(),
        OutcomeKind::Disconnected,
        "connection-lost",
    );
    renewed(session).await;
    assert_eq!(case.observe(COUNT).await, Value::Int(1));

    // An autocommit write.
    proxy.cut_at(b"44", Cut::AfterForwarding);
    let reply = case.call(session, INSERT, [Value::Int(44)]).await;
    assert_refused(&reply, OutcomeKind::Unknown, "connection-lost");
    renewed(session).await;
    assert_eq!(case.observe(COUNT).await, Value::Int(2), "it had happened");

    // An autocommit read. A prepared statement's execution is recognised by its message's last bytes: Execute, then Sync.
    proxy.cut_at(b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04", Cut::AfterForwarding);
    assert_refused(&case.call(session, COUNT, []).await, OutcomeKind::Disconnected, "connection-lost");
    renewed(session).await;
    assert_eq!(done(case.call(session, COUNT, []).await).rows, [[Value::Int(2)]]);
    case.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_read_of_a_view_may_have_written() {
    const VIEW: &str = "SELECT wrote FROM v";
    const VIEW_TOO: &str = "SELECT wrote FROM \"V too\"";
    const TABLE: &str = "SELECT a FROM t";
    let server = server().await;
    let proxy = Proxy::start(address(&server)).await;
    let setup = "CREATE TABLE t (a int);
        CREATE FUNCTION write() RETURNS bool AS $$ BEGIN INSERT INTO t VALUES (1); RETURN true; END $$ LANGUAGE plpgsql;
        CREATE VIEW v AS SELECT write() AS wrote; CREATE VIEW \"V too\" AS TABLE v";
    let case = Case::open(&through(&server, &proxy), setup, &[VIEW, VIEW_TOO, TABLE]).await;
    let session = &mut *case.session(0).await;
    for (text, kind) in
        [(VIEW, OutcomeKind::Unknown), (VIEW_TOO, OutcomeKind::Unknown), (TABLE, OutcomeKind::Disconnected)]
    {
        proxy.cut_at(b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04", Cut::AfterForwarding);
        assert_refused(&case.call(session, text, []).await, kind, "connection-lost");
        renewed(session).await;
    }
    assert_eq!(case.observe(COUNT).await, Value::Int(2), "both views wrote");
    case.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_read_that_calls_a_function_by_an_attribute_or_an_operator_may_have_written() {
    const ATTRIBUTE: &str = "SELECT t.wrote FROM t";
    const OPERATOR: &str = "SELECT a #!# 1 FROM t";
    const TABLE: &str = "SELECT a FROM t";
    const WRITES: &str = "RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO u VALUES (1); RETURN 1; END $$;";
    let server = server().await;
    let proxy = Proxy::start(address(&server)).await;
    let setup = "CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE TABLE u (a int);".to_owned();
    let attribute = format!("{setup} CREATE FUNCTION wrote(t) {WRITES}");
    let operator = format!(
        "{setup} CREATE FUNCTION put(int, int) {WRITES} CREATE OPERATOR #!# (FUNCTION = put, LEFTARG = int, RIGHTARG = int)"
    );
    for (setup, text, kind, written) in [
        (&setup, TABLE, OutcomeKind::Disconnected, 0),
        (&attribute, ATTRIBUTE, OutcomeKind::Unknown, 1),
        (&operator, OPERATOR, OutcomeKind::Unknown, 1),
    ] {
        let case = Case::open(&through(&server, &proxy), setup, &[text]).await;
        let session = &mut *case.session(0).await;
        proxy.cut_at(b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04", Cut::AfterForwarding);
        assert_refused(&case.call(session, text, []).await, kind, "connection-lost");
        renewed(session).await;
        assert_eq!(case.observe("SELECT count(*) FROM u").await, Value::Int(written), "{text}");
        case.target.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_procedure_that_is_cancelled_may_have_committed() {
    const CALL: &str = "CALL p()";
    let server = server().await;
    let setup = "CREATE TABLE t (a int);
        CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (1); COMMIT; PERFORM pg_sleep(120); END $$";
    let case = Case::open(&server.url, setup, &[CALL, SLOW_INSERT]).await;
    let session = &mut *case.session(0).await;
    for (text, kind) in [(CALL, OutcomeKind::Unknown), (SLOW_INSERT, OutcomeKind::Timeout)] {
        let deadline = Instant::now() + Duration::from_millis(500);
        let reply = session.call(&mut case.bound(text, []), deadline, None).await.unwrap();
        assert_refused(&reply, kind, "57014");
    }
    assert_eq!(case.observe(COUNT).await, Value::Int(1), "it had committed");
    case.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_answers_is_given_up_at_the_deadline() {
    let server = server().await;
    let proxy = Proxy::start(address(&server)).await;
    let case = Case::open(&through(&server, &proxy), SETUP, &[INSERT, COUNT]).await;
    let session = &mut *case.session(0).await;
    for (in_transaction, kind) in [(false, OutcomeKind::Unknown), (true, OutcomeKind::Timeout)] {
        if in_transaction {
            done(session.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
        }
        proxy.cut_at(b"55", Cut::Silence);
        let started = Instant::now();
        let deadline = started + Duration::from_millis(200);
        let reply = session.call(&mut case.bound(INSERT, [Value::Int(55)]), deadline, None).await.unwrap();
        assert_refused(&reply, kind, "deadline");
        assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
        renewed(session).await;
    }
    // The server may have been asked to cancel the first before it was done; the second was rolled back.
    let stored = case.observe(COUNT).await;
    assert!([Value::Int(0), Value::Int(1)].contains(&stored), "{stored:?}");
    case.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_server_process_is_rejected_or_unknown() {
    let server = server().await;
    let case = Case::open(&server.url, SETUP, &[INSERT, COUNT, SLEEP, SLOW_INSERT]).await;
    let session = &mut *case.session(0).await;
    let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%session 0%'";

    for (text, in_transaction, kind) in [
        (SLOW_INSERT, false, OutcomeKind::Unknown),
        (SLEEP, false, OutcomeKind::Disconnected),
        (SLOW_INSERT, true, OutcomeKind::Disconnected),
    ] {
        if in_transaction {
            done(session.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
        }
        let (reply, _) = tokio::join!(case.call(session, text, []), async {
            case.until_active(text).await;
            case.observe(terminate).await
        });
        assert_refused(&reply, kind, "57P01");
        renewed(session).await;
    }

    // While nothing is in flight: nothing can have happened, and the reason is remembered. That holds once the client has
    // noticed, which nobody can see from here: one that has not does not know what became of its call, and says so. Then
    // once more, with more time to notice.
    let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%session 0%'";
    let mut time_to_notice = Duration::from_millis(1);
    let reply = loop {
        case.observe(terminate).await;
        eventually("the end of the server process", async || case.observe(left).await == Value::Int(0)).await;
        tokio::time::sleep(time_to_notice).await;
        let reply = case.call(session, INSERT, [Value::Int(1)]).await;
        renewed(session).await;
        let is_unknown = matches!(&reply, Reply::Refused(refusal) if refusal.kind == OutcomeKind::Unknown);
        if !is_unknown || time_to_notice >= Duration::from_secs(10) {
            break reply;
        }
        time_to_notice *= 10;
    };
    assert_refused(&reply, OutcomeKind::Disconnected, "57P01");
    done(case.call(session, INSERT, [Value::Int(1)]).await);
    assert_eq!(case.observe(COUNT).await, Value::Int(1));
    case.target.close().await.unwrap();
}
