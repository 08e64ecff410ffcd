//! A request: a row of a driver's table with its fields filled in.

use std::sync::Arc;

use crate::expression::{EvaluateError, Expression, Scope, Template};
use crate::value::Value;

use super::spec::Place;
use super::table::{Layout, RequestSpec};
use super::written::{At, TemplateAt};

/// What a target is asked: with templates in a plan, with values when it is asked.
#[derive(Debug, Clone)]
pub struct Request<V> {
    /// Its row of the driver's table.
    pub spec: &'static RequestSpec,
    /// What its fields hold, by [`RequestSpec::fields`].
    pub fields: Vec<Entry<V>>,
    /// Where a worker waits inside it.
    pub pauses: Vec<PauseAt>,
}

/// A request of a worker's step, and where the step stands.
#[derive(Debug, Clone)]
pub struct RequestAt {
    /// The request.
    pub request: Request<Template>,
    /// Where it stands.
    pub place: Place,
}

/// A pause inside a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseAt {
    /// The word of the point, which is also its barrier's name.
    pub point: Arc<str>,
    /// The barrier's index in its case; meaningless before the case is planned.
    pub barrier: usize,
}

/// What a field holds.
#[derive(Debug, Clone)]
pub enum Entry<V> {
    /// Nothing: it is optional and not there.
    Absent,
    /// A value.
    One(V),
    /// A list of values.
    Many(Vec<V>),
    /// Names with values, in file order.
    Named(Vec<(At<String>, V)>),
}

impl<V> Entry<V> {
    fn try_map<'a, W, E>(&'a self, map: &mut impl FnMut(&'a V) -> Result<W, E>) -> Result<Entry<W>, E> {
        Ok(match self {
            Entry::Absent => Entry::Absent,
            Entry::One(value) => Entry::One(map(value)?),
            Entry::Many(values) => Entry::Many(values.iter().map(map).collect::<Result<_, E>>()?),
            Entry::Named(values) => {
                let values = values.iter().map(|(name, value)| Ok((name.clone(), map(value)?)));
                Entry::Named(values.collect::<Result<_, E>>()?)
            }
        })
    }

    /// Every value in it.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        let many: &[V] = match self {
            Entry::One(value) => std::slice::from_ref(value),
            Entry::Many(values) => values,
            Entry::Absent | Entry::Named(_) => &[],
        };
        let named: &[(At<String>, V)] = if let Entry::Named(values) = self { values } else { &[] };
        many.iter().chain(named.iter().map(|(_, value)| value))
    }
}

impl<V> Request<V> {
    /// The request with every value mapped.
    pub fn try_map<'a, W, E>(&'a self, mut map: impl FnMut(&'a V) -> Result<W, E>) -> Result<Request<W>, E> {
        let fields = self.fields.iter().map(|entry| entry.try_map(&mut map)).collect::<Result<_, E>>()?;
        Ok(Request { spec: self.spec, fields, pauses: self.pauses.clone() })
    }

    /// What the field `key` holds.
    pub fn field(&self, key: &str) -> &Entry<V> {
        let position = self.spec.fields.iter().position(|field| field.key == key);
        position.and_then(|position| self.fields.get(position)).unwrap_or(&Entry::Absent)
    }

    /// The value of the field `key`, if it is there and holds one.
    pub fn one(&self, key: &str) -> Option<&V> {
        match self.field(key) {
            Entry::One(value) => Some(value),
            Entry::Absent | Entry::Many(_) | Entry::Named(_) => None,
        }
    }

    /// The values of the field `key`; none if it is not there.
    pub fn many(&self, key: &str) -> &[V] {
        match self.field(key) {
            Entry::Many(values) => values,
            Entry::Absent | Entry::One(_) | Entry::Named(_) => &[],
        }
    }

    /// The names and values of the field `key`; none if it is not there.
    pub fn named(&self, key: &str) -> &[(At<String>, V)] {
        match self.field(key) {
            Entry::Named(values) => values,
            Entry::Absent | Entry::One(_) | Entry::Many(_) => &[],
        }
    }

    /// Every value in it.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.fields.iter().flat_map(Entry::values)
    }
}

impl Entry<Value> {
    /// All of it as one value; `None` if it is not there.
    fn to_value(&self) -> Option<Value> {
        match self {
            Entry::Absent => None,
            Entry::One(value) => Some(value.clone()),
            Entry::Many(values) => Some(Value::list(values.iter().cloned())),
            Entry::Named(values) => {
                Some(Value::map(values.iter().map(|(name, value)| (name.value.as_str(), value.clone()))))
            }
        }
    }
}

impl Request<Value> {
    /// The request as a scenario writes it, for histories.
    pub(crate) fn to_value(&self) -> Value {
        let entries = self.spec.fields.iter().zip(&self.fields);
        let fields = entries.filter_map(|(field, entry)| Some((field.key, entry.to_value()?)));
        match self.spec.layout {
            Layout::Table => Value::map([(self.spec.key, Value::map(fields))]),
            Layout::Statement { .. } => Value::map(fields),
        }
    }
}

impl Request<TemplateAt> {
    /// The request without the places of its values.
    pub fn templates(&self) -> Request<Template> {
        let mapped = self.try_map(|value| Ok::<_, std::convert::Infallible>(value.template.clone()));
        let Ok(request) = mapped;
        request
    }
}

impl Request<Template> {
    /// The request with every template resolved in `scope`.
    pub fn resolve(&self, scope: &Scope) -> Result<Request<Value>, EvaluateError> {
        self.try_map(|template| template.resolve(scope))
    }

    /// Calls `visit` with every expression in it.
    pub fn visit_expressions<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression)) {
        self.values().for_each(|template| template.visit_expressions(visit));
    }

    /// Whether it does nothing but sleep.
    pub fn only_sleeps(&self) -> bool {
        self.spec.rules.only_sleeps(self)
    }

    /// Its statement as it stands, if it is written as one.
    pub fn statement(&self) -> Option<&str> {
        match (self.spec.layout, self.fields.first()) {
            (Layout::Statement { .. }, Some(Entry::One(Template::Literal(Value::Text(text))))) => Some(text),
            _ => None,
        }
    }
}
