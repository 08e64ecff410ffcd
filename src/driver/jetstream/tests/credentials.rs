//! Logins with a `.creds` file: a user's JWT, and the seed of the key that signs what the server asks.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value as Json, json};

use super::*;

/// A key as NATS writes it: with a letter that says whose it is, in base 32, with a checksum.
struct Key {
    prefix: u8,
    secret: [u8; 32],
    pair: Ed25519KeyPair,
}

impl Key {
    fn new(letter: u8, secret: u8) -> Self {
        let secret = [secret; 32];
        Key { prefix: (letter - b'A') << 3, secret, pair: Ed25519KeyPair::from_seed_unchecked(&secret).unwrap() }
    }

    fn public(&self) -> String {
        written(&[self.prefix], self.pair.public_key().as_ref())
    }

    fn seed(&self) -> String {
        written(&[(b'S' - b'A') << 3 | self.prefix >> 5, self.prefix << 3], &self.secret)
    }

    /// What this key says of another.
    fn jwt(&self, subject: &str, nats: Json) -> String {
        let claims = json!({ "jti": "x", "iat": 1, "iss": self.public(), "name": "x", "sub": subject, "nats": nats });
        let part = |json: &Json| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let text = format!("{}.{}", part(&json!({ "typ": "JWT", "alg": "ed25519-nkey" })), part(&claims));
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(self.pair.sign(text.as_bytes())))
    }
}

fn written(prefix: &[u8], key: &[u8]) -> String {
    let mut bytes = [prefix, key].concat();
    let sum = bytes.iter().fold(0_u16, |mut sum, byte| {
        for bit in (0..8).rev() {
            let carry = sum >> 15 ^ u16::from(byte >> bit & 1);
            sum = (sum << 1) ^ (0x1021 * carry);
        }
        sum
    });
    bytes.extend(sum.to_le_bytes());
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let letter = |bits: &[u8]| {
        let bits = format!("{:0<5}", std::str::from_utf8(bits).unwrap());
        char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from_str_radix(&bits, 2).unwrap()])
    };
    bits.as_bytes().chunks(5).map(letter).collect()
}

/// A server of an operator's, with one account that may use JetStream, and who signs for its users.
fn server_of_operator(directory: &Path) -> (Server, Key) {
    let (operator, system, account) = (Key::new(b'O', 1), Key::new(b'A', 2), Key::new(b'A', 3));
    let limits = |stored: i64| {
        json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
            "mem_storage": stored, "disk_storage": stored, "streams": stored, "consumer": stored,
        })
    };
    let signed = |of: &Key, stored| {
        operator.jwt(&of.public(), json!({ "type": "account", "version": 2, "limits": limits(stored) }))
    };
    let configuration = json!({
        "operator": operator.jwt(&operator.public(), json!({ "type": "operator", "version": 2 })),
        "system_account": system.public(),
        "resolver": "MEMORY",
        "resolver_preload": { system.public(): signed(&system, 0), account.public(): signed(&account, -1) },
    });
    let path = directory.join("server.conf");
    std::fs::write(&path, configuration.to_string()).unwrap();
    (Server::start_with(&["-js", "-c", path.to_str().unwrap()]), account)
}

/// A `.creds` file of a user, signed for by the account, with a seed that may be another's.
fn credentials(account: &Key, user: &Key, seed: &str) -> String {
    let permissions =
        json!({ "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1 });
    let jwt = account.jwt(&user.public(), permissions);
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         NKEY Seed printed below can be used to sign and prove identity.\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

#[tokio::test]
async fn a_user_logs_in_with_what_the_seed_signs() {
    let directory = tempfile::tempdir().unwrap();
    let (server, account) = server_of_operator(directory.path());
    let (user, other) = (Key::new(b'U', 4), Key::new(b'U', 5));
    let path = directory.path().join("user.creds");
    let url = format!("{}?creds={}", server.url(), path.display());
    let write = |account: &Key, seed: &str| std::fs::write(&path, credentials(account, &user, seed)).unwrap();

    write(&account, &user.seed());
    let target = open_url(url.clone()).await.unwrap();
    let mut session = target.session(0).await.unwrap();
    assert!(matches!(call(session.as_mut(), Publish::to("a")).await, Reply::Done(_)));

    let refused = "refused the login with the credentials file";
    for (account, seed, message) in [
        (&account, other.seed(), refused),
        (&Key::new(b'A', 6), user.seed(), refused),
        (&account, user.seed().replace("AQCAIB", "AQCAIC"), "the seed's checksum is wrong"),
        (&account, user.seed()[1..].to_owned(), "the seed has 57 characters instead of 58"),
        (&account, user.public(), "the seed has 56 characters instead of 58"),
    ] {
        write(account, &seed);
        let found = open_fails(url.clone()).await;
        assert!(found.contains(message) && found.contains("user.creds"), "{message}: {found}");
        assert!(!found.contains(&seed), "{found}");
    }
}
