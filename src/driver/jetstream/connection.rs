//! Connections to NATS servers: addresses, logins, TLS.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use tokio::time::timeout;
use url::Url;

use crate::port::{Endpoint, ServerOrigin, TargetError};

/// How long connecting may take, from the name's lookup to the server's answer to the login.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// An address at which nobody ever listens.
const NOWHERE: &str = "nats://127.0.0.1:0";

/// The most messages that one subscription holds before they are read: whole answers of [`super::messages::read`].
pub(super) const SUBSCRIPTION_CAPACITY: usize = super::messages::LIMIT + 1;

/// A NATS server and how to log in to it.
pub(crate) struct Address {
    server: ServerAddr,
    login: Login,
    /// A PEM file with the certificates to trust instead of the machine's.
    authority: Option<PathBuf>,
    host_and_port: String,
    origin: ServerOrigin,
    is_private: bool,
}

enum Login {
    None,
    User { name: String, password: String },
    Token(String),
    Credentials(PathBuf),
}

impl Address {
    /// Reads the URL of the target called `target`: `nats://` or `tls://`, `user:password@` or `token@`, and the parameters `creds` and `ca`.
    pub(crate) fn parse(target: &str, endpoint: &Endpoint) -> Result<Self, TargetError> {
        let fault = |problem: String| TargetError::Fault {
            message: format!(
                "the URL of target `{target}` (from {}) {problem}; write it as `nats://user:password@host:4222`, with \
                 `tls://` for TLS and `?creds=FILE` or `?ca=FILE` if needed",
                endpoint.origin
            ),
        };
        let mut url = Url::parse(&endpoint.url).map_err(|error| fault(format!("is not a URL: {error}")))?;
        if !matches!(url.scheme(), "nats" | "tls") {
            return Err(fault(format!("has the scheme `{}`", url.scheme())));
        }
        let host = match url.host_str() {
            Some(host) if !host.is_empty() => host.to_owned(),
            _ => return Err(fault("names no host".to_owned())),
        };

        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let mut login = match (url.username(), url.password()) {
            ("", None) => Login::None,
            (token, None) => Login::Token(decode(token)),
            (name, Some(password)) => Login::User { name: decode(name), password: decode(password) },
        };
        let mut authority = None;
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "creds" => login = Login::Credentials(PathBuf::from(value.as_ref())),
                "ca" => authority = Some(PathBuf::from(value.as_ref())),
                other => return Err(fault(format!("has the unknown parameter `{other}`"))),
            }
        }

        let holds = "a URL with a host can hold an empty user and password";
        url.set_username("").expect(holds);
        url.set_password(None).expect(holds);
        url.set_query(None);
        let server = ServerAddr::from_url(url).map_err(|error| fault(format!("is refused: {error}")))?;
        let host_and_port = format!("{host}:{}", server.port());
        Ok(Address {
            server,
            login,
            authority,
            host_and_port,
            origin: endpoint.origin,
            is_private: endpoint.is_private(),
        })
    }

    /// Connects, as a client that the server knows by `name`.
    ///
    /// The connection is never replaced behind the caller's back: once it is lost, whatever waits for it ends at once.
    pub(crate) async fn connect(&self, name: &str) -> Result<Client, TargetError> {
        let options = self.options().await?.name(name);
        match timeout(CONNECT_LIMIT, options.connect(self.server.clone())).await {
            Ok(Ok(client)) => {
                // The client would connect again by itself, and then send late what it had not yet sent. Left with an
                // address where nobody listens, it gives up.
                client
                    .set_server_pool(NOWHERE)
                    .await
                    .map_err(|_| self.unreachable("it closed the connection".to_owned()))?;
                Ok(client)
            }
            Ok(Err(error)) => Err(self.refused(&error)),
            Err(_) => Err(self.unreachable(format!("no answer within {} s", CONNECT_LIMIT.as_secs()))),
        }
    }

    /// Whether deadheat started the server itself.
    pub(crate) fn is_private(&self) -> bool {
        self.is_private
    }

    /// `NATS at host:port (from origin)`.
    pub(super) fn described(&self) -> String {
        format!("NATS at {self} (from {})", self.origin)
    }

    async fn options(&self) -> Result<ConnectOptions, TargetError> {
        let mut options = ConnectOptions::new()
            .connection_timeout(CONNECT_LIMIT)
            .max_reconnects(1)
            .ignore_discovered_servers()
            .subscription_capacity(SUBSCRIPTION_CAPACITY);
        if let Some(authority) = &self.authority {
            options = options.add_root_certificates(authority.clone());
        }
        Ok(match &self.login {
            Login::None => options,
            Login::User { name, password } => options.user_and_password(name.clone(), password.clone()),
            Login::Token(token) => options.token(token.clone()),
            Login::Credentials(path) => {
                options.credentials_file(path).await.map_err(|error| TargetError::Environment {
                    message: format!(
                        "the credentials file `{}` for NATS at {self} cannot be read: {error}; give a `.creds` file \
                         with a user JWT and its seed",
                        path.display()
                    ),
                })?
            }
        })
    }

    fn refused(&self, error: &ConnectError) -> TargetError {
        let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => TargetError::Environment {
                message: format!("NATS at {self} (from {}) refused the login with {}", self.origin, self.login),
            },
            _ if is_of_tls(error) => TargetError::Environment {
                message: format!(
                    "TLS with NATS at {self} (from {}) failed, trusting {}: {cause}; name the authority that signed the \
                     server's certificate with `?ca=FILE` in the URL",
                    self.origin,
                    self.authority.as_ref().map_or("the machine's authorities".to_owned(), |authority| format!(
                        "the authorities in `{}`",
                        authority.display()
                    ))
                ),
            },
            _ => self.unreachable(cause),
        }
    }

    fn unreachable(&self, cause: String) -> TargetError {
        TargetError::Environment {
            message: format!(
                "NATS at {self} (from {}) cannot be reached: {cause}; start it with `nats-server -js` or `docker compose \
                 up -d`, or name another with `--target NAME=URL`",
                self.origin
            ),
        }
    }
}

