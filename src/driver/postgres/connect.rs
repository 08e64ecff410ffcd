//! Connections to one server, and what to say when there is none.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, Error, SimpleQueryMessage};

use super::tls::{Connector, TlsOptions};
use crate::port::{Endpoint, TargetError};
use crate::said::Said;

const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// The process that serves a connection: its id, and what tells it from a later one with the same id.
const PROCESS: &str =
    "SELECT pid, pid || ':' || extract(epoch FROM backend_start) FROM pg_stat_get_activity(pg_backend_pid())";

/// The code of the warning that there is no transaction which a COMMIT or ROLLBACK could end.
const NO_TRANSACTION: &str = "25P01";

/// A server, and the schema that a case has there.
pub(super) struct Server {
    config: Config,
    tls: Connector,
    /// Where it is and as which user we come, without the password: for messages.
    name: String,
    /// The login's user, for remedies.
    user: String,
    /// The case's schema as a quoted SQL name.
    schema: String,
    /// Whether unqualified names may also mean what is in `public`.
    searches_public: bool,
    /// Whether it is one that deadheat started.
    is_private: bool,
}

impl Server {
    /// Reads `endpoint`'s URL; nothing is sent yet.
    pub(super) fn new(endpoint: &Endpoint, namespace: &str) -> Result<Self, TargetError> {
        let invalid = |why: String| TargetError::Environment {
            message: format!(
                "the PostgreSQL URL from {} is invalid: {why}; wanted: postgres://USER:PASSWORD@HOST:PORT/DATABASE",
                endpoint.origin
            ),
        };
        let (mut config, tls) = parsed(&endpoint.url).map_err(invalid)?;
        config.ssl_mode(tls.driver_mode());
        let tls = tls.connector().map_err(invalid)?;
        let user = config.get_user().unwrap_or("the operating system's user").to_owned();
        let name = format!(
            "{}, database `{}`, user `{user}` (from {})",
            addresses(&config),
            config.get_dbname().unwrap_or(&user),
            endpoint.origin
        );
        let (schema, is_private) = (quoted_name(namespace), endpoint.is_private());
        Ok(Server { config, tls, name, user, schema, searches_public: false, is_private })
    }

    /// Where the server is and as which user we come.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is one that deadheat started.
    pub(super) fn is_private(&self) -> bool {
        self.is_private
    }

    /// Who logs in.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// The case's schema as a quoted SQL name.
    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// Lets unqualified names mean what is in `public` as well, where extensions live: only where nothing of a user's does.
    pub(super) fn search_public(&mut self) {
        self.searches_public = true;
    }

    /// Connects as `application`; unqualified names mean what is in the case's schema.
    pub(super) async fn connect(&self, application: &str) -> Result<Link, TargetError> {
        self.connect_with(application, &BTreeMap::new()).await?.map_err(|error| self.unavailable(&error))
    }

