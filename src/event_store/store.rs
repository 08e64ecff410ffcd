//! The store's operations, and its one rule: a version must be greater than the actor's latest.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;

use super::connection::{Connection, Head, Written};
use super::error::{Doing, Refusal, StoreError};
use super::instance::Instance;
use super::mutex::{Caller, Held};
use super::{EventsRead, Guard, Lookup, NewEvent, Snapshot, SnapshotSaved};

/// An instance of the store, used over one worker's connection.
pub struct EventStore {
    instance: Arc<Instance>,
    connection: Box<dyn Connection>,
    /// Whether a write was handed to the connection and its end not seen yet.
    is_writing: AtomicBool,
}

/// How an append ended, when it is known how.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub enum Appended {
    /// The event is stored.
    Stored {
        /// As in [`Event::position`](super::Event::position).
        position: u64,
    },
    /// The version is not greater than the latest, or something was appended meanwhile. Nothing was
    /// written.
    Conflict(VersionConflict),
    /// The server refused for another reason. Nothing was written.
    Refused(Refusal),
    /// The append did not get past a pause point. Nothing was written.
    PauseBroken(PauseBroken),
}

/// An append that came too late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionConflict {
    /// The actor whose history was to be appended to.
    pub actor: String,
    /// The version that was to be appended.
    pub attempted: i64,
    /// The latest version stored now, read after the refusal; absent when that read failed.
    pub current: Option<i64>,
    /// The server's code, when the server's guard found the conflict. Absent when our own check
    /// found it before writing.
    pub code: Option<String>,
}

/// A named place inside the store where a caller may be held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PausePoint {
    /// In an append, after the latest version was read and judged and before the write.
    Checked,
}

/// What holds a caller up at a pause point.
pub trait Pause: Send + Sync {
    /// Called at most once per append: the second try after a refused stale cache does not pause
    /// again. An error ends the append without a write.
    fn reached<'a>(&'a self, point: PausePoint) -> BoxFuture<'a, Result<(), PauseBroken>>;
}

/// A pause that did not end as it should, for instance a barrier that was never completed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pause was broken: {reason}")]
pub struct PauseBroken {
    /// Why.
    pub reason: String,
}

impl EventStore {
    /// An instance used over a connection to the instance's backend.
    ///
    /// # Panics
    /// When the connection is to another backend.
    pub fn new(instance: Arc<Instance>, connection: Box<dyn Connection>) -> Self {
        assert_eq!(instance.backend, connection.backend(), "an instance works with one backend");
        Self { instance, connection, is_writing: AtomicBool::new(false) }
    }

    /// The instance, for asking who waits for its mutex.
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// Whether the connection is known to be gone for good.
    pub fn is_lost(&self) -> bool {
        self.connection.is_lost()
    }

    /// Whether a write may have taken effect of which nobody has seen the end: one that is under way, or whose
    /// future was dropped. Of an append whose future was dropped before, nothing was written, or what became of it is known.
    pub fn is_writing(&self) -> bool {
        self.is_writing.load(Ordering::Acquire)
    }

    /// Appends an event whose version must be greater than the actor's latest.
    ///
    /// Whatever the store decided is an [`Appended`]. `Err` is [`StoreError::NoReply`], where `sent`
    /// tells whether the event may be stored nevertheless, [`StoreError::Malformed`] or
    /// [`StoreError::Environment`].
    ///
    /// The future may be dropped: the mutex is then released, and [`EventStore::is_writing`] tells
    /// whether a write had been sent, which may or may not have taken effect.
    pub async fn append(
        &self,
        caller: Caller,
        event: &NewEvent,
        pause: Option<&dyn Pause>,
    ) -> Result<Appended, StoreError> {
        match self.try_append(caller, event, pause).await {
            Err(StoreError::Refused { refusal, .. }) => Ok(Appended::Refused(refusal)),
            other => other,
        }
    }

    async fn try_append(
        &self,
        caller: Caller,
        event: &NewEvent,
        pause: Option<&dyn Pause>,
    ) -> Result<Appended, StoreError> {
        let _held = self.lock(caller, event).await?;

        // A cached head may let an append through, but what it would refuse is read again: the
        // conflict must report what is stored now.
        let remembered = self.remembered(&event.actor).filter(|head| event.version > head.version);
        let read = match remembered {
            Some(head) => head,
            None => self.read_head(&event.actor).await?,
        };
        if event.version <= read.version {
            return Ok(conflict(event, Some(read.version), None));
        }
        if let Some(pause) = pause
            && let Err(broken) = pause.reached(PausePoint::Checked).await
        {
            return Ok(Appended::PauseBroken(broken));
        }

        let code = match self.write(event, read).await? {
            Written::Stored { position } => return Ok(Appended::Stored { position }),
            Written::Refused(refusal) => return Ok(Appended::Refused(refusal)),
            Written::Stale { code } => code,
        };
        let now = match self.read_head(&event.actor).await {
            Ok(now) => now,
            // What was read, and not remembered, was true: only a rival can have come between.
            Err(_) if remembered.is_none() => return Ok(conflict(event, None, code)),
            Err(error) => return Err(error),
        };
        // A refusal of a remembered head says no more than that the cache was behind.
        if remembered.is_none() || event.version <= now.version {
            return Ok(conflict(event, Some(now.version), code));
        }
        match self.write(event, now).await? {
            Written::Stored { position } => Ok(Appended::Stored { position }),
            Written::Refused(refusal) => Ok(Appended::Refused(refusal)),
            Written::Stale { code } => {
                let current = self.read_head(&event.actor).await.ok();
                Ok(conflict(event, current.map(|head| head.version), code))
            }
        }
    }

