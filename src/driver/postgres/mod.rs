//! PostgreSQL: SQL over one connection per worker, in a schema of the case's own.
//!
//! Three kinds of connection: each worker's session; one for fixtures and invariants; one that watches who waits for whom
//! and ends statements that outlive their deadline, so that neither ever waits behind a long query.

mod argument;
mod column;
mod connect;
mod control;
mod driver;
mod effect;
mod execute;
mod fault;
mod leftovers;
mod opening;
mod provider;
mod refusal;
pub(super) mod schema;
mod session;
pub mod sqlstate;
mod statement;
#[cfg(test)]
mod tests;
mod text;
mod tls;
mod watch;

pub(super) use driver::SETTINGS;
pub use driver::{POSTGRES, Postgres};
pub(super) use provider::POSTGRES_SERVERS;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::timeout;

use self::argument::Argument;
use self::connect::{Link, Server};
use self::control::Control;
use self::driver::{ARGS, SQL};
use self::opening::Opened;
use self::session::PostgresSession;
use self::statement::{Statement, changes_shapes, makes_functions, may_make};
use self::watch::Watch;
use crate::port::{Bound, Description, Done, Endpoint, Request, RequestAt, Session, Target, TargetError, Wait};
use crate::value::Value;

/// Fixtures may fill large tables.
const FIXTURE_DEADLINE: Duration = Duration::from_secs(60);
const QUERY_DEADLINE: Duration = Duration::from_secs(10);
/// How long a query of the final state may take before we ask the server for its blockers, and how often we ask after that.
const LOOK_FOR_BLOCKERS: Duration = Duration::from_millis(200);
const CLOSE_DEADLINE: Duration = Duration::from_secs(30);

/// Resets what `ALTER DATABASE` and `ALTER ROLE` have set: it belongs to no schema, and the next case would begin with it.
const RESET_SERVER: &str = "DO $$ DECLARE it record; BEGIN
    FOR it IN SELECT r.rolname, d.datname FROM pg_db_role_setting s
        LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
    LOOP
        IF it.rolname IS NULL AND it.datname IS NOT NULL THEN
            EXECUTE format('ALTER DATABASE %I RESET ALL', it.datname);
        ELSE
            EXECUTE format('ALTER ROLE %s %s RESET ALL', coalesce(quote_ident(it.rolname), 'ALL'),
                coalesce('IN DATABASE ' || quote_ident(it.datname), ''));
        END IF;
    END LOOP; END $$";

/// Connects to the server at `endpoint` and creates the schema `namespace`, which must not exist yet.
///
/// A setting that the server refuses to this user is left out, with a warning in the description.
async fn opened(
    settings: &BTreeMap<String, String>,
    requests: &[RequestAt],
    endpoint: &Endpoint,
    namespace: &str,
) -> Result<PostgresTarget, TargetError> {
    let mut server = Server::new(endpoint, namespace)?;
    let link = server.connect(&format!("deadheat {namespace} opening")).await?;
    let opened = timeout(QUERY_DEADLINE, opening::opened(&server, &link, settings, endpoint)).await;
    let opened = opened.unwrap_or_else(|_| Err(server.silent(QUERY_DEADLINE)))?;
    let Opened { description, settings, public_is_free } = opened;
    if public_is_free {
        server.search_public();
    }
    let server = Arc::new(server);
    let control = Control::new(server.clone(), format!("deadheat {namespace} fixtures"));

    let (statements, compiled) = compiled(requests);
    let shared = Shared {
        watch: Watch::new(server.clone(), format!("deadheat {namespace} watch")),
        may_begin: statements.iter().any(|statement| leftovers::may_begin(&statement.text)),
        may_make: AtomicBool::new(statements.iter().any(|statement| may_make(&statement.text))),
        changes_shapes: statements.iter().any(|statement| changes_shapes(&statement.text)),
        statements,
        server,
        application: format!("deadheat {namespace} "),
        settings,
        shape: AtomicU64::new(0),
    };
    Ok(PostgresTarget { description, control, compiled, shared: Arc::new(shared) })
}

/// The distinct statements of the requests, and by request which it is.
fn compiled(requests: &[RequestAt]) -> (Vec<Statement>, Vec<usize>) {
    let mut statements: Vec<Statement> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut compiled = Vec::with_capacity(requests.len());
    for (index, RequestAt { request, .. }) in requests.iter().enumerate() {
        let text = request.statement().unwrap_or_default();
        compiled.push(*known.entry(text).or_insert_with(|| {
            statements.push(Statement::new(&Arc::from(text), index));
            statements.len() - 1
        }));
    }
    (statements, compiled)
}

/// PostgreSQL, with a schema of its own for one case.
struct PostgresTarget {
    description: Description,
    control: Control,
    /// By request: index into [`Shared::statements`].
    compiled: Vec<usize>,
    shared: Arc<Shared>,
}

/// What the target and its sessions have in common.
struct Shared {
    server: Arc<Server>,
    watch: Watch,
    /// The beginning of what all connections call themselves.
    application: String,
    /// The settings that the server accepted.
    settings: BTreeMap<String, String>,
    statements: Vec<Statement>,
    /// Whether a statement may begin a transaction of its own.
    may_begin: bool,
    /// Whether a statement may change the shape of tables.
    changes_shapes: bool,
    /// Whether a statement may make what another one needs.
    may_make: AtomicBool,
    /// Counts how often fixtures, or the steps of a round, may have changed the shape of tables.
    shape: AtomicU64,
}

