//! Against real servers: private ones, each test's own.

mod closing;
mod connecting;
mod loss;
mod outcomes;
mod sessions;
mod tls;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::driver::{Done, Reply, Session, Target, TargetError};
use crate::model::{Driver, Endpoint, Operation, Place, TargetSpec};
use crate::outcome::OutcomeKind;
use crate::server::PrivateServer;
use crate::server::find::{self, SearchPath};
use crate::server::postgres::{PostgresOptions, start};
use crate::value::Value;

async fn server_with(settings: &[(&str, &str)], password: Option<&str>) -> PrivateServer {
    let programs = find::postgres(&SearchPath::system(std::env::var_os("PATH").as_deref())).unwrap();
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let password = password.map(str::to_owned);
    start(&programs, &PostgresOptions { settings, password, ..PostgresOptions::default() }).await.unwrap()
}

async fn server() -> PrivateServer {
    server_with(&[("fsync", "off")], None).await
}

/// `HOST:PORT` of a private server.
fn address(server: &PrivateServer) -> SocketAddr {
    let (_, address) = server.url.split_once('@').unwrap();
    address.split_once('/').unwrap().0.parse().unwrap()
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint { url: url.to_owned(), origin: "--target".to_owned() }
}

fn spec(statements: &[&str], settings: &[(&str, &str)]) -> TargetSpec {
    TargetSpec {
        name: "db".to_owned(),
        driver: Driver::Postgres,
        settings: settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        url: None,
        unset_variable: None,
        statements: statements.iter().map(|text| Arc::from(*text)).collect(),
        place: Place { file: Arc::new(PathBuf::from("test.toml")), line: 1, column: 1 },
    }
}

fn sql(text: &str, args: impl IntoIterator<Item = Value>) -> Operation<Value> {
    Operation::Sql { statement: 0, text: Arc::from(text), args: args.into_iter().collect() }
}

/// How long anything may take, on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// Looks until it is so; panics when it was not in time.
async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A target whose schema was set up, with the statements that its sessions race with.
struct Case {
    target: Box<dyn Target>,
    statements: Vec<Arc<str>>,
}

impl Case {
    async fn open(url: &str, setup: &str, statements: &[&str]) -> Case {
        Case::with(url, setup, &spec(statements, &[])).await
    }

    async fn with(url: &str, setup: &str, spec: &TargetSpec) -> Case {
        let target = super::open(spec, &endpoint(url), "dh_test_1").await.unwrap();
        target.apply(&sql(setup, [])).await.unwrap();
        Case { target, statements: spec.statements.clone() }
    }

    async fn session(&self, worker: usize) -> Box<dyn Session> {
        let mut session = self.target.session(worker).await.unwrap();
        session.prepare().await.unwrap();
        session
    }

    fn operation(&self, text: &str, args: impl IntoIterator<Item = Value>) -> Operation<Value> {
        let statement = self.statements.iter().position(|statement| **statement == *text).unwrap();
        Operation::Sql { statement, text: self.statements[statement].clone(), args: args.into_iter().collect() }
    }

    async fn try_call(
        &self,
        session: &mut dyn Session,
        text: &str,
        args: impl IntoIterator<Item = Value>,
    ) -> Result<Reply, TargetError> {
        session.call(&self.operation(text, args), soon(), None).await
    }

    async fn call(&self, session: &mut dyn Session, text: &str, args: impl IntoIterator<Item = Value>) -> Reply {
        self.try_call(session, text, args).await.unwrap()
    }

    /// The single value that a query over the control connection gives.
    async fn observe(&self, query: &str) -> Value {
        self.target.observe(&sql(query, [])).await.unwrap().rows[0][0].clone()
    }

    /// How many sessions' `statement` the server is at work on.
    async fn active(&self, statement: &str) -> Value {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = $1";
        self.target.observe(&sql(query, [Value::text(statement)])).await.unwrap().rows[0][0].clone()
    }

    /// Waits until the server is at work on `statement`, of one session.
    async fn until_active(&self, statement: &str) {
        eventually(statement, async || self.active(statement).await == Value::Int(1)).await;
    }
}

/// What the engine does after an attempt that failed, until the next round.
async fn renewed(session: &mut dyn Session) {
    session.reset().await.unwrap();
    session.clean().await.unwrap();
    session.prepare().await.unwrap();
}

fn done(reply: Reply) -> Done {
    match reply {
        Reply::Done(done) => done,
        Reply::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

#[track_caller]
fn assert_refused(reply: &Reply, kind: OutcomeKind, code: &str) {
    match reply {
        Reply::Refused(refusal) => assert_eq!((refusal.kind, refusal.code.as_str()), (kind, code), "{refusal:?}"),
        Reply::Done(done) => panic!("done: {done:?}"),
    }
}

/// The message of a fault of the scenario.
#[track_caller]
fn fault<T>(result: Result<T, TargetError>) -> String {
    match result {
        Err(TargetError::Fault { message } | TargetError::Statement { message, .. }) => message,
        Err(error) => panic!("not a fault: {error:?}"),
        Ok(_) => panic!("not an error"),
    }
}

/// The message of an environment error.
#[track_caller]
fn environment<T>(result: Result<T, TargetError>) -> String {
    match result {
        Err(TargetError::Environment { message }) => message,
        Err(error) => panic!("not of the environment: {error:?}"),
        Ok(_) => panic!("not an error"),
    }
}
