//! Why there is no private server.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::ServerKind;
use crate::said::Said;

/// The programs of a server are not on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no private {kind} server: {} not found on PATH or in {}",
    Ticked(.programs, "and"),
    Ticked(.places, "or")
)]
pub struct NotFound {
    /// Of which server.
    pub kind: ServerKind,
    /// The names looked for; one folder must hold them all.
    pub programs: &'static [&'static str],
    /// Where they were looked for beside PATH; `*` stands for a version.
    pub places: &'static [&'static str],
}

impl NotFound {
    /// The command that would provide such a server on this operating system.
    pub fn hint(&self) -> String {
        let package = match (self.kind, cfg!(target_os = "macos")) {
            (ServerKind::Postgres, true) => "brew install postgresql",
            (ServerKind::Postgres, false) => "apt-get install postgresql",
            (ServerKind::Nats, true) => "brew install nats-server",
            (ServerKind::Nats, false) => "apt-get install nats-server",
        };
        format!("start a server with `docker compose up -d`, or install one: `{package}`")
    }
}

/// Why a private server did not start, or could not be cleared away.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its programs are not here.
    #[error(transparent)]
    NotFound(#[from] NotFound),

    /// Nobody to run it as.
    #[error(
        "PostgreSQL refuses to run as root, and this machine has none of the users {}",
        Ticked(.tried, "and")
    )]
    NoUser {
        /// The users looked for.
        tried: &'static [&'static str],
    },

    /// No place to put it.
    #[error("no directory can hold a private {kind} server: {}", .tried.join("; "))]
    NoDirectory {
        /// Of which server.
        kind: ServerKind,
        /// Each directory tried, with what was wrong with it.
        tried: Vec<String>,
    },

    /// A file could not be made, read or removed.
    #[error("could not {act} `{}`: {source}", .path.display())]
    File {
        /// A verb, as in "could not write …".
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// A program could not be run.
    #[error("could not run `{}`{}: {source}", .program.display(), AsUser(.user))]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The user it was to run as, when not our own.
        user: Option<&'static str>,
        /// Why.
        source: io::Error,
    },

    /// Nothing to listen on.
    #[error("no loopback port is free: {source}")]
    NoPort {
        /// Why.
        source: io::Error,
    },

    /// It ended instead of answering.
    #[error("`{}` ended with {status}{}", .program.display(), Log(.log_tail))]
    Ended {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The last lines it logged.
        log_tail: Said,
    },

    /// It runs and does not answer.
    #[error(
        "`{}` was not ready after {waited:?}: {last}{}",
        .program.display(),
        Log(.log_tail)
    )]
    NotReady {
        /// The program.
        program: PathBuf,
        /// For how long.
        waited: Duration,
        /// What the last look at it found.
        last: String,
        /// The last lines it logged.
        log_tail: Said,
    },
}

impl ServerError {
    /// What to do about it, when that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            ServerError::NotFound(error) => Some(error.hint()),
            ServerError::NoUser { .. } => {
                Some("run deadheat as an ordinary user, or create one: `useradd --system postgres`".to_owned())
            }
            ServerError::NoDirectory { .. } => Some("set TMPDIR to a directory with free space".to_owned()),
            ServerError::Ended { log_tail, .. } if log_tail.mentions("No space left on device") => {
                Some("free some disk space, or set TMPDIR to another disk".to_owned())
            }
            ServerError::Spawn { user: Some(_), .. } => Some(
                "the program must be executable for that user; \
                 run deadheat as an ordinary user otherwise"
                    .to_owned(),
            ),
            ServerError::NotReady { .. } => {
                Some("the machine may be overloaded; a server of your own can be given by URL".to_owned())
            }
            ServerError::File { .. }
            | ServerError::Spawn { .. }
            | ServerError::NoPort { .. }
            | ServerError::Ended { .. } => None,
        }
    }
}

/// Backticked names: `` `a`, `b` or `c` ``.
struct Ticked<'a>(&'a [&'a str], &'a str);

impl fmt::Display for Ticked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ticked(names, word) = self;
        for (index, name) in names.iter().enumerate() {
            match index {
                0 => {}
                _ if index + 1 == names.len() => write!(f, " {word} ")?,
                _ => f.write_str(", ")?,
            }
            write!(f, "`{name}`")?;
        }
        Ok(())
    }
}

/// The end of a log on lines of its own, or nothing.
struct Log<'a>(&'a Said);

impl fmt::Display for Log<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("; its log is empty");
        }
        f.write_str("; its log ends:")?;
        self.0.to_string().lines().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// `` as user `nobody` ``, or nothing.
struct AsUser<'a>(&'a Option<&'static str>);

impl fmt::Display for AsUser<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(user) => write!(f, " as user `{user}`"),
            None => Ok(()),
        }
    }
}
