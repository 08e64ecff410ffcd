//! Connecting again after a connection was lost in mid-race.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::port::TargetError;

/// How long a server that went away may take to come back. It is shorter than a barrier's default timeout, so that a
/// worker that waits for the server breaks no barrier.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_millis(50);

/// Tries to `connect` until it succeeds, or until the server has had its time to come back. Gives the last error.
pub(super) async fn patiently<T, F>(mut connect: impl FnMut() -> F) -> Result<T, TargetError>
where
    F: Future<Output = Result<T, TargetError>>,
{
    let begin = Instant::now();
    loop {
        match connect().await {
            Err(TargetError::Environment { .. }) if begin.elapsed() < PATIENCE => sleep(PAUSE).await,
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    fn away() -> Result<(), TargetError> {
        Err(TargetError::Environment { message: "nobody listens".to_owned() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_may_take_a_while_to_come_back_and_not_for_ever() {
        let begin = Instant::now();
        let mut tries = 0;
        let back = patiently(|| {
            tries += 1;
            ready(if tries < 10 { away() } else { Ok(()) })
        });
        assert_eq!(back.await, Ok(()));
        assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
        assert_eq!(patiently(|| ready(away())).await, away());
        assert!(begin.elapsed() < 3 * PATIENCE, "{:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_is_not_waited_for() {
        let fault = || Err::<(), _>(TargetError::Fault { message: "a bad URL".to_owned() });
        let begin = Instant::now();
        assert_eq!(patiently(|| ready(fault())).await, fault());
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}
