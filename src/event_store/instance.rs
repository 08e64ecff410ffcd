//! What one process of the service holds.

use std::time::Duration;

use super::cache::VersionCache;
use super::mutex::{Caller, ObservableMutex};
use super::{Backend, Guard, Lookup, UnsupportedLookup};

/// How an instance works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceOptions {
    /// What keeps two writers from appending on top of the same event.
    pub guard: Guard,
    /// How the latest version is found.
    pub lookup: Lookup,
    /// Whether the instance remembers the latest versions that it has seen.
    pub cache: bool,
    /// How long an append waits for the instance's mutex, including the time that others pause.
    pub mutex_deadline: Duration,
}

/// One instance of the store, as one process of the service would hold it: its own mutex, its own
/// version cache. Workers of one process share it, each with its own connection.
#[derive(Debug)]
pub struct Instance {
    pub(super) backend: Backend,
    pub(super) guard: Guard,
    pub(super) lookup: Lookup,
    pub(super) mutex: ObservableMutex,
    pub(super) mutex_deadline: Duration,
    pub(super) cache: Option<VersionCache>,
}

impl Instance {
    /// An instance for connections to the given backend.
    pub fn new(backend: Backend, options: InstanceOptions) -> Result<Self, UnsupportedLookup> {
        let InstanceOptions { guard, lookup, cache, mutex_deadline } = options;
        backend.supports(lookup)?;
        let cache = cache.then(VersionCache::default);
        Ok(Self { backend, guard, lookup, mutex: ObservableMutex::default(), mutex_deadline, cache })
    }

    /// The backend that its connections are to.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Which caller waits for which other one to let go of the instance's mutex, at the instant of
    /// the call.
    pub fn waits(&self) -> Vec<(Caller, Caller)> {
        self.mutex.waits()
    }
}

impl Default for InstanceOptions {
    /// Guarded by the server, direct get, no cache, 10 s for the mutex.
    fn default() -> Self {
        Self {
            guard: Guard::default(),
            lookup: Lookup::default(),
            cache: false,
            mutex_deadline: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_that_the_backend_lacks_is_refused() {
        let options = InstanceOptions { lookup: Lookup::LastConsumer, ..InstanceOptions::default() };
        let error = Instance::new(Backend::Sqlite, options).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the sqlite backend has no lookup `last-consumer`; use one of `direct-get`, `scan`"
        );
        assert!(Instance::new(Backend::JetStream, options).is_ok());
    }
}
