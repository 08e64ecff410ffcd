//! How a run is told to stop: after the round under way, or now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

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

    /// Returns when the run should end at once.
    pub async fn now(&self) {
        loop {
            let changed = self.shared.changed.notified();
            if self.shared.asked.load(Ordering::SeqCst) > 1 {
                return;
            }
            changed.await;
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
}
