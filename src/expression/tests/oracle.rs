//! Our evaluator against the `cel` crate's own, over random expressions.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::extractors::Arguments;
use cel::{Context, Env, ExecutionError, Program};
use proptest::prelude::*;

use crate::expression::{Expression, Scope};
use crate::value::{Value, decimal_as_float};

static LIBRARY: LazyLock<Context<'static, 'static>> = LazyLock::new(|| {
    let mut context = Context::with_env(Arc::new(Env::stdlib()));
    context.add_function("min", cel::functions::min).unwrap();
    context.add_function("max", cel::functions::max).unwrap();
    context.add_function("sum", |Arguments(items): Arguments| sum(&items_of(&items))).unwrap();
    context.add_function("distinct", |Arguments(items): Arguments| Ok(distinct(&items_of(&items)))).unwrap();
    context
});

fn items_of(arguments: &[cel::Value]) -> Vec<cel::Value> {
    match arguments {
        [cel::Value::List(items)] => items.to_vec(),
        _ => arguments.to_vec(),
    }
}

fn sum(items: &[cel::Value]) -> Result<cel::Value, ExecutionError> {
    let (mut whole, mut fraction) = (0i64, None);
    for item in items {
        match item {
            cel::Value::Int(number) => {
                whole = whole.checked_add(*number).ok_or_else(|| ExecutionError::function_error("sum", "range"))?;
            }
            cel::Value::Float(number) => *fraction.get_or_insert(0.0) += number,
            _ => return Err(ExecutionError::function_error("sum", "type")),
        }
    }
    Ok(fraction.map_or(cel::Value::Int(whole), |fraction: f64| cel::Value::Float(fraction + whole as f64)))
}

fn distinct(items: &[cel::Value]) -> cel::Value {
    let mut kept: Vec<cel::Value> = Vec::new();
    for item in items {
        if !kept.contains(item) {
            kept.push(item.clone());
        }
    }
    cel::Value::List(Arc::new(kept))
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Int(value) => cel::Value::Int(*value),
        Value::Float(value) => cel::Value::Float(*value),
        Value::Decimal(text) => cel::Value::Float(decimal_as_float(text).unwrap()),
        Value::Text(text) => cel::Value::String(Arc::new(text.to_string())),
        Value::List(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.as_str().into(), to_cel(value)));
            cel::Value::Map(cel::objects::Map { map: Arc::new(entries.collect::<HashMap<_, _>>()) })
        }
    }
}

/// What a scenario sees of a result; `None` for what no value of ours can be.
fn from_cel(value: &cel::Value) -> Option<Value> {
    Some(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(value) => Value::Bool(*value),
        cel::Value::Int(value) => Value::Int(*value),
        cel::Value::UInt(value) => Value::Int(i64::try_from(*value).ok()?),
        cel::Value::Float(value) => Value::Float(*value),
        cel::Value::String(text) => Value::text(text.as_str()),
        cel::Value::List(items) => Value::List(items.iter().map(from_cel).collect::<Option<_>>()?),
        cel::Value::Map(map) => {
            let entries = map.map.iter().map(|(key, value)| Some((key.to_string(), from_cel(value)?)));
            Value::map(entries.collect::<Option<Vec<_>>>()?)
        }
        _ => return None,
    })
}

fn scope() -> Vec<(&'static str, Value)> {
    let row = |key: i64, text: &str| Value::list([Value::Int(key), Value::text(text), Value::Decimal("1.50".into())]);
    vec![
        ("n", Value::Int(3)),
        ("f", Value::Float(2.5)),
        ("d", Value::Decimal("0.10".into())),
        ("s", Value::text("héllo")),
        ("t", Value::Bool(true)),
        ("z", Value::Null),
        ("rows", Value::list([row(1, "a"), row(2, "b"), row(3, "a")])),
        ("ints", Value::list([Value::Int(1), Value::Int(2), Value::Int(2), Value::Int(i64::MAX)])),
        ("m", Value::map([("a", Value::list([Value::Int(1)]))])),
    ]
}

/// The result of both; errors are equal whatever they say.
fn both(text: &str) -> (Option<String>, Option<String>) {
    let names = scope();
    let ours = Expression::compile(text).ok().and_then(|expression| {
        let scope: Scope = names.iter().cloned().collect();
        expression.evaluate(&scope).ok()
    });
    let mut context = LIBRARY.new_inner_scope();
    for (name, value) in &names {
        context.add_variable_from_value(*name, to_cel(value));
    }
    let theirs =
        Program::compile(text).ok().and_then(|program| program.execute(&context).ok()).as_ref().and_then(from_cel);
    // NaN is not equal to itself, but is the same result.
    (ours.map(|value| format!("{value:?}")), theirs.map(|value| format!("{value:?}")))
}

fn leaf() -> impl Strategy<Value = String> {
    const LEAVES: &[&str] = &[
        "0",
        "1",
        "-1",
        "2",
        "7",
        "9223372036854775807",
        "-9223372036854775808",
        "0x10",
        "1u",
        "3u",
        "0.0",
        "1.0",
        "-2.5",
        "1e300",
        "''",
        "'a'",
        "'héllo'",
        "\"x\\n\"",
        "r'\\d+'",
        "'1'",
        "b'a'",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        "n",
        "f",
        "s",
        "t",
        "z",
        "rows",
        "ints",
        "m",
        "m.a",
        "rows[0]",
        "rows[0][1]",
        "[1, 2.0, 'a']",
        "{'a': 1}",
        "{1: 'b'}",
        "x",
        "y",
    ];
    proptest::sample::select(LEAVES).prop_map(str::to_owned)
}

fn expression() -> impl Strategy<Value = String> {
    leaf().prop_recursive(4, 24, 3, |inner| {
        let binary = proptest::sample::select(
            &["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"][..],
        );
        let function = proptest::sample::select(
            &[
                "size", "int", "uint", "double", "string", "bytes", "bool", "dyn", "sum", "min", "max", "distinct",
                "!", "-",
            ][..],
        );
        let method = proptest::sample::select(&["contains", "startsWith", "endsWith", "matches"][..]);
        let looped = proptest::sample::select(&["all", "exists", "exists_one", "map", "filter"][..]);
        prop_oneof![
            3 => (inner.clone(), binary, inner.clone()).prop_map(|(l, o, r)| format!("({l} {o} {r})")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("{a} + {b} * {c} - {a}")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            2 => (function, inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("max({a}, {b})")),
            1 => (inner.clone(), method, inner.clone()).prop_map(|(a, f, b)| format!("({a}).{f}({b})")),
            2 => (inner.clone(), looped, inner.clone()).prop_map(|(a, f, b)| format!("({a}).{f}(x, {b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}).map(y, y != x, {b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            1 => inner.clone().prop_map(|a| format!("({a}).a")),
            1 => inner.clone().prop_map(|a| format!("has(({a}).a)")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("type({a}) == type({b})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_expression_gives_what_the_cel_crate_gives(text in expression()) {
        // The loops' variables are bound outermost, so that most expressions have a value.
        let text = format!("[1, 'a'].map(x, [0.5, true].map(y, {text}))");
        let (ours, theirs) = both(&text);
        prop_assert_eq!(ours, theirs, "{}", text);
        let inner = text.replace("[1, 'a'].map(x, [0.5, true].map(y, ", "[2].map(x, ['a'].map(y, ");
        let (ours, theirs) = both(&inner);
        prop_assert_eq!(ours, theirs, "{}", inner);
    }
}