impl Shared {
    /// A statement that the server could not carry out once.
    fn never_asked(&self) -> Option<TargetError> {
        let never = |it: &Statement| Some(TargetError::Request { request: it.request, message: it.never()? });
        self.statements.iter().find_map(never)
    }

    /// What the connection called `name` calls itself: no name may begin another.
    fn application(&self, name: impl Display) -> String {
        format!("{}{name};", self.application)
    }

    /// A connection called `name`, with the settings.
    async fn connect_session(&self, name: impl Display) -> Result<Link, TargetError> {
        let link = self.server.connect_with(&self.application(name), &self.settings).await?;
        link.map_err(|error| self.server.unavailable(&error))
    }
}

/// A statement with its arguments, ready to be sent.
struct Call {
    /// Index into [`Shared::statements`].
    statement: usize,
    args: Vec<Argument>,
}

/// The statement and its arguments.
fn asked(request: &Request<Value>) -> Result<(&Arc<str>, &[Value]), TargetError> {
    match request.one(SQL) {
        Some(Value::Text(text)) => Ok((text, request.many(ARGS))),
        _ => Err(fault::not_sql(request.spec.word)),
    }
}

impl PostgresTarget {
    /// Reads state. A query that waits for a lock in a worker's session is given up: nobody frees it before the state was
    /// read.
    async fn read(&self, text: &Arc<str>, args: &[Value]) -> Result<Done, TargetError> {
        let mut done = pin!(self.control.query(text, args, QUERY_DEADLINE));
        loop {
            if let Ok(done) = timeout(LOOK_FOR_BLOCKERS, &mut done).await {
                return done;
            }
            let pid = self.control.pid();
            if let Some((lock, worker)) = self.shared.watch.blocker(pid).await? {
                self.shared.watch.cancel(pid).await?;
                // The connection is kept if the answer to this comes.
                drop(timeout(LOOK_FOR_BLOCKERS, done).await);
                return Err(fault::blocked(text, &lock, worker));
            }
        }
    }
}

/// What a case made was not removed. A private server takes it along when it ends.
fn left_behind(server: &Server, error: &TargetError) -> TargetError {
    let (schema, name) = (server.schema(), server.name());
    let message = if server.is_private() {
        format!("the case could not be removed from PostgreSQL at {name}: {error}; see the server's log")
    } else {
        format!(
            "the schema {schema} was left behind on PostgreSQL at {name}: {error}; remove it with `DROP SCHEMA {schema} CASCADE`"
        )
    };
    TargetError::Environment { message }
}

impl Target for PostgresTarget {
    fn description(&self) -> &Description {
        &self.description
    }

    fn apply<'a>(&'a self, request: &'a Request<Value>) -> BoxFuture<'a, Result<(), TargetError>> {
        async move {
            let (text, args) = asked(request)?;
            if args.is_empty() {
                self.control.batch(text, FIXTURE_DEADLINE).await?;
            } else {
                self.control.apply(text, args, FIXTURE_DEADLINE).await?;
            }
            if makes_functions(text) {
                self.shared.may_make.store(true, Ordering::Release);
            }
            if changes_shapes(text) {
                self.shared.shape.fetch_add(1, Ordering::AcqRel);
            }
            Ok(())
        }
        .boxed()
    }

    fn bind(&self, index: usize, request: &Request<Value>, _: usize) -> Result<Bound, TargetError> {
        let (_, args) = asked(request)?;
        Ok(Bound::new(Call { statement: self.compiled[index], args: args.iter().map(Argument::new).collect() }))
    }

    fn session(&self, worker: usize) -> BoxFuture<'_, Result<Box<dyn Session>, TargetError>> {
        async move {
            let session = PostgresSession::open(self.shared.clone(), worker).await?;
            Ok(Box::new(session) as Box<dyn Session>)
        }
        .boxed()
    }

    fn observe<'a>(&'a self, request: &'a Request<Value>) -> BoxFuture<'a, Result<Done, TargetError>> {
        async move {
            let (text, args) = asked(request)?;
            self.read(text, args).await
        }
        .boxed()
    }

    fn never_asked(&self) -> Option<TargetError> {
        self.shared.never_asked()
    }

    fn settle(&self) -> BoxFuture<'_, Result<(), TargetError>> {
        self.shared.watch.settle().boxed()
    }

    fn clean(&self) -> BoxFuture<'_, Result<(), TargetError>> {
        async move {
            if self.shared.changes_shapes {
                self.shared.shape.fetch_add(1, Ordering::AcqRel);
            }
            self.control.clean().await;
            Ok(())
        }
        .boxed()
    }

    fn waits(&self) -> BoxFuture<'_, Result<Vec<Wait>, TargetError>> {
        self.shared.watch.waits().boxed()
    }

    fn sees_waits(&self) -> bool {
        true
    }

    /// Fixtures may have left anything behind on their connection, hence a fresh one.
    fn close(&self) -> BoxFuture<'_, Result<(), TargetError>> {
        async move {
            let Shared { server, watch, application, .. } = &*self.shared;
            self.control.close().await;
            // By process as well: a step may have called its session something else.
            let ended = watch.settle().await.and(watch.terminate(application).await);
            let drop = format!("SET lock_timeout = '10s'; DROP SCHEMA IF EXISTS {} CASCADE", server.schema());
            let mut dropped = self.control.batch(&drop, CLOSE_DEADLINE).await;
            if dropped.is_ok() && server.is_private() {
                dropped = self.control.batch(RESET_SERVER, CLOSE_DEADLINE).await;
            }
            self.control.close().await;
            watch.close().await;
            dropped.map_err(|error| left_behind(server, &error))?;
            ended
        }
        .boxed()
    }
}
