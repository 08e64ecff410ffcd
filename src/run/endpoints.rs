//! Where the servers come from: given by the user, found at the compose file's ports, or started for this run.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::driver::postgres;
use crate::model::Case;
use crate::port::{Endpoint, ServerOrigin, Source, TargetSpec};
use crate::secrets::{misplaced_at, redacted};
use crate::server::find::{self, SearchPath};
use crate::server::{self, NotFound, PrivateServer, ServerError, ServerKind};

/// The URL of the PostgreSQL in this project's docker-compose.yml.
pub const COMPOSE_POSTGRES: &str = "postgres://deadheat:deadheat@127.0.0.1:25432/deadheat";
/// The URL of the NATS server in this project's docker-compose.yml.
pub const COMPOSE_NATS: &str = "nats://127.0.0.1:24222";

/// How long a compose service may take to show that it is there: it is on loopback.
const COMPOSE_ANSWERS_WITHIN: Duration = Duration::from_millis(500);

/// Connections of a target beyond those of its workers.
const CONTROL_CONNECTIONS: usize = 3;

/// Connections of a private server beyond those that cases need: the superuser's reserve, and some that are still ending.
const CONNECTIONS_TO_SPARE: u32 = 20;

/// How often it is looked whether a private server has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// So many lines of a dead server's log are shown.
const LOG_LINES: usize = 15;

/// What the user said about servers.
#[derive(Debug, Clone)]
pub struct Sources {
    /// `--target NAME=URL`, by target name.
    pub given: BTreeMap<String, String>,
    /// `DEADHEAT_POSTGRES_URL`.
    pub postgres_url: Option<String>,
    /// `DEADHEAT_NATS_URL`.
    pub nats_url: Option<String>,
    /// Whether a server that answers at a port of docker-compose.yml is used.
    pub compose: bool,
    /// Where server programs are looked for.
    pub search: SearchPath,
    /// `--allow-remote`.
    pub allow_remote: bool,
}

/// There is no server for a target, and the user did not name one: the case is skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub struct Unavailable {
    /// What is missing.
    pub reason: String,
    /// The command that would provide it.
    pub remedy: String,
}

/// Servers could not be had although they should.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// A host that is not this machine, without `--allow-remote`. Exit code 64.
    #[error(
        "target `{target}` is at `{host}`, which is not this machine; races can break things, so say `--allow-remote` if you mean it"
    )]
    Remote {
        /// The target's name.
        target: String,
        /// The host.
        host: String,
    },
    /// Not a URL. Exit code 64.
    #[error("the URL of target `{target}` from {origin} cannot be used: {reason}; wanted {wanted}")]
    NotAUrl {
        /// The target's name.
        target: String,
        /// Where the URL came from.
        origin: ServerOrigin,
        /// What is wrong with it.
        reason: String,
        /// An example.
        wanted: &'static str,
    },
    /// `url_env` names a variable that is not set: another server than the one that was meant would be raced. Exit code 64.
    #[error(
        "target `{target}` takes its URL from the variable `{variable}`, which is not set; set it, or name the server with `--target {target}=URL`"
    )]
    Unset {
        /// The target's name.
        target: String,
        /// The variable.
        variable: String,
    },
    /// `--target` names a target that no scenario has. Exit code 64.
    #[error("`--target {given}=…` names no target of these scenarios; their targets are {known}")]
    NoSuchTarget {
        /// The name given.
        given: String,
        /// The names there are.
        known: String,
    },
    /// A private server did not start. Exit code 10.
    #[error("{source}{}", source.hint().map(|hint| format!("; {hint}")).unwrap_or_default())]
    Private {
        /// Why.
        source: ServerError,
    },
}

/// The servers of a run. Private ones live as long as this does.
#[derive(Debug)]
pub struct Endpoints {
    sources: Sources,
    found: BTreeMap<ServerKind, Found>,
}

#[derive(Debug)]
enum Found {
    Compose(Endpoint),
    Private(PrivateServer),
    Nowhere(NotFound),
}

