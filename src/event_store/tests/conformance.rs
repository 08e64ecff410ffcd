//! What the store promises, checked against every backend.
//!
//! Each check is one function that is run over all of them, in a place of its own: a schema, a
//! stream, a file.

use super::*;

async fn a_version_must_be_greater_than_the_latest(server: &Server) {
    for guard in Guard::ALL {
        let store = server.place(guard).await.store().await;
        assert_eq!(store.latest_version("a").await, Ok(0));
        assert!(is_stored(&append(&store, "a", 1).await));
        assert!(is_stored(&append(&store, "a", 3).await));
        for version in [3, 2, 1, 0, -1, i64::MIN] {
            let (actor, attempted) = ("a".to_owned(), version);
            let conflict = VersionConflict { actor, attempted, current: Some(3), code: None };
            assert_eq!(append(&store, "a", version).await, Appended::Conflict(conflict));
        }
        assert_eq!(versions(&store, "a").await, [1, 3]);
        assert_eq!(store.latest_version("a").await, Ok(3));
        assert!(matches!(append(&store, "b", 0).await, Appended::Conflict(_)));
    }
}

async fn an_event_is_read_as_it_was_written(server: &Server) {
    let store = server.place(Guard::Server).await.store().await;
    let actors = ["order-1", "order.1", "order_1", "order 1", "order_2E1", "*", ">", "ä", "", &"x".repeat(700)];
    let before = Timestamp::now();
    for actor in actors {
        for version in [1, 2, 5] {
            assert!(is_stored(&append(&store, actor, version).await), "`{actor}`");
        }
    }
    for actor in actors {
        let read = store.events(actor, 1).await.unwrap();
        assert_eq!(read.malformed, []);
        assert_eq!(read.events.len(), 2, "`{actor}`");
        for (stored, version) in read.events.into_iter().zip([2, 5]) {
            assert!(stored.timestamp >= before && stored.timestamp <= Timestamp::now());
            let Event { id, actor, kind, version: stored_version, data, .. } = stored;
            assert_eq!(
                NewEvent { id, actor: actor.clone(), kind, version: stored_version, data },
                event(&actor, version)
            );
        }
    }
    assert_eq!(store.events("nobody", 0).await, Ok(EventsRead::default()));
}

async fn the_server_guard_lets_one_of_fifty_through(server: &Server) {
    let place = server.place(Guard::Server).await;
    let one = [place.instance(place.options())];
    let cached = InstanceOptions { cache: true, ..place.options() };
    let two_cached = [place.instance(cached), place.instance(cached)];

    let together = place.race(&one, "together", Together::pause(WRITERS)).await;
    assert_one_won(&together);
    let by_server = server.backend() != Backend::Memory;
    assert!(conflicts(&together).iter().all(|conflict| conflict.code.is_some() == by_server));

    assert_one_won(&place.race(&one, "free", None).await);
    assert_one_won(&place.race(&two_cached, "cached", Together::pause(WRITERS)).await);
    let store = place.store().await;
    for actor in ["together", "free", "cached"] {
        assert_eq!(versions(&store, actor).await, [1]);
    }
}

async fn without_a_guard_all_fifty_get_through(server: &Server) {
    let place = server.place(Guard::None).await;
    let ended = place.race(&[place.instance(place.options())], "a", Together::pause(WRITERS)).await;
    assert_eq!(stored(&ended), WRITERS as usize);
    assert_eq!(versions(&place.store().await, "a").await, [1; WRITERS as usize]);
}

async fn a_mutex_lets_one_through_per_instance(server: &Server) {
    let place = server.place(Guard::Mutex).await;
    let one = [place.instance(place.options())];
    assert_one_won(&place.race(&one, "one instance", None).await);

    let two = [place.instance(place.options()), place.instance(place.options())];
    let ended = place.race(&two, "two instances", Together::pause(2)).await;
    assert_eq!((stored(&ended), conflicts(&ended).len()), (2, WRITERS as usize - 2));
    assert_eq!(versions(&place.store().await, "two instances").await, [1, 1]);
}

