//! Servers that a user has, with logins, so that what a run leaves on them can be looked at.

use std::os::unix::fs::PermissionsExt;

use deadheat::server::find::{self, SearchPath};
use deadheat::server::nats::{self, NatsLogin, NatsOptions};
use deadheat::server::postgres::{self, PostgresOptions};
use deadheat::server::{PrivateServer, ServerError};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

use crate::cli::eventually;

/// A server that is not the run's own.
pub(crate) struct Given {
    server: Option<PrivateServer>,
    /// With the login.
    pub(crate) url: String,
    runtime: Runtime,
    _root: TempDir,
}

impl Given {
    /// A PostgreSQL server whose superuser has this password.
    pub(crate) fn postgres(password: Option<&str>) -> Given {
        let mut given = Given::start(async |root: &TempDir| {
            let options = PostgresOptions {
                password: password.map(str::to_owned),
                roots: vec![root.path().to_owned()],
                ..PostgresOptions::default()
            };
            let programs = find::postgres(&search()).expect("the test needs PostgreSQL; scripts/test installs it");
            postgres::start(&programs, &options).await
        });
        if let Some(password) = password {
            given.url = given.url.replace("postgres@", &format!("postgres:{password}@"));
        }
        given
    }

    /// A NATS server with JetStream that lets in who knows this token.
    pub(crate) fn nats(token: &str) -> Given {
        let mut given = Given::start(async |root: &TempDir| {
            let login = NatsLogin::Token(token.to_owned());
            let options = NatsOptions { login, roots: vec![root.path().to_owned()], ..NatsOptions::default() };
            let program = find::nats(&search()).expect("the test needs nats-server; scripts/test installs it");
            nats::start(&program, &options).await
        });
        given.url = given.url.replace("nats://", &format!("nats://{token}@"));
        given
    }

    fn start(start: impl AsyncFnOnce(&TempDir) -> Result<PrivateServer, ServerError>) -> Given {
        let root = tempfile::tempdir().unwrap();
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(start(&root)).unwrap();
        Given { url: server.url.clone(), server: Some(server), runtime, _root: root }
    }

    /// The same server for another user and password.
    pub(crate) fn url_for(&self, login: &str) -> String {
        let mut url = url::Url::parse(&self.url).unwrap();
        let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
        url.set_username(user).unwrap();
        url.set_password(password).unwrap();
        url.to_string()
    }

    /// Carries out statements, and returns the first column of the last one's rows.
    pub(crate) fn sql(&self, text: &str) -> Vec<String> {
        self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
            tokio::spawn(connection);
            let messages = client.simple_query(text).await.unwrap();
            let rows = messages.iter().filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            });
            rows.collect()
        })
    }

    /// The schemas that runs have made.
    pub(crate) fn schemas(&self) -> Vec<String> {
        self.sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'dh\\_%'")
    }

    /// Waits until the server has noticed that all connections of runs have ended.
    pub(crate) fn has_no_connections(&self) {
        let of_runs = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'deadheat%'";
        eventually("the end of all connections", || self.sql(of_runs).is_empty().then_some(()));
    }

    /// The names of all streams.
    pub(crate) fn streams(&self) -> Vec<String> {
        use futures::TryStreamExt;
        self.runtime.block_on(async {
            let token = url::Url::parse(&self.url).unwrap().username().to_owned();
            let client = async_nats::ConnectOptions::with_token(token).connect(&self.url).await.unwrap();
            async_nats::jetstream::new(client).stream_names().try_collect().await.unwrap()
        })
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            // What cannot be removed is left to the next run's sweep.
            let _ = self.runtime.block_on(server.stop());
        }
    }
}

fn search() -> SearchPath {
    SearchPath::system(std::env::var_os("PATH").as_deref())
}
