//! Every argument and column type, there and back.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;

#[tokio::test]
async fn every_type_goes_there_and_back() {
    let server = server().await;
    fn list(items: impl IntoIterator<Item = Value>) -> Value {
        Value::list(items)
    }
    let text = |value: &str| Value::text(value);
    let int = Value::Int;
    let rows: Vec<(&str, Value, Value)> = vec![
        ("bool", Value::Bool(true), Value::Bool(true)),
        ("int2", int(-3), int(-3)),
        ("int4", Value::Float(10.0), int(10)),
        ("int8", int(i64::MIN), int(i64::MIN)),
        ("oid", int(4_000_000_000), int(4_000_000_000)),
        ("xid8", int(7), int(7)),
        ("float4", Value::Float(1.5), Value::Float(1.5)),
        ("float8", Value::Float(0.1), Value::Float(0.1)),
        ("float8", Value::Float(f64::INFINITY), Value::Float(f64::INFINITY)),
        (
            "numeric",
            Value::Decimal("-12345678901234567890.0012300".into()),
            Value::Decimal("-12345678901234567890.0012300".into()),
        ),
        ("numeric", Value::Decimal("0.00010".into()), Value::Decimal("0.00010".into())),
        ("numeric(12,2)", int(100_000), Value::Decimal("100000.00".into())),
        ("numeric", text("1e30"), Value::Decimal(format!("1{}", "0".repeat(30)).into())),
        ("numeric", text("-Infinity"), Value::Float(f64::NEG_INFINITY)),
        ("text", text("it's \"ä\" \\ {}"), text("it's \"ä\" \\ {}")),
        ("text", Value::map([("a", int(1))]), text("{\"a\":1}")),
        ("varchar(3)", text("abc"), text("abc")),
        ("char(3)", text("a"), text("a  ")),
        ("name", text("n"), text("n")),
        ("\"char\"", text("c"), text("c")),
        ("mood", text("happy"), text("happy")),
        ("positive", int(5), int(5)),
        ("uuid", text("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"), text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("json", list([int(1), Value::Null, text("x")]), list([int(1), Value::Null, text("x")])),
        ("jsonb", Value::map([("a", list([Value::Bool(false)]))]), Value::map([("a", list([Value::Bool(false)]))])),
        ("jsonb", text("{\"a\": 1.5}"), Value::map([("a", Value::Float(1.5))])),
        ("timestamp", text("2024-02-29T23:59:59.000001"), text("2024-02-29T23:59:59.000001")),
        ("timestamp", text("1999-12-31T00:00:00"), text("1999-12-31T00:00:00")),
        ("timestamptz", text("2024-02-29T23:59:59.5+02:00"), text("2024-02-29T21:59:59.5Z")),
        ("timestamptz", text("infinity"), text("infinity")),
        ("date", text("1900-03-01"), text("1900-03-01")),
        ("date", text("-infinity"), text("-infinity")),
        ("time", text("13:14:15.25"), text("13:14:15.25")),
        ("time", text("24:00"), text("24:00:00")),
        ("timetz", text("13:14:15-03:30"), text("13:14:15-03:30")),
        ("interval", text("1 year -2 months 3 days -04:05:06.5"), text("P10M3DT-4H-5M-6.5S")),
        ("interval", text("0"), text("PT0S")),
        ("bytea", text("\\x00ff10"), text("\\x00ff10")),
        ("int4[]", list([int(1), Value::Null]), list([int(1), Value::Null])),
        ("int4[]", list([]), list([])),
        (
            "int4[]",
            list([list([int(1), int(2)]), list([int(3), int(4)])]),
            list([list([int(1), int(2)]), list([int(3), int(4)])]),
        ),
        (
            "text[]",
            list([text("NULL"), text(""), text("a,\"b\"\\{}")]),
            list([text("NULL"), text(""), text("a,\"b\"\\{}")]),
        ),
        ("mood[]", list([text("sad")]), list([text("sad")])),
        (
            "jsonb[]",
            list([Value::map([("a", int(1))]), list([int(2)])]),
            list([Value::map([("a", int(1))]), list([int(2)])]),
        ),
        ("numeric[]", list([Value::Decimal("0.50".into()), int(2)]), list([Value::Decimal("0.50".into()), int(2)])),
        ("int4", Value::Null, Value::Null),
        ("text[]", Value::Null, Value::Null),
    ];
    let statements: Vec<String> = rows.iter().map(|(ty, ..)| format!("SELECT $1::{ty} AS value")).collect();
    let mut distinct: Vec<&str> = statements.iter().map(String::as_str).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let spec =
        spec(&distinct, &[("TimeZone", "Asia/Kathmandu"), ("IntervalStyle", "sql_standard"), ("DateStyle", "German")]);
    // The types must be there before the statements are prepared.
    let setup = "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN positive AS int CHECK (VALUE > 0)";
    let case = Case::with(&server.url, setup, &spec).await;
    let session = &mut *case.session(0).await;
    for (statement, (ty, sent, wanted)) in statements.iter().zip(&rows) {
        let result = done(case.call(session, statement, [sent.clone()]).await);
        assert_eq!((result.rows, result.affected), (vec![vec![wanted.clone()]], 1), "{ty} {sent:?}");
        // What came back can be sent again and means the same.
        let again = done(case.call(session, statement, [wanted.clone()]).await);
        assert_eq!(again.rows, [[wanted.clone()]], "{ty} {wanted:?}");
    }
    case.target.close().await.unwrap();
}

#[tokio::test]
async fn rows_and_counts_come_back() {
    let server = server().await;
    let statements = [
        "INSERT INTO t SELECT generate_series(1, 3)",
        "SELECT a, a::text FROM t ORDER BY 1",
        "DELETE FROM t",
        "SELECT nothing()",
    ];
    let setup = "CREATE TABLE t (a int); CREATE FUNCTION nothing() RETURNS void LANGUAGE sql AS ''";
    let case = Case::open(&server.url, setup, &statements).await;
    let session = &mut *case.session(0).await;
    let result = done(case.call(session, statements[0], []).await);
    assert_eq!((result.affected, result.rows.len()), (3, 0));
    let result = done(case.call(session, statements[1], []).await);
    assert_eq!((result.affected, &result.rows[2]), (3, &vec![Value::Int(3), Value::text("3")]));
    assert_eq!(done(case.call(session, statements[3], []).await).rows, [[Value::Null]]);
    assert_eq!(done(case.call(session, statements[2], []).await).affected, 3);
    let message =
        fault(case.target.observe(&sql("SELECT 'infinity'::timestamptz, '20000-01-01'::date AS late", [])).await);
    assert!(message.contains("late") && message.contains("::text"), "{message}");
    case.target.close().await.unwrap();
}

#[tokio::test]
async fn any_text_number_and_document_goes_there_and_back() {
    /// The server keeps no NUL in text.
    const TEXT: &str = "[^\\x00]{0,12}";
    let statements =
        ["SELECT $1::text", "SELECT $1::text[]", "SELECT $1::jsonb", "SELECT $1::numeric", "SELECT $1::float8"];
    let server = server().await;
    let case = Case::open(&server.url, "", &statements).await;
    let session = &mut *case.session(0).await;
    let mut runner = TestRunner::deterministic();
    let item = prop_oneof![Just(Value::Null), TEXT.prop_map(Value::text)];
    let items = proptest::collection::vec(item, 0..6).prop_map(Value::list);
    let documents = proptest::collection::btree_map(TEXT, any::<i64>().prop_map(Value::Int), 0..4);
    let numbers = "-?[1-9][0-9]{0,40}\\.[0-9]{0,30}[1-9]".prop_map(|text: String| Value::Decimal(text.into()));
    let values = (
        TEXT.prop_map(Value::text),
        items,
        documents.prop_map(Value::map),
        numbers,
        any::<f64>().prop_map(Value::Float),
    );
    for _ in 0..100 {
        let (text, list, map, number, float) = values.new_tree(&mut runner).unwrap().current();
        for (statement, value) in statements.iter().zip([text, list, map, number, float]) {
            let result = done(case.call(session, statement, [value.clone()]).await);
            // Not-a-number is not equal to itself.
            assert_eq!(format!("{:?}", result.rows), format!("{:?}", [[value]]), "{statement}");
        }
    }
    case.target.close().await.unwrap();
}
