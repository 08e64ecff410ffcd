//! Values while an expression is evaluated. They borrow from the scope and the tree, so that most operations copy nothing.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use super::budget::{Budget, Stop};
use super::tree::{DEPTH_MAX, Literal};
use crate::value::{Value, decimal_as_float};

/// What a list's item costs, in bytes.
pub(super) const ITEM_BYTES: usize = size_of::<Operand<'static>>();

/// A value. CEL has a few types more than [`Value`].
#[derive(Debug, Clone)]
pub(super) enum Operand<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(Text<'a>),
    Bytes(Rc<[u8]>),
    /// What `type(x)` gives.
    Type(&'static str),
    List(List<'a>),
    Map(Map<'a>),
}

/// Text.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Shared(&'a Arc<str>),
    Part(&'a str),
    Own(Arc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Shared(text) => text,
            Text::Part(text) => text,
            Text::Own(text) => text,
        }
    }
}

/// A list.
#[derive(Debug, Clone)]
pub(super) enum List<'a> {
    Lent(&'a Arc<[Value]>),
    Own(Rc<Vec<Operand<'a>>>),
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            List::Lent(items) => items.len(),
            List::Own(items) => items.len(),
        }
    }

    /// The item at `index`, which there must be.
    pub(super) fn item(&self, index: usize) -> Result<Operand<'a>, Stop> {
        match self {
            List::Lent(items) => Operand::load(&items[index]),
            List::Own(items) => Ok(items[index].clone()),
        }
    }
}

/// A map. Those that expressions make also have other keys than text.
#[derive(Debug, Clone)]
pub(super) enum Map<'a> {
    Lent(&'a Arc<BTreeMap<String, Value>>),
    Own(Rc<Entries<'a>>),
}

/// Keys and values of a map that an expression made, by the form in which keys are compared.
pub(super) type Entries<'a> = BTreeMap<Key<'a>, (Operand<'a>, Operand<'a>)>;

/// A map's key: numbers are the same key if they are the same number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key<'a> {
    Bool(bool),
    Number(i128),
    Text(Cow<'a, str>),
}

impl<'a> Map<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Map::Lent(entries) => entries.len(),
            Map::Own(entries) => entries.len(),
        }
    }

    pub(super) fn get(&self, key: &Key<'_>) -> Result<Option<Operand<'a>>, Stop> {
        match (self, key) {
            (Map::Lent(entries), Key::Text(key)) => entries.get(key.as_ref()).map(Operand::load).transpose(),
            (Map::Lent(_), _) => Ok(None),
            (Map::Own(entries), key) => Ok(entries.get(key).map(|(_, value)| value.clone())),
        }
    }

    /// The keys, in order.
    pub(super) fn keys(&self) -> Vec<Operand<'a>> {
        match self {
            Map::Lent(entries) => entries.keys().map(|key| Operand::Text(Text::Part(key))).collect(),
            Map::Own(entries) => entries.values().map(|(key, _)| key.clone()).collect(),
        }
    }
}

impl<'a> Operand<'a> {
    pub(super) fn text(text: &str) -> Self {
        Operand::Text(Text::Own(text.into()))
    }

    /// A value of the scope.
    pub(super) fn load(value: &'a Value) -> Result<Self, Stop> {
        Ok(match value {
            Value::Null => Operand::Null,
            Value::Bool(value) => Operand::Bool(*value),
            Value::Int(value) => Operand::Int(*value),
            Value::Float(value) => Operand::Float(*value),
            Value::Decimal(text) => Operand::Float(decimal_as_float(text).ok_or_else(|| Stop::TooLong(text.clone()))?),
            Value::Text(text) => Operand::Text(Text::Shared(text)),
            Value::List(items) => Operand::List(List::Lent(items)),
            Value::Map(entries) => Operand::Map(Map::Lent(entries)),
        })
    }

    pub(super) fn literal(literal: &'a Literal) -> Self {
        match literal {
            Literal::Null => Operand::Null,
            Literal::Bool(value) => Operand::Bool(*value),
            Literal::Int(value) => Operand::Int(*value),
            Literal::UInt(value) => Operand::UInt(*value),
            Literal::Float(value) => Operand::Float(*value),
            Literal::Text(text) => Operand::Text(Text::Shared(text)),
            Literal::Bytes(bytes) => Operand::Bytes(bytes.as_ref().into()),
        }
    }

