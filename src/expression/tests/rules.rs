//! What expressions and templates give.

use crate::expression::{Expression, Scope, Template};
use crate::value::Value;

fn scope() -> Scope {
    [
        ("writers", Value::Int(50)),
        ("balance", Value::Int(100)),
        ("rows", Value::list([Value::list([Value::Int(3)]), Value::list([Value::Int(4)])])),
        ("price", Value::Decimal("0.10".into())),
    ]
    .into_iter()
    .collect()
}

#[test]
fn an_expression_alone_keeps_its_type_and_inside_text_is_formatted() {
    let resolve = |text: &str| Template::parse(text).unwrap().resolve(&scope()).unwrap();
    assert_eq!(resolve("${balance - 10}"), Value::Int(90));
    assert_eq!(resolve("order-${writers}!"), Value::text("order-50!"));
    assert_eq!(resolve("$${writers}"), Value::text("${writers}"));
    assert_eq!(resolve("${price}"), Value::Decimal("0.10".into()));
    assert_eq!(resolve("${{'a': 1}.a}${'}'}"), Value::text("1}"));
    assert_eq!(resolve("${rows.map(r, r[0])}"), Value::list([Value::Int(3), Value::Int(4)]));
}

#[test]
fn loop_variables_are_not_free() {
    let expression = Expression::compile("rows.map(r, r[0] + writers)").unwrap();
    assert_eq!(expression.variables().iter().collect::<Vec<_>>(), ["rows", "writers"]);
}

#[test]
fn the_added_functions_compute() {
    let value = |text: &str| Expression::compile(text).unwrap().evaluate(&scope()).unwrap();
    assert_eq!(value("sum(rows.map(r, r[0]))"), Value::Int(7));
    assert_eq!(value("sum([1, 0.5])"), Value::Float(1.5));
    assert_eq!(value("max([1, 3, 2]) + min(4, 5)"), Value::Int(7));
    assert_eq!(value("size(distinct([1, 1, 2]))"), Value::Int(2));
    assert_eq!(value("'order-7'.matches('^order-[0-9]+$')"), Value::Bool(true));
    assert_eq!(value("size(rows)"), Value::Int(2));
}

#[test]
fn decimals_are_floats_unless_a_float_would_not_tell_them_apart() {
    let evaluate = |text: &str, price: &str| {
        let scope: Scope = [("price", Value::Decimal(price.into()))].into_iter().collect();
        Expression::compile(text).unwrap().evaluate(&scope).map_err(|error| error.to_string())
    };
    assert_eq!(evaluate("price - 0.5 == 79.5", "80.00"), Ok(Value::Bool(true)));
    assert_eq!(evaluate("price == 80", "80.00"), Ok(Value::Bool(true)));
    assert_eq!(evaluate("price > 79 && price < 81", "80.00"), Ok(Value::Bool(true)));
    assert_eq!(evaluate("price == 0.00001", "0.0000100000000000000000"), Ok(Value::Bool(true)));
    let error = evaluate("price + 1 > 0", "99.50").unwrap_err();
    assert!(error.ends_with("do not mix: write `double(x)`, or `1.0` for `1`"), "{error}");
    let error = evaluate("price == price", "123456789012345678.01").unwrap_err();
    assert!(error.contains("uses `price` with the decimal 123456789012345678.01, which a double"), "{error}");
    assert_eq!(Value::Decimal("123456789012345678.01".into()).to_json(), "123456789012345678.01");
    assert_eq!(Value::Decimal("80.00".into()).to_json(), 80.0);
}

#[test]
fn faults_name_the_expression_and_what_was_wanted() {
    let error = Expression::compile("writers").unwrap().evaluate_bool(&scope()).unwrap_err();
    assert_eq!(error.to_string(), "`writers` is int `50`, but must be true or false");
    let error = Expression::compile("1 - 2").unwrap().evaluate_count(&scope()).unwrap_err();
    assert_eq!(error.to_string(), "`1 - 2` is -1, but a count cannot be negative");
    assert!(Expression::compile("1 +").is_err());
    let error = Template::parse("a ${b").unwrap_err();
    assert_eq!(error.offset, Some(2));
}
