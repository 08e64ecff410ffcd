//! A TCP proxy that sees what a client sends, and cuts a connection after it passed on certain bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Starts a proxy in front of `upstream` and returns its address; it ends with the runtime.
///
/// Every piece of what the client sends is passed on, and then shown to `fatal`. Once one satisfies it, the server's answer
/// is awaited and swallowed, and the connection is closed on both sides; so it is when either side ends.
pub(super) async fn start(upstream: SocketAddr, fatal: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let fatal = Arc::new(fatal);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass_on(client, upstream, Arc::clone(&fatal)));
        }
    });
    address
}

async fn pass_on(mut client: TcpStream, upstream: SocketAddr, fatal: Arc<impl Fn(&[u8]) -> bool>) {
    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
    let (mut sent, mut answered) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let Ok(length @ 1..) = read else { return };
                if server.write_all(&sent[..length]).await.is_err() {
                    return;
                }
                if fatal(&sent[..length]) {
                    let _ = server.read(&mut answered).await;
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
