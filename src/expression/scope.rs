//! Names and their values, as expressions see them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use crate::value::Value;

/// Names and their values, looked up from the innermost scope outwards.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    parent: Option<Arc<Scope>>,
    /// A list, since a scope has few names and is searched during the race; a name that was forgotten keeps its place,
    /// so that binding it again allocates nothing.
    names: Vec<(Arc<str>, Option<Value>)>,
    /// How many of the names, from the first, are sorted: those that were collected. A scenario may have thousands of params.
    sorted: usize,
    deadline: Option<Instant>,
}

impl Scope {
    /// An empty scope inside `parent`.
    pub fn inside(parent: Arc<Scope>) -> Self {
        Scope { parent: Some(parent), ..Scope::default() }
    }

    /// Puts the scope inside another one.
    pub fn set_parent(&mut self, parent: Arc<Scope>) {
        self.parent = Some(parent);
    }

    /// Binds `name` in this scope, replacing an earlier binding in this scope.
    pub fn bind(&mut self, name: impl AsRef<str> + Into<Arc<str>>, value: Value) {
        match self.place(name.as_ref()) {
            Some(place) => self.names[place].1 = Some(value),
            None => self.names.push((name.into(), Some(value))),
        }
    }

    /// Forgets the names bound in this scope, not those of its parents.
    pub fn clear(&mut self) {
        self.names.iter_mut().for_each(|(_, bound)| *bound = None);
    }

    /// The value bound to `name` here or outside.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let own = self.place(name).and_then(|place| self.names[place].1.as_ref());
        own.or_else(|| self.parent.as_ref()?.get(name))
    }

    /// Where `name` is among those of this scope.
    fn place(&self, name: &str) -> Option<usize> {
        let (sorted, others) = self.names.split_at(self.sorted);
        let other = || others.iter().position(|(known, _)| **known == *name).map(|place| self.sorted + place);
        sorted.binary_search_by(|(known, _)| (**known).cmp(name)).ok().or_else(other)
    }

    /// Every visible name, sorted.
    pub fn names(&self) -> BTreeSet<&str> {
        let mut names = self.parent.as_ref().map(|parent| parent.names()).unwrap_or_default();
        names.extend(self.names.iter().filter(|(_, bound)| bound.is_some()).map(|(name, _)| name.as_ref()));
        names
    }

    /// Expressions that are evaluated in this scope, or in one inside it, must be finished by then.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// When evaluations must be finished: the innermost scope that says so decides.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.or_else(|| self.parent.as_ref()?.deadline())
    }
}

impl<K: AsRef<str> + Into<Arc<str>>> FromIterator<(K, Value)> for Scope {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(entries: I) -> Self {
        // The last of equal names counts.
        let names: BTreeMap<Arc<str>, Value> = entries.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let names: Vec<_> = names.into_iter().map(|(name, value)| (name, Some(value))).collect();
        Scope { sorted: names.len(), names, ..Scope::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_were_collected_and_names_that_were_bound_are_found_alike() {
        let mut scope: Scope =
            [("b", 1), ("a", 2), ("b", 3)].map(|(name, value)| (name, Value::Int(value))).into_iter().collect();
        scope.bind("0", Value::Int(4));
        scope.bind("a", Value::Int(5));
        let get = |scope: &Scope, name: &str| scope.get(name).map(Value::to_string).unwrap_or_default();
        assert_eq!(["0", "a", "b", "c"].map(|name| get(&scope, name)), ["4", "5", "3", ""]);
        scope.clear();
        scope.bind("b", Value::Int(6));
        assert_eq!(["0", "a", "b"].map(|name| get(&scope, name)), ["", "", "6"]);
        assert_eq!(scope.names(), BTreeSet::from(["b"]));
    }
}
