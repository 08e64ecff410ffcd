//! The reference event store.

/// How an append is kept from racing another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Not at all.
    None,
    /// By a lock of the store instance.
    Mutex,
    /// By the server.
    Server,
}

/// How the latest version is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// By one direct read.
    DirectGet,
    /// By a consumer that delivers the last message.
    LastConsumer,
    /// By reading all events.
    Scan,
}

/// A named point inside an operation where a worker can be paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PausePoint {
    /// After the version was read and judged, before the write.
    Checked,
}
