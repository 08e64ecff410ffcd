//! Arguments on their way to the server: always as text, so that the server parses them and every type works.

use std::error::Error;
use std::fmt::{self, Write};
use std::sync::Arc;

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

use crate::value::Value;

/// A value as a bound parameter, put into words before it is sent where that does not take the parameter's type.
///
/// Text goes as it is, even where the parameter is `json`. Lists become array literals where the parameter is an array, and
/// JSON elsewhere; maps become JSON. What does not fit the parameter's type is refused by the server.
#[derive(Debug)]
pub(super) struct Argument {
    value: Value,
    /// Its words; `None` for null, and for lists, whose words depend on the type.
    text: Option<Arc<str>>,
}

impl Argument {
    pub(super) fn new(value: &Value) -> Self {
        let text = match value {
            Value::Null | Value::List(_) => None,
            Value::Text(text) => Some(text.clone()),
            value => Some(Arc::from(value.to_string())),
        };
        Argument { value: value.clone(), text }
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }
}

impl ToSql for Argument {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (&self.text, &self.value) {
            (Some(text), _) => out.extend_from_slice(text.as_bytes()),
            (None, Value::List(items)) => match member(ty) {
                Some(member) => array(items, member, out)?,
                None => write!(out, "{}", self.value)?,
            },
            (None, _) => return Ok(IsNull::Yes),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// The type of an array's elements, if `ty` is an array.
fn member(ty: &Type) -> Option<&Type> {
    match ty.kind() {
        Kind::Array(member) => Some(member),
        Kind::Domain(base) => member(base),
        _ => None,
    }
}

fn array(items: &[Value], member: &Type, out: &mut impl Write) -> fmt::Result {
    out.write_char('{')?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.write_char(',')?;
        }
        match item {
            Value::Null => out.write_str("NULL")?,
            Value::List(inner) if !matches!(*member, Type::JSON | Type::JSONB) => array(inner, member, out)?,
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Decimal(_) => write!(out, "{item}")?,
            Value::Text(text) => quoted(text, out)?,
            Value::List(_) | Value::Map(_) => quoted(&item.to_string(), out)?,
        }
    }
    out.write_char('}')
}

/// An element of an array literal: in quotes, so that commas, braces, blanks and the word NULL mean themselves.
fn quoted(text: &str, out: &mut impl Write) -> fmt::Result {
    out.write_char('"')?;
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.write_char('\\')?;
        }
        out.write_char(character)?;
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(value: &Value, ty: &Type) -> Option<String> {
        let mut out = BytesMut::new();
        match Argument::new(value).to_sql(ty, &mut out).unwrap() {
            IsNull::Yes => None,
            IsNull::No => Some(String::from_utf8(out.to_vec()).unwrap()),
        }
    }

    #[test]
    fn scalars_are_sent_as_text() {
        let rows = [
            (Value::Bool(true), Some("true")),
            (Value::Int(-7), Some("-7")),
            (Value::Float(0.1), Some("0.1")),
            (Value::Decimal("1.50".into()), Some("1.50")),
            (Value::text("a'b"), Some("a'b")),
            (Value::Null, None),
        ];
        for (value, wanted) in rows {
            assert_eq!(sent(&value, &Type::TEXT).as_deref(), wanted, "{value:?}");
        }
    }

    #[test]
    fn lists_are_arrays_where_arrays_are_wanted_and_json_elsewhere() {
        let list = Value::list([Value::Int(1), Value::Null, Value::text(r#"a "b" \c, {NULL}"#)]);
        assert_eq!(sent(&list, &Type::TEXT_ARRAY).as_deref(), Some(r#"{1,NULL,"a \"b\" \\c, {NULL}"}"#));
        assert_eq!(sent(&list, &Type::JSONB).as_deref(), Some(r#"[1,null,"a \"b\" \\c, {NULL}"]"#));

        let nested = Value::list([Value::list([Value::Int(1)]), Value::list([Value::Int(2)])]);
        assert_eq!(sent(&nested, &Type::INT4_ARRAY).as_deref(), Some("{{1},{2}}"));
        assert_eq!(sent(&nested, &Type::JSONB_ARRAY).as_deref(), Some(r#"{"[1]","[2]"}"#));
        assert_eq!(sent(&Value::list([]), &Type::INT4_ARRAY).as_deref(), Some("{}"));
    }

    #[test]
    fn maps_are_json() {
        let map = Value::map([("a", Value::Int(1))]);
        assert_eq!(sent(&map, &Type::JSON).as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(sent(&Value::list([map]), &Type::JSON_ARRAY).as_deref(), Some(r#"{"{\"a\":1}"}"#));
    }
}
