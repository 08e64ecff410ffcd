//! One process of a private server: started in a process group of its own, watched, ended.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::directory::ServerDirectory;
use super::identity::ProcessIdentity;
use super::run_as::RunAs;
use super::{ServerError, ServerKind};
use crate::said::Said;

/// How long a server may take to end after its own stop signal, before it is killed. PostgreSQL kills processes of its own
/// that do not follow after 5 s, and must be there to do it.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
/// How long a killed process may take to be gone.
const KILL_DEADLINE: Duration = Duration::from_secs(10);
/// How long one look at a starting server may take.
const PROBE_DEADLINE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(5);
/// How many lines of a log an error shows.
const TAIL_LINES: usize = 20;

/// What to start, and as which user.
pub(super) struct Launch<'a> {
    pub kind: ServerKind,
    pub program: &'a Path,
    pub args: Vec<OsString>,
    pub user: Option<RunAs>,
}

/// A running program of a private server, ended when dropped.
#[derive(Debug)]
pub(super) struct ServerProcess {
    child: Mutex<Child>,
    pid: Pid,
    kind: ServerKind,
    program: PathBuf,
}

impl ServerProcess {
    /// Starts a program that logs into `directory` and is recorded there.
    pub(super) fn spawn(launch: Launch<'_>, directory: &ServerDirectory) -> Result<Self, ServerError> {
        let log_path = directory.log_path();
        let log = File::create(&log_path).and_then(|log| Ok((log.try_clone()?, log)));
        let (stdout, stderr) = log.map_err(|source| ServerError::File { act: "create", path: log_path, source })?;

        let mut command = Command::new(launch.program);
        command
            .args(&launch.args)
            .env("LC_ALL", "C")
            .current_dir(directory.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        if let Some(user) = launch.user {
            user.apply(&mut command);
        }
        let child = command.spawn().map_err(|source| ServerError::Spawn {
            program: launch.program.to_owned(),
            user: launch.user.map(|user| user.name),
            source,
        })?;
        let process = ServerProcess {
            pid: Pid::from_child(&child),
            child: Mutex::new(child),
            kind: launch.kind,
            program: launch.program.to_owned(),
        };

        // One that has ended already needs no record.
        if let Some(identity) = ProcessIdentity::of(process.pid) {
            let path = directory.process_path();
            identity.write(&path).map_err(|source| ServerError::File { act: "write", path, source })?;
        }
        Ok(process)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child().id()
    }

    pub(super) fn is_alive(&self) -> bool {
        matches!(self.child().try_wait(), Ok(None))
    }

    pub(super) fn exit_status(&self) -> Option<ExitStatus> {
        self.child().try_wait().ok().flatten()
    }

    /// Waits for a program that does its work and ends.
    pub(super) async fn finish(self, directory: &ServerDirectory, deadline: Duration) -> Result<(), ServerError> {
        let start = Instant::now();
        loop {
            match self.exit_status() {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.ended(status, directory)),
                None if start.elapsed() > deadline => {
                    let last = "it still runs".to_owned();
                    return Err(self.not_ready(start.elapsed(), last, directory));
                }
                None => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Calls `probe` until it succeeds. A probe that fails says what it found.
    pub(super) async fn ready<T, F: Future<Output = Result<T, String>>>(
        &self,
        directory: &ServerDirectory,
        deadline: Duration,
        probe: impl Fn() -> F,
    ) -> Result<T, ServerError> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.exit_status() {
                return Err(self.ended(status, directory));
            }
            let last = match tokio::time::timeout(PROBE_DEADLINE, probe()).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(reason)) => reason,
                Err(_) => format!("no answer within {PROBE_DEADLINE:?}"),
            };
            if start.elapsed() > deadline {
                return Err(self.not_ready(start.elapsed(), last, directory));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn ended(&self, status: ExitStatus, directory: &ServerDirectory) -> ServerError {
        ServerError::Ended {
            program: self.program.clone(),
            status,
            log_tail: Said::new(directory.log_tail(TAIL_LINES)),
        }
    }

    fn not_ready(&self, waited: Duration, last: String, directory: &ServerDirectory) -> ServerError {
        ServerError::NotReady {
            program: self.program.clone(),
            waited,
            last,
            log_tail: Said::new(directory.log_tail(TAIL_LINES)),
        }
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        end_group(self.pid, self.kind, || self.is_alive());
    }
}

/// Ends a process group: asks its leader in the way of its kind, kills it when the deadline has
/// passed. Blocks until `is_alive` says that the leader is gone; returns whether it is.
pub(super) fn end_group(leader: Pid, kind: ServerKind, is_alive: impl Fn() -> bool) -> bool {
    for (signal, deadline) in [(kind.stop_signal(), STOP_DEADLINE), (Signal::KILL, KILL_DEADLINE)] {
        let start = Instant::now();
        if !is_alive() {
            return true;
        }
        // Fails only when the group has just ended, which is what we want.
        let _ = kill_process_group(leader, signal);
        while start.elapsed() < deadline {
            if !is_alive() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    !is_alive()
}
