//! What a scenario gives for the keys of a target, and what a driver makes of it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::value::Value;

/// The values of a target's own keys, defaults included. Each has the shape that its field says.
#[derive(Debug, Default)]
pub struct Given {
    values: BTreeMap<&'static str, Value>,
    durations: BTreeMap<&'static str, Duration>,
    named: BTreeMap<&'static str, BTreeMap<String, String>>,
}

impl Given {
    /// Notes a value.
    pub fn put(&mut self, key: &'static str, value: Value) {
        self.values.insert(key, value);
    }

    /// Notes a duration.
    pub fn put_duration(&mut self, key: &'static str, duration: Duration) {
        self.durations.insert(key, duration);
    }

    /// Notes names with values.
    pub fn put_named(&mut self, key: &'static str, named: BTreeMap<String, String>) {
        self.named.insert(key, named);
    }

    /// A word or a text; empty if there is none.
    pub fn text(&self, key: &str) -> String {
        self.values.get(key).map(ToString::to_string).unwrap_or_default()
    }

    /// A truth value; false if there is none.
    pub fn flag(&self, key: &str) -> bool {
        matches!(self.values.get(key), Some(Value::Bool(true)))
    }

    /// A whole number, if there is one.
    pub fn whole(&self, key: &str) -> Option<i64> {
        match self.values.get(key) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// A duration, if there is one.
    pub fn duration(&self, key: &str) -> Option<Duration> {
        self.durations.get(key).copied()
    }

    /// Names with values; none if there are none.
    pub fn named(&self, key: &str) -> BTreeMap<String, String> {
        self.named.get(key).cloned().unwrap_or_default()
    }
}

/// Values of a target's keys that do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The key at which that is shown.
    pub key: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

/// A driver's own form of a target's options. Only the driver can look into it.
#[derive(Clone)]
pub struct Options(Arc<dyn Any + Send + Sync>);

impl Options {
    /// Wraps a driver's options.
    pub fn new<T: Any + Send + Sync>(options: T) -> Self {
        Options(Arc::new(options))
    }

    /// The options, of the driver that made them. `None` to every other driver.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Options")
    }
}
