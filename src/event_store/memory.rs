//! Events in this process's memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use super::connection::{Connection, Head, Written};
use super::error::StoreError;
use super::{Backend, Event, EventsRead, NewEvent, Snapshot, SnapshotSaved};
use crate::requeue::requeue;

/// A store in memory. Clones are further connections to the same one.
#[derive(Clone, Debug, Default)]
pub struct MemoryConnection {
    stored: Arc<Mutex<Stored>>,
}

#[derive(Debug, Default)]
struct Stored {
    /// The position of the last event of all actors.
    position: u64,
    actors: BTreeMap<String, History>,
    snapshots: BTreeMap<String, Snapshot>,
}

#[derive(Debug, Default)]
struct History {
    head: Head,
    events: Vec<Event>,
}

/// Lets others run once, as the way to a server would: else no two operations are ever under way at the same time.
async fn way_to_a_server() {
    requeue().await;
}

impl MemoryConnection {
    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().expect("nothing panics while it holds the events")
    }
}

impl Stored {
    fn head(&self, actor: &str) -> Head {
        self.actors.get(actor).map(|history| history.head).unwrap_or_default()
    }

    fn push(&mut self, event: &NewEvent) -> u64 {
        self.position += 1;
        let NewEvent { id, actor, kind, version, data } = event.clone();
        let history = self.actors.entry(actor.clone()).or_default();
        if version > history.head.version {
            history.head = Head { version, position: self.position };
        }
        let timestamp = Timestamp::now();
        history.events.push(Event { position: self.position, id, actor, kind, version, data, timestamp });
        self.position
    }
}

impl Connection for MemoryConnection {
    fn backend(&self) -> Backend {
        Backend::Memory
    }

    fn latest<'a>(&'a self, actor: &'a str) -> BoxFuture<'a, Result<Head, StoreError>> {
        async move {
            way_to_a_server().await;
            Ok(self.stored().head(actor))
        }
        .boxed()
    }

    fn write<'a>(
        &'a self,
        event: &'a NewEvent,
        read: Head,
        guarded: bool,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        async move {
            // Without it nothing comes between check and write, and a missing guard is never noticed.
            way_to_a_server().await;
            let mut stored = self.stored();
            if guarded && stored.head(&event.actor) != read {
                return Ok(Written::Stale { code: None });
            }
            Ok(Written::Stored { position: stored.push(event) })
        }
        .boxed()
    }

    fn events<'a>(&'a self, actor: &'a str, since: i64) -> BoxFuture<'a, Result<EventsRead, StoreError>> {
        async move {
            way_to_a_server().await;
            let stored = self.stored();
            let history = stored.actors.get(actor).into_iter().flat_map(|history| &history.events);
            let events = history.filter(|event| event.version > since).cloned().collect();
            Ok(EventsRead { events, malformed: Vec::new() })
        }
        .boxed()
    }

    fn fill<'a>(&'a self, actor: &'a str, after: i64, count: u32) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            way_to_a_server().await;
            let mut stored = self.stored();
            for version in (after + 1..).take(count as usize) {
                stored.push(&NewEvent::filling(actor, version));
            }
            Ok(())
        }
        .boxed()
    }

    fn save_snapshot<'a>(&'a self, snapshot: &'a Snapshot) -> BoxFuture<'a, Result<SnapshotSaved, StoreError>> {
        async move {
            way_to_a_server().await;
            let mut stored = self.stored();
            match stored.snapshots.get(&snapshot.actor) {
                Some(saved) if saved.version > snapshot.version => Ok(SnapshotSaved::Superseded),
                _ => {
                    stored.snapshots.insert(snapshot.actor.clone(), snapshot.clone());
                    Ok(SnapshotSaved::Stored)
                }
            }
        }
        .boxed()
    }

    fn latest_snapshot<'a>(&'a self, actor: &'a str) -> BoxFuture<'a, Result<Option<Snapshot>, StoreError>> {
        async move {
            way_to_a_server().await;
            Ok(self.stored().snapshots.get(actor).cloned())
        }
        .boxed()
    }
}
