//! The driver `event-store`: its word, its keys, and what its targets can be asked.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::driver::jetstream::NATS_SERVERS;
use crate::driver::postgres::{self, POSTGRES_SERVERS};
use crate::event_store::{Backend, Guard, Lookup, UnknownName};
use crate::port::{
    self, Driver, Field, Given, Layout, Literal, Misfit, Need, NoRules, Options, Provider, RequestSpec, ResultShape,
    Shape, Source, Target, TargetError, TargetSpec, Usage,
};

/// The reference event store, over one of four backends.
pub static EVENT_STORE: EventStoreDriver = EventStoreDriver;

/// The driver `event-store`.
#[derive(Debug)]
pub struct EventStoreDriver;

const BACKEND: &str = "backend";
const GUARD: &str = "guard";
const LOOKUP: &str = "lookup";
const CACHE: &str = "cache";
const INSTANCES: &str = "instances";

/// The keys of requests.
pub(super) const ACTOR_KEY: &str = "actor";
pub(super) const VERSION: &str = "version";
pub(super) const TYPE: &str = "type";
pub(super) const DATA: &str = "data";
pub(super) const SINCE: &str = "since";
pub(super) const EVENTS_KEY: &str = "events";

const fn value(key: &'static str, need: Need, doc: &'static str) -> Field {
    Field { key, shape: Shape::Value, need, doc }
}

const ACTOR: Field = value(ACTOR_KEY, Need::Required, "Whose events.");
const DATA_OR_NULL: Field = value(DATA, Need::Default(Literal::Null), "Its data.");
const SINCE_VERSION: Field = value(SINCE, Need::Default(Literal::Int(0)), "Only versions greater than this.");

/// A request that reads and has no pause points.
const fn reading(
    key: &'static str,
    word: &'static str,
    doc: &'static str,
    usages: &'static [Usage],
    fields: &'static [Field],
) -> RequestSpec {
    RequestSpec {
        key,
        word,
        doc,
        usages,
        layout: Layout::Table,
        fields,
        result: ResultShape::Value("result"),
        may_write: false,
        pauses: &[],
        rules: &NoRules,
    }
}

const WRITES: &[Usage] = &[Usage::Step, Usage::Fixture];

static REQUESTS: [RequestSpec; 7] = [
    RequestSpec {
        may_write: true,
        pauses: &[port::PausePoint {
            word: "checked",
            doc: "after the latest version was read and judged, and before the write.",
        }],
        ..reading(
            "append",
            "append",
            "Appends an event.",
            WRITES,
            &[
                ACTOR,
                value(VERSION, Need::Required, "Its version, greater than the actor's latest."),
                value(TYPE, Need::Default(Literal::Text("Event")), "Its type."),
                DATA_OR_NULL,
            ],
        )
    },
    reading(
        "latest_version",
        "latest-version",
        "Reads the latest version of an actor; 0 when there is none.",
        &[Usage::Step],
        &[ACTOR],
    ),
    reading("read_events", "read-events", "Reads an actor's events.", &[Usage::Step], &[ACTOR, SINCE_VERSION]),
    RequestSpec {
        may_write: true,
        ..reading(
            "save_snapshot",
            "save-snapshot",
            "Stores a snapshot.",
            WRITES,
            &[ACTOR, value(VERSION, Need::Required, "The version it was taken at."), DATA_OR_NULL],
        )
    },
    reading(
        "latest_snapshot",
        "latest-snapshot",
        "Reads the latest snapshot; without one the attempt is `rejected`.",
        &[Usage::Step],
        &[ACTOR],
    ),
    RequestSpec {
        may_write: true,
        ..reading(
            "fill",
            "fill",
            "Appends many events at once, with versions from 1.",
            &[Usage::Fixture],
            &[ACTOR, value(EVENTS_KEY, Need::Required, "How many.")],
        )
    },
    RequestSpec {
        result: ResultShape::Value("events"),
        ..reading(
            "events",
            "read-events",
            "Reads an actor's events, bound to `events`.",
            &[Usage::Probe],
            &[ACTOR, SINCE_VERSION],
        )
    },
];

/// What a target's keys say.
#[derive(Debug, Clone)]
pub(super) struct StoreOptions {
    /// `backend`.
    pub(super) backend: Backend,
    /// `guard`.
    pub(super) guard: Guard,
    /// `lookup`.
    pub(super) lookup: Lookup,
    /// `cache`: whether each instance keeps a version cache.
    pub(super) cache: bool,
    /// `instances` of the store; session `w` uses instance `w % instances`.
    pub(super) instances: u32,
    /// Settings of each session, over PostgreSQL.
    pub(super) settings: std::collections::BTreeMap<String, String>,
}

