//! Private servers for this module's tests, stopped when they are dropped.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

const START_MAX: Duration = Duration::from_secs(20);

/// A server process and the folder that it lives in.
struct Server {
    process: Child,
    folder: TempDir,
}

impl Server {
    fn stop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            let process = Pid::from_child(&self.process);
            kill_process(process, Signal::QUIT).expect("our own child can be signalled");
        }
        self.process.wait().expect("our own child can be waited for");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A private nats-server with JetStream.
pub(super) struct Nats {
    server: Server,
    url: String,
}

impl Nats {
    pub(super) fn start() -> Self {
        let folder = TempDir::with_prefix("deadheat-nats-").unwrap();
        let process = Command::new("nats-server")
            .args(["--jetstream", "--addr", "127.0.0.1", "--port", "-1", "--store_dir"])
            .arg(folder.path())
            .arg("--ports_file_dir")
            .arg(folder.path())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server is installed");
        let ports = folder.path().join(format!("nats-server_{}.ports", process.id()));
        let server = Server { process, folder };
        let url = wait_for(|| {
            let ports: serde_json::Value = serde_json::from_slice(&fs::read(&ports).ok()?).ok()?;
            Some(ports["nats"][0].as_str()?.to_owned())
        });
        Self { server, url }
    }

    pub(super) async fn connect(&self) -> async_nats::Client {
        async_nats::connect(&self.url).await.unwrap()
    }

    pub(super) fn stop(&mut self) {
        self.server.stop();
    }
}

/// A private PostgreSQL server.
pub(super) struct Postgres {
    server: Server,
    port: u16,
}

impl Postgres {
    pub(super) fn start() -> Self {
        let folder = TempDir::with_prefix("deadheat-postgres-").unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // The server refuses to run as root.
        let user = geteuid().is_root().then(|| {
            let user = (id("-u"), id("-g"));
            chown(&data, Some(user.0), Some(user.1)).unwrap();
            user
        });
        let program = |name: &str| {
            let mut command = Command::new(programs().join(name));
            if let Some((user, group)) = user {
                command.uid(user).gid(group);
            }
            command.current_dir(folder.path()).arg("-D").arg(&data);
            command
        };
        let made: Output = program("initdb").args(["-U", "deadheat", "-A", "trust", "-N"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = program("postgres")
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories=", "-c", "max_connections=200"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { server: Server { process, folder }, port }
    }

    pub(super) async fn connect(&self) -> Client {
        let address = format!("host=127.0.0.1 port={} user=deadheat dbname=postgres", self.port);
        let started = Instant::now();
        let (client, connection) = loop {
            match tokio_postgres::connect(&address, NoTls).await {
                Ok(connected) => break connected,
                Err(error) => assert!(started.elapsed() < START_MAX, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        tokio::spawn(connection);
        client
    }

    pub(super) fn stop(&mut self) {
        self.server.stop();
        assert!(self.server.folder.path().exists());
    }
}

fn id(option: &str) -> u32 {
    let output = Command::new("id").args([option, "postgres"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().expect("there is a user `postgres`")
}

/// Debian keeps the programs in a folder per version, off the path.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let folders = versions.map(|version| version.unwrap().path().join("bin"));
    folders.filter(|folder| folder.join("initdb").exists()).max().unwrap_or_else(|| Path::new("").to_owned())
}

fn wait_for<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(started.elapsed() < START_MAX, "the server did not start");
        std::thread::sleep(Duration::from_millis(5));
    }
}
