//! NATS JetStream: workers publish to a stream that is the case's own.

pub mod api_code;
pub(crate) mod connection;
mod driver;
mod features;
pub mod headers;
mod messages;
mod provider;
mod publish;
mod request;
mod session;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::Instant;

use self::connection::Address;
pub use self::driver::{JETSTREAM, JetStreamDriver};
use self::driver::{JetStreamOptions, MESSAGES, PUBLISH, SUBJECT, server_headers};
pub(super) use self::provider::NATS_SERVERS;
use self::publish::Outgoing;
use self::session::StreamSession;
use self::stream::Stream;
use super::reconnect::patiently;
use crate::outcome::{Cause, OutcomeKind};
use crate::port::{Bound, Description, Done, Endpoint, Reply, Request, Session, Target, TargetError, TargetSpec, Wait};
use crate::value::Value;

/// How long a request outside of a race may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// How long reading a stream outside of a race may take, up to [`messages::LIMIT`] messages one by one.
const READ_LIMIT: Duration = Duration::from_secs(60);

/// Connects and creates the stream `namespace` with the subjects `namespace.>`.
pub async fn open(spec: &TargetSpec, endpoint: &Endpoint, namespace: &str) -> Result<Box<dyn Target>, TargetError> {
    let options = spec.options.get().cloned().unwrap_or_else(JetStreamOptions::default);
    let headers = &server_headers(&spec.requests);
    let stream = Stream::new(Address::parse(&spec.name, endpoint)?, namespace);
    let control = connect(&stream).await?;
    let server = control.server_info();
    let warnings = features::check(&spec.name, &stream.address, &server.version, headers)?;
    let settings = features::stream_settings(headers);
    stream.create(&control, options.duplicate_window, &settings, Instant::now() + REQUEST_LIMIT).await?;

    let mut settings = BTreeMap::from([
        ("max_payload".to_owned(), server.max_payload.to_string()),
        ("replicas".to_owned(), "1".to_owned()),
        ("storage".to_owned(), "file".to_owned()),
    ]);
    settings.extend(server.cluster.map(|cluster| ("cluster".to_owned(), cluster)));
    let description = Description {
        driver: "jetstream".to_owned(),
        version: server.version,
        origin: endpoint.origin,
        settings,
        warnings,
    };
    Ok(Box::new(JetStream { stream: Arc::new(stream), control: Mutex::new(control), description }))
}

struct JetStream {
    stream: Arc<Stream>,
    control: Mutex<Client>,
    description: Description,
}

/// What a session is asked, ready to be carried out.
enum Call {
    /// A message, and a copy of it that the first call takes.
    Publish { message: Outgoing, first: Option<Outgoing> },
    /// The messages of a subject.
    Messages { subject: Value },
}

impl Call {
    fn of(stream: &Stream, request: &Request<Value>) -> Result<Self, TargetError> {
        match request.spec.key {
            PUBLISH => {
                let message = Outgoing::new(stream, request)?;
                Ok(Call::Publish { first: Some(message.clone()), message })
            }
            MESSAGES => Ok(Call::Messages { subject: request.one(SUBJECT).cloned().unwrap_or(Value::Null) }),
            _ => Err(not_for_streams(request)),
        }
    }
}

impl JetStream {
    /// The control connection, connected again if it was lost. A server that has just come back may not yet have its streams.
    async fn control(&self) -> Result<Client, TargetError> {
        let mut control = self.control.lock().await;
        if connection::is_lost(&control) {
            *control = patiently(|| connect_warm(&self.stream)).await?;
        }
        Ok(control.clone())
    }
}

async fn connect(stream: &Stream) -> Result<Client, TargetError> {
    stream.address.connect(&format!("deadheat {} control", stream.name)).await
}

async fn connect_warm(stream: &Stream) -> Result<Client, TargetError> {
    let client = connect(stream).await?;
    stream.warm_up(&client, Instant::now() + REQUEST_LIMIT).await?;
    Ok(client)
}

impl Target for JetStream {
    fn description(&self) -> &Description {
        &self.description
    }

    fn apply<'a>(&'a self, request: &'a Request<Value>) -> BoxFuture<'a, Result<(), TargetError>> {
        async move {
            let Call::Publish { message, .. } = Call::of(&self.stream, request)? else {
                return Err(not_for_streams(request));
            };
            let client = self.control().await?;
            done(message.publish(&client, &self.stream, Instant::now() + REQUEST_LIMIT).await?).map(drop)
        }
        .boxed()
    }

    fn bind(&self, _: usize, request: &Request<Value>, _: usize) -> Result<Bound, TargetError> {
        Call::of(&self.stream, request).map(Bound::new)
    }

    fn session(&self, worker: usize) -> BoxFuture<'_, Result<Box<dyn Session>, TargetError>> {
        async move {
            let session = StreamSession::open(Arc::clone(&self.stream), worker).await?;
            Ok(Box::new(session) as Box<dyn Session>)
        }
        .boxed()
    }

    fn observe<'a>(&'a self, request: &'a Request<Value>) -> BoxFuture<'a, Result<Done, TargetError>> {
        async move {
            let Call::Messages { subject } = Call::of(&self.stream, request)? else {
                return Err(not_for_streams(request));
            };
            let client = self.control().await?;
            done(messages::read(&client, &self.stream, &subject, Instant::now() + READ_LIMIT).await?)
        }
        .boxed()
    }

    fn waits(&self) -> BoxFuture<'_, Result<Vec<Wait>, TargetError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn sees_waits(&self) -> bool {
        false
    }

    fn close(&self) -> BoxFuture<'_, Result<(), TargetError>> {
        async move {
            let mut control = self.control.lock().await;
            if connection::is_lost(&control) {
                *control = connect(&self.stream).await?;
            }
            self.stream.delete(&control, Instant::now() + REQUEST_LIMIT).await
        }
        .boxed()
    }
}

/// What was done outside of a race, where a refusal is an error.
fn done(reply: Reply) -> Result<Done, TargetError> {
    match reply {
        Reply::Done(done) => Ok(done),
        Reply::Refused(refusal) => {
            let message = format!("JetStream: {} ({})", refusal.message, refusal.code);
            Err(match refusal.kind {
                OutcomeKind::Conflict | OutcomeKind::Duplicate | OutcomeKind::Rejected => {
                    TargetError::Fault { message }
                }
                OutcomeKind::Disconnected if refusal.cause == Cause::Unanswered => TargetError::Environment {
                    message: format!("{message}; see the server's log, and check that JetStream is enabled"),
                },
                OutcomeKind::Disconnected | OutcomeKind::Unknown => {
                    TargetError::Lost { message: format!("{message}; see the server's log") }
                }
                OutcomeKind::Success
                | OutcomeKind::Deadlock
                | OutcomeKind::Busy
                | OutcomeKind::Serialization
                | OutcomeKind::Timeout
                | OutcomeKind::BrokenBarrier
                | OutcomeKind::Crash => TargetError::Environment { message },
            })
        }
    }
}

fn not_for_streams(request: &Request<Value>) -> TargetError {
    TargetError::Fault {
        message: format!("a `jetstream` target cannot do `{}` here; use `publish` or `messages`", request.spec.word),
    }
}
