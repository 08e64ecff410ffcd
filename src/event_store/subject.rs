//! Actor ids as NATS subject tokens.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The longest token that is made. A subject must fit into one protocol line, 4096 bytes by default.
const TOKEN_BYTES_MAX: usize = 512;

/// A subject token for an actor id. ASCII letters, digits and `-` stay as they are, so that usual
/// ids can be read in the subject; every other byte becomes `_` and two upper-case hexadecimal
/// digits; the empty id is a lone `_`.
///
/// Different ids have different tokens: the escapes can be undone. A token that would be too long
/// is cut and ends in `_h` and the SHA-256 of the id; `h` begins no escape, so it cannot be mistaken
/// for another id's token.
pub(super) fn token(actor: &str) -> String {
    if actor.is_empty() {
        return "_".to_owned();
    }
    let mut token = String::with_capacity(actor.len());
    for byte in actor.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => token.push(char::from(byte)),
            _ => push_hex(&mut token, "_", byte),
        }
    }
    if token.len() > TOKEN_BYTES_MAX {
        let digest = Sha256::digest(actor);
        token.truncate(TOKEN_BYTES_MAX - "_h".len() - 2 * digest.len());
        token.push_str("_h");
        for byte in digest {
            push_hex(&mut token, "", byte);
        }
    }
    token
}

fn push_hex(token: &mut String, before: &str, byte: u8) {
    write!(token, "{before}{byte:02X}").expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Undoes `token`, for tokens that were not cut.
    fn actor_of(token: &str) -> String {
        if token == "_" {
            return String::new();
        }
        let mut bytes = Vec::new();
        let mut rest = token.as_bytes();
        while let Some((first, tail)) = rest.split_first() {
            if *first == b'_' {
                let digits = std::str::from_utf8(&tail[..2]).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &tail[2..];
            } else {
                bytes.push(*first);
                rest = tail;
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    fn assert_legal(token: &str) {
        assert!(!token.is_empty() && token.len() <= TOKEN_BYTES_MAX);
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        assert!(token.bytes().all(legal), "`{token}` is not a subject token");
    }

    #[test]
    fn usual_ids_stay_readable() {
        assert_eq!(token("order-17"), "order-17");
        assert_eq!(token("order_17"), "order_5F17");
        assert_eq!(token("a.b c"), "a_2Eb_20c");
    }

    #[test]
    fn ids_made_to_collide_do_not() {
        let long = "x".repeat(600);
        let longer = "x".repeat(601);
        let ids = [
            "",
            "_",
            "_5F",
            "a.b",
            "a_b",
            "a b",
            "a*b",
            "a>b",
            "a_2Eb",
            "A.B",
            "ä",
            "a\u{308}",
            "\0",
            ">",
            "*",
            ".",
            &long,
            &longer,
            &token(&long),
            &token(&longer),
            "order-1",
            "order.1",
            "order_2D1",
            "order_1",
        ];
        let mut seen = BTreeMap::new();
        for id in ids {
            assert_legal(&token(id));
            if let Some(other) = seen.insert(token(id), id) {
                panic!("`{id}` and `{other}` share a token");
            }
        }
    }

    proptest! {
        #[test]
        fn any_id_can_be_read_back_from_its_legal_token(actor in any::<String>()) {
            let token = token(&actor);
            assert_legal(&token);
            if !token.contains("_h") {
                prop_assert_eq!(actor_of(&token), actor);
            }
        }

        #[test]
        fn different_ids_never_share_a_token(one in "[ab_.*> 25EF-]{0,8}", other in "[ab_.*> 25EF-]{0,8}") {
            prop_assert_eq!(one == other, token(&one) == token(&other));
        }

        #[test]
        fn long_ids_do_not_share_a_token_either(one in "[._]{160,300}", other in "[._]{160,300}") {
            assert_legal(&token(&one));
            prop_assert_eq!(one == other, token(&one) == token(&other));
        }
    }
}
