//! A nats-server for one test.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tempfile::TempDir;

pub(super) struct Server {
    process: Child,
    pub(super) port: u16,
    directory: TempDir,
}

impl Server {
    /// Starts a server with JetStream.
    pub(super) fn start() -> Self {
        Self::start_with(&["-js"])
    }

    /// Starts a server with the given arguments.
    pub(super) fn start_with(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let process = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
            .arg(directory.path())
            .arg("-sd")
            .arg(directory.path())
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server is installed");
        let ports = directory.path().join(format!("nats-server_{}.ports", process.id()));
        let begin = Instant::now();
        let port = loop {
            // The file may be there before it is written.
            let text = std::fs::read_to_string(&ports).unwrap_or_default();
            if let Ok(json) = serde_json::from_str::<serde_json::Value>(&text) {
                let url = json["nats"][0].as_str().expect("a client port is open");
                break url.rsplit(':').next().unwrap().parse().unwrap();
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "nats-server did not start");
            std::thread::sleep(Duration::from_millis(5));
        };
        Server { process, port, directory }
    }

    pub(super) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Lets the server answer nothing, until it is woken or killed.
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
        // The signal works only after a while.
        waitpid(Some(Pid::from_child(&self.process)), WaitOptions::UNTRACED).unwrap();
    }

    pub(super) fn wake(&self) {
        self.signal(Signal::CONT);
    }

    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Starts a server with JetStream again, at the same place and with the same streams, and waits until it listens.
    pub(super) fn come_back(&mut self) {
        let _ = self.process.wait();
        self.process = Command::new("nats-server")
            .args(["-js", "-a", "127.0.0.1", "-p", &self.port.to_string(), "-sd"])
            .arg(self.directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server is installed");
        let begin = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(30), "nats-server did not come back");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
