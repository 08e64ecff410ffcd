//! The words of an expression: CEL's tokens.

use std::sync::Arc;

use super::quoted::quoted;

/// Why a text cannot be read as an expression, and where.
#[derive(Debug)]
pub(super) struct Fault {
    /// What was found, and what is wanted.
    pub message: String,
    /// As a byte offset.
    pub at: usize,
}

impl Fault {
    pub(super) fn new<T>(at: usize, message: impl Into<String>) -> Result<T, Box<Fault>> {
        Err(Box::new(Fault { message: message.into(), at }))
    }
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Int,
    UInt,
    Float,
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
    Name,
    /// An operator, a bracket, or a word that is not a name.
    Symbol(&'static str),
    End,
}

/// A token and its place, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

/// Longer symbols stand before those that they begin with.
const SYMBOLS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "[", "]", "(", ")", "{", "}", ".", ",", "-", "!", "?", ":", "+", "*", "/", "%",
    "<", ">",
];

/// Words that are symbols.
const WORDS: [&str; 4] = ["in", "true", "false", "null"];

/// All tokens of `source`; the last one is the end.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, Box<Fault>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at = skip_blanks(source, at);
        let (kind, end) = token(source, at)?;
        let is_end = kind == Kind::End;
        tokens.push(Token { kind, start: at, end });
        if is_end {
            return Ok(tokens);
        }
        at = end;
    }
}

/// The offset behind blanks and comments.
fn skip_blanks(source: &str, mut at: usize) -> usize {
    loop {
        let rest = source[at..].trim_start_matches(['\t', ' ', '\r', '\n', '\u{c}']);
        at = source.len() - rest.len();
        if !rest.starts_with("//") {
            return at;
        }
        at += rest.find('\n').unwrap_or(rest.len());
    }
}

fn token(source: &str, at: usize) -> Result<(Kind, usize), Box<Fault>> {
    let rest = &source[at..];
    let Some(first) = rest.chars().next() else { return Ok((Kind::End, at)) };
    let second = rest.as_bytes().get(1).copied().unwrap_or_default();
    if first.is_ascii_digit() || first == '.' && second.is_ascii_digit() {
        let (kind, length) = number(rest.as_bytes());
        return Ok((kind, at + length));
    }
    if let Some(found) = quoted(source, at)? {
        return Ok(found);
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let word = WORDS.into_iter().find(|word| **word == rest[..length]);
        return Ok((word.map_or(Kind::Name, Kind::Symbol), at + length));
    }
    if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(*symbol)) {
        return Ok((Kind::Symbol(symbol), at + symbol.len()));
    }
    let wanted = match first {
        '=' => "`==`",
        '&' => "`&&`",
        '|' => "`||`",
        _ => "a value or an operator",
    };
    Fault::new(at, format!("found `{}`, wanted {wanted}", first.escape_debug()))
}

/// The kind and length of the number that `text` begins with.
fn number(text: &[u8]) -> (Kind, usize) {
    let digits = |from: usize| text[from.min(text.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is = |at: usize, wanted: &[u8]| text.get(at).is_some_and(|byte| wanted.contains(byte));
    let hex = text[2.min(text.len())..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if text.starts_with(b"0x") && hex > 0 {
        return if is(2 + hex, b"uU") { (Kind::UInt, 3 + hex) } else { (Kind::Int, 2 + hex) };
    }
    let whole = digits(0);
    let fraction = if is(whole, b".") { digits(whole + 1) } else { 0 };
    let mantissa = if fraction > 0 { whole + 1 + fraction } else { whole };
    if is(mantissa, b"eE") {
        let sign = usize::from(is(mantissa + 1, b"+-"));
        let exponent = digits(mantissa + 1 + sign);
        if exponent > 0 {
            return (Kind::Float, mantissa + 1 + sign + exponent);
        }
    }
    match fraction {
        0 if is(whole, b"uU") => (Kind::UInt, whole + 1),
        0 => (Kind::Int, whole),
        _ => (Kind::Float, mantissa),
    }
}
