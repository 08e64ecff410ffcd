//! What the text of a statement shows without a server. It is taken apart as PostgreSQL does, so that what stands in strings,
//! quoted names and comments is not mistaken for SQL.

/// A part of a statement's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    /// A key word or a name without quotes.
    Word(&'a str),
    /// `$1`.
    Placeholder,
    /// `'…'`, `"…"` or `$tag$…$tag$`.
    Quoted,
    /// A comment or blanks.
    Blank,
    /// Any other character.
    Other,
}

/// The parts of a text, each with its bytes.
fn parts(sql: &str) -> impl Iterator<Item = (Part<'_>, &str)> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        let (part, length) = first_part(rest)?;
        let (text, after) = rest.split_at(length);
        rest = after;
        Some((part, text))
    })
}

/// The first part of a text, with its length.
fn first_part(text: &str) -> Option<(Part<'_>, usize)> {
    let first = text.chars().next()?;
    let span = |fits: fn(char) -> bool| text.find(|c| !fits(c)).unwrap_or(text.len());
    Some(match first {
        _ if first.is_whitespace() => (Part::Blank, span(char::is_whitespace)),
        '-' if text.starts_with("--") => (Part::Blank, text.find('\n').unwrap_or(text.len())),
        '/' if text.starts_with("/*") => (Part::Blank, comment_length(text)),
        '\'' | '"' => (Part::Quoted, quoted_length(text, first, false)),
        '$' => match dollar_quoted_length(text) {
            Some(length) => (Part::Quoted, length),
            None => match 1 + text[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len() - 1) {
                1 => (Part::Other, 1),
                length => (Part::Placeholder, length),
            },
        },
        // A backslash escapes only in `E'…'`.
        'e' | 'E' if text[1..].starts_with('\'') => (Part::Quoted, 1 + quoted_length(&text[1..], '\'', true)),
        _ if first.is_alphanumeric() || first == '_' => {
            // A name may hold `$`: `a$1` is a name.
            let length = span(|c| c.is_alphanumeric() || c == '_' || c == '$');
            (Part::Word(&text[..length]), length)
        }
        _ => (Part::Other, first.len_utf8()),
    })
}

/// The length of a block comment; they nest.
fn comment_length(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(found) = text[at..].find(['/', '*']) {
        at += found;
        let (length, change) = match text.get(at..at + 2) {
            Some("/*") => (2, 1),
            Some("*/") => (2, -1),
            _ => (1, 0),
        };
        at += length;
        depth = depth.saturating_add_signed(change);
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of a text in quotes, in which a doubled quote is a quote.
fn quoted_length(text: &str, quote: char, escapes: bool) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if escapes && character == '\\' {
            characters.next();
        } else if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    text.len()
}

/// The length of `$tag$…$tag$`, if that is what the text begins with.
fn dollar_quoted_length(text: &str) -> Option<usize> {
    let end = 1 + text[1..].find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    let tag = &text[1..end];
    if !text[end..].starts_with('$') || tag.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let quote = &text[..=end];
    let body = &text[quote.len()..];
    Some(body.find(quote).map_or(text.len(), |close| quote.len() + close + quote.len()))
}

/// The key words and names of a text, in upper case.
fn words(sql: &str) -> impl Iterator<Item = String> {
    parts(sql).filter_map(|(part, _)| match part {
        Part::Word(word) => Some(word.to_uppercase()),
        _ => None,
    })
}

/// The words that begin or end a transaction, if that is what the statement does.
pub(super) fn transaction_control(sql: &str) -> Option<&'static str> {
    let mut words = words(sql).peekable();
    let first = words.next()?;
    if first == "PREPARE" && words.peek().is_some_and(|second| second == "TRANSACTION") {
        return Some("PREPARE TRANSACTION");
    }
    let second = words.find(|word| !["WORK", "TRANSACTION"].contains(&word.as_str()));
    if first == "ROLLBACK" && second.as_deref() == Some("TO") {
        return None;
    }
    ["BEGIN", "START", "COMMIT", "END", "ABORT", "ROLLBACK"].into_iter().find(|word| *word == first)
}

/// A `${…}` in a statement, which nobody evaluates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Untemplated<'a> {
    /// Where it begins.
    pub at: usize,
    /// As written, with its braces.
    pub text: &'a str,
    /// Whether it stands in a string or a quoted name, where it is sent as it is.
    pub quoted: bool,
}

