//! How a run is told to stop: after the round under way, or now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::RunError;

/// How much longer a start may take once the run was asked to stop. What it would have created is then complete, and
/// can be removed as usual.
const START_GRACE: Duration = Duration::from_millis(300);

/// A flag that a run looks at after every round. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    asked: AtomicU8,
    changed: Notify,
}

impl Stop {
    /// Asks once more: the first time to stop after the round under way, the second time to stop now.
    /// Returns how often it has been asked.
    pub fn ask(&self) -> u8 {
        let asked = self.shared.asked.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        self.shared.changed.notify_waiters();
        asked
    }

    /// Whether the run should end after the round under way.
    pub fn is_asked(&self) -> bool {
        self.shared.asked.load(Ordering::SeqCst) > 0
    }

    /// Returns when the run should end.
    pub async fn asked(&self) {
        self.asked_times(1).await;
    }

    /// Returns when the run should end at once.
    pub async fn now(&self) {
        self.asked_times(2).await;
    }

    async fn asked_times(&self, times: u8) {
        loop {
            let changed = self.shared.changed.notified();
            if self.shared.asked.load(Ordering::SeqCst) >= times {
                return;
            }
            changed.await;
        }
    }

    /// Carries out `work`, unless the run should end at once: then gives it up.
    pub(super) async fn unless_now<T, E: Into<RunError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, RunError> {
        tokio::select! {
            biased;
            () = self.now() => Err(RunError::Stopped),
            done = work => done.map_err(Into::into),
        }
    }

    /// Carries out `work` that comes before the first round. It is given up soon after the run was asked to stop,
    /// and not begun once it was.
    pub async fn unless_asked<T, E: Into<RunError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, RunError> {
        if self.is_asked() {
            return Err(RunError::Stopped);
        }
        let over = async {
            self.asked().await;
            drop(tokio::time::timeout(START_GRACE, self.now()).await);
        };
        tokio::select! {
            biased;
            done = work => done.map_err(Into::into),
            () = over => Err(RunError::Stopped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn asking_twice_means_now() {
        let stop = Stop::default();
        assert!(!stop.is_asked());
        assert_eq!(stop.ask(), 1);
        assert!(stop.is_asked());
        let waiting = tokio::spawn({
            let stop = stop.clone();
            async move { stop.now().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        assert_eq!(stop.ask(), 2);
        waiting.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_is_given_up_soon_after_the_first_time() {
        let stop = Stop::default();
        let short = async {
            tokio::time::sleep(START_GRACE / 2).await;
            Ok::<_, RunError>(())
        };
        let ended = tokio::join!(stop.unless_asked(short), async { stop.ask() }).0;
        assert!(ended.is_ok(), "what has begun is given a moment");

        let stop = Stop::default();
        let endless = std::future::pending::<Result<(), RunError>>;
        let ended = tokio::join!(stop.unless_asked(endless()), async { stop.ask() }).0;
        assert!(matches!(ended, Err(RunError::Stopped)));
        assert!(matches!(stop.unless_asked(endless()).await, Err(RunError::Stopped)), "nothing is begun");
    }

    #[tokio::test]
    async fn work_is_given_up_at_the_second_time_and_not_at_the_first() {
        let stop = Stop::default();
        stop.ask();
        assert!(stop.unless_now(async { Ok::<_, RunError>(()) }).await.is_ok());
        stop.ask();
        assert!(matches!(stop.unless_now(async { Ok::<_, RunError>(()) }).await, Err(RunError::Stopped)));
    }
}