async fn a_stale_cache_is_corrected_by_the_server_guard(server: &Server) {
    let place = server.place(Guard::Server).await;
    let (behind, ahead) = (place.cached_store().await, place.store().await);
    assert!(is_stored(&append(&behind, "a", 1).await));
    assert!(is_stored(&append(&ahead, "a", 2).await));
    assert_eq!(behind.latest_version("a").await, Ok(1));

    let ended = append(&behind, "a", 2).await;
    let [conflict] = conflicts(std::slice::from_ref(&ended))[..] else { panic!("{ended:?}") };
    assert_eq!((conflict.attempted, conflict.current), (2, Some(2)));
    assert_eq!(conflict.code.is_some(), server.backend() != Backend::Memory);
    assert_eq!(behind.latest_version("a").await, Ok(2));

    // The version is legal although the cache is behind: read again, then stored.
    assert!(is_stored(&append(&ahead, "a", 3).await));
    assert!(is_stored(&append(&behind, "a", 5).await));
    assert!(is_stored(&append(&ahead, "a", 6).await));
    // What the cache itself would refuse is reported with what is stored now.
    let ended = append(&behind, "a", 4).await;
    assert_eq!(conflicts(&[ended])[0].current, Some(6));
    assert_eq!(versions(&ahead, "a").await, [1, 2, 3, 5, 6]);
}

async fn a_stale_cache_lets_a_second_writer_through_where_the_server_does_not_guard(server: &Server) {
    for guard in [Guard::None, Guard::Mutex] {
        let place = server.place(guard).await;
        let (behind, ahead) = (place.cached_store().await, place.cached_store().await);
        assert!(is_stored(&append(&behind, "a", 1).await));
        assert!(is_stored(&append(&ahead, "a", 2).await));
        assert!(is_stored(&append(&behind, "a", 2).await));
        assert_eq!(versions(&ahead, "a").await, [1, 2, 2]);
    }
}

async fn racing_versions_are_stored_in_increasing_order(server: &Server) {
    let place = server.place(Guard::Server).await;
    let instance = place.instance(place.options());
    let (one, other) = (place.store_of(&instance).await, place.store_of(&instance).await);
    for round in 0..20 {
        let actor = format!("a{round}");
        assert!(is_stored(&append(&one, &actor, 1).await));
        let pause = if round % 2 == 0 { Together::pause(2) } else { None };
        let (third, second) = (event(&actor, 3), event(&actor, 2));
        let ended = tokio::join!(
            one.append(Caller(0), &third, pause.as_deref()),
            other.append(Caller(1), &second, pause.as_deref())
        );
        let ended = [ended.0.unwrap(), ended.1.unwrap()];
        let versions = versions(&one, &actor).await;
        assert!(versions.is_sorted_by(|version, next| version < next), "{versions:?}");
        assert_eq!(versions.len(), 1 + stored(&ended));
        if pause.is_some() {
            assert_eq!((stored(&ended), conflicts(&ended).len()), (1, 1), "both had read version 1");
        }
    }
}

async fn the_latest_of_versions_out_of_order(server: &Server) {
    let place = server.place(Guard::None).await;
    let store = Arc::new(place.store().await);
    let gate = Arc::new(Gate::default());
    let late = tokio::spawn({
        let (store, gate) = (store.clone(), gate.clone());
        async move { store.append(Caller(1), &event("a", 2), Some(&*gate)).await.unwrap() }
    });
    gate.reached.notified().await;
    assert!(is_stored(&append(&store, "a", 3).await));
    gate.open.notify_one();
    assert!(is_stored(&late.await.unwrap()));
    assert_eq!(versions(&store, "a").await, [3, 2]);
    for lookup in server.backend().lookups() {
        let instance = place.instance(InstanceOptions { lookup: *lookup, ..place.options() });
        let by_message = server.backend() == Backend::JetStream && *lookup != Lookup::Scan;
        let latest = place.store_of(&instance).await.latest_version("a").await;
        assert_eq!(latest, Ok(if by_message { 2 } else { 3 }), "{lookup}");
    }
}

