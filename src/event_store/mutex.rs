//! A fair asynchronous mutex that can be asked who holds it and who waits for it.
//!
//! `tokio::sync::Mutex` is fair and can be cancelled too, but it does not tell who waits. A barrier
//! that a caller reaches while holding the lock must know that the others cannot reach it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;

/// Who calls the store: the number of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Caller(pub u32);

/// A mutex that is granted in the order in which it was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct ObservableMutex {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    holder: Option<Caller>,
    /// In the order of arrival. A waiter whose receiver is gone has given up.
    queue: VecDeque<(Caller, oneshot::Sender<Held>)>,
}

/// The mutex is held as long as this exists.
#[derive(Debug)]
#[must_use = "the mutex is released when this is dropped"]
pub(super) struct Held {
    mutex: ObservableMutex,
}

impl ObservableMutex {
    /// Waits until the mutex is free and every earlier caller has had it. Dropping the future gives
    /// the place in the queue up.
    pub(super) async fn lock(&self, caller: Caller) -> Held {
        let granted = {
            let mut state = self.state();
            if state.holder.is_none() {
                state.holder = Some(caller);
                return Held { mutex: self.clone() };
            }
            let (grant, granted) = oneshot::channel();
            state.queue.push_back((caller, grant));
            granted
        };
        granted.await.expect("a waiter leaves the queue only by being granted the mutex")
    }

    /// Who waits for whom, at the instant of the call, in the order of arrival. Empty when nobody
    /// waits.
    pub(super) fn waits(&self) -> Vec<(Caller, Caller)> {
        let state = self.state();
        let Some(holder) = state.holder else { return Vec::new() };
        let waiting = state.queue.iter().filter(|(_, grant)| !grant.is_closed());
        waiting.map(|(waiter, _)| (*waiter, holder)).collect()
    }

    /// Hands the mutex to the next caller that still waits, in one step: there is no instant at
    /// which somebody waits and nobody holds.
    fn release(&self) {
        let next = {
            let mut state = self.state();
            let next = loop {
                match state.queue.pop_front() {
                    Some((_, grant)) if grant.is_closed() => {}
                    other => break other,
                }
            };
            state.holder = next.as_ref().map(|(caller, _)| *caller);
            next
        };
        if let Some((_, grant)) = next {
            // A waiter that gave up just now returns the grant, whose drop passes it on.
            drop(grant.send(Held { mutex: self.clone() }));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the state")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.mutex.release();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn tells_who_waits_for_whom_in_order_of_arrival() {
        let mutex = ObservableMutex::default();
        let held = mutex.lock(Caller(7)).await;
        assert_eq!(mutex.waits(), []);

        let mut second = Box::pin(mutex.lock(Caller(2)));
        let mut third = Box::pin(mutex.lock(Caller(3)));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        assert_eq!(mutex.waits(), [(Caller(2), Caller(7)), (Caller(3), Caller(7))]);

        drop(held);
        assert_eq!(mutex.waits(), [(Caller(3), Caller(2))]);
        drop(second.await);
        assert_eq!(mutex.waits(), []);
        drop(third.await);
        assert!(mutex.lock(Caller(4)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_no_longer_waits_and_is_passed_over() {
        let mutex = ObservableMutex::default();
        let held = mutex.lock(Caller(1)).await;
        let mut second = Box::pin(mutex.lock(Caller(2)));
        let mut third = Box::pin(mutex.lock(Caller(3)));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        drop(second);
        assert_eq!(mutex.waits(), [(Caller(3), Caller(1))]);
        drop(held);
        assert!(third.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_grant_that_is_dropped_before_it_was_taken_goes_to_the_next() {
        let mutex = ObservableMutex::default();
        let held = mutex.lock(Caller(1)).await;
        let mut second = Box::pin(mutex.lock(Caller(2)));
        let mut third = Box::pin(mutex.lock(Caller(3)));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        drop(held);
        drop(second);
        assert!(third.now_or_never().is_some());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn only_one_holds_it_and_nobody_is_forgotten_when_others_are_cancelled() {
        let mutex = ObservableMutex::default();
        let inside = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let tasks = (0..200u32).map(|number| {
            let (mutex, inside) = (mutex.clone(), inside.clone());
            tokio::spawn(async move {
                let patience = Duration::from_micros(if number % 3 == 0 { 50 } else { 60_000_000 });
                let Ok(_held) = tokio::time::timeout(patience, mutex.lock(Caller(number))).await else {
                    return;
                };
                assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
                assert_eq!(inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst), 1);
            })
        });
        for ended in join_all(tasks).await {
            ended.unwrap();
        }
        assert_eq!(mutex.waits(), []);
        assert!(mutex.lock(Caller(0)).now_or_never().is_some());
    }
}
