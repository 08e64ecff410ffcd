//! Targets that are set up, so that a run that is torn down leaves nothing on them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::port::{Description, Target};

/// Targets that are set up at this moment. Clones share the list, so that they can be closed when a run is dropped.
#[derive(Clone, Default)]
pub struct OpenTargets {
    targets: Arc<Mutex<Vec<Arc<dyn Target>>>>,
}

impl OpenTargets {
    pub(super) fn add(&self, target: &Arc<dyn Target>) {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).push(target.clone());
    }

    pub(super) fn remove(&self, target: &Arc<dyn Target>) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.retain(|open| !Arc::ptr_eq(open, target));
    }

    /// Closes whatever is still set up, as far as that works within `limit`: the run is being torn down at the user's
    /// word. Gives what is known to be left on servers that stay.
    pub async fn close(&self, limit: Duration) -> Vec<String> {
        let targets = std::mem::take(&mut *self.targets.lock().unwrap_or_else(PoisonError::into_inner));
        let closing = targets.iter().map(async |target| {
            let closed = match tokio::time::timeout(limit, target.close()).await {
                Ok(closed) => closed.map_err(|error| error.to_string()),
                Err(_) => Err(format!("it could not be removed within {limit:?}")),
            };
            let Description { driver, origin, .. } = target.description();
            let left = closed.err().filter(|_| !origin.ends_with_the_run())?;
            Some(format!("what the case created with `{driver}` on the server from {origin} was left behind: {left}"))
        });
        futures::future::join_all(closing).await.into_iter().flatten().collect()
    }
}