/// The first `${…}` of a statement: one outside quotes if there is any, and none in a comment.
pub(super) fn untemplated(sql: &str) -> Option<Untemplated<'_>> {
    let found = |at: usize, quoted| {
        let length = sql[at..].find('}').map_or(2, |end| end + 1);
        Untemplated { at, text: &sql[at..at + length], quoted }
    };
    let (mut first_quoted, mut start) = (None, 0);
    for (part, text) in parts(sql) {
        match part {
            Part::Other if sql[start..].starts_with("${") => return Some(found(start, false)),
            Part::Quoted => {
                // `$${` opens a text, and its `${` is not in it.
                let open = text.strip_prefix('$').map_or(1, |tag| tag.find('$').map_or(1, |end| end + 2));
                first_quoted = first_quoted.or(text[open..].find("${").map(|at| start + open + at));
            }
            _ => {}
        }
        start += text.len();
    }
    first_quoted.map(|at| found(at, true))
}

/// What is wrong with the placeholders of a statement with this number of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit<'a> {
    /// A placeholder has no argument: its place, and as it is written.
    Unbound(usize, &'a str),
    /// No placeholder takes the argument of this number, from 1.
    Unused(usize),
}

/// The first misfit of placeholders and arguments. Statements inside others have placeholders of their own, as in `PREPARE` and
/// in the bodies of functions: a text that makes such things is not judged.
pub(super) fn misfit(sql: &str, args: usize) -> Option<Misfit<'_>> {
    let makes = ["PREPARE", "FUNCTION", "PROCEDURE"];
    if words(sql).any(|word| makes.contains(&word.as_str())) {
        return None;
    }
    let mut used = vec![false; args];
    let mut start = 0;
    for (part, text) in parts(sql) {
        if part == Part::Placeholder {
            let number = text[1..].parse::<usize>().ok();
            match number.and_then(|number| used.get_mut(number.checked_sub(1)?)) {
                Some(used) => *used = true,
                None => return Some(Misfit::Unbound(start, text)),
            }
        }
        start += text.len();
    }
    used.iter().position(|used| !used).map(|unused| Misfit::Unused(unused + 1))
}

/// The words by which a statement succeeds also where it found nothing to do, if it has some.
pub(super) fn silent(sql: &str) -> Option<&'static str> {
    let words: Vec<String> = words(sql).collect();
    let has = |wanted: &[&str]| words.windows(wanted.len()).any(|window| window == wanted);
    if has(&["DO", "NOTHING"]) {
        Some("ON CONFLICT DO NOTHING")
    } else if has(&["SKIP", "LOCKED"]) {
        Some("SKIP LOCKED")
    } else {
        None
    }
}

