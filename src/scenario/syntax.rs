//! Small looks into text: words in expressions, places within strings, the first word of a statement.

use crate::diagnostic::Span;

/// The place of the character at `offset` of a string's text, which begins at `base` in the file; the whole string if
/// that is not known. The end of the text is the closing quote.
pub(super) fn within(whole: &Span, base: Option<usize>, text: &str, offset: Option<usize>) -> Span {
    let place = || {
        let (base, offset) = (base?, offset?);
        let length = text.get(offset..)?.chars().next().map_or(1, char::len_utf8);
        Some(base + offset..base + offset + length)
    };
    place().unwrap_or_else(|| whole.clone())
}

/// The offset of `word` in an expression, where it stands alone and is no field.
pub(super) fn find_word(text: &str, word: &str) -> Option<usize> {
    let part_of_word = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(|c| part_of_word(c) || c == '.' || c == '\'' || c == '"')
            && !after.is_some_and(part_of_word)
    })
}

/// The word in backticks after its article.
pub(super) fn with_article(word: &str) -> String {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { format!("an `{word}`") } else { format!("a `{word}`") }
}

/// Whether expressions can use `text` as a name.
pub(super) fn is_identifier(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
        && !["true", "false", "null", "in"].contains(&text)
}

/// The words that begin or end a transaction, if that is what the statement does.
pub(super) fn transaction_control(statement: &str) -> Option<&'static str> {
    let statement = without_comments(statement);
    let mut words = statement
        .split(|c: char| !c.is_ascii_alphabetic())
        .map(str::to_ascii_uppercase)
        .filter(|word| !["", "WORK", "TRANSACTION"].contains(&word.as_str()));
    let (first, second) = (words.next()?, words.next());
    if first == "ROLLBACK" && second.as_deref() == Some("TO") {
        return None;
    }
    if first == "PREPARE" && statement.to_ascii_uppercase().split_whitespace().nth(1) == Some("TRANSACTION") {
        return Some("PREPARE TRANSACTION");
    }
    ["BEGIN", "START", "COMMIT", "END", "ABORT", "ROLLBACK"].into_iter().find(|word| *word == first)
}

/// The text with a blank for each comment. PostgreSQL's block comments nest. What looks like a comment in a literal goes as
/// well, which does not matter to a statement's first words.
fn without_comments(sql: &str) -> String {
    let (mut text, mut rest, mut depth) = (String::new(), sql, 0_usize);
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("/*") {
            depth += 1;
            2
        } else if depth > 0 && rest.starts_with("*/") {
            depth -= 1;
            text.push(' ');
            2
        } else if depth == 0 && rest.starts_with("--") {
            text.push(' ');
            rest.find('\n').unwrap_or(rest.len())
        } else {
            if depth == 0 {
                text.push(first);
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_where_they_stand_alone() {
        assert_eq!(find_word("size(events) + events2", "events"), Some(5));
        assert_eq!(find_word("a.b + b", "b"), Some(6));
        assert_eq!(find_word("'b' + b", "b"), Some(6));
    }

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
}
