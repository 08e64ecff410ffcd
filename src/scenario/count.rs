//! The text forms of counts: `"writers - 1"`, `">= 1"`, `"1..=3"`.

use super::model::Count;
use crate::expression::Expression;

/// Splits a count into its expressions, which `compile` compiles, given their offsets in `text`.
/// `Ok(None)` when `compile` gave none, having said why; `Err` is a hint about what a count looks like.
pub(super) fn parse(
    text: &str,
    compile: &mut dyn FnMut(&str, usize) -> Option<Expression>,
) -> Result<Option<Count>, &'static str> {
    let mut part = |from: usize, to: usize| {
        let part = &text[from..to];
        let trimmed = part.trim_start();
        let offset = from + part.len() - trimmed.len();
        if trimmed.trim_end().is_empty() {
            return Err("an expression is missing; write `1`, `\">= 1\"`, `\"writers - 1\"` or `\"1..=3\"`");
        }
        Ok(compile(trimmed.trim_end(), offset))
    };
    if text.contains("${") {
        return Err("an expression in a count is written without `${}`");
    }
    if let Some(at) = text.find("..=") {
        let (low, high) = (part(0, at)?, part(at + 3, text.len())?);
        return Ok(low.zip(high).map(|(low, high)| Count::Between(low, high)));
    }
    if text.contains("..") {
        return Err("a range is written with its end included: `\"1..=3\"`");
    }
    type Form = fn(Expression) -> Count;
    let forms: [(&str, Form); 5] = [
        ("==", Count::Exactly),
        (">=", Count::AtLeast),
        ("<=", Count::AtMost),
        (">", Count::MoreThan),
        ("<", Count::LessThan),
    ];
    let start = text.len() - text.trim_start().len();
    for (operator, form) in forms {
        if text[start..].starts_with(operator) {
            return Ok(part(start + operator.len(), text.len())?.map(form));
        }
    }
    Ok(part(0, text.len())?.map(Count::Exactly))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Scope;
    use crate::model::CountRange;
    use crate::value::Value;
    use proptest::prelude::*;

    fn range(text: &str) -> Option<CountRange> {
        let scope: Scope = [("writers", Value::Int(50))].into_iter().collect();
        parse(text, &mut |part, _| Expression::compile(part).ok()).ok()??.evaluate(&scope).ok()
    }

    #[test]
    fn every_form_gives_its_range() {
        let closed = |low, high| Some(CountRange { low, high: Some(high) });
        assert_eq!(range("writers - 1"), closed(49, 49));
        assert_eq!(range("== 2"), closed(2, 2));
        assert_eq!(range(">= 1"), Some(CountRange { low: 1, high: None }));
        assert_eq!(range("> 0"), Some(CountRange { low: 1, high: None }));
        assert_eq!(range("<= 3"), closed(0, 3));
        assert_eq!(range(" < 3"), closed(0, 2));
        assert_eq!(range("1 ..= writers / 2"), closed(1, 25));
        for wrong in ["", ">=", "1..3", "..=3", "${writers}", "3..=1", "< 0", "1 - 2", "'a'"] {
            assert_eq!(range(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_range_reads_back_as_it_is_shown(low in 0u64..1000, more in proptest::option::of(0u64..1000)) {
            let shown = CountRange { low, high: more.map(|more| low + more) };
            prop_assert_eq!(range(&shown.to_string()), Some(shown));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            let _ = range(&text);
        }
    }
}