    /// Connects as `application`, with `settings`. `Err` within `Ok`: the server, or the way to it, refused.
    ///
    /// The search path and the settings are given at start-up, so that `RESET ALL` returns to them.
    pub(super) async fn connect_with(
        &self,
        application: &str,
        settings: &BTreeMap<String, String>,
    ) -> Result<Result<Link, Error>, TargetError> {
        let mut config = self.config.clone();
        config.application_name(application);
        let public = if self.searches_public { ",public" } else { "" };
        let mut options = config.get_options().unwrap_or_default().to_owned();
        let search_path = format!("{}{public}", self.schema);
        let all = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in all.chain([("search_path", search_path.as_str())]) {
            options.push_str(&format!(" -c {name}={}", escaped(value)));
        }
        config.options(options.trim_start());
        let link = async {
            let (client, mut connection) = config.connect(self.tls.clone()).await?;
            let end = Arc::new(OnceLock::new());
            let idle_ends = Arc::new(AtomicU64::new(0));
            let task = tokio::spawn({
                let (end, idle_ends) = (end.clone(), idle_ends.clone());
                async move {
                    // The reason must stand there before the connection is dropped, which is when the client notices.
                    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
                        match message {
                            Ok(AsyncMessage::Notice(notice)) if notice.code().code() == NO_TRANSACTION => {
                                idle_ends.fetch_add(1, Ordering::Release);
                            }
                            Ok(_) => {}
                            Err(error) => {
                                let _ = end.set(error);
                                break;
                            }
                        }
                    }
                }
            });
            let mut link = Link {
                client,
                pid: 0,
                process: Arc::from(""),
                end,
                idle_ends,
                task: ConnectionTask(Some(task.abort_handle())),
            };
            let answer = link.client.simple_query(PROCESS).await?;
            let process = answer.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some((row.get(0)?.parse().ok()?, Arc::from(row.get(1)?))),
                _ => None,
            });
            if let Some((pid, process)) = process {
                (link.pid, link.process) = (pid, process);
            }
            Ok(link)
        };
        timeout(CONNECT_DEADLINE, link).await.map_err(|_| self.silent(CONNECT_DEADLINE))
    }

    /// The server did not answer in time.
    pub(super) fn silent(&self, deadline: Duration) -> TargetError {
        TargetError::Environment {
            message: format!(
                "PostgreSQL at {} did not answer within {deadline:?}; check the host's name, the port, firewalls, and what else the server does",
                self.name
            ),
        }
    }

    /// The server cannot be used: why, and what to do.
    pub(super) fn unavailable(&self, error: &Error) -> TargetError {
        TargetError::Environment { message: self.why_unavailable(error) }
    }

    /// The error of an answer that was lost with its connection.
    pub(super) fn lost(&self, error: &Error) -> TargetError {
        TargetError::Lost { message: self.why_unavailable(error) }
    }

    fn why_unavailable(&self, error: &Error) -> String {
        let name = &self.name;
        let why = error.as_db_error().map_or_else(|| chain(error), |error| error.message().to_owned());
        let remedy = match error.code().map(SqlState::code) {
            Some("28P01" | "28000") => "check the user, the password and the server's pg_hba.conf",
            Some("3D000") => "create the database with `createdb`, or name another one in the URL",
            Some("53300") => "raise the server's `max_connections`, or race fewer workers",
            Some("57P01" | "57P02" | "57P03") => "the server is starting or stopping: try again when it runs",
            Some(_) => "see the server's log",
            None => remedy_for(error),
        };
        format!("cannot use PostgreSQL at {name}: {why}; {remedy}")
    }
}

/// What to do about an error that is not the server's.
fn remedy_for(error: &Error) -> &'static str {
    let said = Said::new(error.to_string());
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    if said.mentions("TLS") {
        "check `sslmode` and `sslrootcert` in the URL and the server's `ssl` setting"
    } else if said.mentions("authentication") || said.mentions("configuration") {
        "check the user and the password in the URL"
    } else if io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused) {
        "start the server, or correct the address"
    } else {
        "check the host's name, the network and the server's log"
    }
}

/// One connection. Dropping it closes the socket, whatever is in flight.
pub(super) struct Link {
    pub(super) client: Client,
    /// The server process's id.
    pub(super) pid: i32,
    /// The server process: its id, and when it began.
    pub(super) process: Arc<str>,
    /// Why the connection ended, when it has.
    end: Arc<OnceLock<Error>>,
    /// How often the server has warned that there was no transaction to end.
    idle_ends: Arc<AtomicU64>,
    task: ConnectionTask,
}

impl Link {
    /// How often a COMMIT or ROLLBACK has found no transaction. The warning comes before the answer that goes with it.
    pub(super) fn idle_ends(&self) -> u64 {
        self.idle_ends.load(Ordering::Acquire)
    }

    /// Why the connection ended, as far as is known.
    pub(super) fn end(&self) -> Option<&Error> {
        self.end.get()
    }

    /// The client alone. The connection then lasts as long as the client.
    pub(super) fn into_client(mut self) -> Client {
        self.task.0 = None;
        self.client
    }
}

/// The task that moves a connection's bytes; dropping this ends it.
struct ConnectionTask(Option<AbortHandle>);

