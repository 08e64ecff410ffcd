//! Private NATS servers with JetStream, on a loopback port that the server chooses itself.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;

use super::directory::{ServerDirectory, default_roots};
use super::find::NatsProgram;
use super::process::{Launch, ServerProcess};
use super::{PrivateServer, ServerError, ServerKind, blocking};

const READY_DEADLINE: Duration = Duration::from_secs(30);

/// How a private NATS server is set up. No `Debug`: it would print passwords and tokens.
#[derive(Clone)]
pub struct NatsOptions {
    /// What clients must show.
    pub login: NatsLogin,
    /// More lines for the server's configuration file.
    pub config: String,
    /// The directories that may hold the server's own; see [`super::default_roots`].
    pub roots: Vec<PathBuf>,
}

impl Default for NatsOptions {
    fn default() -> Self {
        NatsOptions { login: NatsLogin::Open, config: String::new(), roots: default_roots() }
    }
}

/// What a client of a private NATS server must show.
#[derive(Clone, PartialEq, Eq)]
pub enum NatsLogin {
    /// Nothing.
    Open,
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
}

/// Starts a server and waits until it answers.
pub async fn start(program: &NatsProgram, options: &NatsOptions) -> Result<PrivateServer, ServerError> {
    let roots = options.roots.clone();
    let directory = blocking(move || ServerDirectory::create(ServerKind::Nats, &roots, None)).await?;

    let config_path = directory.path().join("nats.conf");
    write_config(&config_path, &config(options, &directory)).map_err(|source| ServerError::File {
        act: "write",
        path: config_path.clone(),
        source,
    })?;
    let launch = Launch {
        kind: ServerKind::Nats,
        program: &program.nats_server,
        args: vec!["--config".into(), config_path.into()],
        user: None,
    };
    let process = ServerProcess::spawn(launch, &directory)?;
    let (port, version) = process
        .ready(&directory, READY_DEADLINE, || async {
            let port = announced_port(directory.path())?;
            Ok((port, ask_version(port).await?))
        })
        .await?;
    Ok(PrivateServer {
        kind: ServerKind::Nats,
        url: format!("nats://127.0.0.1:{port}"),
        version,
        program: program.nats_server.clone(),
        process,
        directory,
    })
}

/// The server's configuration file, readable by us alone since it may hold a password.
fn write_config(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

fn config(options: &NatsOptions, directory: &ServerDirectory) -> String {
    let ports_dir = quoted(&directory.path().to_string_lossy());
    let store_dir = quoted(&directory.data().to_string_lossy());
    let login = match &options.login {
        NatsLogin::Open => String::new(),
        NatsLogin::Password { user, password } => {
            format!("authorization {{ user: {}, password: {} }}\n", quoted(user), quoted(password))
        }
        NatsLogin::Token(token) => format!("authorization {{ token: {} }}\n", quoted(token)),
    };
    format!(
        "listen: \"127.0.0.1:-1\"\n\
         ports_file_dir: {ports_dir}\n\
         jetstream {{ store_dir: {store_dir} }}\n\
         {login}{}\n",
        options.config
    )
}

/// A string of the configuration file.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The port that the server announced in its ports file, `nats-server_PID.ports`:
/// `{"nats":["nats://127.0.0.1:PORT"], …}`.
fn announced_port(directory: &Path) -> Result<u16, String> {
    let file = fs::read_dir(directory)
        .map_err(|error| error.to_string())?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|it| it == "ports"))
        .ok_or("it announced no port")?;
    let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
    port_in(&text).ok_or_else(|| format!("its ports file holds no port: `{text}`"))
}

fn port_in(ports_file: &str) -> Option<u16> {
    let ports: Value = serde_json::from_str(ports_file).ok()?;
    let (_, port) = ports["nats"][0].as_str()?.rsplit_once(':')?;
    port.parse().ok()
}

/// Reads the greeting that every NATS server sends: `INFO {"version": …}`.
async fn ask_version(port: u16) -> Result<String, String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| error.to_string())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.map_err(|error| error.to_string())?;
    version_in(&line).ok_or_else(|| format!("its greeting holds no version: `{}`", line.trim_end()))
}

