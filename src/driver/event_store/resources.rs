//! Where an event store lives, and how its connections are opened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::driver::StoreOptions;
use crate::driver::full_disk::{JETSTREAM_FULL, POSTGRES_FULL, unless_full};
use crate::driver::jetstream::connection::Address;
use crate::driver::postgres::schema::Schema;
use crate::event_store::{
    Backend, Connection, JetStreamConnection, MemoryConnection, PostgresConnection, SqliteConnection, StoreError,
};
use crate::port::{Description, Reply, ServerOrigin, Source, TargetError};
use crate::server::ScratchDirectory;

/// How long one operation may take: the engine's deadlines are shorter.
const DEADLINE: Duration = Duration::from_secs(30);

/// Connections of the SQLite pool that all workers share.
const SQLITE_CONNECTIONS: u32 = 16;

/// A place that holds one case's events.
pub(super) enum StoreResources {
    /// In this process.
    Memory(MemoryConnection),
    /// In a temporary file, which goes with its directory.
    Sqlite { shared: SqliteConnection, directory: Mutex<Option<ScratchDirectory>> },
    /// In a schema.
    Postgres(Box<Schema>),
    /// In a stream.
    JetStream { address: Address, stream: String },
}

impl StoreResources {
    /// Creates a store in `namespace`: a schema or stream name of its own.
    pub(super) async fn open(
        name: &str,
        options: &StoreOptions,
        source: &Source,
        namespace: &str,
    ) -> Result<Self, TargetError> {
        match options.backend {
            Backend::Memory => Ok(StoreResources::Memory(MemoryConnection::default())),
            Backend::Sqlite => {
                let directory = ScratchDirectory::create().map_err(|error| {
                    let message = format!(
                        "no temporary directory for SQLite: {error}; set TMPDIR to a directory with free space"
                    );
                    TargetError::Environment { message }
                })?;
                let path = directory.path().join("events.db");
                let shared = SqliteConnection::open(&path, SQLITE_CONNECTIONS, DEADLINE).await.map_err(environment)?;
                shared.create_tables(options.guard).await.map_err(environment)?;
                Ok(StoreResources::Sqlite { shared, directory: Mutex::new(Some(directory)) })
            }
            Backend::Postgres => {
                let schema = Schema::create(&options.settings, source.server(name)?, namespace).await?;
                let resources = StoreResources::Postgres(Box::new(schema));
                let created = resources.create_tables(options).await;
                match created {
                    Ok(()) => Ok(resources),
                    Err(error) => Err(error.with_cleanup(resources.close().await)),
                }
            }
            Backend::JetStream => {
                let address = Address::parse(name, source.server(name)?)?;
                let resources = StoreResources::JetStream { address, stream: namespace.to_owned() };
                resources.stream("control").await?.create_stream().await.map_err(environment)?;
                Ok(resources)
            }
        }
    }

    /// The reply, unless it says that a private server has no space left.
    pub(super) fn unless_full(&self, reply: Reply) -> Result<Reply, TargetError> {
        match self {
            StoreResources::Memory(_) | StoreResources::Sqlite { .. } => Ok(reply),
            StoreResources::Postgres(schema) => unless_full(reply, schema.is_private(), POSTGRES_FULL),
            StoreResources::JetStream { address, .. } => unless_full(reply, address.is_private(), JETSTREAM_FULL),
        }
    }

    pub(super) fn backend(&self) -> Backend {
        match self {
            StoreResources::Memory(_) => Backend::Memory,
            StoreResources::Sqlite { .. } => Backend::Sqlite,
            StoreResources::Postgres(_) => Backend::Postgres,
            StoreResources::JetStream { .. } => Backend::JetStream,
        }
    }

    /// A connection for one worker, which the server knows by `name`.
    pub(super) async fn connection(&self, name: &str) -> Result<Box<dyn Connection>, TargetError> {
        Ok(match self {
            StoreResources::Memory(shared) => Box::new(shared.clone()),
            StoreResources::Sqlite { shared, .. } => Box::new(shared.clone()),
            StoreResources::Postgres(schema) => {
                let client = Arc::new(schema.connect(name).await?);
                Box::new(PostgresConnection::prepare(client, DEADLINE).await.map_err(environment)?)
            }
            StoreResources::JetStream { .. } => Box::new(self.stream(name).await?),
        })
    }

    /// As [`StoreResources::connection`], in place of one that may still be busy. What that one was doing in PostgreSQL is over when
    /// this returns: else a write could take effect in a later round.
    pub(super) async fn connection_again(&self, name: &str) -> Result<Box<dyn Connection>, TargetError> {
        if let StoreResources::Postgres(schema) = self {
            schema.terminate(name).await?;
        }
        self.connection(name).await
    }

    /// Removes the file, schema or stream.
    pub(super) async fn close(&self) -> Result<(), TargetError> {
        match self {
            StoreResources::Memory(_) => Ok(()),
            StoreResources::Sqlite { shared, directory } => {
                shared.close().await;
                // Now, and not when the last worker lets go of the resources: a run that is stopped does not wait for that.
                drop(directory.lock().unwrap_or_else(PoisonError::into_inner).take());
                Ok(())
            }
            StoreResources::Postgres(schema) => schema.remove().await,
            StoreResources::JetStream { .. } => {
                self.stream("control").await?.delete_stream().await.map_err(environment)
            }
        }
    }

    pub(super) async fn description(
        &self,
        options: &StoreOptions,
        source: &Source,
    ) -> Result<Description, TargetError> {
        let mut settings = BTreeMap::from([
            ("guard".to_owned(), options.guard.to_string()),
            ("lookup".to_owned(), options.lookup.to_string()),
            ("cache".to_owned(), options.cache.to_string()),
            ("instances".to_owned(), options.instances.to_string()),
        ]);
        let version = match self {
            StoreResources::Memory(_) => env!("CARGO_PKG_VERSION").to_owned(),
            StoreResources::Sqlite { shared, .. } => shared.version().await.map_err(environment)?,
            StoreResources::Postgres(schema) => {
                settings.extend(schema.description().settings.clone());
                schema.description().version.clone()
            }
            StoreResources::JetStream { address, .. } => {
                address.connect("deadheat version").await?.server_info().version
            }
        };
        Ok(Description {
            driver: format!("event-store/{}", self.backend()),
            version,
            origin: match source {
                Source::Embedded => ServerOrigin::Embedded,
                Source::Server(endpoint) => endpoint.origin,
            },
            settings,
            warnings: Vec::new(),
        })
    }

    async fn create_tables(&self, options: &StoreOptions) -> Result<(), TargetError> {
        let StoreResources::Postgres(schema) = self else { return Ok(()) };
        let client = schema.connect("setup").await?;
        PostgresConnection::create_tables(&client, options.guard, DEADLINE).await.map_err(environment)
    }

    async fn stream(&self, name: &str) -> Result<JetStreamConnection, TargetError> {
        let StoreResources::JetStream { address, stream } = self else {
            return Err(TargetError::Fault { message: format!("a store over {} has no stream", self.backend()) });
        };
        let client = address.connect(&format!("deadheat {stream} {name}")).await?;
        JetStreamConnection::new(client, stream, DEADLINE).await.map_err(environment)
    }
}

fn environment(error: StoreError) -> TargetError {
    TargetError::Environment { message: error.to_string() }
}
