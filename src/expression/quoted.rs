//! Text and bytes in quotes, with CEL's escapes.

use super::token::{Fault, Kind};

/// The text or bytes in quotes at `at`, and the offset behind them; `None` where no such literal begins.
pub(super) fn quoted(source: &str, at: usize) -> Result<Option<(Kind, usize)>, Box<Fault>> {
    let rest = &source[at..];
    let unprefixed = rest.strip_prefix(['b', 'B']).unwrap_or(rest);
    let is_bytes = unprefixed.len() < rest.len();
    let body = unprefixed.strip_prefix(['r', 'R']).unwrap_or(unprefixed);
    let is_raw = body.len() < unprefixed.len();
    let Some(quote) = body.chars().next().filter(|first| ['"', '\''].contains(first)) else { return Ok(None) };
    let triple = String::from(quote).repeat(3);
    let close = if body.starts_with(&triple) { triple } else { String::from(quote) };
    let mut reader = Reader { source, at: source.len() - body.len() + close.len(), is_bytes, bytes: Vec::new() };
    while !source[reader.at..].starts_with(&close) {
        match source[reader.at..].chars().next() {
            None => return Fault::new(at, format!("found no end of the text that begins here, wanted {close}")),
            Some('\n' | '\r') if close.len() == 1 => {
                let message = format!("found the end of the line within text, wanted {close} (or \\n for a new line)");
                return Fault::new(reader.at, message);
            }
            Some('\\') if !is_raw => reader.escape()?,
            // A line ends with one character, however the file writes it.
            Some('\r') => {
                reader.bytes.push(b'\n');
                reader.at += if source[reader.at..].starts_with("\r\n") { 2 } else { 1 };
            }
            Some(character) => {
                reader.push(character);
                reader.at += character.len_utf8();
            }
        }
    }
    let end = reader.at + close.len();
    if is_bytes {
        return Ok(Some((Kind::Bytes(reader.bytes.into()), end)));
    }
    match String::from_utf8(reader.bytes) {
        Ok(text) => Ok(Some((Kind::Text(text.into()), end))),
        Err(_) => Fault::new(at, "found text that is not UTF-8, wanted text"),
    }
}

/// Takes escapes apart.
struct Reader<'a> {
    source: &'a str,
    at: usize,
    is_bytes: bool,
    bytes: Vec<u8>,
}

impl Reader<'_> {
    fn push(&mut self, character: char) {
        self.bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// The escape at the backslash where the reader stands.
    fn escape(&mut self) -> Result<(), Box<Fault>> {
        let after = &self.source[self.at + 1..];
        let plain = match after.chars().next() {
            Some('a') => 0x07,
            Some('b') => 0x08,
            Some('f') => 0x0c,
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('v') => 0x0b,
            Some(same @ ('\\' | '\'' | '"' | '`' | '?')) => same as u8,
            Some('x' | 'X') => return self.code(1, 2, 16),
            Some('u') if !self.is_bytes => return self.code(1, 4, 16),
            Some('U') if !self.is_bytes => return self.code(1, 8, 16),
            Some('0'..='3') => return self.code(0, 3, 8),
            _ => return self.unknown(),
        };
        self.bytes.push(plain);
        self.at += 2;
        Ok(())
    }

    /// A character, or a byte, by its number: `digits` digits, `skip` characters behind the backslash.
    fn code(&mut self, skip: usize, digits: usize, radix: u32) -> Result<(), Box<Fault>> {
        let from = self.at + 1 + skip;
        let text = self.source.get(from..from + digits).unwrap_or_default();
        let are_digits = text.len() == digits && text.chars().all(|digit| digit.is_digit(radix));
        let Some(code) = u32::from_str_radix(text, radix).ok().filter(|_| are_digits) else { return self.unknown() };
        match char::from_u32(code) {
            _ if self.is_bytes => self.bytes.push(code as u8),
            Some(character) => self.push(character),
            None => return Fault::new(self.at, format!("found `\\u{text}`, which is not a character, wanted another")),
        }
        self.at = from + digits;
        Ok(())
    }

    fn unknown(&self) -> Result<(), Box<Fault>> {
        let found: String = self.source[self.at..].chars().take(2).collect();
        let message =
            format!("found `{}`, wanted an escape such as \\n, \\\\, \\x41 or \\u0041", found.escape_default());
        // escape_default doubles the backslash; the text is shown as written.
        Fault::new(self.at, message.replacen("\\\\", "\\", 1))
    }
}
