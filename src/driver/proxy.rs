//! A TCP proxy that cuts a connection at a chosen moment: for tests of what becomes of an effect whose reply is lost.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens when the client sends the watched-for bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// They are not forwarded, and the connection ends.
    Before,
    /// They are forwarded; the server's next bytes are held back, and the connection ends once they have come.
    AfterForwarding,
    /// They are forwarded, and the server's bytes are never passed on, but the connection stays open.
    Silence,
}

/// Forwards connections to one server. Ends when dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    rule: Rule,
    task: JoinHandle<()>,
}

type Rule = Arc<Mutex<Option<(Vec<u8>, Cut)>>>;

impl Proxy {
    /// Listens on a free loopback port and forwards to `server`.
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let rule = Rule::default();
        let task = tokio::spawn({
            let rule = rule.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(forward(client, TcpStream::connect(server).await.unwrap(), rule.clone()));
                }
            }
        });
        Proxy { address, rule, task }
    }

    /// The next time that any client sends `bytes` in one piece, `cut` happens to its connection; once.
    pub(crate) fn cut_at(&self, bytes: &[u8], cut: Cut) {
        *self.rule.lock().unwrap() = Some((bytes.to_vec(), cut));
    }

    /// Whether what was asked for last has happened.
    pub(crate) fn has_cut(&self) -> bool {
        self.rule.lock().unwrap().is_none()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(client: TcpStream, server: TcpStream, rule: Rule) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let cut = {
        let upstream = watched(&mut from_client, &mut to_server, &rule);
        let downstream = copy(&mut from_server, &mut to_client);
        tokio::pin!(upstream);
        tokio::select! {
            cut = &mut upstream => cut,
            () = downstream => None,
        }
    };
    let mut buffer = [0; 4096];
    match cut {
        Some(Cut::AfterForwarding) => drop(from_server.read(&mut buffer).await),
        Some(Cut::Silence) => while from_client.read(&mut buffer).await.is_ok_and(|length| length > 0) {},
        Some(Cut::Before) | None => {}
    }
}

/// Forwards until the rule fits or the client ends.
async fn watched(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, rule: &Rule) -> Option<Cut> {
    let mut buffer = vec![0; 65536];
    loop {
        let length = from.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        let piece = &buffer[..length];
        let cut = {
            let mut rule = rule.lock().unwrap();
            let fits =
                |(bytes, _): &mut (Vec<u8>, Cut)| piece.windows(bytes.len()).any(|window| window == bytes.as_slice());
            rule.take_if(fits).map(|(_, cut)| cut)
        };
        if cut != Some(Cut::Before) {
            to.write_all(piece).await.ok()?;
        }
        if cut.is_some() {
            return cut;
        }
    }
}

async fn copy(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) {
    let _ = tokio::io::copy(from, to).await;
}
