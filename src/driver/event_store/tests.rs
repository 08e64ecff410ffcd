//! What becomes of an event whose acknowledgement is lost: on private servers, behind a proxy that cuts the connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::call::Call;
use super::driver::{ACTOR_KEY, DATA, EVENT_STORE, StoreOptions, TYPE, VERSION};
use crate::driver::proxy::{Cut, Proxy};
use crate::driver::testing::request;
use crate::event_store::{Backend, Guard, Lookup};
use crate::outcome::{Cause, OutcomeKind};
use crate::port::{
    BarrierBroken, Bound, Endpoint, Entry, Pause, Reply, Request, ServerOrigin, Session, Source, Target, read,
};
use crate::server::find::{self, SearchPath};
use crate::server::{PrivateServer, nats, postgres};
use crate::value::Value;

const SPACE: &str = "dh_test_1";

/// A store behind a proxy.
struct Cuttable {
    _server: PrivateServer,
    proxy: Proxy,
    target: Arc<dyn Target>,
}

impl Cuttable {
    async fn open(backend: Backend, server: PrivateServer) -> Self {
        Self::with(options(backend, Guard::Server), server).await
    }

    async fn with(options: StoreOptions, server: PrivateServer) -> Self {
        let mut url = url::Url::parse(&server.url).unwrap();
        let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], url.port().unwrap()))).await;
        url.set_port(Some(proxy.address.port())).unwrap();
        let source = Source::Server(Endpoint { url: url.into(), origin: ServerOrigin::Given });
        let target = open(options, &source).await;
        Cuttable { _server: server, proxy, target }
    }

    /// How many events are stored.
    async fn stored(&self) -> usize {
        let events = events();
        match read(self.target.as_ref(), &events).await.unwrap().result {
            Value::List(events) => events.len(),
            other => panic!("{other} is not a list"),
        }
    }

    /// Appends an event with the connection cut at its arrival or before, and returns how many are stored then.
    async fn append_and_cut(&self, session: &mut dyn Session, version: i64, at: &[u8], cut: Cut) -> usize {
        self.proxy.cut_at(at, cut);
        assert_lost(&call(session, &append(version)).await, OutcomeKind::Unknown);
        session.reset().await.unwrap();
        session.clean().await.unwrap();
        self.stored().await
    }
}

fn options(backend: Backend, guard: Guard) -> StoreOptions {
    StoreOptions { backend, guard, lookup: Lookup::DirectGet, cache: false, instances: 1, settings: BTreeMap::new() }
}

async fn open(options: StoreOptions, source: &Source) -> Arc<dyn Target> {
    super::open("store", &options, source, SPACE).await.unwrap().into()
}

fn append(version: i64) -> Request<Value> {
    let given = vec![
        (ACTOR_KEY, Entry::One(Value::text("order"))),
        (VERSION, Entry::One(Value::Int(version))),
        (TYPE, Entry::One(Value::text("OrderPlaced"))),
        (DATA, Entry::One(Value::map([("note", Value::text("cut-here"))]))),
    ];
    request(&EVENT_STORE, "append", given)
}

fn events() -> Request<Value> {
    request(&EVENT_STORE, "events", vec![(ACTOR_KEY, Entry::One(Value::text("order")))])
}

fn bound(request: &Request<Value>) -> Bound {
    Bound::new(Call::of(request, 0).unwrap())
}

async fn call(session: &mut dyn Session, request: &Request<Value>) -> Reply {
    call_within(session, request, 30).await
}

async fn call_within(session: &mut dyn Session, request: &Request<Value>, seconds: u64) -> Reply {
    session.call(&mut bound(request), Instant::now() + Duration::from_secs(seconds), None).await.unwrap()
}

#[track_caller]
fn assert_lost(reply: &Reply, kind: OutcomeKind) {
    match reply {
        Reply::Refused(refusal) => {
            assert_eq!((refusal.kind, refusal.code.as_str()), (kind, "no-reply"), "{refusal:?}");
            let is_late = refusal.cause == Cause::Deadline;
            assert!(
                refusal.cause == Cause::ConnectionLost || (is_late && kind != OutcomeKind::Disconnected),
                "{refusal:?}"
            );
        }
        Reply::Done(done) => panic!("done: {done:?}"),
    }
}