impl Endpoints {
    /// Finds or starts what the cases need, of which `at_once` are raced side by side; private servers start side by side. What the
    /// user named is taken as it is: see [`Sources::check`].
    pub async fn provide<'a>(
        sources: Sources,
        at_once: usize,
        cases: impl Iterator<Item = &'a Case> + Clone,
    ) -> Result<Self, EndpointError> {
        let needed = cases.clone().flat_map(|case| &case.targets).filter_map(|target| {
            let kind = target.driver.server(&target.options)?;
            sources.named(target, kind).is_none().then_some(kind)
        });
        let wanted: BTreeSet<ServerKind> = needed.collect();
        let connections = cases.map(connections).max().unwrap_or(0).saturating_mul(at_once);
        let most_connections = u32::try_from(connections).unwrap_or(u32::MAX).saturating_add(CONNECTIONS_TO_SPARE);
        let found = futures::future::try_join_all(
            wanted.into_iter().map(async |kind| Ok((kind, find(kind, &sources, most_connections).await?))),
        );
        let found = found.await.map_err(|source| EndpointError::Private { source })?.into_iter().collect();
        Ok(Endpoints { sources, found })
    }

    /// How `target` is reached.
    pub fn source(&self, target: &TargetSpec) -> Result<Source, Unavailable> {
        let Some(kind) = target.driver.server(&target.options) else { return Ok(Source::Embedded) };
        if let Some(endpoint) = self.sources.named(target, kind) {
            return Ok(Source::Server(endpoint));
        }
        match self.found.get(&kind) {
            Some(Found::Compose(endpoint)) => Ok(Source::Server(endpoint.clone())),
            Some(Found::Private(server)) => {
                Ok(Source::Server(Endpoint { url: server.url.clone(), origin: ServerOrigin::Private }))
            }
            Some(Found::Nowhere(missing)) => Err(Unavailable { reason: missing.to_string(), remedy: missing.hint() }),
            None => Err(Unavailable {
                reason: format!("no {kind} server was looked for"),
                remedy: "name one with `--target`".to_owned(),
            }),
        }
    }

    /// What there is to say of private servers that have died: how they ended, and the end of their logs. If none has, looks
    /// again for so long: a process that dies closes its connections before its end can be seen.
    pub async fn obituaries(&self, patience: Duration) -> Vec<String> {
        let servers: Vec<&PrivateServer> = self
            .found
            .values()
            .filter_map(|found| match found {
                Found::Private(server) => Some(server),
                Found::Compose(_) | Found::Nowhere(_) => None,
            })
            .collect();
        let start = Instant::now();
        while servers.iter().all(|server| server.is_alive()) && start.elapsed() < patience && !servers.is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let dead = servers.into_iter().filter(|server| !server.is_alive());
        dead.map(|server| {
            let how = server.exit_status().map_or_else(|| "an unknown status".to_owned(), |status| status.to_string());
            let log = server.log_tail(LOG_LINES).replace('\n', "\n  ");
            format!("the private {} server ended with {how}; its log ends:\n  {log}", server.kind)
        })
        .collect()
    }

    /// Stops the private servers and removes their directories.
    pub async fn close(self) -> Result<(), ServerError> {
        let mut result = Ok(());
        for found in self.found.into_values() {
            if let Found::Private(server) = found {
                result = result.and(server.stop().await);
            }
        }
        result
    }
}