impl Driver for EventStoreDriver {
    fn word(&self) -> &'static str {
        "event-store"
    }

    fn options(&self) -> &'static [Field] {
        &[
            Field {
                key: BACKEND,
                shape: Shape::Words(&["memory", "sqlite", "postgres", "jetstream"]),
                need: Need::Required,
                doc: "where events are kept.",
            },
            Field {
                key: GUARD,
                shape: Shape::Words(&["none", "mutex", "server"]),
                need: Need::Default(Literal::Text("server")),
                doc: "what keeps two appends apart.",
            },
            Field {
                key: LOOKUP,
                shape: Shape::Words(&["direct-get", "last-consumer", "scan"]),
                need: Need::Default(Literal::Text("direct-get")),
                doc: "how the latest version is read.",
            },
            Field {
                key: CACHE,
                shape: Shape::Flag,
                need: Need::Default(Literal::Bool(false)),
                doc: "whether each instance caches versions.",
            },
            Field {
                key: INSTANCES,
                shape: Shape::Whole { least: 1 },
                need: Need::Default(Literal::Int(1)),
                doc: "how many instances the workers share.",
            },
            postgres::SETTINGS,
        ]
    }

    fn requests(&self) -> &'static [RequestSpec] {
        &REQUESTS
    }

    fn configure(&self, given: &Given) -> Result<Options, Misfit> {
        let unknown = |key| move |error: UnknownName| Misfit { key, message: error.to_string() };
        let backend: Backend = given.text(BACKEND).parse().map_err(unknown(BACKEND))?;
        let lookup: Lookup = given.text(LOOKUP).parse().map_err(unknown(LOOKUP))?;
        backend.supports(lookup).map_err(|error| Misfit { key: LOOKUP, message: error.to_string() })?;
        let instances = given.whole(INSTANCES).and_then(|number| u32::try_from(number).ok());
        Ok(Options::new(StoreOptions {
            backend,
            guard: given.text(GUARD).parse().map_err(unknown(GUARD))?,
            lookup,
            cache: given.flag(CACHE),
            instances: instances.ok_or_else(|| Misfit {
                key: INSTANCES,
                message: format!("`{INSTANCES}` must be at most {}", u32::MAX),
            })?,
            settings: given.named(postgres::SETTINGS.key),
        }))
    }

    fn provider(&self, options: &Options) -> Option<&'static dyn Provider> {
        match backend(options)? {
            Backend::Memory | Backend::Sqlite => None,
            Backend::Postgres => Some(&POSTGRES_SERVERS),
            Backend::JetStream => Some(&NATS_SERVERS),
        }
    }

    fn session_kinds(&self, options: &Options) -> usize {
        options.get::<StoreOptions>().and_then(|it| usize::try_from(it.instances).ok()).unwrap_or(1)
    }

    fn sessions_take_files(&self, options: &Options) -> bool {
        backend(options) != Some(Backend::Memory)
    }

    fn open<'a>(
        &'a self,
        spec: &'a TargetSpec,
        source: &'a Source,
        namespace: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Target>, TargetError>> {
        async move {
            let options: &StoreOptions = spec.options.get().ok_or_else(|| TargetError::Fault {
                message: format!("target `{}` is not an `event-store` target", spec.name),
            })?;
            super::open(&spec.name, options, source, namespace).await
        }
        .boxed()
    }
}

fn backend(options: &Options) -> Option<Backend> {
    options.get::<StoreOptions>().map(|options| options.backend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_store::PausePoint;

    #[test]
    fn the_words_are_those_of_the_store() {
        let words = |key: &str| match EVENT_STORE.options().iter().find(|field| field.key == key).unwrap().shape {
            Shape::Words(words) => words.to_vec(),
            other => panic!("{other:?}"),
        };
        assert_eq!(words(BACKEND), Backend::ALL.map(Backend::as_str));
        assert_eq!(words(GUARD), Guard::ALL.map(Guard::as_str));
        assert_eq!(words(LOOKUP), Lookup::ALL.map(Lookup::as_str));
        assert_eq!(REQUESTS[0].pauses[0].word, PausePoint::Checked.as_str());
    }
}
