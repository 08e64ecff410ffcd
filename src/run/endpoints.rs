//! Where the servers come from: given by the user, found at the compose file's ports, or started for this run.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::judge::RunVerdict;
use crate::model::Case;
use crate::port::{Endpoint, Provider, ServerOrigin, Source, TargetSpec};
use crate::secrets::misplaced_at;
use crate::server::find::SearchPath;
use crate::server::{NotFound, PrivateServer, ServerError};

/// How long a compose service may take to show that it is there: it is on loopback.
const COMPOSE_ANSWERS_WITHIN: Duration = Duration::from_millis(500);

/// Connections of a target beyond those of its workers.
const CONTROL_CONNECTIONS: usize = 3;

/// Connections of a private server beyond those that cases need: the superuser's reserve, and some that are still ending.
const CONNECTIONS_TO_SPARE: u32 = 20;

/// How often it is looked whether a private server has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How many lines of a dead server's log are shown.
const LOG_LINES: usize = 15;

/// What the user said about servers.
#[derive(Debug, Clone)]
pub struct Sources {
    /// `--target NAME=URL`, by target name.
    pub given: BTreeMap<String, String>,
    /// Looks up the environment variables that name servers, such as `DEADHEAT_POSTGRES_URL`.
    pub variable: fn(&str) -> Option<String>,
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

impl EndpointError {
    /// What the error makes of the run.
    pub fn verdict(&self) -> RunVerdict {
        match self {
            EndpointError::Private { .. } => RunVerdict::Environment,
            EndpointError::Remote { .. }
            | EndpointError::NotAUrl { .. }
            | EndpointError::Unset { .. }
            | EndpointError::NoSuchTarget { .. } => RunVerdict::Usage,
        }
    }
}

/// The servers of a run. Private ones live as long as this does.
#[derive(Debug)]
pub struct Endpoints {
    sources: Sources,
    /// By the provider's name.
    found: BTreeMap<&'static str, Found>,
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
            let provider = target.driver.provider(&target.options)?;
            sources.named(target, provider).is_none().then_some((provider.name(), provider))
        });
        let wanted: BTreeMap<&'static str, &'static dyn Provider> = needed.collect();
        let connections = cases.map(connections).max().unwrap_or(0).saturating_mul(at_once);
        let most_connections = u32::try_from(connections).unwrap_or(u32::MAX).saturating_add(CONNECTIONS_TO_SPARE);
        let found = futures::future::try_join_all(
            wanted
                .into_iter()
                .map(async |(name, provider)| Ok((name, find(provider, &sources, most_connections).await?))),
        );
        let found = found.await.map_err(|source| EndpointError::Private { source })?.into_iter().collect();
        Ok(Endpoints { sources, found })
    }

    /// How `target` is reached.
    pub fn source(&self, target: &TargetSpec) -> Result<Source, Unavailable> {
        let Some(provider) = target.driver.provider(&target.options) else { return Ok(Source::Embedded) };
        if let Some(endpoint) = self.sources.named(target, provider) {
            return Ok(Source::Server(endpoint));
        }
        match self.found.get(provider.name()) {
            Some(Found::Compose(endpoint)) => Ok(Source::Server(endpoint.clone())),
            Some(Found::Private(server)) => {
                Ok(Source::Server(Endpoint { url: server.url.clone(), origin: ServerOrigin::Private }))
            }
            Some(Found::Nowhere(missing)) => Err(Unavailable { reason: missing.to_string(), remedy: missing.hint() }),
            None => Err(Unavailable {
                reason: format!("no {} server was looked for", provider.name()),
                remedy: "name one with `--target`".to_owned(),
            }),
        }
    }

    /// What there is to say of private servers that have died: how they ended, and the end of their logs. If none has, looks
    /// again within this time: a process that dies closes its connections before its end can be seen.
    pub async fn dead_servers(&self, patience: Duration) -> Vec<String> {
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
            let Some(provider) = target.driver.provider(&target.options) else { continue };
            match (self.named(target, provider), &target.unset_variable) {
                (Some(endpoint), _) => self.permit(target, provider, &endpoint)?,
                (None, Some(variable)) => {
                    return Err(EndpointError::Unset { target: target.name.clone(), variable: variable.clone() });
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// The server that the user named for `target`, if any.
    fn named(&self, target: &TargetSpec, provider: &dyn Provider) -> Option<Endpoint> {
        let value = (self.variable)(provider.variable());
        let given = self.given.get(&target.name).map(|url| (url, ServerOrigin::Given));
        let given = given.or_else(|| target.url.as_ref().map(|url| (url, ServerOrigin::Scenario)));
        let given = given.or_else(|| value.as_ref().map(|url| (url, ServerOrigin::Variable(provider.variable()))));
        given.map(|(url, origin)| Endpoint { url: url.clone(), origin })
    }

    /// Refuses what is not a URL, and hosts elsewhere unless they are allowed.
    fn permit(&self, target: &TargetSpec, provider: &dyn Provider, endpoint: &Endpoint) -> Result<(), EndpointError> {
        let not_a_url = |reason: String| EndpointError::NotAUrl {
            target: target.name.clone(),
            origin: endpoint.origin,
            reason,
            wanted: provider.example(),
        };
        if let Some(reason) = misplaced_at(&endpoint.url) {
            return Err(not_a_url(reason.to_owned()));
        }
        let url = url::Url::parse(&endpoint.url).map_err(|error| not_a_url(error.to_string()))?;
        if !provider.schemes().contains(&url.scheme()) {
            // Without `//` it may be a user, and what follows a password.
            let known = endpoint.url.contains("://").then(|| format!("its scheme is `{}`", url.scheme()));
            return Err(not_a_url(known.unwrap_or_else(|| "it does not begin with a scheme and `://`".to_owned())));
        }
        let hosts = provider.hosts(&endpoint.url).map_err(not_a_url)?;
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

/// The connections that a case needs at most of a server that counts them: of each worker to each target there, and a few to
/// each target for fixtures, invariants and the look at who waits.
fn connections(case: &Case) -> usize {
    let counts =
        |target: &&TargetSpec| target.driver.provider(&target.options).is_some_and(Provider::counts_connections);
    let targets = case.targets.iter().filter(counts).count();
    targets.saturating_mul(case.workers.len().saturating_add(CONTROL_CONNECTIONS))
}

async fn find(provider: &'static dyn Provider, sources: &Sources, most_connections: u32) -> Result<Found, ServerError> {
    let url = provider.compose_url();
    if sources.compose && timeout(COMPOSE_ANSWERS_WITHIN, answers(provider, url)).await.unwrap_or(false) {
        return Ok(Found::Compose(Endpoint { url: url.to_owned(), origin: ServerOrigin::Compose }));
    }
    Ok(match provider.start(&sources.search, most_connections).await? {
        Ok(server) => Found::Private(server),
        Err(missing) => Found::Nowhere(missing),
    })
}

/// Whether a server of the provider's answers at `url`.
async fn answers(provider: &dyn Provider, url: &str) -> bool {
    let address = url::Url::parse(url).ok().and_then(|url| Some((url.host_str()?.to_owned(), url.port()?)));
    let Some(address) = address else { return false };
    let Ok(stream) = TcpStream::connect(address).await else { return false };
    provider.answers(stream).await
}
