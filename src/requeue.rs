//! A task that lets the others run first.

use std::future::poll_fn;
use std::task::Poll;

/// Goes to the end of the runtime's queue: every task that is ready now runs first.
///
/// [`tokio::task::yield_now`] lets only those run first that have not yielded: of those that have, the last runs on first. One
/// that began before the others would thus be resumed after all of them had run to their end, and would never race.
pub(crate) async fn requeue() {
    let mut is_queued = false;
    poll_fn(|context| {
        if is_queued {
            return Poll::Ready(());
        }
        is_queued = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn tasks_run_on_in_the_order_in_which_they_let_others_go_first() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks = [0, 1, 2].map(|task| {
            let order = order.clone();
            tokio::spawn(async move {
                requeue().await;
                order.lock().unwrap().push(task);
                requeue().await;
                order.lock().unwrap().push(task);
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 0, 1, 2]);
    }
}
