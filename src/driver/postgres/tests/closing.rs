//! Schemas of the cases' own, and their end.

use super::*;
use crate::port::{Isolation, ServerOrigin};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_without_a_schema_never_mean_a_users_tables() {
    let server = server().await;
    let (client, connection) = tokio_postgres::connect(&server.url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE DOMAIN public.money_of_mine AS int").await.unwrap();
    // Where nothing of a user's is in `public`, what extensions have there is found.
    Case::open(&server.url, "CREATE TABLE t (a money_of_mine)", &[]).await.target.close().await.unwrap();

    client.batch_execute("CREATE TABLE public.account (n int); INSERT INTO public.account VALUES (7)").await.unwrap();
    let (reset, update) = ("RESET ALL", "UPDATE account SET n = n + 1");
    let setup = "DROP TABLE IF EXISTS account; CREATE TABLE account (n int); INSERT INTO account VALUES (1)";
    let case = Case::open(&server.url, setup, &[reset, update]).await;
    let session = &mut *case.session(0).await;
    for statement in [reset, update] {
        done(case.call(session, statement, []).await);
    }
    assert_eq!(case.observe("SELECT n FROM account").await, Value::Int(2));
    let message = case.target.apply(&sql("DELETE FROM acount", [])).await.unwrap_err().to_string();
    assert!(message.contains("42P01"), "{message}");
    // What a fixture sets holds for itself alone.
    case.target.apply(&sql("SELECT set_config('search_path', 'public', false)", [])).await.unwrap();
    case.target.apply(&sql("DELETE FROM account", [])).await.unwrap();
    case.target.close().await.unwrap();
    assert_eq!(client.query_one("SELECT n FROM public.account", &[]).await.unwrap().get::<_, i32>(0), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cases_keep_apart_and_leave_nothing() {
    let server = server().await;
    let spec = spec(&["SELECT a FROM t"], &[]);
    let mut targets = Vec::new();
    for (namespace, number) in [("dh_1_1", 1), ("dh \"odd\" 2", 2)] {
        let target = open(&spec, &endpoint(&server.url), namespace).await.unwrap();
        target.apply(&sql("CREATE TABLE t (a int)", [])).await.unwrap();
        target.apply(&sql("INSERT INTO t VALUES ($1)", [Value::Int(number)])).await.unwrap();
        targets.push((target, number));
    }
    let message = environment(open(&spec, &endpoint(&server.url), "dh_1_1").await);
    assert!(message.contains("42P06"), "{message}");
    for (target, number) in &targets {
        let mut session = target.session(0).await.unwrap();
        session.prepare().await.unwrap();
        let result = done(
            session.call(&mut target.bind(0, &sql("SELECT a FROM t", []), 0).unwrap(), soon(), None).await.unwrap(),
        );
        assert_eq!(result.rows, [[Value::Int(*number)]]);
        // A session that is still there, with locks, does not hinder the end.
        done(session.transactions().unwrap().begin(Isolation::ReadCommitted, soon()).await.unwrap());
        done(session.call(&mut target.bind(0, &sql("SELECT a FROM t", []), 0).unwrap(), soon(), None).await.unwrap());
        let open = target.apply(&sql("BEGIN; SELECT * FROM t", [])).await.unwrap_err().to_string();
        assert!(open.contains("leaves a transaction open"), "{open}");
        target.close().await.unwrap();
    }
    let (client, connection) = tokio_postgres::connect(&server.url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let left = async |query: &str| client.query_one(query, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(left("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'dh%'").await, 0, "schemas were left");
    let processes = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'deadheat%'";
    eventually("the end of all server processes", async || left(processes).await == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_case_sets_for_the_whole_server_ends_with_it_on_a_private_one() {
    let server = server().await;
    let setup = "ALTER DATABASE postgres SET work_mem = '77kB'; ALTER ROLE ALL SET work_mem = '78kB';
        ALTER ROLE CURRENT_USER SET work_mem = '79kB'; ALTER ROLE CURRENT_USER IN DATABASE postgres SET work_mem = '80kB';
        CREATE ROLE \"a tenant\"; ALTER ROLE \"a tenant\" SET work_mem = '81kB'";
    const SETTINGS: &str = "SELECT count(*) FROM pg_db_role_setting";
    let of_users = Endpoint { origin: ServerOrigin::Given, ..endpoint(&server.url) };
    let private = Endpoint { origin: ServerOrigin::Private, ..endpoint(&server.url) };
    let spec = spec(&[], &[]);
    for (endpoint, setup, left) in [(&of_users, setup, 5), (&private, "SELECT 1", 0)] {
        let target = open(&spec, endpoint, "dh_1_1").await.unwrap();
        target.apply(&sql(setup, [])).await.unwrap();
        target.close().await.unwrap();
        let (client, connection) = tokio_postgres::connect(&server.url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        assert_eq!(client.query_one(SETTINGS, &[]).await.unwrap().get::<_, i64>(0), left);
    }
    let case = Case::open(&server.url, "SELECT 1", &[]).await;
    let message = case.target.apply(&sql("create  role \"a tenant\"", [])).await.unwrap_err().to_string();
    assert!(message.contains("42710") && message.contains("`teardown`"), "{message}");
    case.target.close().await.unwrap();
}
