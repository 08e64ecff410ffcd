//! Private servers for this module's tests.

use tokio_postgres::{Client, NoTls};

use crate::server::find::{self, SearchPath};
use crate::server::nats::NatsOptions;
use crate::server::postgres::PostgresOptions;
use crate::server::{self, PrivateServer};

/// A private nats-server with JetStream, until it is stopped.
pub(super) struct Nats(Option<PrivateServer>);

impl Nats {
    pub(super) async fn start() -> Self {
        let program = find::nats(&search()).unwrap();
        Self(Some(server::nats::start(&program, &NatsOptions::default()).await.unwrap()))
    }

    pub(super) async fn connect(&self) -> async_nats::Client {
        async_nats::connect(url(&self.0)).await.unwrap()
    }

    pub(super) fn stop(&mut self) {
        self.0 = None;
    }
}

/// A private PostgreSQL server, until it is stopped.
pub(super) struct Postgres(Option<PrivateServer>);

impl Postgres {
    pub(super) async fn start() -> Self {
        let programs = find::postgres(&search()).unwrap();
        let options = PostgresOptions { max_connections: 500, ..PostgresOptions::default() };
        Self(Some(server::postgres::start(&programs, &options).await.unwrap()))
    }

    pub(super) async fn connect(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(url(&self.0), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(super) fn stop(&mut self) {
        self.0 = None;
    }
}

fn search() -> SearchPath {
    SearchPath::system(std::env::var_os("PATH").as_deref())
}

fn url(server: &Option<PrivateServer>) -> &str {
    &server.as_ref().expect("the server was not stopped").url
}
