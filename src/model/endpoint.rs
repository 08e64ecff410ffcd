//! Where a target is.

use std::fmt;

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
    /// Where the URL came from: `--target`, `DEADHEAT_POSTGRES_URL`, `docker-compose.yml`, `private server` …
    pub origin: String,
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
