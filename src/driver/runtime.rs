//! Connections that belong to a target, whichever worker needs them first.

use std::future::poll_fn;
use std::pin::pin;

use tokio::runtime::Handle;

/// Carries out `work` as if on `runtime`: the sockets, timers and tasks that it makes belong there. Made on a worker's core
/// they would be late whenever the core is busy, and end with it.
pub(super) async fn on<W: Future>(runtime: &Handle, work: W) -> W::Output {
    let mut work = pin!(work);
    poll_fn(|context| {
        let _entered = runtime.enter();
        work.as_mut().poll(context)
    })
    .await
}
