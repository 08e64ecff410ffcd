//! A TCP proxy that counts what a worker asks, and cuts its connection at one request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::wire::{Answer, Protocol, Received, Sent, Stream};

/// How long an answer is waited for that is then not passed on: the request may wait for other workers.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// On which side of the server a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The request does not reach the server.
    Before,
    /// The server has answered, and the answer does not reach the client.
    After,
}

/// Which connection is cut, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) worker: usize,
    /// Its requests are counted from 0, over all rounds of one case or control.
    pub(crate) request: usize,
    pub(crate) side: Side,
}

/// Whether what was asked when the connection was cut took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The server never saw it, or refused it.
    None,
    /// The server said that it did.
    Done,
    /// The server did not say.
    Unknown,
}

/// The case or control that a connection belongs to (its number in the run), and its worker.
type Key = (u64, usize);

/// What a proxy saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Requests by case or control and worker.
    pub(crate) requests: BTreeMap<Key, usize>,
    /// What became of the request at which a connection was cut, by case or control.
    pub(crate) cuts: BTreeMap<u64, Effect>,
}

/// Forwards connections to one server. Ends when dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(protocol: Protocol, server: SocketAddr, cut: Option<Cut>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn({
            let seen = seen.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let Ok(server) = TcpStream::connect(server).await else { continue };
                    drop(client.set_nodelay(true).and(server.set_nodelay(true)));
                    let watch = Watch { protocol, cut, seen: seen.clone(), key: None };
                    tokio::spawn(watch.forward(client, server));
                }
            }
        });
        Proxy { address, seen, task }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection.
struct Watch {
    protocol: Protocol,
    cut: Option<Cut>,
    seen: Arc<Mutex<Seen>>,
    key: Option<Key>,
}

impl Watch {
    /// Forwards until an end goes, or the connection is cut. Both ends close when this returns.
    async fn forward(mut self, mut client: TcpStream, mut server: TcpStream) {
        let (mut sent, mut received) = (Stream::new(self.protocol), Stream::new(self.protocol));
        let (mut from_client, mut from_server) = (vec![0; 65536], vec![0; 65536]);
        // PostgreSQL answers the login as it answers requests.
        let mut unanswered = usize::from(self.protocol == Protocol::Postgres);
        loop {
            tokio::select! {
                length = client.read(&mut from_client) => {
                    let Some(length) = some(length) else { return };
                    sent.feed(&from_client[..length]);
                    while let Some((bytes, what)) = sent.sent() {
                        let (side, wanted) = match what {
                            Sent::Name(name) => {
                                self.key = key(&name);
                                (None, Answer::Never)
                            }
                            Sent::Request(answer) => {
                                unanswered += 1;
                                (self.cut_at_request(), answer)
                            }
                            Sent::Other => (None, Answer::Never),
                        };
                        if side == Some(Side::Before) {
                            return self.is_cut(Effect::None);
                        }
                        if server.write_all(&bytes).await.is_err() {
                            return;
                        }
                        if side == Some(Side::After) {
                            let effect = effect(&mut server, received, &wanted, unanswered);
                            return self.is_cut(timeout(ANSWER_WITHIN, effect).await.unwrap_or(Effect::Unknown));
                        }
                    }
                }
                length = server.read(&mut from_server) => {
                    let Some(length) = some(length) else { return };
                    received.feed(&from_server[..length]);
                    while let Some(what) = received.received(&Answer::InOrder) {
                        if matches!(what, Received::Answer { .. }) {
                            unanswered = unanswered.saturating_sub(1);
                        }
                    }
                    if client.write_all(&from_server[..length]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Counts a request, and says on which side it is cut.
    fn cut_at_request(&self) -> Option<Side> {
        let (space, worker) = self.key?;
        let mut seen = self.seen.lock().unwrap();
        let count = seen.requests.entry((space, worker)).or_default();
        let request = *count;
        *count += 1;
        self.cut.filter(|cut| (cut.worker, cut.request) == (worker, request)).map(|cut| cut.side)
    }

    fn is_cut(&self, effect: Effect) {
        if let Some((space, _)) = self.key {
            self.seen.lock().unwrap().cuts.insert(space, effect);
        }
    }
}

/// Waits for the answer to the last of `unanswered` requests.
async fn effect(server: &mut TcpStream, mut received: Stream, wanted: &Answer, unanswered: usize) -> Effect {
    let mut missing = match wanted {
        Answer::InOrder => unanswered,
        Answer::To(_) | Answer::Next => 1,
        Answer::Never => return Effect::Unknown,
    };
    let mut buffer = vec![0; 65536];
    loop {
        while let Some(what) = received.received(wanted) {
            if let Received::Answer { refused } = what {
                missing -= 1;
                if missing == 0 {
                    return if refused { Effect::None } else { Effect::Done };
                }
            }
        }
        let Some(length) = some(server.read(&mut buffer).await) else { return Effect::Unknown };
        received.feed(&buffer[..length]);
    }
}

fn some(length: std::io::Result<usize>) -> Option<usize> {
    length.ok().filter(|length| *length > 0)
}

/// The number in the run and the worker of `deadheat dh_0123abcd_2 session 7;`; `None` for other connections than workers'.
fn key(name: &str) -> Option<Key> {
    let (space, connection) = name.strip_prefix("deadheat ")?.split_once(' ')?;
    let worker = connection.strip_prefix("session")?.trim_matches([' ', '-', ';']);
    Some((space.rsplit_once('_')?.1.parse().ok()?, worker.parse().ok()?))
}

#[test]
fn only_workers_connections_are_told_apart() {
    assert_eq!(key("deadheat dh_0123abcd_2 session 7;"), Some((2, 7)));
    assert_eq!(key("deadheat dh_0123abcd_12 session-49"), Some((12, 49)));
    assert_eq!(key("deadheat dh_0123abcd_2 watch"), None);
    assert_eq!(key("deadheat dh_0123abcd_2 control"), None);
}
