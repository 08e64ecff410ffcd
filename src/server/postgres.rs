//! Private PostgreSQL servers: `initdb`, then `postgres` on a free loopback port.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use super::directory::{ServerDirectory, default_roots};
use super::find::PostgresPrograms;
use super::process::{Launch, ServerProcess};
use super::run_as::RunAs;
use super::{PrivateServer, ServerError, ServerKind, blocking};

const SUPERUSER: &str = "postgres";
const INITDB_DEADLINE: Duration = Duration::from_secs(60);
const READY_DEADLINE: Duration = Duration::from_secs(30);
/// How many ports are tried when others take the chosen ones meanwhile.
const PORTS_MAX: usize = 5;

/// How a private PostgreSQL server is set up. What is not here is as PostgreSQL has it by default,
/// durability included. No `Debug`: it would print the password.
#[derive(Clone)]
pub struct PostgresOptions {
    /// Connections that the server accepts, three of them only from superusers.
    pub max_connections: u32,
    /// With a password, the superuser `postgres` must log in with it (SCRAM); otherwise everyone
    /// on this machine is let in.
    pub password: Option<String>,
    /// More settings, as in `postgresql.conf`.
    pub settings: BTreeMap<String, String>,
    /// The directories that may hold the server's own; see [`super::default_roots`].
    pub roots: Vec<PathBuf>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        PostgresOptions { max_connections: 100, password: None, settings: BTreeMap::new(), roots: default_roots() }
    }
}

/// Starts a server and waits until it answers.
pub async fn start(programs: &PostgresPrograms, options: &PostgresOptions) -> Result<PrivateServer, ServerError> {
    start_on(programs, options, free_port).await
}