    /// The actor's latest version, 0 when there is no event: from the cache if there is one and it
    /// knows the actor, else read from the server. What a cache answers may be behind.
    pub async fn latest_version(&self, actor: &str) -> Result<i64, StoreError> {
        match self.remembered(actor) {
            Some(head) => Ok(head.version),
            None => Ok(self.read_head(actor).await?.version),
        }
    }

    /// The actor's events of versions greater than `since`, in append order, and whatever lies among
    /// them that is not an event. Where a malformed one has no version it is always reported.
    pub async fn events(&self, actor: &str, since: i64) -> Result<EventsRead, StoreError> {
        self.connection.events(actor, since).await
    }

    /// Saves a snapshot, unless one of a higher version is stored.
    pub async fn save_snapshot(&self, snapshot: &Snapshot) -> Result<SnapshotSaved, StoreError> {
        self.written(self.connection.save_snapshot(snapshot)).await
    }

    /// The actor's snapshot of the highest version; `None` when none was ever saved.
    pub async fn latest_snapshot(&self, actor: &str) -> Result<Option<Snapshot>, StoreError> {
        self.connection.latest_snapshot(actor).await
    }

    /// Appends `count` events to an actor that nobody else writes to, the versions following the
    /// latest one. For fixtures: there is no guard, and after an error some may be stored.
    pub async fn fill(&self, actor: &str, count: u32) -> Result<(), StoreError> {
        let head = self.read_head(actor).await?;
        self.forget(actor);
        self.connection.fill(actor, head.version, count).await
    }

    async fn lock(&self, caller: Caller, event: &NewEvent) -> Result<Option<Held>, StoreError> {
        match self.instance.guard {
            Guard::None | Guard::Server => Ok(None),
            Guard::Mutex => {
                let doing = Doing::read(format!("waiting for the store's mutex to append to `{}`", event.actor));
                let held = doing.within(self.instance.mutex_deadline, self.instance.mutex.lock(caller)).await?;
                Ok(Some(held))
            }
        }
    }

    fn remembered(&self, actor: &str) -> Option<Head> {
        self.instance.cache.as_ref()?.get(actor)
    }

    async fn read_head(&self, actor: &str) -> Result<Head, StoreError> {
        let head = match self.instance.lookup {
            Lookup::DirectGet => self.connection.latest(actor).await?,
            Lookup::LastConsumer => self.connection.latest_by_consumer(actor).await?,
            Lookup::Scan => self.connection.events(actor, 0).await?.head(),
        };
        if let Some(cache) = &self.instance.cache {
            cache.insert(actor, head);
        }
        Ok(head)
    }

    /// Writes, and keeps the cache in step: what is not known to be stored is forgotten.
    async fn write(&self, event: &NewEvent, read: Head) -> Result<Written, StoreError> {
        let guarded = self.instance.guard == Guard::Server;
        let written = self.written(self.connection.write(event, read, guarded)).await;
        match (&written, &self.instance.cache) {
            (Ok(Written::Stored { position }), Some(cache)) => {
                cache.insert(&event.actor, Head { version: event.version, position: *position });
            }
            _ => self.forget(&event.actor),
        }
        written
    }

    /// Notes that a write is under way until it has ended.
    async fn written<T>(&self, write: impl Future<Output = T>) -> T {
        self.is_writing.store(true, Ordering::Release);
        let end = write.await;
        self.is_writing.store(false, Ordering::Release);
        end
    }

    fn forget(&self, actor: &str) {
        if let Some(cache) = &self.instance.cache {
            cache.remove(actor);
        }
    }
}

fn conflict(event: &NewEvent, current: Option<i64>, code: Option<String>) -> Appended {
    let (actor, attempted) = (event.actor.clone(), event.version);
    Appended::Conflict(VersionConflict { actor, attempted, current, code })
}

impl EventsRead {
    /// The greatest version, and the last position, of everything read.
    fn head(&self) -> Head {
        let versions = self.events.iter().map(|event| event.version);
        let positions = self.events.iter().map(|event| event.position);
        let malformed = self.malformed.iter().map(|malformed| malformed.position);
        Head { version: versions.max().unwrap_or(0), position: positions.chain(malformed).max().unwrap_or(0) }
    }
}

impl PausePoint {
    /// The name used in scenarios.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Checked => "checked",
        }
    }
}

impl fmt::Display for VersionConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { actor, attempted, current, code } = self;
        write!(f, "version {attempted} of `{actor}` is not the next one: ")?;
        match current {
            Some(current) => write!(f, "version {current} is stored")?,
            None => write!(f, "the server refused it, and the stored version could not be read")?,
        }
        match code {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}
