//! Servers that cannot be used, settings that are not allowed, and schemas of the cases' own.

use super::*;

const PASSWORD: &str = "s3cret-horse";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_cannot_be_used_are_named_without_the_password() {
    let server = server_with(
        &[("fsync", "off"), ("superuser_reserved_connections", "0"), ("max_wal_senders", "0")],
        Some(PASSWORD),
    )
    .await;
    let address = address(&server);
    let url = |user: &str, password: &str, host: &str, database: &str| {
        format!("postgres://{user}:{password}@{host}/{database}")
    };
    let here = address.to_string();
    let with_password = url("postgres", PASSWORD, &here, "postgres");
    let attempts = [
        (
            url("postgres", &format!("{PASSWORD}x"), &here, "postgres"),
            vec!["password authentication failed", "`postgres`", "pg_hba.conf"],
        ),
        (format!("postgres://postgres@{here}/postgres"), vec!["password"]),
        (url("nobody", PASSWORD, &here, "postgres"), vec!["`nobody`"]),
        (url("postgres", PASSWORD, &here, "nowhere"), vec!["\"nowhere\" does not exist", "createdb"]),
        (url("postgres", PASSWORD, "127.0.0.1:1", "postgres"), vec!["127.0.0.1:1", "refused", "start the server"]),
        (
            url("postgres", PASSWORD, "no-such-host.invalid:5432", "shop"),
            vec!["no-such-host.invalid:5432", "database `shop`", "host's name"],
        ),
        (format!("{with_password}?sslmode=require"), vec!["TLS", "sslmode"]),
    ];
    for (url, parts) in attempts {
        let message = environment(open(&spec(&[], &[]), &endpoint(&url), "dh_1").await);
        for part in parts {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(!message.contains(PASSWORD), "{message}");
    }
    let case = Case::open(&with_password, "CREATE TABLE t (a int)", &[]).await;
    assert!(!format!("{:?}", case.target.description()).contains(PASSWORD));
    assert!(!format!("{:?}", endpoint(&with_password)).contains(PASSWORD));
    case.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_is_an_environment_error() {
    let server = server_with(
        &[
            ("fsync", "off"),
            ("max_connections", "6"),
            ("superuser_reserved_connections", "0"),
            ("max_wal_senders", "0"),
        ],
        None,
    )
    .await;
    let case = Case::open(&server.url, "CREATE TABLE t (a int)", &[]).await;
    let mut sessions = Vec::new();
    let message = loop {
        match case.target.session(sessions.len()).await {
            Ok(session) => sessions.push(session),
            Err(error) => break environment::<()>(Err(error)),
        }
        assert!(sessions.len() < 10);
    };
    assert!(message.contains("too many clients") && message.contains("max_connections"), "{message}");
    drop(sessions);
    // The server counts connections that have just ended for a moment longer.
    eventually("the end of the sessions", async || case.target.close().await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_set_or_left_out_with_a_warning() {
    let server = server().await;
    let admin = Case::open(
        &server.url,
        "CREATE ROLE app LOGIN; GRANT CREATE ON DATABASE postgres TO app; CREATE ROLE guest LOGIN",
        &[],
    )
    .await;
    let show = "SELECT current_setting('deadlock_timeout'), current_setting('lock_timeout')";
    let settings = spec(&[show], &[("deadlock_timeout", "20ms"), ("lock_timeout", "1500")]);

    let url = server.url.replace("postgres@", "app@");
    let target = open(&settings, &endpoint(&url), "dh_app").await.unwrap();
    let description = target.description();
    assert_eq!(description.settings["deadlock_timeout"], "1s");
    assert_eq!(description.settings["lock_timeout"], "1500ms");
    assert_eq!(description.settings["fsync"], "off");
    assert_eq!(description.version, server.version);
    let [warning] = &description.warnings[..] else { panic!("{:?}", description.warnings) };
    assert!(warning.contains("GRANT SET ON PARAMETER deadlock_timeout TO app"), "{warning}");
    let case = Case { target, requests: settings.requests.clone() };
    let mut session = case.session(0).await;
    let found = done(case.call(&mut *session, show, []).await).rows;
    assert_eq!(found, [[Value::text("1s"), Value::text("1500ms")]]);
    drop(session);
    case.target.close().await.unwrap();

    // The remedy works.
    admin.target.apply(&sql("GRANT SET ON PARAMETER deadlock_timeout TO app", [])).await.unwrap();
    let target = open(&settings, &endpoint(&url), "dh_app").await.unwrap();
    assert_eq!(target.description().settings["deadlock_timeout"], "20ms");
    assert!(target.description().warnings.is_empty());
    let case = Case { target, requests: settings.requests.clone() };
    let mut session = case.session(0).await;
    let found = done(case.call(&mut *session, show, []).await).rows;
    assert_eq!(found, [[Value::text("20ms"), Value::text("1500ms")]]);
    drop(session);
    case.target.close().await.unwrap();

    for (name, value, why) in [
        ("no_such_thing", "1", "no_such_thing"),
        ("lock_timeout", "soon", "22023"),
        ("max_connections", "7", "55P02"),
        ("search_path", "public", "schema of its own"),
    ] {
        let message = fault(open(&spec(&[], &[(name, value)]), &endpoint(&url), "dh_app").await);
        assert!(message.contains(why), "{message}");
    }
    let guest = server.url.replace("postgres@", "guest@");
    let message = environment(open(&spec(&[], &[]), &endpoint(&guest), "dh_guest").await);
    assert!(message.contains("42501") && message.contains("GRANT CREATE ON DATABASE"), "{message}");
    admin.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_that_a_connection_cannot_start_with_is_left_out_with_a_warning() {
    let server = server().await;
    // SET takes the library's name; only a new connection looks for the file.
    let settings =
        spec(&["SHOW lock_timeout"], &[("session_preload_libraries", "no_such_library"), ("lock_timeout", "1500")]);
    let target = open(&settings, &endpoint(&server.url), "dh_start").await.unwrap();
    let description = target.description();
    let [warning] = &description.warnings[..] else { panic!("{:?}", description.warnings) };
    assert!(warning.contains("session_preload_libraries") && warning.contains("no_such_library"), "{warning}");
    assert!(!description.settings.contains_key("session_preload_libraries"), "{:?}", description.settings);
    let case = Case { target, requests: settings.requests.clone() };
    let mut session = case.session(0).await;
    let found = done(case.call(&mut *session, "SHOW lock_timeout", []).await).rows;
    assert_eq!(found, [[Value::text("1500ms")]], "the other setting stays");
    drop(session);
    case.target.close().await.unwrap();
}
