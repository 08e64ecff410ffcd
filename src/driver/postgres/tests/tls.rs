//! TLS by `sslmode`, with certificates made for the test.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use super::*;

/// Runs `openssl` in `directory`.
fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A self-signed certificate for `localhost`, and one of an authority's with what it signed for `localhost`.
fn certificates() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(
        at,
        &format!(
            "req -x509 {key} -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout self.key -out self.crt"
        ),
    );
    openssl(at, &format!("req -x509 {key} -subj /CN=authority -keyout ca.key -out ca.crt"));
    openssl(
        at,
        &format!(
            "req {key} -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout signed.key -out signed.csr"
        ),
    );
    openssl(
        at,
        "x509 -req -in signed.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out signed.crt",
    );
    for name in ["self.key", "signed.key"] {
        give_to_server(&at.join(name));
    }
    directory
}

/// Lets only the user that private servers run as read a key: other keys are refused.
fn give_to_server(key: &Path) {
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    if rustix::process::geteuid().is_root() {
        // The private server then runs as the owner of its directory.
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
        let user = passwd
            .lines()
            .find(|line| line.starts_with("postgres:"))
            .or(passwd.lines().find(|line| line.starts_with("nobody:")))
            .unwrap();
        let ids: Vec<u32> = user.split(':').skip(2).take(2).map(|id| id.parse().unwrap()).collect();
        chown(key, Some(ids[0]), Some(ids[1])).unwrap();
    }
}

async fn tls_server(certificates: &Path, name: &str, password: Option<&str>) -> PrivateServer {
    let path = |end: &str| certificates.join(format!("{name}.{end}")).display().to_string();
    server_with(
        &[("fsync", "off"), ("ssl", "on"), ("ssl_cert_file", &path("crt")), ("ssl_key_file", &path("key"))],
        password,
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_sslmode_verifies_what_libpq_does() {
    let directory = certificates();
    let file = |name: &str| directory.path().join(name).display().to_string();
    for (name, root) in [("self", "self.crt"), ("signed", "ca.crt")] {
        let server = tls_server(directory.path(), name, None).await;
        let other = if name == "self" { file("ca.crt") } else { file("self.crt") };
        let root = file(root);
        let port = address(&server).port();
        let rows = [
            ("localhost", "sslmode=disable".to_owned(), Some(false)),
            ("localhost", String::new(), Some(true)),
            ("localhost", "sslmode=prefer".to_owned(), Some(true)),
            ("127.0.0.1", "sslmode=require".to_owned(), Some(true)),
            ("localhost", format!("sslmode=require&sslrootcert={other}"), None),
            ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={root}"), Some(true)),
            ("localhost", format!("sslmode=verify-ca&sslrootcert={other}"), None),
            ("localhost", format!("sslmode=verify-full&sslrootcert={root}"), Some(true)),
            ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={root}"), None),
            ("localhost", format!("sslmode=verify-full&sslrootcert={other}"), None),
        ];
        for (host, options, encrypted) in rows {
            let url = format!("postgres://postgres@{host}:{port}/postgres?{options}");
            let opened = open(&spec(&[], &[]), &endpoint(&url), "dh_tls").await;
            let Some(encrypted) = encrypted else {
                let message = environment(opened);
                assert!(message.contains("TLS") && message.contains("certificate"), "{options}: {message}");
                continue;
            };
            let target = opened.unwrap_or_else(|error| panic!("{name} {host} {options}: {error}"));
            let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            let found = target.observe(&sql(query, [])).await.unwrap().rows;
            assert_eq!(found, [[Value::Bool(encrypted)]], "{options}");
            target.close().await.unwrap();
        }
    }
}

/// The server compares the hash that the client logs in with to that of its own certificate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_are_bound_to_the_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).unwrap();
    let elliptic = "ec -pkeyopt ec_paramgen_curve:P-256";
    for (name, key, is_bound) in [
        ("sha256", format!("{elliptic} -sha256"), true),
        ("sha512", format!("{elliptic} -sha512"), true),
        // It names no hash function, so that there is nothing to bind a login to.
        ("ed25519", "ed25519".to_owned(), false),
    ] {
        openssl(at, &format!("req -x509 -newkey {key} -nodes -subj /CN=me -keyout {name}.key -out {name}.crt"));
        give_to_server(&at.join(format!("{name}.key")));
        let server = tls_server(at, name, Some("s3cret")).await;
        let url = |binding: &str| {
            let address = address(&server);
            format!("postgres://postgres:s3cret@{address}/postgres?sslmode=require&channel_binding={binding}")
        };
        for (binding, logs_in) in [("require", is_bound), ("prefer", true), ("disable", true)] {
            match open(&spec(&[], &[]), &endpoint(&url(binding)), "dh_bound").await {
                Ok(target) => {
                    assert!(logs_in, "{name}, {binding}");
                    target.close().await.unwrap();
                }
                Err(error) => {
                    assert!(!logs_in && error.to_string().contains("channel binding"), "{name}, {binding}: {error}");
                }
            }
        }
    }
}
