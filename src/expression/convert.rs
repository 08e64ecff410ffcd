//! Our values as the evaluator's, and back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::value::{Value, decimal_as_float};

/// A decimal of too many digits for a float.
pub(super) struct TooLong(pub(super) Arc<str>);

pub(super) fn to_cel(value: &Value) -> Result<cel::Value, TooLong> {
    Ok(match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Int(value) => cel::Value::Int(*value),
        Value::Float(value) => cel::Value::Float(*value),
        Value::Decimal(text) => cel::Value::Float(decimal_as_float(text).ok_or_else(|| TooLong(text.clone()))?),
        Value::Text(text) => cel::Value::String(Arc::new(text.to_string())),
        Value::List(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect::<Result<_, _>>()?)),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| Ok((key.as_str().into(), to_cel(value)?)));
            let entries: HashMap<cel::objects::Key, cel::Value> = entries.collect::<Result<_, _>>()?;
            cel::Value::Map(cel::objects::Map { map: Arc::new(entries) })
        }
    })
}

pub(super) fn from_cel(value: &cel::Value) -> Result<Value, String> {
    Ok(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(value) => Value::Bool(*value),
        cel::Value::Int(value) => Value::Int(*value),
        cel::Value::UInt(value) => {
            Value::Int(i64::try_from(*value).map_err(|_| format!("is {value}, which is out of range"))?)
        }
        cel::Value::Float(value) => Value::Float(*value),
        cel::Value::String(text) => Value::text(text.as_str()),
        cel::Value::List(items) => Value::List(items.iter().map(from_cel).collect::<Result<_, _>>()?),
        cel::Value::Map(map) => {
            let mut entries = BTreeMap::new();
            for (key, value) in map.map.iter() {
                let key = match key {
                    cel::objects::Key::String(text) => text.to_string(),
                    cel::objects::Key::Int(number) => number.to_string(),
                    cel::objects::Key::Uint(number) => number.to_string(),
                    cel::objects::Key::Bool(value) => value.to_string(),
                };
                entries.insert(key, from_cel(value)?);
            }
            Value::Map(Arc::new(entries))
        }
        other => return Err(format!("is of type {}, which is no value for a scenario", other.type_of())),
    })
}
