//! NATS servers: found, or started for a run.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::port::Provider;
use crate::secrets::redacted;
use crate::server::find::{self, SearchPath};
use crate::server::nats::{NatsOptions, start};
use crate::server::{NotFound, PrivateServer, ServerError};

/// Provides NATS servers with JetStream.
pub(in crate::driver) static NATS_SERVERS: NatsServers = NatsServers;

pub(in crate::driver) struct NatsServers;

impl Provider for NatsServers {
    fn name(&self) -> &'static str {
        "NATS"
    }

    fn variable(&self) -> &'static str {
        "DEADHEAT_NATS_URL"
    }

    fn compose_url(&self) -> &'static str {
        "nats://127.0.0.1:24222"
    }

    fn schemes(&self) -> &'static [&'static str] {
        &["nats", "tls"]
    }

    fn example(&self) -> &'static str {
        "`nats://host:4222`"
    }

    fn hosts(&self, url: &str) -> Result<Vec<String>, String> {
        let parsed = url::Url::parse(url).map_err(|error| error.to_string())?;
        match parsed.host_str() {
            None | Some("") => Err(format!("`{}` names no host", redacted(url))),
            Some(host) => Ok(vec![host.to_owned()]),
        }
    }

    /// It says `INFO` on its own.
    fn answers(&self, mut stream: TcpStream) -> BoxFuture<'static, bool> {
        async move {
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).await.is_ok() && &answer == b"INFO "
        }
        .boxed()
    }

    fn counts_connections(&self) -> bool {
        false
    }

    fn start<'a>(
        &'a self,
        search: &'a SearchPath,
        _: u32,
    ) -> BoxFuture<'a, Result<Result<PrivateServer, NotFound>, ServerError>> {
        async move {
            match find::nats(search) {
                Ok(program) => start(&program, &NatsOptions::default()).await.map(Ok),
                Err(missing) => Ok(Err(missing)),
            }
        }
        .boxed()
    }
}
