//! No text makes the process end, or an evaluation go on without end.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use crate::expression::{Expression, Scope, Template};
use crate::value::Value;

fn error(text: &str) -> String {
    match Expression::compile(text) {
        Err(error) => error.message,
        Ok(expression) => expression.evaluate(&Scope::default()).map_or_else(|error| error.message, |v| v.to_string()),
    }
}

/// Compiles and evaluates on a stack that is smaller than any thread's of ours.
fn on_a_small_stack<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(3 << 19);
        builder.spawn_scoped(scope, run).unwrap().join().unwrap()
    })
}

fn nested(open: &str, middle: &str, close: &str, depth: usize) -> String {
    format!("{}{middle}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn what_is_too_deep_or_too_long_is_refused_with_found_and_wanted() {
    let deep = "wanted at most 200";
    for (text, wanted) in [
        (format!("1{}", " + 1".repeat(1500)), deep),
        (format!("a{}", ".b".repeat(1500)), deep),
        (format!("a{}", "[0]".repeat(1500)), deep),
        (format!("{}1", "true ? 1 : ".repeat(1000)), deep),
        (format!("{}1", "1 == (".repeat(1000)), deep),
        (nested("(", "1", ")", 8000), deep),
        (nested("[", "1", "]", 8000), deep),
        (nested("{1: ", "1", "}", 2000), deep),
        (nested("size(", "[]", ")", 2000), deep),
        (nested("[1].map(x, ", "x", ")", 1000), deep),
        ("-(".repeat(5000), deep),
        (format!("{}{}", "[".repeat(5000), "(".repeat(5000)), deep),
        ("1 + ".repeat(30_000), "found 120000 bytes, wanted at most 16384"),
        ("[".repeat(16_384), deep),
        ("\"".repeat(16_384), "found no end of the text"),
        (format!("\"{}", "\\u".repeat(8000)), "found `\\u`, wanted an escape"),
    ] {
        let found = on_a_small_stack(|| error(&text));
        assert!(found.contains(wanted), "{}: {found}", &text[..20]);
    }
}

#[test]
fn chains_that_do_not_nest_have_no_end_but_that_of_the_text() {
    assert_eq!(on_a_small_stack(|| error(&format!("true{}", " && true".repeat(2000)))), "true");
    assert_eq!(on_a_small_stack(|| error(&format!("{}true", "!".repeat(16_000)))), "true");
    assert_eq!(on_a_small_stack(|| error(&format!("{}1", "-".repeat(16_000)))), "1");
    assert_eq!(on_a_small_stack(|| error(&format!("size([{}])", "1,".repeat(8000)))), "8000");
    assert_eq!(on_a_small_stack(|| error(&format!("1{}", " + 1".repeat(199)))), "200");
    assert_eq!(on_a_small_stack(|| error(&nested("size([", "1", "])", 98))), "1");
    assert_eq!(on_a_small_stack(|| error(&nested("[1].all(x, 1 == 1 && ", "true", ")", 60))), "true");
}

#[test]
fn what_costs_too_much_ends_with_an_error() {
    // Looking into a list is counted by its length, so that the test need not take the time.
    let items: Vec<Value> = (0..1 << 20).map(Value::Int).collect();
    let scope: Scope = [("many", Value::list(items))].into_iter().collect();
    let error = |text: &str| Expression::compile(text).unwrap().evaluate(&scope).unwrap_err().message;
    let loops = "[1,2,3,4,5,6,7,8].map(x, [1,2,3,4,5,6,7,8].map(y, [1,2,3,4].map(z, 0 in many)))";
    assert!(error(loops).contains("takes more than 20000000 steps"), "{}", error(loops));
    // What decides without it hides neither that the steps were spent nor the bytes.
    assert!(error(&format!("size({loops}) == 1 || true")).contains("steps"));
    let scope: Scope = [("long", Value::text("x".repeat(40 << 20)))].into_iter().collect();
    let hidden = Expression::compile("long + long == '' || true").unwrap().evaluate(&scope);
    assert!(hidden.unwrap_err().message.contains("makes more than 64 MiB"));
    let mut scope: Scope = [("a", Value::text("x".repeat(1 << 20)))].into_iter().collect();
    let double = Expression::compile("a + a").unwrap();
    let ended = (0..20).find_map(|_| match double.evaluate(&scope) {
        Ok(value) => {
            scope.bind("a", value);
            None
        }
        Err(error) => Some(error.message),
    });
    assert!(ended.unwrap().contains("makes more than 64 MiB"));
    // Lists that share their items take no memory, but are looked at as often as they occur.
    let mut scope: Scope = [("a", Value::list([]))].into_iter().collect();
    let double = Expression::compile("[a, a]").unwrap();
    let ended = (0..70).find_map(|_| match double.evaluate(&scope) {
        Ok(value) => {
            scope.bind("a", value);
            None
        }
        Err(error) => Some(error.message),
    });
    assert!(ended.unwrap().contains("more than"));
}

#[test]
fn values_do_not_nest_without_end() {
    let mut scope: Scope = [("a", Value::Null)].into_iter().collect();
    let wrap = Expression::compile("[a]").unwrap();
    for _ in 0..200 {
        let value = wrap.evaluate(&scope).unwrap();
        scope.bind("a", value);
    }
    assert!(wrap.evaluate(&scope).unwrap_err().message.contains("more than 200 lists or maps"));
}

#[test]
fn a_scopes_deadline_ends_evaluations_inside_it() {
    let mut scope = Scope::default();
    scope.set_deadline(Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
    let scope = Scope::inside(scope.into());
    let long = Expression::compile(&nested("[1,2,3,4,5,6,7,8].map(x, ", "x", ")", 5)).unwrap();
    assert!(long.evaluate(&scope).unwrap_err().message.contains("before the round's `timeout` passed"));
    // A short one does not look at the clock.
    assert_eq!(Expression::compile("1 + 1").unwrap().evaluate(&scope), Ok(Value::Int(2)));
}

#[test]
fn patterns_are_bounded() {
    assert!(error("'a'.matches('(')").contains("is not a regular expression: unclosed group"));
    assert!(error("'a'.matches('((a{100}){100}){100}')").contains("too large once compiled"));
    assert!(error("['(', 'a'].map(p, 'a'.matches(p))").contains("unclosed group"));
    let text = "a".repeat(4000);
    assert!(
        error(&format!("['{text}'].map(t, [1,2,3,4,5,6,7,8,9].all(x, t.matches('(a|a|b)*c') || true))"))
            .contains("true")
    );
}

#[test]
fn faults_say_what_was_found_and_what_is_wanted() {
    for (text, message) in [
        ("1 +", "found the end, wanted a value"),
        ("a == == 1", "found `==`, wanted a value"),
        ("a b", "found `b`, wanted an operator or the end"),
        ("a and b", "found `and`, wanted an operator or the end (`&&`)"),
        ("a = 1", "found `=`, wanted `==`"),
        ("(1", "found the end, wanted an operator or `)`"),
        ("[1 2]", "found `2`, wanted an operator, `,` or `]`"),
        ("a ? 1", "found the end, wanted `:` and what holds otherwise"),
        ("'a", "found no end of the text that begins here, wanted '"),
        ("'\\q'", "found `\\q`, wanted an escape such as \\n, \\\\, \\x41 or \\u0041"),
        ("size()", "found 0 arguments of `size`, wanted `size(x)`"),
        ("x.int()", "found `int` behind a point, wanted `int(x)`"),
        ("rows.all(1, true)", "found `1`, wanted a name for the items"),
        ("map(rows, r)", "found another form of `map`, wanted `list.map(item, value)`"),
        ("for", "found `for`, a word that CEL reserves, wanted another name"),
        ("9223372036854775808", "found a number that is too large, wanted one that fits into 64 bits"),
        ("#", "found `#`, wanted a value or an operator"),
    ] {
        assert_eq!(Expression::compile(text).unwrap_err().message, message, "{text}");
    }
}

/// Pieces that expressions are made of, and some that they are not.
fn piece() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "1",
        "0x1f",
        "1.5e3",
        "2u",
        "'a'",
        "\"\\u00e9\"",
        "b'x'",
        "r'\\'",
        "'''",
        "true",
        "null",
        "rows",
        "x",
        "a.b",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        ",",
        ":",
        "?",
        "+",
        "-",
        "*",
        "/",
        "%",
        "!",
        "==",
        "<",
        "in",
        "&&",
        "||",
        ".",
        ".map(x,",
        ".all(x,",
        "size(",
        "sum(",
        "has(",
        ".matches(",
        "//",
        "\n",
        "#",
        "`",
        "\\",
        "é",
        "\"",
        "'",
        "${",
        "@",
        "&",
        "$$",
    ];
    prop_oneof![8 => proptest::sample::select(PIECES).prop_map(str::to_owned), 1 => ".{0,3}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_compiling_or_evaluating_panic(pieces in proptest::collection::vec(piece(), 0..40)) {
        let text = pieces.concat();
        let rows = Value::list([Value::list([Value::Int(3), Value::text("é")]), Value::map([("b", Value::Float(0.5))])]);
        let scope: Scope = [("rows", rows), ("x", Value::Int(1))].into_iter().collect();
        match Expression::compile(&text) {
            Ok(expression) => { let _ = expression.evaluate(&scope); }
            Err(error) => {
                let at = error.offset.unwrap();
                prop_assert!(text.is_char_boundary(at), "{} in {:?}", at, text);
            }
        }
        let _ = Template::parse(&text);
    }
}
