//! The keys that NATS users log in with, as far as async-nats asks for them.
//!
//! The crate of this name on crates.io does the same, and brings two dozen crates for it. `ring`, which TLS needs anyway, can
//! make the signature too: so deadheat's manifest puts this crate in the place of the other.

use std::fmt;

use ring::signature::{Ed25519KeyPair, KeyPair as _};

mod base32;

const SEED_CHARACTERS: usize = 58;
/// Prefix and kind, a private key of Ed25519, and the checksum.
const SEED_BYTES: usize = 2 + 32 + 2;
/// The five bits that a seed begins with: `S`.
const SEED_PREFIX: u8 = 18 << 3;

/// A key with which a user signs what the server asks it to.
pub struct KeyPair {
    /// The letter that the public key begins with, in the upper five bits.
    kind: u8,
    pair: Ed25519KeyPair,
}

impl KeyPair {
    /// Reads a seed: `SU…`, 58 characters.
    pub fn from_seed(seed: &str) -> Result<KeyPair, Error> {
        let length = seed.chars().count();
        if length != SEED_CHARACTERS {
            return Err(Error::Length(length));
        }
        let bytes: [u8; SEED_BYTES] =
            base32::decode(seed).and_then(|bytes| bytes.try_into().ok()).ok_or(Error::Characters)?;
        let [first, second, key @ .., low, high] = bytes;
        if checksum(&bytes[..SEED_BYTES - 2]) != u16::from_le_bytes([low, high]) {
            return Err(Error::Checksum);
        }
        if first & 0b1111_1000 != SEED_PREFIX {
            return Err(Error::Prefix);
        }
        // The kind straddles the first two bytes, since a prefix is one character of five bits.
        let kind = (first & 0b111) << 5 | second >> 3;
        let pair = Ed25519KeyPair::from_seed_unchecked(&key).map_err(|_| Error::Key)?;
        Ok(KeyPair { kind, pair })
    }

    /// The name of the key for the server: `U…`, 56 characters.
    pub fn public_key(&self) -> String {
        let mut bytes = vec![self.kind];
        bytes.extend_from_slice(self.pair.public_key().as_ref());
        bytes.extend(checksum(&bytes).to_le_bytes());
        base32::encode(&bytes)
    }

    /// Signs `input`. It never fails; the caller asks for a `Result`.
    pub fn sign(&self, input: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.pair.sign(input).as_ref().to_vec())
    }
}

/// Why a seed cannot be used. The seed is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// It has this number of characters instead of 58.
    Length(usize),
    /// It has characters other than A to Z and 2 to 7.
    Characters,
    /// Its checksum is not that of its bytes.
    Checksum,
    /// It does not begin with `S`.
    Prefix,
    /// `ring` refused the key.
    Key,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Length(length) => write!(f, "the seed has {length} characters instead of {SEED_CHARACTERS}"),
            Error::Characters => f.write_str("the seed has characters other than A to Z and 2 to 7"),
            Error::Checksum => f.write_str("the seed's checksum is wrong: a character was lost or changed"),
            Error::Prefix => f.write_str("the seed does not begin with S: it is another kind of key"),
            Error::Key => f.write_str("the seed holds no Ed25519 key"),
        }
    }
}

impl std::error::Error for Error {}

