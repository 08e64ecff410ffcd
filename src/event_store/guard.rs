//! The store's settings: which backend, which guard, which lookup.

use std::fmt;
use std::str::FromStr;

/// What the store keeps its events in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Backend {
    /// This process's memory.
    Memory,
    /// A SQLite file.
    Sqlite,
    /// PostgreSQL tables.
    Postgres,
    /// A NATS JetStream stream.
    JetStream,
}

/// What keeps two writers from both appending on top of the same event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Guard {
    /// Nothing: check, then publish.
    None,
    /// A lock per instance, held over check and publish.
    Mutex,
    /// The server refuses a write that is not based on the latest event.
    #[default]
    Server,
}

/// How the latest version is found when it is not in the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lookup {
    /// Ask the server for the one latest event: O(1).
    #[default]
    DirectGet,
    /// Create a consumer that starts at the last message, fetch it, delete the consumer: O(1), but
    /// three round trips and state on the server. JetStream only.
    LastConsumer,
    /// Read all of the actor's events and take the greatest version: O(n).
    Scan,
}

impl Backend {
    /// All backends, in the order in which lists show them.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Sqlite, Self::Postgres, Self::JetStream];

    /// The name used in scenarios.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::JetStream => "jetstream",
        }
    }

    /// Refuses a lookup that the backend does not have.
    pub fn supports(self, lookup: Lookup) -> Result<(), UnsupportedLookup> {
        if self.lookups().contains(&lookup) { Ok(()) } else { Err(UnsupportedLookup { backend: self, lookup }) }
    }

    /// The lookups that the backend has.
    pub fn lookups(self) -> &'static [Lookup] {
        match self {
            Self::Memory | Self::Sqlite | Self::Postgres => &[Lookup::DirectGet, Lookup::Scan],
            Self::JetStream => &Lookup::ALL,
        }
    }
}

impl Guard {
    /// All guards, weakest first.
    pub const ALL: [Self; 3] = [Self::None, Self::Mutex, Self::Server];

    /// The name used in scenarios.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Mutex => "mutex",
            Self::Server => "server",
        }
    }
}

impl Lookup {
    /// All lookups.
    pub const ALL: [Self; 3] = [Self::DirectGet, Self::LastConsumer, Self::Scan];

    /// The name used in scenarios.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DirectGet => "direct-get",
            Self::LastConsumer => "last-consumer",
            Self::Scan => "scan",
        }
    }
}

/// A name that is none of the known ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{found}`; use one of {}", ticked(wanted))]
pub struct UnknownName {
    /// What was to be named: `backend`, `guard` or `lookup`.
    pub what: &'static str,
    /// The name that was found.
    pub found: String,
    /// The names that exist.
    pub wanted: Vec<&'static str>,
}

/// A lookup that the backend does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {} backend has no lookup `{}`; use one of {}", backend.as_str(), lookup.as_str(),
    ticked(&backend.lookups().iter().map(|lookup| lookup.as_str()).collect::<Vec<_>>())
)]
pub struct UnsupportedLookup {
    /// The backend of the instance.
    pub backend: Backend,
    /// The lookup that was asked for.
    pub lookup: Lookup,
}

fn ticked(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// The `Display` and `FromStr` of an enum that has `ALL` and `as_str`.
macro_rules! named {
    ($type:ty, $what:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(found: &str) -> Result<Self, UnknownName> {
                let known = Self::ALL.into_iter().find(|known| known.as_str() == found);
                known.ok_or_else(|| UnknownName {
                    what: $what,
                    found: found.to_owned(),
                    wanted: Self::ALL.map(Self::as_str).to_vec(),
                })
            }
        }
    };
}

named!(Backend, "backend");
named!(Guard, "guard");
named!(Lookup, "lookup");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_what_it_names() {
        for backend in Backend::ALL {
            assert_eq!(backend.to_string().parse(), Ok(backend));
        }
        for guard in Guard::ALL {
            assert_eq!(guard.to_string().parse(), Ok(guard));
        }
        for lookup in Lookup::ALL {
            assert_eq!(lookup.to_string().parse(), Ok(lookup));
        }
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let error = "lock".parse::<Guard>().unwrap_err();
        assert_eq!(error.to_string(), "unknown guard `lock`; use one of `none`, `mutex`, `server`");
    }
}
