//! What a target is opened with.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::driver::Driver;
use super::given::Options;
use super::request::RequestAt;
use super::target::TargetError;

/// A system raced against, resolved for one case.
#[derive(Debug, Clone)]
pub struct TargetSpec {
    /// The name under `[targets]`.
    pub name: String,
    /// What it is.
    pub driver: &'static dyn Driver,
    /// The driver's own keys, as the driver reads them.
    pub options: Options,
    /// `url`, or the value of the variable that `url_env` names.
    pub url: Option<String>,
    /// The variable that `url_env` names, where it is not set.
    pub unset_variable: Option<String>,
    /// What the case's steps ask of it. They are compiled when it is opened.
    pub requests: Vec<RequestAt>,
    /// Where the target stands.
    pub place: Place,
}

/// A position in a scenario file, for messages about things that go wrong long after parsing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user named it.
    pub file: Arc<PathBuf>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// SQL isolation levels: the one thing that has to be pasted into a statement, hence a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// `read uncommitted`
    ReadUncommitted,
    /// `read committed`
    ReadCommitted,
    /// `repeatable read`
    RepeatableRead,
    /// `serializable`
    Serializable,
}

impl Isolation {
    /// All levels.
    pub const ALL: [Isolation; 4] =
        [Isolation::ReadUncommitted, Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable];

    /// The words used in scenario files and in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Isolation::ReadUncommitted => "read uncommitted",
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::Serializable => "serializable",
        }
    }
}

/// How a target is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It runs inside this process.
    Embedded,
    /// A server answers there.
    Server(Endpoint),
}

/// Where a server answers.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The URL to connect to, credentials included: never to be printed.
    pub url: String,
    /// Where the URL came from.
    pub origin: ServerOrigin,
}

/// Where a server, or its URL, came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServerOrigin {
    /// There is no server: the library is inside this process.
    #[default]
    Embedded,
    /// deadheat started it.
    Private,
    /// `--target`.
    Given,
    /// The scenario's `url`, or the variable that its `url_env` names.
    Scenario,
    /// An environment variable.
    Variable(&'static str),
    /// It answered at the address of `docker-compose.yml`.
    Compose,
}

impl ServerOrigin {
    /// The words used in reports and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServerOrigin::Embedded => "embedded",
            ServerOrigin::Private => "private server",
            ServerOrigin::Given => "--target",
            ServerOrigin::Scenario => "the scenario",
            ServerOrigin::Variable(name) => name,
            ServerOrigin::Compose => "docker-compose.yml",
        }
    }

    /// Whether nothing stays behind on it when the run is over.
    pub const fn ends_with_the_run(self) -> bool {
        matches!(self, ServerOrigin::Embedded | ServerOrigin::Private)
    }
}

impl fmt::Display for ServerOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Endpoint {
    /// The URL without password, token and query.
    pub fn redacted(&self) -> String {
        crate::secrets::redacted(&self.url)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.redacted()).field("origin", &self.origin).finish()
    }
}

impl Source {
    /// The server of the target called `name`, which is not embedded.
    pub fn server(&self, name: &str) -> Result<&Endpoint, TargetError> {
        match self {
            Source::Server(endpoint) => Ok(endpoint),
            Source::Embedded => {
                Err(TargetError::Environment { message: format!("target `{name}` was given no server") })
            }
        }
    }
}
