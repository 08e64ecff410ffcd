//! Where a driver's server comes from when a scenario names none.

use futures::future::BoxFuture;
use tokio::net::TcpStream;

use crate::server::find::SearchPath;
use crate::server::{NotFound, PrivateServer, ServerError};

/// Finds servers of one kind, and starts private ones.
pub trait Provider: Send + Sync {
    /// Its name in messages: `PostgreSQL`. No two providers have the same.
    fn name(&self) -> &'static str;

    /// The environment variable that names a server for targets that name none.
    fn variable(&self) -> &'static str;

    /// The URL of the server in this project's docker-compose.yml.
    fn compose_url(&self) -> &'static str;

    /// The schemes that a URL may have.
    fn schemes(&self) -> &'static [&'static str];

    /// A URL as an example, in backticks.
    fn example(&self) -> &'static str;

    /// The hosts that a URL leads to, or what is wrong with it.
    fn hosts(&self, url: &str) -> Result<Vec<String>, String>;

    /// Whether such a server answers over this connection.
    fn answers(&self, stream: TcpStream) -> BoxFuture<'static, bool>;

    /// Whether a private server must be told how many connections it is to allow.
    fn counts_connections(&self) -> bool;

    /// Starts a private server that allows `connections`; `Err` within `Ok`: its programs are not on this machine.
    fn start<'a>(
        &'a self,
        search: &'a SearchPath,
        connections: u32,
    ) -> BoxFuture<'a, Result<Result<PrivateServer, NotFound>, ServerError>>;
}