async fn a_missing_snapshot_is_told_from_a_saved_one(server: &Server) {
    let place = server.place(Guard::Server).await;
    let store = place.store().await;
    let snapshot = |version: i64, text: &str| {
        let (actor, data) = ("a".to_owned(), json!({ "text": text, "version": version }));
        Snapshot { actor, version, data }
    };
    assert_eq!(store.latest_snapshot("a").await, Ok(None));
    assert_eq!(store.save_snapshot(&snapshot(3, "first")).await, Ok(SnapshotSaved::Stored));
    assert_eq!(store.latest_snapshot("a").await, Ok(Some(snapshot(3, "first"))));
    assert_eq!(store.save_snapshot(&snapshot(2, "older")).await, Ok(SnapshotSaved::Superseded));
    assert_eq!(store.save_snapshot(&snapshot(3, "again")).await, Ok(SnapshotSaved::Stored));
    assert_eq!(store.latest_snapshot("a").await, Ok(Some(snapshot(3, "again"))));
    assert_eq!(store.latest_snapshot("b").await, Ok(None));

    let stores = join_all((0..10).map(|_| place.store())).await;
    let savings = stores
        .iter()
        .zip(4..)
        .map(async |(store, version)| store.save_snapshot(&snapshot(version, "racing")).await.unwrap());
    join_all(savings).await;
    assert_eq!(store.latest_snapshot("a").await, Ok(Some(snapshot(13, "racing"))));
    assert_eq!(versions(&store, "a").await, [0; 0]);
}

async fn malformed_events_are_reported(server: &Server) {
    let place = server.place(Guard::Server).await;
    let store = place.store().await;
    for version in 1..=3 {
        assert!(is_stored(&append(&store, "a", version).await));
    }
    let left = match server {
        Server::Memory => return,
        Server::Sqlite(_) | Server::Postgres(_) => {
            place.execute("UPDATE events SET data = '{oops' WHERE version = 2").await;
            assert!(is_stored(&append(&store, "a", 4).await));
            vec![1, 3, 4]
        }
        Server::JetStream(server) => {
            let client = server.connect().await;
            // The stream answers once the message is stored.
            client.request(format!("{}.events.a", place.name), "{oops".into()).await.unwrap();
            let error = store.latest_version("a").await.unwrap_err();
            assert!(matches!(error, StoreError::Malformed { .. }), "{error}");
            let scanning = place.instance(InstanceOptions { lookup: Lookup::Scan, ..place.options() });
            let scanning = place.store_of(&scanning).await;
            assert_eq!(scanning.latest_version("a").await, Ok(3));
            assert!(is_stored(&append(&scanning, "a", 4).await));
            vec![1, 2, 3, 4]
        }
    };
    let read = store.events("a", 0).await.unwrap();
    assert_eq!(read.events.iter().map(|event| event.version).collect::<Vec<_>>(), left);
    assert_eq!(read.malformed.len(), 1);
    assert!(read.malformed[0].reason.contains("key must be a string"), "{:?}", read.malformed);
    assert_eq!(store.latest_version("a").await, Ok(4));
}

/// Caller 7 in the middle of an append, at the pause point with the mutex held.
async fn paused_holder(
    place: &Place<'_>,
    instance: &Arc<Instance>,
) -> (Arc<Gate>, tokio::task::JoinHandle<Result<Appended, StoreError>>) {
    let gate = Arc::new(Gate::default());
    let holder = tokio::spawn({
        let (store, gate) = (place.store_of(instance).await, gate.clone());
        async move { store.append(Caller(7), &event("a", 1), Some(&*gate)).await }
    });
    gate.reached.notified().await;
    (gate, holder)
}