/// Whether an append whose acknowledgement is lost is stored cannot be told from the reply; the next append works all
/// the same.
async fn an_append_that_is_cut_off_is_unknown(store: &Cuttable, at: &[u8]) {
    let session = &mut *store.target.session(0).await.unwrap();
    assert_eq!(store.append_and_cut(session, 1, at, Cut::AfterForwarding).await, 1, "it had arrived");
    assert_eq!(store.append_and_cut(session, 2, at, Cut::Before).await, 1, "it had not arrived");
    assert!(matches!(call(session, &append(3)).await, Reply::Done(_)));
    assert_eq!(store.stored().await, 2);
}

/// An invariant's read is asked once more, over a new connection.
async fn a_control_connection_that_is_cut_comes_back(store: &Cuttable, at: &[u8]) {
    for cut in [Cut::Before, Cut::AfterForwarding] {
        store.proxy.cut_at(at, cut);
        assert_eq!(store.stored().await, 2);
        assert_eq!(store.stored().await, 2);
    }
}

fn search() -> SearchPath {
    SearchPath::system(std::env::var_os("PATH").as_deref())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_to_postgres_whose_reply_is_lost_is_unknown() {
    let programs = find::postgres(&search()).unwrap();
    let server = postgres::start(&programs, &postgres::PostgresOptions::default()).await.unwrap();
    let store = Cuttable::open(Backend::Postgres, server).await;
    an_append_that_is_cut_off_is_unknown(&store, b"cut-here").await;
    a_control_connection_that_is_cut_comes_back(&store, b"order").await;

    // A read changes nothing.
    let session = &mut *store.target.session(1).await.unwrap();
    store.proxy.cut_at(b"somebody", Cut::AfterForwarding);
    let read = request(&EVENT_STORE, "latest_version", vec![(ACTOR_KEY, Entry::One(Value::text("somebody")))]);
    assert_lost(&call(session, &read).await, OutcomeKind::Disconnected);
    store.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_to_jetstream_whose_ack_is_lost_is_unknown() {
    let program = find::nats(&search()).unwrap();
    let server = nats::start(&program, &nats::NatsOptions::default()).await.unwrap();
    let store = Cuttable::open(Backend::JetStream, server).await;
    an_append_that_is_cut_off_is_unknown(&store, format!("HPUB {SPACE}.events.").as_bytes()).await;
    a_control_connection_that_is_cut_comes_back(&store, b"CONSUMER.CREATE").await;
    // What was to be delivered when the connection ended is not taken for nothing at all.
    a_control_connection_that_is_cut_comes_back(&store, b"CONSUMER.MSG.NEXT").await;
    let session = &mut *store.target.session(1).await.unwrap();
    let read = events();
    store.proxy.cut_at(b"CONSUMER.MSG.NEXT", Cut::AfterForwarding);
    assert_lost(&call(session, &read).await, OutcomeKind::Disconnected);
    session.clean().await.unwrap();
    assert!(matches!(call(session, &read).await, Reply::Done(_)));
    // An append that is lost while it reads has written nothing.
    store.proxy.cut_at(b"DIRECT.GET", Cut::AfterForwarding);
    assert_lost(&call(session, &append(9)).await, OutcomeKind::Disconnected);
    store.target.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_whose_delivery_is_cut_off_are_not_taken_for_all_that_there_are() {
    let program = find::nats(&search()).unwrap();
    let server = nats::start(&program, &nats::NatsOptions::default()).await.unwrap();
    let store = Cuttable::open(Backend::JetStream, server).await;
    let session = &mut *store.target.session(0).await.unwrap();
    for version in 1..=3 {
        assert!(matches!(call(session, &append(version)).await, Reply::Done(_)));
    }
    assert_eq!(store.stored().await, 3);

    store.proxy.cut_at(b"CONSUMER.MSG.NEXT", Cut::Before);
    let events = events();
    let Value::List(read) = read(store.target.as_ref(), &events).await.unwrap().result else {
        panic!("events are a list")
    };
    assert_eq!(read.len(), 3, "it is asked once more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_whose_cache_was_behind_is_no_conflict_if_what_is_stored_was_not_read() {
    let program = find::nats(&search()).unwrap();
    let server = nats::start(&program, &nats::NatsOptions::default()).await.unwrap();
    let options = StoreOptions { cache: true, instances: 2, ..options(Backend::JetStream, Guard::Server) };
    let store = Cuttable::with(options, server).await;
    let behind = &mut *store.target.session(0).await.unwrap();
    let ahead = &mut *store.target.session(1).await.unwrap();
    for (session, version) in [(&mut *behind, 1), (ahead, 2)] {
        assert!(matches!(call(session, &append(version)).await, Reply::Done(_)));
    }
    // Version 3 is legal, and refused at first: its predecessor is not 1.
    store.proxy.cut_at(b"DIRECT.GET", Cut::AfterForwarding);
    assert_lost(&call(behind, &append(3)).await, OutcomeKind::Disconnected);
    assert_eq!(store.stored().await, 2);
}

/// A pause that never ends.
struct ForEver;

impl Pause for ForEver {
    fn reached<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), BarrierBroken>> {
        std::future::pending().boxed()
    }
}

#[tokio::test]
async fn an_append_that_did_not_come_to_its_write_by_the_deadline_did_not_happen() {
    let target = open(options(Backend::Memory, Guard::Mutex), &Source::Embedded).await;
    let (mut holder, mut waiter) = (target.session(0).await.unwrap(), target.session(1).await.unwrap());
    // The one that waits gives up first: it is not let in by the other's end.
    let soon = Instant::now() + Duration::from_millis(50);
    let (mut first, mut second) = (bound(&append(1)), bound(&append(1)));
    let holding = holder.call(&mut first, soon + Duration::from_millis(50), Some(&ForEver));
    let ends = tokio::join!(holding, waiter.call(&mut second, soon, None));
    assert_lost(&ends.0.unwrap(), OutcomeKind::Timeout);
    assert_lost(&ends.1.unwrap(), OutcomeKind::Timeout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_waits_in_postgres_at_the_deadline_is_unknown_and_does_not_happen_later() {
    let programs = find::postgres(&search()).unwrap();
    let server = postgres::start(&programs, &postgres::PostgresOptions::default()).await.unwrap();
    let source = Source::Server(Endpoint { url: server.url.clone(), origin: ServerOrigin::Given });
    let target = open(options(Backend::Postgres, Guard::Server), &source).await;
    let mut session = target.session(0).await.unwrap();

    let (client, connection) = tokio_postgres::connect(&server.url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    // Until this is rolled back, nobody else can know whether the version is taken.
    let rival = format!(
        "BEGIN; INSERT INTO {SPACE}.events (id, actor, type, version, previous, data, recorded_at) \
         VALUES ('rival', 'order', 'OrderPlaced', 1, 0, '{{}}', '2026-01-01T00:00:00Z')"
    );
    client.batch_execute(&rival).await.unwrap();
    // On a busy machine the deadline may pass before the write is sent, which is a timeout: then once more, with more time.
    for seconds in [1, 5, 25] {
        let reply = call_within(&mut *session, &append(1), seconds).await;
        session.reset().await.unwrap();
        session.clean().await.unwrap();
        let is_timeout = matches!(&reply, Reply::Refused(refusal) if refusal.kind == OutcomeKind::Timeout);
        if !is_timeout || seconds == 25 {
            assert_lost(&reply, OutcomeKind::Unknown);
            break;
        }
    }
    client.batch_execute("ROLLBACK").await.unwrap();

    assert!(matches!(call(&mut *session, &append(2)).await, Reply::Done(_)));
    let events = events();
    match target.observe(&events).await.unwrap().result {
        Value::List(events) => assert_eq!(events.len(), 1, "the first one was ended with its connection"),
        other => panic!("{other} is not a list"),
    }
    target.close().await.unwrap();
    server.stop().await.unwrap();
}