impl Sources {
    /// Refuses what the user said of servers where it cannot be meant. Nothing is asked or started.
    pub fn check<'a>(&self, cases: impl Iterator<Item = &'a Case>) -> Result<(), EndpointError> {
        let targets: Vec<&TargetSpec> = cases.flat_map(|case| &case.targets).collect();
        let known: BTreeSet<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        if let Some(given) = self.given.keys().find(|given| !known.contains(given.as_str())) {
            let known = known.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return Err(EndpointError::NoSuchTarget { given: given.clone(), known });
        }
        for target in targets {
            let Some(kind) = target.driver.server(&target.options) else { continue };
            match (self.named(target, kind), &target.unset_variable) {
                (Some(endpoint), _) => self.permit(target, kind, &endpoint)?,
                (None, Some(variable)) => {
                    return Err(EndpointError::Unset { target: target.name.clone(), variable: variable.clone() });
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// The server that the user named for `target`, if any.
    fn named(&self, target: &TargetSpec, kind: ServerKind) -> Option<Endpoint> {
        let (variable, value) = match kind {
            ServerKind::Postgres => ("DEADHEAT_POSTGRES_URL", &self.postgres_url),
            ServerKind::Nats => ("DEADHEAT_NATS_URL", &self.nats_url),
        };
        let given = self.given.get(&target.name).map(|url| (url, ServerOrigin::Given));
        let given = given.or_else(|| target.url.as_ref().map(|url| (url, ServerOrigin::Scenario)));
        let given = given.or_else(|| value.as_ref().map(|url| (url, ServerOrigin::Variable(variable))));
        given.map(|(url, origin)| Endpoint { url: url.clone(), origin })
    }

    /// Refuses what is no URL, and hosts elsewhere unless they are allowed.
    fn permit(&self, target: &TargetSpec, kind: ServerKind, endpoint: &Endpoint) -> Result<(), EndpointError> {
        let wanted = match kind {
            ServerKind::Postgres => "`postgres://host:5432/database`",
            ServerKind::Nats => "`nats://host:4222`",
        };
        let not_a_url = |reason: String| EndpointError::NotAUrl {
            target: target.name.clone(),
            origin: endpoint.origin,
            reason,
            wanted,
        };
        if let Some(reason) = misplaced_at(&endpoint.url) {
            return Err(not_a_url(reason.to_owned()));
        }
        let url = url::Url::parse(&endpoint.url).map_err(|error| not_a_url(error.to_string()))?;
        let schemes: &[&str] = match kind {
            ServerKind::Postgres => &["postgres", "postgresql"],
            ServerKind::Nats => &["nats", "tls"],
        };
        if !schemes.contains(&url.scheme()) {
            // Without `//` it may be a user, and what follows a password.
            let known = endpoint.url.contains("://").then(|| format!("its scheme is `{}`", url.scheme()));
            return Err(not_a_url(known.unwrap_or_else(|| "it does not begin with a scheme and `://`".to_owned())));
        }
        let hosts = match kind {
            ServerKind::Postgres => postgres::hosts(&endpoint.url).map_err(not_a_url)?,
            ServerKind::Nats => match url.host_str() {
                None | Some("") => return Err(not_a_url(format!("`{}` names no host", redacted(&endpoint.url)))),
                Some(host) => vec![host.to_owned()],
            },
        };
        match hosts.into_iter().find(|host| !is_here(host)) {
            Some(host) if !self.allow_remote => Err(EndpointError::Remote { target: target.name.clone(), host }),
            _ => Ok(()),
        }
    }
}

/// Whether a host is this machine, as far as its name tells.
fn is_here(host: &str) -> bool {
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

/// The connections that a case needs of a PostgreSQL server at most: of each worker to each target there, and a few to
/// each target for fixtures, invariants and the look at who waits.
fn connections(case: &Case) -> usize {
    let targets = case
        .targets
        .iter()
        .filter(|target| target.driver.server(&target.options) == Some(ServerKind::Postgres))
        .count();
    targets.saturating_mul(case.workers.len().saturating_add(CONTROL_CONNECTIONS))
}

async fn find(kind: ServerKind, sources: &Sources, most_connections: u32) -> Result<Found, ServerError> {
    let url = match kind {
        ServerKind::Postgres => COMPOSE_POSTGRES,
        ServerKind::Nats => COMPOSE_NATS,
    };
    if sources.compose && timeout(COMPOSE_ANSWERS_WITHIN, answers(kind, url)).await.unwrap_or(false) {
        return Ok(Found::Compose(Endpoint { url: url.to_owned(), origin: ServerOrigin::Compose }));
    }
    match kind {
        ServerKind::Postgres => match find::postgres(&sources.search) {
            Ok(programs) => {
                let options = server::postgres::PostgresOptions {
                    max_connections: most_connections,
                    ..server::postgres::PostgresOptions::default()
                };
                server::postgres::start(&programs, &options).await.map(Found::Private)
            }
            Err(missing) => Ok(Found::Nowhere(missing)),
        },
        ServerKind::Nats => match find::nats(&sources.search) {
            Ok(program) => {
                let options = server::nats::NatsOptions::default();
                server::nats::start(&program, &options).await.map(Found::Private)
            }
            Err(missing) => Ok(Found::Nowhere(missing)),
        },
    }
}

/// Whether a server of this kind answers there: PostgreSQL to an SSLRequest (protocol section 55.2.10) with `S` or
/// `N`, NATS with `INFO` on its own.
async fn answers(kind: ServerKind, url: &str) -> bool {
    let Some(address) = url::Url::parse(url).ok().and_then(|url| Some((url.host_str()?.to_owned(), url.port()?)))
    else {
        return false;
    };
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    match kind {
        ServerKind::Postgres => {
            const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
            let mut answer = [0];
            stream.write_all(&SSL_REQUEST).await.is_ok()
                && stream.read_exact(&mut answer).await.is_ok()
                && matches!(answer, [b'S' | b'N'])
        }
        ServerKind::Nats => {
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).await.is_ok() && &answer == b"INFO "
        }
    }
}