/// CRC-16/XMODEM.
fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte) << 8, |sum, _| sum << 1 ^ if sum & 0x8000 == 0 { 0 } else { 0x1021 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeds with their public keys and signatures of `nonce`, made with the crate that this one stands for.
    const VECTORS: [(&str, &str, &str); 5] = [
        (
            "SUAAABYOCUOCGKRRHA7UMTKULNRGS4DXP2CYZE42UGUK7NV5YTF5FWIXJQ",
            "UBGQ5Q5A2A76774TVG6M4KREWQDNI32EV37R654H3LW3CPFK7JACYEW2",
            "8ac99b7e5fd2093a30e9fd68bfdd22f8058f385fd310f54a108a357d7f64f500\
             0f554912824c2f8e82c8276ff2a9009f1bd13d5ced31e1f2f4b03a59e479c30f",
        ),
        (
            "SAAAODQVDQRSUMJYH5DE2VC3MJUXA536QWGJHGVBVCX3NPOEZPJNTYDT54",
            "ADIUM53TJRNWHWTCSVZPH2VZXET3VP4DHQT76PNBHPYNOIZID27EEAON",
            "01ebc39ff07ccd4529d10c795a6a7d20b515419ae3ff07266fdae3528c22b26f\
             3d456bd57744953741a0d38ed428733f05c08f4785d275e2c15cee0b35fa0d01",
        ),
        (
            "SNAP6BQNCQNSEKJQG47EKTCTLJQWQ33WPWCIXEUZUCT25NN4YPFNDWADZA",
            "NDR3GJKU4NZO7ISIGVG2FF7O62657ISZGRSPD4FGUCMK4JQF3APGYPB4",
            "b1c98d4ea152c64f4e0e49a0dcb8dc799b04e2bfe1ef44e3981d2fe7ec14c89d\
             6335471c31fea29969cb5859792cc1d4b4f9b7b711b19f635287197430e36705",
        ),
        (
            "SOAFUYLIN53H3BELSKM2BJ5OWW6MHSWR3DP6N3PU7MBASEAXDYSSYM7CQY",
            "OCM2N5IDKKHECYMJRTHVT6QQ64JVKL36DN6SPFW5LNW4MDDWBMD2J3VL",
            "1f9c34588606a85f651928a2a4736a92af8f24b5b14acdfd74f729db21ec5e4f\
             a95d91a05636197439818f4509efcfb7fc4b3e65c75b1ddf2609c08f8da83103",
        ),
        (
            "SUANQDPB2RUOE4ETUA26CNX7FUKE5ZZKFCQIIW63OX225F2CO7UEXTM7ZY",
            "UAMMBNV2EYR65NYZZ7IAK5SIR5ODNTTERJOBOF4KJLMWI45YOXOSWULM",
            "cdf06cb75d413ed7c73408e4c2bad652d7aaf736e2ede95ab52513073feee78d\
             20bf3d3c52151d0b79b87b3e9d61505c05cd4d5765bd92f9e81af2b1b79f6309",
        ),
    ];

    #[test]
    fn keys_and_signatures_are_those_of_the_other_crate() {
        for (seed, public, signature) in VECTORS {
            let key = KeyPair::from_seed(seed).unwrap();
            assert_eq!(key.public_key(), public);
            let signed: String = key.sign(b"nonce").unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(signed, signature);
        }
    }

    #[test]
    fn a_seed_with_another_character_is_refused() {
        let (seed, ..) = VECTORS[0];
        for at in 0..seed.len() {
            for other in "A7b1=é".chars().filter(|other| !seed[at..].starts_with(*other)) {
                let mut wrong = seed.to_owned();
                wrong.replace_range(at..=at, &other.to_string());
                let error = KeyPair::from_seed(&wrong).err().unwrap();
                assert!(matches!(error, Error::Checksum | Error::Characters), "{wrong}: {error}");
            }
        }
    }

    #[test]
    fn what_is_not_a_seed_says_why() {
        let (seed, public, _) = VECTORS[0];
        // A private key that is not a seed: the same bytes under another prefix, with their own checksum.
        let mut private = base32::decode(seed).unwrap();
        private[0] = 15 << 3;
        private.truncate(34);
        private.extend(checksum(&private).to_le_bytes());
        for (text, why) in [
            (public, Error::Length(56)),
            ("", Error::Length(0)),
            (&seed.to_lowercase(), Error::Characters),
            (&base32::encode(&private), Error::Prefix),
        ] {
            assert_eq!(KeyPair::from_seed(text).err(), Some(why), "{text}");
        }
    }

    #[test]
    fn base_32_is_that_of_the_rfc() {
        for (text, encoded) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32::encode(text.as_bytes()), encoded);
            assert_eq!(base32::decode(encoded).as_deref(), Some(text.as_bytes()));
        }
        // The last character holds bits that are of no byte.
        assert_eq!(base32::decode("MZ"), None);
    }
}