async fn waits_name_who_is_blocked_by_whom(server: &Server) {
    let place = server.place(Guard::Mutex).await;
    let instance = place.instance(InstanceOptions { mutex_deadline: DEADLINE, ..place.options() });
    let (_gate, holder) = paused_holder(&place, &instance).await;
    assert_eq!(instance.waits(), []);
    let waiting = place.store_of(&instance).await;
    let waiter = tokio::spawn(async move { waiting.append(Caller(9), &event("a", 1), None).await });
    while instance.waits().is_empty() {
        assert!(!waiter.is_finished(), "nobody was seen to wait");
        tokio::task::yield_now().await;
    }
    assert_eq!(instance.waits(), [(Caller(9), Caller(7))]);
    waiter.abort();
    assert!(waiter.await.unwrap_err().is_cancelled());
    assert_eq!(instance.waits(), []);

    // A caller that goes away while it holds the mutex lets go of it.
    holder.abort();
    assert!(holder.await.unwrap_err().is_cancelled());
    assert!(is_stored(&append(&place.store_of(&instance).await, "a", 1).await));
}

async fn a_caller_that_waits_too_long_for_the_mutex_gives_up(server: &Server) {
    let place = server.place(Guard::Mutex).await;
    let patience = Duration::from_millis(300);
    let instance = place.instance(InstanceOptions { mutex_deadline: patience, ..place.options() });
    let (gate, holder) = paused_holder(&place, &instance).await;
    let waiting = place.store_of(&instance).await;
    let late = waiting.append(Caller(9), &event("a", 1), None).await.unwrap_err();
    let silence = Silence::Deadline(patience);
    assert!(matches!(&late, StoreError::NoReply { sent: false, silence: why, .. } if *why == silence), "{late}");
    assert_eq!(instance.waits(), []);
    gate.open.notify_one();
    assert!(is_stored(&holder.await.unwrap().unwrap()));
}

async fn a_broken_pause_ends_the_append_without_a_write(server: &Server) {
    for guard in Guard::ALL {
        let store = server.place(guard).await.store().await;
        let ended = store.append(Caller(0), &event("a", 1), Some(&Broken)).await.unwrap();
        assert!(matches!(ended, Appended::PauseBroken(_)), "{ended:?}");
        assert_eq!(versions(&store, "a").await, [0; 0]);
        assert!(is_stored(&append(&store, "a", 1).await));
    }
}

async fn ten_thousand_events_are_filled_in(server: &Server) {
    for guard in [Guard::None, Guard::Server] {
        let place = server.place(guard).await;
        let store = place.cached_store().await;
        assert!(is_stored(&append(&store, "a", 1).await));
        store.fill("a", 10_000).await.unwrap();
        store.fill("a", 0).await.unwrap();
        assert_eq!(versions(&store, "a").await, (1..=10_001).collect::<Vec<i64>>());
        let last = store.events("a", 10_000).await.unwrap().events.remove(0);
        assert_eq!(
            (last.id.as_str(), last.kind.as_str(), last.data),
            ("fill-10001", "Filled", json!({ "version": 10_001 }))
        );
        assert!(is_stored(&append(&store, "a", 10_002).await));
    }
}

async fn every_lookup_finds_the_latest(server: &Server) {
    let place = server.place(Guard::Server).await;
    for lookup in server.backend().lookups() {
        for cache in [false, true] {
            let instance = place.instance(InstanceOptions { lookup: *lookup, cache, ..place.options() });
            let store = place.store_of(&instance).await;
            let actor = format!("{lookup} {cache}");
            assert_eq!(store.latest_version(&actor).await, Ok(0));
            store.fill(&actor, 2_345).await.unwrap();
            assert_eq!(store.latest_version(&actor).await, Ok(2_345));
            assert!(is_stored(&append(&store, &actor, 2_346).await));
            assert_eq!(store.latest_version(&actor).await, Ok(2_346));
        }
    }
}

