//! Private servers: throw-away PostgreSQL and NATS servers on loopback, for targets that were given
//! no server of their own.
//!
//! [`find`] locates the programs, [`postgres::start`] and [`nats::start`] run one server each in a
//! temporary directory, and [`PrivateServer::stop`] ends the server and removes the directory.
//! Dropping a [`PrivateServer`] or the future that starts it does the same, only blocking.
//! A run that was killed outright leaves its servers behind; the next one's [`leftover::sweep`]
//! removes them. Servers run in a process group of their own, so that a Ctrl-C in the terminal
//! reaches them through us and not before us.

mod directory;
mod error;
pub mod find;
mod identity;
pub mod leftover;
#[cfg(feature = "jetstream")]
pub mod nats;
#[cfg(feature = "postgres")]
pub mod postgres;
mod process;
mod run_as;
mod scratch;
#[cfg(test)]
mod testing;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::process::Signal;

pub use directory::default_roots;
pub use error::{NotFound, ServerError};
pub(crate) use scratch::ScratchDirectory;

use directory::ServerDirectory;
use process::ServerProcess;

/// What a private server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerKind {
    /// `postgres`.
    Postgres,
    /// `nats-server` with JetStream.
    Nats,
}

impl ServerKind {
    const ALL: [ServerKind; 2] = [ServerKind::Postgres, ServerKind::Nats];

    /// The kind as it stands in the names of directories: `postgres`, `nats`.
    fn as_str(self) -> &'static str {
        match self {
            ServerKind::Postgres => "postgres",
            ServerKind::Nats => "nats",
        }
    }

    /// The signal that makes the server end at once. PostgreSQL's "immediate shutdown" writes no
    /// checkpoint: the data is thrown away, and a checkpoint can take seconds.
    fn stop_signal(self) -> Signal {
        match self {
            ServerKind::Postgres => Signal::QUIT,
            ServerKind::Nats => Signal::TERM,
        }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ServerKind::Postgres => "PostgreSQL",
            ServerKind::Nats => "NATS",
        })
    }
}

/// A server that belongs to this process, answering on loopback.
#[derive(Debug)]
pub struct PrivateServer {
    /// What it is.
    pub kind: ServerKind,
    /// `postgres://postgres@127.0.0.1:PORT/postgres` or `nats://127.0.0.1:PORT`. Never holds a
    /// password or token, even when the options asked for one.
    pub url: String,
    /// As the server itself reports it, e.g. `15.18` or `2.9.10`.
    pub version: String,
    /// The server's program file.
    pub program: PathBuf,
    // The process must end before its directory goes: fields are dropped in this order.
    process: ServerProcess,
    directory: ServerDirectory,
}

impl PrivateServer {
    /// The temporary directory that holds everything this server wrote.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file that holds what the server printed.
    pub fn log_path(&self) -> PathBuf {
        self.directory.log_path()
    }

    /// The last `lines` lines that the server logged, oldest first.
    pub fn log_tail(&self, lines: usize) -> String {
        self.directory.log_tail(lines)
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether the server's process still runs.
    pub fn is_alive(&self) -> bool {
        self.process.is_alive()
    }

    /// How the server's process ended, when it has.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.process.exit_status()
    }

    /// Ends the server and removes its directory. Takes at most about 20 seconds, usually
    /// milliseconds. Fails only when the directory could not be removed.
    pub async fn stop(self) -> Result<(), ServerError> {
        let PrivateServer { process, directory, .. } = self;
        blocking(move || {
            drop(process);
            directory.remove()
        })
        .await
    }
}

/// Runs blocking work off the async threads. A panic in it goes on in the caller.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
