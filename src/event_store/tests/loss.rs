//! Replies that never come, since the server has stopped.

use std::time::Instant;

use super::*;

/// Lets a caller go on when the server has been stopped.
async fn append_to_a_server_that_stops(store: EventStore, stop: impl FnOnce()) -> StoreError {
    assert!(is_stored(&append(&store, "a", 1).await));
    let gate = Arc::new(Gate::default());
    let writer = tokio::spawn({
        let gate = gate.clone();
        async move { store.append(Caller(0), &event("a", 2), Some(&*gate)).await }
    });
    gate.reached.notified().await;
    stop();
    gate.open.notify_one();
    writer.await.unwrap().unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_effect_of_a_publish_that_is_never_acknowledged_is_not_known() {
    let mut nats = Nats::start().await;
    // How long the test lasts; what comes before the loss must end in time.
    let deadline = Duration::from_secs(10);
    let connection = JetStreamConnection::new(nats.connect().await, "lost", deadline).await.unwrap();
    connection.create_stream().await.unwrap();
    let instance = Instance::new(Backend::JetStream, InstanceOptions::default()).unwrap();
    let store = EventStore::new(Arc::new(instance), Box::new(connection));
    let error = append_to_a_server_that_stops(store, || nats.stop()).await;
    assert!(matches!(error, StoreError::NoReply { sent: true, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_postgres_connection_is_told_from_a_refusal() {
    let mut postgres = Postgres::start().await;
    let client = Arc::new(postgres.connect().await);
    PostgresConnection::create_tables(&client, Guard::Server, DEADLINE).await.unwrap();
    let connection = PostgresConnection::prepare(client.clone(), DEADLINE).await.unwrap();
    let instance = Arc::new(Instance::new(Backend::Postgres, InstanceOptions::default()).unwrap());
    let store = EventStore::new(instance.clone(), Box::new(connection));
    let stop = || {
        postgres.stop();
        let stopped = Instant::now();
        while !client.is_closed() {
            assert!(stopped.elapsed() < DEADLINE, "the client does not notice");
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let error = append_to_a_server_that_stops(store, stop).await;
    let StoreError::NoReply { sent: false, silence: Silence::Lost(_), .. } = &error else { panic!("{error}") };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_effect_of_an_insert_cut_off_by_the_end_of_the_server_is_not_known() {
    let mut postgres = Postgres::start().await;
    let client = Arc::new(postgres.connect().await);
    PostgresConnection::create_tables(&client, Guard::Server, DEADLINE).await.unwrap();
    let connection = PostgresConnection::prepare(client, DEADLINE).await.unwrap();
    let instance = Arc::new(Instance::new(Backend::Postgres, InstanceOptions::default()).unwrap());
    let store = EventStore::new(instance, Box::new(connection));

    let blocker = postgres.connect().await;
    blocker.batch_execute("BEGIN; LOCK TABLE events IN SHARE MODE").await.unwrap();
    let writer = tokio::spawn(async move { store.append(Caller(0), &event("a", 1), None).await });
    let blocked = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let began = Instant::now();
    while blocker.query(blocked, &[]).await.unwrap().is_empty() {
        assert!(began.elapsed() < DEADLINE, "the insert does not wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    postgres.stop();
    let error = writer.await.unwrap().unwrap_err();
    let StoreError::NoReply { sent: true, silence: Silence::Lost(_), .. } = &error else { panic!("{error}") };
}