/// Whether a statement does nothing but sleep: it is `SELECT pg_sleep(…)` or `SELECT SLEEP(…)` and nothing else. What calls
/// another function inside the parentheses may do more.
pub(super) fn only_sleeps(sql: &str) -> bool {
    let text = sql.trim().trim_end_matches(';').trim_end().to_ascii_lowercase();
    let Some((word, call)) = text.split_once(char::is_whitespace) else { return false };
    let Some((name, arguments)) = call.trim().split_once('(') else { return false };
    let sleeps = ["pg_sleep", "pg_sleep_for", "pg_sleep_until", "sleep"];
    let name = name.trim().trim_start_matches("pg_catalog.");
    word == "select"
        && sleeps.contains(&name)
        && arguments.find(['(', ')']) == Some(arguments.len() - 1)
        && arguments.ends_with(')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_control_is_seen_behind_comments() {
        assert_eq!(transaction_control("-- go\n begin;"), Some("BEGIN"));
        assert_eq!(transaction_control("/* x */ COMMIT"), Some("COMMIT"));
        assert_eq!(transaction_control("ROLLBACK TO SAVEPOINT a"), None);
        assert_eq!(transaction_control("ROLLBACK WORK TO a"), None);
        assert_eq!(transaction_control("ROLLBACK -- back to the start"), Some("ROLLBACK"));
        assert_eq!(transaction_control("/* a /* b */ c */ COMMIT"), Some("COMMIT"));
        assert_eq!(transaction_control("PREPARE TRANSACTION 'foo'"), Some("PREPARE TRANSACTION"));
        assert_eq!(transaction_control("PREPARE transaction AS SELECT 1"), Some("PREPARE TRANSACTION"));
        assert_eq!(transaction_control("PREPARE one AS SELECT 1"), None);
        assert_eq!(transaction_control("SELECT 1"), None);
        assert_eq!(transaction_control("--"), None);
    }

    #[test]
    fn expressions_are_seen_where_nobody_evaluates_them() {
        let found = |sql| untemplated(sql).map(|it| (it.at, it.text, it.quoted));
        assert_eq!(found("SELECT ${worker}"), Some((7, "${worker}", false)));
        assert_eq!(found("SELECT '${a}' LIMIT ${b + 1}"), Some((20, "${b + 1}", false)));
        assert_eq!(found("SELECT '${worker}', '${a}'"), Some((8, "${worker}", true)));
        assert_eq!(found("SELECT $$ ${d} $$"), Some((10, "${d}", true)));
        assert_eq!(found("SELECT ${never closed"), Some((7, "${", false)));
        // In a comment it means nothing, and `$$` begins a string whatever follows.
        assert_eq!(found("SELECT 1 -- ${a}\n /* ${b} */"), None);
        assert_eq!(found("DO $${ a }$$"), None);
        assert_eq!(found("DO $a${ a }$a$, E'${b}'"), Some((18, "${b}", true)));
        assert_eq!(found("SELECT $1, '$' || '{'"), None);
    }

    #[test]
    fn each_placeholder_has_an_argument_and_each_argument_a_placeholder() {
        use Misfit::{Unbound, Unused};
        for (sql, args, wanted) in [
            ("SELECT $1, $2, $1", 2, None),
            ("SELECT $1, $3, $2", 2, Some(Unbound(11, "$3"))),
            ("SELECT $1", 0, Some(Unbound(7, "$1"))),
            ("SELECT $0", 1, Some(Unbound(7, "$0"))),
            ("SELECT $99999999999999999999", 1, Some(Unbound(7, "$99999999999999999999"))),
            ("SELECT $1", 3, Some(Unused(2))),
            ("SELECT $2", 2, Some(Unused(1))),
            ("SELECT 1", 1, Some(Unused(1))),
            ("SELECT '$1', \"$2\", $$ $3 $$, $a$ $4 $$ $a$", 0, None),
            ("SELECT 'it''s $1' /* $2 /* $3 */ */ -- $4", 0, None),
            ("SELECT E'\\'$1', e'\\\\', $1", 1, None),
            ("SELECT 'a\\', $1", 1, None),
            ("SELECT a$1 FROM b$2", 0, None),
            ("SELECT $1::int[], x=$2", 2, None),
            ("PREPARE p AS SELECT $1", 0, None),
            ("CREATE OR REPLACE FUNCTION f(int) RETURNS int RETURN $1 + 1", 0, None),
            ("SELECT $1 /* without an end $2", 1, None),
            ("SELECT $1, 'without an end $2", 1, None),
        ] {
            assert_eq!(misfit(sql, args), wanted, "{sql}");
        }
    }

    #[test]
    fn statements_that_succeed_without_doing_anything_are_known() {
        assert_eq!(silent("INSERT INTO t VALUES (1) on conflict (id)\n do nothing"), Some("ON CONFLICT DO NOTHING"));
        assert_eq!(silent("SELECT id FROM job FOR UPDATE SKIP LOCKED LIMIT 1"), Some("SKIP LOCKED"));
        assert_eq!(silent("INSERT INTO t VALUES ('DO NOTHING') -- skip locked"), None);
        assert_eq!(silent("INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET n = 2"), None);
    }

    #[test]
    fn a_statement_only_sleeps_if_it_does_nothing_else() {
        for text in [
            "SELECT pg_sleep(0.1)",
            " select  PG_SLEEP_FOR('5 ms') ; ",
            "SELECT\nSLEEP($1)",
            "SELECT pg_catalog.pg_sleep(1)",
        ] {
            assert!(only_sleeps(text), "{text}");
        }
        let others = [
            "SELECT pg_sleep(1), balance FROM account",
            "SELECT pg_sleep(take_lock())",
            "SELECT balance FROM account",
            "SELECT pg_sleep(1); UPDATE account SET balance = 0",
            "UPDATE account SET balance = 0",
            "SELECT",
            "",
        ];
        for text in others {
            assert!(!only_sleeps(text), "{text}");
        }
    }
}