impl fmt::Display for Address {
    /// `host:port`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host_and_port)
    }
}

impl fmt::Display for Login {
    /// What was tried and what to do, without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Login::None => f.write_str("no credentials; give them in the URL: `nats://user:password@host:4222`"),
            Login::User { name, .. } => write!(f, "user `{name}`; check the user and the password in the URL"),
            Login::Token(_) => f.write_str("a token; check the token in the URL"),
            Login::Credentials(path) => write!(
                f,
                "the credentials file `{}`; check that it is of this server's operator and not expired",
                path.display()
            ),
        }
    }
}

fn is_of_tls(error: &ConnectError) -> bool {
    // The client reports a failed handshake as an I/O error.
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    error.kind() == ConnectErrorKind::Tls
        || source
            .and_then(io::Error::get_ref)
            .is_some_and(<dyn std::error::Error + Send + Sync + 'static>::is::<rustls::Error>)
}

/// Whether the connection is gone for good.
pub(crate) fn is_lost(client: &Client) -> bool {
    client.connection_state() == State::Disconnected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, TargetError> {
        Address::parse("bus", &Endpoint { url: url.to_owned(), origin: ServerOrigin::Given })
    }

    #[test]
    fn credentials_leave_the_url() {
        let address = parse("tls://al%40ice:p%2Fw@[::1]?ca=/etc/ca.pem").unwrap();
        assert_eq!(address.to_string(), "[::1]:4222");
        assert_eq!(address.server.as_url_str(), "tls://[::1]");
        assert!(matches!(&address.login, Login::User { name, password } if name == "al@ice" && password == "p/w"));
        assert_eq!(address.authority, Some(PathBuf::from("/etc/ca.pem")));

        assert!(matches!(parse("nats://s3cret@host:1").unwrap().login, Login::Token(token) if token == "s3cret"));
        assert!(matches!(parse("nats://host:1").unwrap().login, Login::None));
        let credentials = parse("nats://host?creds=/a/b.creds").unwrap().login;
        assert!(matches!(credentials, Login::Credentials(path) if path == *"/a/b.creds"));
    }

    #[test]
    fn a_bad_url_is_a_fault_that_keeps_the_password() {
        for (url, problem) in [
            ("http://u:s3cret@host", "has the scheme `http`"),
            ("nats://u:s3cret@host:99999", "is not a URL"),
            ("host:4222", "has the scheme `host`"),
            ("nats:///path", "names no host"),
            ("nats://u:s3cret@host?cert=x", "has the unknown parameter `cert`"),
        ] {
            let Err(TargetError::Fault { message }) = parse(url) else { panic!("{url} was taken") };
            assert!(message.contains(problem), "{message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
    }
}
