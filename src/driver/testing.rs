//! Requests for tests of the drivers.

use std::path::PathBuf;
use std::sync::Arc;

use crate::expression::Template;
use crate::port::{At, Driver, Entry, Need, Place, Request, RequestAt};
use crate::value::Value;

/// The request `key` of `driver` with these fields, and the defaults of the others.
pub(super) fn request(driver: &dyn Driver, key: &str, given: Vec<(&str, Entry<Value>)>) -> Request<Value> {
    let spec = driver.requests().iter().find(|spec| spec.key == key).unwrap();
    let mut fields: Vec<Entry<Value>> = Vec::new();
    for field in spec.fields {
        let given = given.iter().find(|(key, _)| *key == field.key).map(|(_, entry)| entry.clone());
        fields.push(given.unwrap_or_else(|| match field.need {
            Need::Default(literal) => Entry::One(literal.into()),
            Need::Required | Need::Optional => Entry::Absent,
        }));
    }
    Request { spec, fields, pauses: Vec::new() }
}

/// Names with values.
pub(super) fn named(values: impl IntoIterator<Item = (String, Value)>) -> Entry<Value> {
    Entry::Named(values.into_iter().map(|(value, held)| (At { value, span: 0..0 }, held)).collect())
}

/// A place in a scenario.
pub(super) fn place() -> Place {
    Place { file: Arc::new(PathBuf::from("test.toml")), line: 1, column: 1 }
}

/// A request of a step.
pub(super) fn planned(request: &Request<Value>) -> RequestAt {
    let literal = |value: &Value| Ok::<_, std::convert::Infallible>(Template::Literal(value.clone()));
    let Ok(request) = request.try_map(literal);
    RequestAt { request, place: place() }
}
