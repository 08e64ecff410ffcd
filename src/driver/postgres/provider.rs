//! PostgreSQL servers: found, or started for a run.

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::connect;
use crate::port::Provider;
use crate::server::find::{self, SearchPath};
use crate::server::postgres::{PostgresOptions, start};
use crate::server::{NotFound, PrivateServer, ServerError};

/// Provides PostgreSQL servers.
pub(in crate::driver) static POSTGRES_SERVERS: PostgresServers = PostgresServers;

pub(in crate::driver) struct PostgresServers;

impl Provider for PostgresServers {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn variable(&self) -> &'static str {
        "DEADHEAT_POSTGRES_URL"
    }

    fn compose_url(&self) -> &'static str {
        "postgres://deadheat:deadheat@127.0.0.1:25432/deadheat"
    }

    fn schemes(&self) -> &'static [&'static str] {
        &["postgres", "postgresql"]
    }

    fn example(&self) -> &'static str {
        "`postgres://host:5432/database`"
    }

    fn hosts(&self, url: &str) -> Result<Vec<String>, String> {
        connect::hosts(url)
    }

    /// It answers an SSLRequest (protocol section 55.2.10) with `S` or `N`.
    fn answers(&self, mut stream: TcpStream) -> BoxFuture<'static, bool> {
        const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
        async move {
            let mut answer = [0];
            stream.write_all(&SSL_REQUEST).await.is_ok()
                && stream.read_exact(&mut answer).await.is_ok()
                && matches!(answer, [b'S' | b'N'])
        }
        .boxed()
    }

    fn counts_connections(&self) -> bool {
        true
    }

    fn start<'a>(
        &'a self,
        search: &'a SearchPath,
        connections: u32,
    ) -> BoxFuture<'a, Result<Result<PrivateServer, NotFound>, ServerError>> {
        async move {
            match find::postgres(search) {
                Ok(programs) => {
                    let options = PostgresOptions { max_connections: connections, ..PostgresOptions::default() };
                    start(&programs, &options).await.map(Ok)
                }
                Err(missing) => Ok(Err(missing)),
            }
        }
        .boxed()
    }
}
