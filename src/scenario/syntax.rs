//! Small looks into text: words in expressions, places within strings.

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

/// The offset of `word` in an expression, where it stands alone and is not a field.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_where_they_stand_alone() {
        assert_eq!(find_word("size(events) + events2", "events"), Some(5));
        assert_eq!(find_word("a.b + b", "b"), Some(6));
        assert_eq!(find_word("'b' + b", "b"), Some(6));
    }
}