impl Drop for ConnectionTask {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// An error with everything that it says about its causes.
pub(super) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A value among start-up options: a backslash keeps a blank from ending it.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if character == '\\' || character.is_ascii_whitespace() {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A name in double quotes.
fn quoted_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `host:port`, several with commas.
fn addresses(config: &Config) -> String {
    let hosts: Vec<String> = if config.get_hosts().is_empty() {
        config.get_hostaddrs().iter().map(ToString::to_string).collect()
    } else {
        config.get_hosts().iter().map(host_name).collect()
    };
    let ports = config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let addresses: Vec<_> = hosts.iter().enumerate().map(|(index, host)| format!("{host}:{}", port(index))).collect();
    addresses.join(",")
}

fn host_name(host: &Host) -> String {
    match host {
        Host::Tcp(host) => host.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    }
}

/// The hosts and addresses that a URL leads to, as the driver reads it: from its query as well. Paths of sockets are none.
pub(crate) fn hosts(url: &str) -> Result<Vec<String>, String> {
    let (config, _) = parsed(url)?;
    let hosts = config.get_hosts().iter().filter(|host| matches!(host, Host::Tcp(_))).map(host_name);
    Ok(hosts.chain(config.get_hostaddrs().iter().map(ToString::to_string)).collect())
}

/// Reads a URL. An error says why, without a piece of the password.
fn parsed(url: &str) -> Result<(Config, TlsOptions), String> {
    let (url, tls) = split_tls_options(url)?;
    // Only what the driver says about options is repeated: anything else might hold a piece of the password.
    let config: Config = url.parse().map_err(|error: Error| {
        let why = error.source().map(ToString::to_string).unwrap_or_default();
        let is_of_options = why.starts_with("unknown option") || why.starts_with("invalid value for option");
        if is_of_options { why } else { "it cannot be parsed".to_owned() }
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err("it names no host".to_owned());
    }
    Ok((config, tls))
}

/// Takes `sslmode` and `sslrootcert`, which the driver knows only in part, out of a URL's query.
fn split_tls_options(url: &str) -> Result<(String, TlsOptions), String> {
    // The driver takes everything before the first `@` for the login, question marks included.
    let login_length = url.find('@').map_or(0, |at| at + 1);
    let query_start = url[login_length..].find('?').map_or(url.len(), |at| login_length + at);
    let (base, query) = (&url[..query_start], url[query_start..].trim_start_matches('?'));
    let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let value = || url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned());
        match pair.split_once('=').map_or(pair, |(key, _)| key) {
            "sslmode" => mode = value(),
            "sslrootcert" => roots = value(),
            _ => rest.push(pair),
        }
    }
    let tls = TlsOptions::new(mode.as_deref(), roots.as_deref())?;
    Ok((if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) }, tls))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::ServerOrigin;

    fn server(url: &str) -> Result<Server, TargetError> {
        Server::new(&Endpoint { url: url.to_owned(), origin: ServerOrigin::Given }, "dh_1_2")
    }

    #[test]
    fn a_server_is_named_without_its_password() {
        let server = server("postgres://ann:s3cret@[::1]:5544/shop?sslmode=verify-full&connect_timeout=3").unwrap();
        assert_eq!(server.name(), "::1:5544, database `shop`, user `ann` (from --target)");
    }

    #[test]
    fn urls_that_cannot_be_used_say_why_without_their_password() {
        for (url, why) in [
            ("postgres://ann:s3cret@localhost/shop?sslmod=disable", "unknown option `sslmod`"),
            ("postgres://ann:s3cret@localhost/shop?sslmode=maybe", "`sslmode=maybe` is not one of"),
            ("postgres://ann:s3cret@localhost:port/shop", "invalid value for option `port`"),
            ("postgres://ann:s3cret@/shop", "it names no host"),
            ("ann:s3cret@localhost", "it cannot be parsed"),
            (
                "postgres://ann:s3cret@localhost?sslmode=verify-ca&sslrootcert=/nowhere",
                "`sslrootcert=/nowhere` cannot be read",
            ),
        ] {
            let message = server(url).err().unwrap().to_string();
            assert!(message.contains(why), "{url}: {message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn blanks_and_backslashes_do_not_end_an_option() {
        assert_eq!(escaped(r"Europe/Kyiv 'a\b'"), r"Europe/Kyiv\ 'a\\b'");
    }

    #[test]
    fn schema_names_are_quoted() {
        assert_eq!(quoted_name("a\"b"), "\"a\"\"b\"");
    }
}