async fn another_refusal_keeps_its_code(server: &Server) {
    let place = server.place(Guard::Server).await;
    let expected = match server {
        Server::Memory => return,
        Server::Sqlite(_) => {
            place
                .execute(
                    "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN new.version > 9 \
                     BEGIN SELECT RAISE(ABORT, 'too great'); END",
                )
                .await;
            "1811"
        }
        Server::Postgres(_) => {
            place.execute("ALTER TABLE events ADD CHECK (version < 10)").await;
            "23514"
        }
        Server::JetStream(server) => {
            let context = async_nats::jetstream::new(server.connect().await);
            let mut config = context.get_stream(&place.name).await.unwrap().cached_info().config.clone();
            config.max_message_size = 20;
            context.update_stream(config).await.unwrap();
            "10054"
        }
    };
    let ended = append(&place.store().await, "a", 10).await;
    let Appended::Refused(refusal) = &ended else { panic!("{ended:?}") };
    assert_eq!(refusal.code, expected, "{refusal}");
}

async fn a_store_that_is_not_there_is_an_error_of_the_environment(server: &Server) {
    let place = server.place(Guard::Server).await;
    let connection: Box<dyn Connection> = match server {
        Server::Memory => return,
        Server::Sqlite(_) => {
            let connection = place.connect().await;
            place.execute("DROP TABLE events").await;
            connection
        }
        Server::Postgres(server) => {
            let client = Arc::new(server.connect().await);
            let Err(error) = PostgresConnection::prepare(client, DEADLINE).await else { panic!("there are no tables") };
            assert!(matches!(error, StoreError::Environment { .. }), "{error}");
            let connection = place.connect().await;
            place.execute("DROP TABLE events").await;
            connection
        }
        Server::JetStream(server) => {
            // A direct get from an absent stream is not answered at all.
            let deadline = Duration::from_secs(10);
            let connection = JetStreamConnection::new(server.connect().await, "absent", deadline).await.unwrap();
            Box::new(connection)
        }
    };
    let absent = |result: Result<(), StoreError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, StoreError::Environment { .. }), "{error}");
    };
    absent(connection.latest("a").await.map(drop));
    absent(connection.latest_by_consumer("a").await.map(drop));
    absent(connection.events("a", 0).await.map(drop));
    absent(connection.write(&event("a", 1), Head::default(), true).await.map(drop));
}

async fn check_all(server: &Server) {
    macro_rules! check {
        ($($check:ident),* $(,)?) => {
            $(
                println!("{} {}", server.backend(), stringify!($check));
                $check(server).await;
            )*
        };
    }
    check!(
        a_version_must_be_greater_than_the_latest,
        an_event_is_read_as_it_was_written,
        the_server_guard_lets_one_of_fifty_through,
        without_a_guard_all_fifty_get_through,
        a_mutex_lets_one_through_per_instance,
        a_stale_cache_is_corrected_by_the_server_guard,
        a_stale_cache_lets_a_second_writer_through_where_the_server_does_not_guard,
        racing_versions_are_stored_in_increasing_order,
        the_latest_of_versions_out_of_order,
        a_missing_snapshot_is_told_from_a_saved_one,
        malformed_events_are_reported,
        waits_name_who_is_blocked_by_whom,
        a_caller_that_waits_too_long_for_the_mutex_gives_up,
        a_broken_pause_ends_the_append_without_a_write,
        ten_thousand_events_are_filled_in,
        every_lookup_finds_the_latest,
        another_refusal_keeps_its_code,
        a_store_that_is_not_there_is_an_error_of_the_environment,
    );
}

#[tokio::test]
async fn memory_conforms() {
    check_all(&Server::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_conforms_on_two_threads() {
    check_all(&Server::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_conforms() {
    check_all(&Server::Sqlite(TempDir::new().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_conforms() {
    check_all(&Server::Postgres(Postgres::start().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jetstream_conforms() {
    check_all(&Server::JetStream(Nats::start().await)).await;
}
