//! Against real servers: private ones, each test's own.

mod closing;
mod connecting;
mod loss;
mod outcomes;
mod sessions;
mod tls;
mod values;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::POSTGRES;
use super::driver::{ARGS, SQL};
use crate::driver::testing::{place, planned, request};
use crate::outcome::{Cause, OutcomeKind};
use crate::port::{
    Bound, Done, Driver, Endpoint, Entry, Options, Refusal, Reply, Request, RequestAt, ServerOrigin, Session, Source,
    Target, TargetError, TargetSpec,
};
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
    Endpoint { url: url.to_owned(), origin: ServerOrigin::Given }
}

fn spec(statements: &[&str], settings: &[(&str, &str)]) -> TargetSpec {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    TargetSpec {
        name: "db".to_owned(),
        driver: &POSTGRES,
        options: Options::new(super::driver::PostgresOptions { settings }),
        url: None,
        unset_variable: None,
        requests: statements.iter().map(|text| planned(&sql(text, []))).collect(),
        place: place(),
    }
}

async fn open(spec: &TargetSpec, endpoint: &Endpoint, namespace: &str) -> Result<Box<dyn Target>, TargetError> {
    POSTGRES.open(spec, &Source::Server(endpoint.clone()), namespace).await
}

fn sql(text: &str, args: impl IntoIterator<Item = Value>) -> Request<Value> {
    let args = Entry::Many(args.into_iter().collect());
    request(&POSTGRES, SQL, vec![(SQL, Entry::One(Value::text(text))), (ARGS, args)])
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
    requests: Vec<RequestAt>,
}

impl Case {
    async fn open(url: &str, setup: &str, statements: &[&str]) -> Case {
        Case::with(url, setup, &spec(statements, &[])).await
    }

    async fn with(url: &str, setup: &str, spec: &TargetSpec) -> Case {
        let target = open(spec, &endpoint(url), "dh_test_1").await.unwrap();
        target.apply(&sql(setup, [])).await.unwrap();
        Case { target, requests: spec.requests.clone() }
    }

    async fn session(&self, worker: usize) -> Box<dyn Session> {
        let mut session = self.target.session(worker).await.unwrap();
        session.prepare().await.unwrap();
        session
    }

    fn bound(&self, text: &str, args: impl IntoIterator<Item = Value>) -> Bound {
        let index = self.requests.iter().position(|it| it.request.statement() == Some(text)).unwrap();
        self.target.bind(index, &sql(text, args), 0).unwrap()
    }

    async fn try_call(
        &self,
        session: &mut dyn Session,
        text: &str,
        args: impl IntoIterator<Item = Value>,
    ) -> Result<Reply, TargetError> {
        session.call(&mut self.bound(text, args), soon(), None).await
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
        Reply::Refused(refusal) => {
            let cause = match code {
                "connection-lost" | "57P01" => Cause::ConnectionLost,
                "deadline" => Cause::Deadline,
                _ => Cause::Server,
            };
            let Refusal { kind: of_kind, cause: of_cause, code: of_code, .. } = refusal;
            assert_eq!((*of_kind, *of_cause, of_code.as_str()), (kind, cause, code), "{refusal:?}");
        }
        Reply::Done(done) => panic!("done: {done:?}"),
    }
}

/// The message of a fault of the scenario.
#[track_caller]
fn fault<T>(result: Result<T, TargetError>) -> String {
    match result {
        Err(TargetError::Fault { message } | TargetError::Request { message, .. }) => message,
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
