//! The clock of one round.

use std::time::Duration;

use tokio::time::Instant;

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
        duration_ns(self.origin.elapsed())
    }

    /// The instant so long after the origin.
    pub(crate) fn after(&self, duration: Duration) -> Instant {
        self.origin + duration
    }
}

/// A duration in nanoseconds; 584 years are enough.
#[inline]
pub(crate) fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
