//! The store over every backend: the places that tests keep events in, and what holds their callers up.

mod conformance;
mod loss;
mod servers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::{Barrier, Notify};

use self::servers::{Nats, Postgres};
use super::*;

const DEADLINE: Duration = Duration::from_secs(30);
const WRITERS: u32 = 50;

enum Server {
    Memory,
    Sqlite(TempDir),
    Postgres(Postgres),
    JetStream(Nats),
}

/// Where one check keeps its events.
struct Place<'a> {
    server: &'a Server,
    name: String,
    guard: Guard,
    /// The one store or pool that all connections share, where the backend has such a thing.
    shared: Shared,
}

enum Shared {
    Memory(MemoryConnection),
    Sqlite(SqliteConnection),
    Nothing,
}

impl Server {
    fn backend(&self) -> Backend {
        match self {
            Self::Memory => Backend::Memory,
            Self::Sqlite(_) => Backend::Sqlite,
            Self::Postgres(_) => Backend::Postgres,
            Self::JetStream(_) => Backend::JetStream,
        }
    }

    async fn place(&self, guard: Guard) -> Place<'_> {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let name = format!("place_{}", PLACES.fetch_add(1, Ordering::Relaxed));
        let shared = match self {
            Self::Memory => Shared::Memory(MemoryConnection::default()),
            Self::Sqlite(folder) => {
                let path = folder.path().join(&name);
                let connection = SqliteConnection::open(&path, 8, DEADLINE).await.unwrap();
                connection.create_tables(guard).await.unwrap();
                Shared::Sqlite(connection)
            }
            Self::Postgres(server) => {
                let client = server.connect().await;
                client.batch_execute(&format!("CREATE SCHEMA {name}; SET search_path = {name}")).await.unwrap();
                PostgresConnection::create_tables(&client, guard, DEADLINE).await.unwrap();
                Shared::Nothing
            }
            Self::JetStream(server) => {
                let client = server.connect().await;
                let connection = JetStreamConnection::new(client, &name, DEADLINE).await.unwrap();
                connection.create_stream().await.unwrap();
                Shared::Nothing
            }
        };
        Place { server: self, name, guard, shared }
    }
}

impl Place<'_> {
    async fn connect(&self) -> Box<dyn Connection> {
        match (self.server, &self.shared) {
            (_, Shared::Memory(connection)) => Box::new(connection.clone()),
            (_, Shared::Sqlite(connection)) => Box::new(connection.clone()),
            (Server::Postgres(server), _) => {
                let client = server.connect().await;
                client.batch_execute(&format!("SET search_path = {}", self.name)).await.unwrap();
                Box::new(PostgresConnection::prepare(Arc::new(client), DEADLINE).await.unwrap())
            }
            (Server::JetStream(server), _) => {
                let client = server.connect().await;
                Box::new(JetStreamConnection::new(client, &self.name, DEADLINE).await.unwrap())
            }
            (Server::Memory | Server::Sqlite(_), Shared::Nothing) => unreachable!("these share"),
        }
    }

    fn options(&self) -> InstanceOptions {
        InstanceOptions { guard: self.guard, ..InstanceOptions::default() }
    }

    fn instance(&self, options: InstanceOptions) -> Arc<Instance> {
        Arc::new(Instance::new(self.server.backend(), options).unwrap())
    }

    async fn store_of(&self, instance: &Arc<Instance>) -> EventStore {
        EventStore::new(instance.clone(), self.connect().await)
    }

    /// A store with an instance of its own, without cache.
    async fn store(&self) -> EventStore {
        self.store_of(&self.instance(self.options())).await
    }

    /// A store with an instance of its own, with a cache.
    async fn cached_store(&self) -> EventStore {
        self.store_of(&self.instance(InstanceOptions { cache: true, ..self.options() })).await
    }

    /// All writers append the same version at once; gives how each ended.
    async fn race(&self, instances: &[Arc<Instance>], actor: &str, pause: Option<Arc<dyn Pause>>) -> Vec<Appended> {
        let stores = (0..WRITERS).map(|writer| self.store_of(&instances[writer as usize % instances.len()]));
        let stores = join_all(stores).await;
        let writers = stores.into_iter().enumerate().map(|(writer, store)| {
            let (event, pause) = (event(actor, 1), pause.clone());
            tokio::spawn(async move { store.append(Caller(writer as u32), &event, pause.as_deref()).await.unwrap() })
        });
        join_all(writers).await.into_iter().map(Result::unwrap).collect()
    }

    /// Executes a statement on a SQL backend.
    async fn execute(&self, statement: &'static str) {
        match (self.server, &self.shared) {
            (Server::Postgres(server), _) => {
                let client = server.connect().await;
                client.batch_execute(&format!("SET search_path = {}", self.name)).await.unwrap();
                client.batch_execute(statement).await.unwrap();
            }
            (Server::Sqlite(folder), _) => {
                let path = format!("sqlite://{}", folder.path().join(&self.name).display());
                let pool = sqlx::SqlitePool::connect(&path).await.unwrap();
                sqlx::raw_sql(statement).execute(&pool).await.unwrap();
                pool.close().await;
            }
            (Server::Memory | Server::JetStream(_), _) => unreachable!("there are no statements"),
        }
    }
}