fn version_in(greeting: &str) -> Option<String> {
    let info: Value = serde_json::from_str(greeting.strip_prefix("INFO ")?).ok()?;
    Some(info["version"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::{self, eventually, processes_end_in};
    use async_nats::ConnectOptions;
    use rustix::process::{Pid, Signal, getpgid, kill_process};
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    #[test]
    fn the_port_and_the_version_are_read_from_what_the_server_says() {
        assert_eq!(port_in(r#"{"nats":["nats://127.0.0.1:4222"]}"#), Some(4222));
        assert_eq!(port_in(r#"{"nats":["nats://127"#), None, "half written");
        assert_eq!(port_in("{}"), None);
        assert_eq!(version_in("INFO {\"version\":\"2.9.10\"} \r\n").as_deref(), Some("2.9.10"));
        assert_eq!(version_in("+OK"), None);
    }

    #[tokio::test]
    async fn live_started_with_jetstream_and_stopped_without_a_trace() {
        let root = testing::root();
        let (program, options) = testing::nats(root.path());
        let start_time = Instant::now();
        let starting = tokio::spawn(async move { start(&program, &options).await });
        let server = starting.await.unwrap().unwrap();
        eprintln!("start: {:?}", start_time.elapsed());

        let client = async_nats::connect(&server.url).await.unwrap();
        assert_eq!(client.server_info().version, server.version);
        let jetstream = async_nats::jetstream::new(client);
        let stream = async_nats::jetstream::stream::Config { name: "S".into(), ..Default::default() };
        jetstream.create_stream(stream).await.unwrap();
        jetstream.publish("S", "x".into()).await.unwrap().await.unwrap();
        assert!(server.directory().join("data/jetstream").is_dir());
        eventually("the log's last line", || server.log_tail(3).contains("Server is ready")).await;
        let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap());
        assert_eq!(getpgid(pid).ok(), pid, "a Ctrl-C in the terminal passes it by");

        let directory = server.directory().to_owned();
        let stop_time = Instant::now();
        server.stop().await.unwrap();
        eprintln!("stop: {:?}", stop_time.elapsed());
        assert!(!directory.exists());
        processes_end_in(&directory).await;
    }

    #[tokio::test]
    async fn live_a_panic_ends_the_server_too() {
        let root = testing::root();
        let (program, options) = testing::nats(root.path());
        let seen = Arc::new(Mutex::new(PathBuf::new()));
        let task = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                let server = start(&program, &options).await.unwrap();
                *seen.lock().unwrap() = server.directory().to_owned();
                panic!("on purpose");
            }
        });
        assert!(task.await.unwrap_err().is_panic());
        let directory = seen.lock().unwrap().clone();
        assert!(directory.starts_with(root.path()));
        assert!(!directory.exists());
        processes_end_in(&directory).await;
    }

    #[tokio::test]
    async fn live_logins_are_asked_for() {
        let root = testing::root();
        let (program, mut options) = testing::nats(root.path());
        let (user, password) = ("racer".to_owned(), "qu\"ote \\ $x".to_owned());
        options.login = NatsLogin::Password { user: user.clone(), password: password.clone() };
        let by_password = start(&program, &options).await.unwrap();
        options.login = NatsLogin::Token("t0ken".into());
        let by_token = start(&program, &options).await.unwrap();

        let login = ConnectOptions::with_user_and_password(user.clone(), password);
        login.connect(&by_password.url).await.unwrap();
        let wrong = ConnectOptions::with_user_and_password(user, "wrong".into());
        assert!(wrong.connect(&by_password.url).await.is_err());
        let token = ConnectOptions::with_token("t0ken".into());
        token.connect(&by_token.url).await.unwrap();
        assert!(async_nats::connect(&by_token.url).await.is_err());
        by_password.stop().await.unwrap();
        by_token.stop().await.unwrap();
    }

    #[tokio::test]
    async fn live_a_server_that_was_killed_is_seen_to_be_dead() {
        let root = testing::root();
        let (program, options) = testing::nats(root.path());
        let server = start(&program, &options).await.unwrap();
        let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
        // It answers before it says so.
        eventually("the log's last line", || server.log_tail(3).contains("Server is ready")).await;
        kill_process(pid, Signal::KILL).unwrap();
        eventually("its end", || !server.is_alive()).await;
        assert!(server.log_tail(3).contains("Server is ready"));
    }

    #[tokio::test]
    async fn live_a_refused_configuration_is_an_error_with_the_servers_own_words() {
        let root = testing::root();
        let (program, mut options) = testing::nats(root.path());
        options.config = "jetstream: sideways".into();
        let error = start(&program, &options).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("/nats-server` ended with exit status: 1; its log ends:\n") && text.contains("sideways"),
            "{text}"
        );
    }
}
