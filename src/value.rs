//! The values that scenarios write, servers answer and expressions compute.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One value. Integers and floats stay apart, as in CEL.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL NULL, JSON null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number; out of `i64` is an error where the value comes from.
    Int(i64),
    /// A binary floating-point number.
    Float(f64),
    /// A decimal. Passed on as it is, it keeps its exact text; to expressions it is a float, see [`decimal_as_float`].
    Decimal(Arc<str>),
    /// Text. Timestamps are RFC 3339 text, UUIDs their canonical text.
    Text(Arc<str>),
    /// A list: a row, rows, an array.
    List(Arc<[Value]>),
    /// A map with text keys: a JSON object, an event.
    Map(Arc<BTreeMap<String, Value>>),
}

impl Value {
    /// A text value.
    pub fn text(text: impl AsRef<str>) -> Self {
        Value::Text(Arc::from(text.as_ref()))
    }

    /// A list value.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Value::List(items.into_iter().collect())
    }

    /// A map value.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Value::Map(Arc::new(entries.into_iter().map(|(key, value)| (key.into(), value)).collect()))
    }

    /// The word for this value's type in messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Decimal(_) => "decimal",
            Value::Text(_) => "text",
            Value::List(_) => "list",
            Value::Map(_) => "map",
        }
    }

    /// The JSON form: decimals that floats tell apart become numbers, others text; so do floats that JSON cannot hold.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::Float(value) => {
                serde_json::Number::from_f64(*value).map_or_else(|| value.to_string().into(), serde_json::Value::Number)
            }
            Value::Decimal(text) => decimal_as_float(text)
                .and_then(serde_json::Number::from_f64)
                .map_or_else(|| text.as_ref().into(), serde_json::Value::Number),
            Value::Text(text) => text.as_ref().into(),
            Value::List(items) => items.iter().map(Value::to_json).collect(),
            Value::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect(),
        }
    }

    /// The value of a JSON document. Whole numbers beyond `i64` become floats.
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => {
                number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)), Value::Int)
            }
            serde_json::Value::String(text) => Value::text(text),
            serde_json::Value::Array(items) => Value::list(items.iter().map(Value::from_json)),
            serde_json::Value::Object(entries) => {
                Value::map(entries.iter().map(|(key, value)| (key.as_str(), Value::from_json(value))))
            }
        }
    }
}

/// The float of a decimal of at most 15 significant digits: no two of those have the same one ([`f64::DIGITS`]). `None` for
/// longer ones, which a float may not tell apart.
pub fn decimal_as_float(text: &str) -> Option<f64> {
    let digits = text.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit);
    let significant = digits.collect::<Vec<u8>>();
    let trailing = significant.iter().rev().take_while(|digit| **digit == b'0').count();
    let is_short = significant.len() - trailing <= f64::DIGITS as usize;
    let float: Option<f64> = if is_short { text.parse().ok() } else { None };
    float.filter(|float| float.is_finite())
}

impl fmt::Display for Value {
    /// The form used inside text templates: bare text, `null`, numbers as written, lists and maps as JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value}"),
            Value::Decimal(text) | Value::Text(text) => f.write_str(text),
            Value::List(_) | Value::Map(_) => write!(f, "{}", self.to_json()),
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::text(value)
    }
}