/// Holds every caller until as many as expected are there.
struct Together(Barrier);

impl Together {
    fn pause(parties: u32) -> Option<Arc<dyn Pause>> {
        Some(Arc::new(Self(Barrier::new(parties as usize))))
    }
}

impl Pause for Together {
    fn reached<'a>(&'a self, point: PausePoint) -> BoxFuture<'a, Result<(), PauseBroken>> {
        async move {
            let waited = tokio::time::timeout(DEADLINE, self.0.wait()).await;
            waited.map(drop).map_err(|_| PauseBroken { reason: format!("not all came to `{}`", point.as_str()) })
        }
        .boxed()
    }
}

/// Tells that it was reached, then holds the caller until it is let go.
#[derive(Default)]
struct Gate {
    reached: Notify,
    open: Notify,
}

impl Pause for Gate {
    fn reached<'a>(&'a self, _: PausePoint) -> BoxFuture<'a, Result<(), PauseBroken>> {
        async move {
            self.reached.notify_one();
            self.open.notified().await;
            Ok(())
        }
        .boxed()
    }
}

struct Broken;

impl Pause for Broken {
    fn reached<'a>(&'a self, _: PausePoint) -> BoxFuture<'a, Result<(), PauseBroken>> {
        async { Err(PauseBroken { reason: "nobody came".to_owned() }) }.boxed()
    }
}

fn event(actor: &str, version: i64) -> NewEvent {
    let (id, kind) = (format!("{actor}-{version}"), "Tested".to_owned());
    NewEvent { id, actor: actor.to_owned(), kind, version, data: json!({ "text": "ä \"\0\" '", "n": version }) }
}

async fn append(store: &EventStore, actor: &str, version: i64) -> Appended {
    store.append(Caller(0), &event(actor, version), None).await.unwrap()
}

async fn versions(store: &EventStore, actor: &str) -> Vec<i64> {
    let read = store.events(actor, 0).await.unwrap();
    assert_eq!(read.malformed, []);
    assert!(read.events.is_sorted_by(|one, next| one.position < next.position));
    read.events.iter().map(|event| event.version).collect()
}

fn stored(ended: &[Appended]) -> usize {
    ended.iter().filter(|ended| is_stored(ended)).count()
}

fn is_stored(ended: &Appended) -> bool {
    matches!(ended, Appended::Stored { .. })
}

fn conflicts(ended: &[Appended]) -> Vec<&VersionConflict> {
    let mut conflicts = Vec::new();
    for ended in ended {
        if let Appended::Conflict(conflict) = ended {
            conflicts.push(conflict);
        }
    }
    conflicts
}

/// One stored, all others told that its version is stored now.
fn assert_one_won(ended: &[Appended]) {
    assert_eq!(stored(ended), 1, "{ended:?}");
    assert_eq!(conflicts(ended).len(), WRITERS as usize - 1, "{ended:?}");
    assert!(conflicts(ended).iter().all(|conflict| conflict.attempted == 1 && conflict.current == Some(1)));
}
