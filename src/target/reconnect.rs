//! Connecting again after a connection was lost in mid-race.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::TargetError;

/// How long a server that went away may take to come back. It is shorter than a barrier's default timeout, so that a
/// worker that waits for the server breaks no barrier.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_millis(50);

/// Tries to connect that follow each other.
pub(super) struct Patience {
    begin: Instant,
}

impl Patience {
    /// Starts to count the time.
    pub(super) fn begin() -> Self {
        Patience { begin: Instant::now() }
    }

    /// Waits a moment after a try that ended with `error`; the error itself, if another try makes no sense.
    pub(super) async fn after(&self, error: TargetError) -> Result<(), TargetError> {
        if matches!(error, TargetError::Environment { .. }) && self.begin.elapsed() < PATIENCE {
            sleep(PAUSE).await;
            return Ok(());
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_may_take_a_while_to_come_back_and_not_for_ever() {
        let away = || TargetError::Environment { message: "nobody listens".to_owned() };
        let patience = Patience::begin();
        let mut tries = 0;
        while patience.after(away()).await.is_ok() {
            tries += 1;
        }
        assert!(tries > 10, "{tries}");
        assert!(patience.begin.elapsed() >= PATIENCE && patience.begin.elapsed() < 2 * PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_is_not_waited_for() {
        let fault = TargetError::Fault { message: "a bad URL".to_owned() };
        assert_eq!(Patience::begin().after(fault.clone()).await, Err(fault));
    }
}
