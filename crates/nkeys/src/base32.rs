//! Base 32 of RFC 4648, without padding.

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub(crate) fn encode(bytes: &[u8]) -> String {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| usize::from(byte >> (7 - at % 8) & 1));
    let character = |at: usize| char::from(ALPHABET[(at..at + 5).fold(0, |value, at| value << 1 | bit(at))]);
    (0..bytes.len() * 8).step_by(5).map(character).collect()
}

/// `None`: there are other characters, or bits set beyond the last whole byte.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut held, mut bits) = (Vec::with_capacity(text.len() * 5 / 8), 0_u16, 0);
    for character in text.bytes() {
        let value = ALPHABET.iter().position(|of| *of == character)?;
        held = held << 5 | u16::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            let [_, byte] = (held >> bits).to_be_bytes();
            bytes.push(byte);
            held &= (1 << bits) - 1;
        }
    }
    (held == 0).then_some(bytes)
}
