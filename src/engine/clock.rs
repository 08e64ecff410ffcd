//! The clock of one round.

use std::time::Duration;

use tokio::time::Instant;

use crate::duration::as_ns;

/// Nanoseconds since a round's origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Clock { origin: Instant::now() }
    }

    /// Nanoseconds since the origin.
    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        as_ns(self.origin.elapsed())
    }

    /// The instant that is this long after the origin.
    pub(crate) fn after(&self, duration: Duration) -> Instant {
        self.origin + duration
    }
}