    /// CEL's word for its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Operand::Null => "null_type",
            Operand::Bool(_) => "bool",
            Operand::Int(_) => "int",
            Operand::UInt(_) => "uint",
            Operand::Float(_) => "double",
            Operand::Text(_) => "string",
            Operand::Bytes(_) => "bytes",
            Operand::Type(_) => "type",
            Operand::List(_) => "list",
            Operand::Map(_) => "map",
        }
    }

    /// Its type and, of a scalar, its value, for messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Operand::Null => "null".to_owned(),
            Operand::Bool(value) => format!("bool `{value}`"),
            Operand::Int(value) => format!("int `{value}`"),
            Operand::UInt(value) => format!("uint `{value}`"),
            Operand::Float(value) => format!("double `{value}`"),
            Operand::Text(text) => {
                let start: String = text.chars().take(40).collect();
                let more = if start.len() < text.len() { "…" } else { "" };
                format!("text `{start}{more}`")
            }
            Operand::Type(name) => format!("type `{name}`"),
            Operand::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Operand::List(list) => format!("a list of {}", list.len()),
            Operand::Map(map) => format!("a map of {}", map.len()),
        }
    }

    /// Its key form: what a map can be asked for. `Ok(None)` is a number that no map has as a key.
    pub(super) fn key(&self) -> Result<Option<Key<'a>>, Stop> {
        Ok(Some(match self {
            Operand::Bool(value) => Key::Bool(*value),
            Operand::Int(value) => Key::Number((*value).into()),
            Operand::UInt(value) => Key::Number((*value).into()),
            Operand::Float(value) => match whole(*value) {
                Some(number) => Key::Number(number),
                None => return Ok(None),
            },
            Operand::Text(text) => Key::Text(match text {
                Text::Shared(text) => Cow::Borrowed(&***text),
                Text::Part(text) => Cow::Borrowed(*text),
                Text::Own(text) => Cow::Owned(text.to_string()),
            }),
            other => return Stop::failed(format!("{} cannot be a map's key", other.shown())),
        }))
    }

    /// Whether both are the same value. Numbers of different types are compared as numbers.
    pub(super) fn equals(&self, other: &Self, budget: &mut Budget) -> Result<bool, Stop> {
        Ok(match (self, other) {
            (Operand::Null, Operand::Null) => true,
            (Operand::Bool(left), Operand::Bool(right)) => left == right,
            (Operand::Text(left), Operand::Text(right)) => {
                budget.read(left.len().min(right.len()))?;
                **left == **right
            }
            (Operand::Bytes(left), Operand::Bytes(right)) => {
                budget.read(left.len().min(right.len()))?;
                left == right
            }
            (Operand::Type(left), Operand::Type(right)) => left == right,
            (Operand::List(left), Operand::List(right)) => return lists_equal(left, right, budget),
            (Operand::Map(left), Operand::Map(right)) => return maps_equal(left, right, budget),
            _ => self.numbers(other) == Some(Ordering::Equal),
        })
    }

    /// The order of two numbers; `None` for NaN and for what is not a number.
    fn numbers(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Operand::Int(left), Operand::Int(right)) => Some(left.cmp(right)),
            (Operand::UInt(left), Operand::UInt(right)) => Some(left.cmp(right)),
            (Operand::Int(left), Operand::UInt(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
            (Operand::UInt(left), Operand::Int(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
            (Operand::Float(left), Operand::Float(right)) => left.partial_cmp(right),
            (Operand::Float(left), Operand::Int(right)) => left.partial_cmp(&(*right as f64)),
            (Operand::Int(left), Operand::Float(right)) => (*left as f64).partial_cmp(right),
            (Operand::Float(left), Operand::UInt(right)) => left.partial_cmp(&(*right as f64)),
            (Operand::UInt(left), Operand::Float(right)) => (*left as f64).partial_cmp(right),
            _ => None,
        }
    }

    /// The order of two values that have one: numbers, texts, bytes, truth values.
    pub(super) fn order(&self, other: &Self, budget: &mut Budget) -> Result<Option<Ordering>, Stop> {
        Ok(match (self, other) {
            (Operand::Bool(left), Operand::Bool(right)) => Some(left.cmp(right)),
            (Operand::Text(left), Operand::Text(right)) => {
                budget.read(left.len().min(right.len()))?;
                Some((**left).cmp(&**right))
            }
            (Operand::Bytes(left), Operand::Bytes(right)) => {
                budget.read(left.len().min(right.len()))?;
                Some(left.cmp(right))
            }
            _ => self.numbers(other),
        })
    }

    /// As a value of the scope.
    pub(super) fn into_value(self, depth: usize, budget: &mut Budget) -> Result<Value, Stop> {
        budget.step()?;
        if depth > DEPTH_MAX {
            return Stop::failed(format!("the result has more than {DEPTH_MAX} lists or maps inside one another"));
        }
        Ok(match self {
            Operand::Null => Value::Null,
            Operand::Bool(value) => Value::Bool(value),
            Operand::Int(value) => Value::Int(value),
            Operand::UInt(value) => match i64::try_from(value) {
                Ok(value) => Value::Int(value),
                Err(_) => return Stop::failed(format!("{value} is out of range for an int")),
            },
            Operand::Float(value) => Value::Float(value),
            Operand::Text(text) => {
                budget.bytes(text.len())?;
                match text {
                    Text::Shared(text) => Value::Text(text.clone()),
                    Text::Part(text) => Value::text(text),
                    Text::Own(text) => Value::Text(text),
                }
            }
            // Most lists and maps are returned as they are: rows, events.
            Operand::List(List::Lent(items)) if !has_decimals(items.iter(), depth, budget)? => {
                Value::List(Arc::clone(items))
            }
            Operand::Map(Map::Lent(entries)) if !has_decimals(entries.values(), depth, budget)? => {
                Value::Map(Arc::clone(entries))
            }
            Operand::List(list) => {
                budget.bytes(list.len().saturating_mul(size_of::<Value>()))?;
                let item = |index| list.item(index)?.into_value(depth + 1, budget);
                Value::List((0..list.len()).map(item).collect::<Result<_, _>>()?)
            }
            Operand::Map(map) => {
                let mut entries = BTreeMap::new();
                for key in map.keys() {
                    let value = key.key()?.map_or(Ok(None), |key| map.get(&key))?.unwrap_or(Operand::Null);
                    let key = match key {
                        Operand::Text(text) => text.to_string(),
                        Operand::Bool(value) => value.to_string(),
                        Operand::Int(value) => value.to_string(),
                        Operand::UInt(value) => value.to_string(),
                        other => return Stop::failed(format!("{} cannot be a map's key", other.shown())),
                    };
                    budget.bytes(key.len() + size_of::<Value>())?;
                    entries.insert(key, value.into_value(depth + 1, budget)?);
                }
                Value::Map(Arc::new(entries))
            }
            other @ (Operand::Bytes(_) | Operand::Type(_)) => {
                return Stop::failed(format!("the result is {}, which a scenario's values cannot be", other.shown()));
            }
        })
    }
}

/// Whether there is a decimal in `values`, which becomes a float in a result. What is looked at counts as returned, since
/// items that lists share are there as often as they occur.
fn has_decimals<'a>(
    values: impl ExactSizeIterator<Item = &'a Value>,
    depth: usize,
    budget: &mut Budget,
) -> Result<bool, Stop> {
    if depth >= DEPTH_MAX {
        return Stop::failed(format!("the result has more than {DEPTH_MAX} lists or maps inside one another"));
    }
    budget.steps(values.len() as u64)?;
    budget.bytes(values.len().saturating_mul(size_of::<Value>()))?;
    for value in values {
        let found = match value {
            Value::Decimal(_) => true,
            Value::Text(text) => {
                budget.bytes(text.len())?;
                false
            }
            Value::List(items) => has_decimals(items.iter(), depth + 1, budget)?,
            Value::Map(entries) => has_decimals(entries.values(), depth + 1, budget)?,
            _ => false,
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The whole number that a float is, if it is one that an int or uint can be.
pub(super) fn whole(value: f64) -> Option<i128> {
    let fits = value > i64::MIN as f64 && value < u64::MAX as f64 && value.fract() == 0.0;
    fits.then_some(value as i128)
}

fn lists_equal(left: &List<'_>, right: &List<'_>, budget: &mut Budget) -> Result<bool, Stop> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for index in 0..left.len() {
        budget.step()?;
        if !left.item(index)?.equals(&right.item(index)?, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn maps_equal(left: &Map<'_>, right: &Map<'_>, budget: &mut Budget) -> Result<bool, Stop> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for key in left.keys() {
        budget.step()?;
        let Some(key) = key.key()? else { return Ok(false) };
        let (Some(mine), Some(theirs)) = (left.get(&key)?, right.get(&key)?) else { return Ok(false) };
        if !mine.equals(&theirs, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}