/// As [`start`], with the ports to try given by the caller.
async fn start_on(
    programs: &PostgresPrograms,
    options: &PostgresOptions,
    mut pick_port: impl FnMut() -> io::Result<u16>,
) -> Result<PrivateServer, ServerError> {
    let roots = options.roots.clone();
    let (directory, user) = blocking(move || {
        let user = RunAs::needed()?;
        let directory = ServerDirectory::create(ServerKind::Postgres, &roots, user)?;
        Ok::<_, ServerError>((directory, user))
    })
    .await?;
    initdb(programs, options, &directory, user).await?;

    let mut ports_tried = 0;
    loop {
        let port = pick_port().map_err(|source| ServerError::NoPort { source })?;
        ports_tried += 1;
        match run(programs, options, &directory, user, port).await {
            Ok((process, version)) => {
                return Ok(PrivateServer {
                    kind: ServerKind::Postgres,
                    url: format!("postgres://{SUPERUSER}@127.0.0.1:{port}/postgres"),
                    version,
                    program: programs.postgres.clone(),
                    process,
                    directory,
                });
            }
            Err(error) if ports_tried < PORTS_MAX && is_port_taken(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

async fn initdb(
    programs: &PostgresPrograms,
    options: &PostgresOptions,
    directory: &ServerDirectory,
    user: Option<RunAs>,
) -> Result<(), ServerError> {
    let mut args: Vec<OsString> =
        ["--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions", "--pgdata"]
            .map(OsString::from)
            .to_vec();
    args.push(directory.data().into());
    match &options.password {
        None => args.push("--auth=trust".into()),
        Some(password) => {
            let path = directory.path().join("password");
            write_secret(&path, password, user).map_err(|source| ServerError::File {
                act: "write",
                path: path.clone(),
                source,
            })?;
            args.extend(["--auth=scram-sha-256".into(), "--pwfile".into()]);
            args.push(path.into());
        }
    }
    let launch = Launch { kind: ServerKind::Postgres, program: &programs.initdb, args, user };
    ServerProcess::spawn(launch, directory)?.finish(directory, INITDB_DEADLINE).await
}

/// Writes a file that only `user` (or else we) can read.
fn write_secret(path: &Path, secret: &str, user: Option<RunAs>) -> io::Result<()> {
    use io::Write;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")?;
    match user {
        Some(user) => chown(path, Some(user.uid), Some(user.gid)),
        None => Ok(()),
    }
}

/// Starts `postgres` on `port` and waits until it answers there; returns its version.
async fn run(
    programs: &PostgresPrograms,
    options: &PostgresOptions,
    directory: &ServerDirectory,
    user: Option<RunAs>,
    port: u16,
) -> Result<(ServerProcess, String), ServerError> {
    let data = directory.data();
    let mut args: Vec<OsString> = vec!["-D".into(), data.clone().into()];
    let settings = [
        ("listen_addresses", "127.0.0.1"),
        ("port", &port.to_string()),
        ("unix_socket_directories", ""),
        ("max_connections", &options.max_connections.to_string()),
        // Refused statements are what a race is made of; the log is for the server's own troubles.
        ("log_min_messages", "log"),
    ];
    let given = options.settings.iter().map(|(key, value)| (&**key, &**value));
    for (key, value) in settings.into_iter().chain(given) {
        args.extend(["-c".into(), format!("{key}={value}").into()]);
    }
    let launch = Launch { kind: ServerKind::Postgres, program: &programs.postgres, args, user };
    let process = ServerProcess::spawn(launch, directory)?;

    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user(SUPERUSER).dbname("postgres");
    if let Some(password) = &options.password {
        config.password(password);
    }
    let version = process
        .ready(directory, READY_DEADLINE, || async {
            let (version, answering) = ask(&config).await.map_err(|error| describe(&error))?;
            // Somebody else's server may have taken the port just before ours.
            if Path::new(&answering) == data {
                Ok(version)
            } else {
                Err(format!("another server answers on port {port}"))
            }
        })
        .await?;
    Ok((process, version))
}

/// Asks a server for its version, without the packager's name, and its data directory.
async fn ask(config: &Config) -> Result<(String, String), tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let query = async move {
        let messages = client
            .simple_query(
                "SELECT split_part(current_setting('server_version'), ' ', 1), \
                        current_setting('data_directory')",
            )
            .await?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let column = |index| row.and_then(|row| row.get(index)).unwrap_or_default().to_owned();
        Ok((column(0), column(1)))
    };
    // The connection ends when the query has dropped its client.
    let (answer, _) = tokio::join!(query, connection);
    answer
}

/// The whole chain of an error's causes, which tokio-postgres leaves out of its text.
fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", describe(source)),
        None => error.to_string(),
    }
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn is_port_taken(error: &ServerError) -> bool {
    matches!(error, ServerError::Ended { log_tail, .. } if log_tail.mentions("Address already in use"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::{self, eventually, processes_end_in, processes_in};
    use rustix::process::{Pid, Signal, kill_process};
    use std::time::Instant;

    async fn query(url: &str, sql: &str) -> Result<String, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let connection = tokio::spawn(connection);
        let row = client.query_one(sql, &[]).await?;
        drop(client);
        connection.await.unwrap()?;
        row.try_get(0)
    }

    async fn assert_gone(directory: &Path) {
        assert!(!directory.exists());
        processes_end_in(directory).await;
    }

    #[tokio::test]
    async fn live_started_with_its_options_and_stopped_without_a_trace() {
        let root = testing::root();
        let (programs, mut options) = testing::postgres(root.path());
        options.max_connections = 27;
        options.settings.insert("deadlock_timeout".into(), "123ms".into());

        let start_time = Instant::now();
        let starting = tokio::spawn(async move { start(&programs, &options).await });
        let server = starting.await.unwrap().unwrap();
        eprintln!("start: {:?}", start_time.elapsed());

        assert_eq!(
            query(
                &server.url,
                "SELECT concat_ws(' ', current_setting('max_connections'), \
                 current_setting('deadlock_timeout'), current_setting('fsync'), \
                 current_setting('synchronous_commit'), current_setting('autovacuum'), \
                 pg_encoding_to_char(encoding), datcollate) \
                 FROM pg_database WHERE datname = 'postgres'"
            )
            .await
            .unwrap(),
            "27 123ms on on on UTF8 C"
        );
        let version = query(&server.url, "SHOW server_version").await.unwrap();
        assert!(version.starts_with(&server.version) && !server.version.contains(' '));
        assert!(server.is_alive());
        assert_eq!(server.exit_status(), None);
        assert!(server.log_tail(3).contains("ready to accept connections"));
        assert!(processes_in(server.directory()).len() > 1);

        // A client that stays connected does not hold up the end.
        let (_client, connection) = tokio_postgres::connect(&server.url, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let directory = server.directory().to_owned();
        let stop_time = Instant::now();
        server.stop().await.unwrap();
        eprintln!("stop: {:?}", stop_time.elapsed());
        assert_gone(&directory).await;
        let _ = connection.await.unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn live_another_port_when_another_server_has_it_and_two_run_side_by_side() {
        let root = testing::root();
        let (programs, options) = testing::postgres(root.path());
        let first = start(&programs, &options).await.unwrap();
        let taken = url::Url::parse(&first.url).unwrap().port().unwrap();
        let mut picked = Vec::new();
        let second = start_on(&programs, &options, || {
            let port = if picked.is_empty() { taken } else { free_port()? };
            picked.push(port);
            Ok(port)
        })
        .await
        .unwrap();
        assert!(picked.len() >= 2, "the free port may have been taken as well: {picked:?}");
        assert_ne!(first.url, second.url);

        let directory = first.directory().to_owned();
        drop(first);
        assert_gone(&directory).await;
        assert_eq!(query(&second.url, "SELECT 'here'").await.unwrap(), "here");
        second.stop().await.unwrap();
    }

    #[tokio::test]
    async fn live_a_server_that_was_killed_is_seen_to_be_dead() {
        let root = testing::root();
        let (programs, options) = testing::postgres(root.path());
        let server = start(&programs, &options).await.unwrap();
        let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        eventually("its end", || !server.is_alive()).await;
        let status = server.exit_status().unwrap();
        assert_eq!(status.to_string(), "signal: 9 (SIGKILL)");
        assert!(server.log_tail(20).contains("ready to accept connections"));
        let directory = server.directory().to_owned();
        server.stop().await.unwrap();
        assert!(!directory.exists());
    }

    #[tokio::test]
    async fn live_a_password_is_asked_for() {
        let root = testing::root();
        let (programs, mut options) = testing::postgres(root.path());
        options.password = Some("s3 'cret".into());
        let server = start(&programs, &options).await.unwrap();
        assert!(!server.url.contains("cret"));

        let config: Config = server.url.parse().unwrap();
        assert!(ask(&config).await.is_err(), "no password");
        let wrong = ask(config.clone().password("wrong")).await.unwrap_err();
        assert_eq!(wrong.code().unwrap().code(), "28P01");
        assert!(ask(config.clone().password("s3 'cret")).await.is_ok());
        server.stop().await.unwrap();
    }

    #[tokio::test]
    async fn live_an_abandoned_start_leaves_nothing() {
        let root = testing::root();
        let (programs, options) = testing::postgres(root.path());
        let starting = tokio::spawn(async move { start(&programs, &options).await });
        eventually("a first process", || !processes_in(root.path()).is_empty()).await;
        starting.abort();
        assert!(starting.await.unwrap_err().is_cancelled());

        // A blocking step under way clears up when it ends, and initdb's own child may take a
        // moment longer than initdb.
        processes_end_in(root.path()).await;
        eventually("an empty directory", || fs::read_dir(root.path()).unwrap().count() == 0).await;
    }

    #[tokio::test]
    async fn live_a_refused_setting_is_an_error_with_the_servers_own_words() {
        let root = testing::root();
        let (programs, mut options) = testing::postgres(root.path());
        options.settings.insert("wal_level".into(), "loud".into());
        let error = start(&programs, &options).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("/postgres` ended with exit status: 1; its log ends:\n")
                && text.contains("invalid value for parameter \"wal_level\": \"loud\""),
            "{text}"
        );
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
