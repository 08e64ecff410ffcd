//! Names and their values, as expressions see them.

use std::collections::BTreeSet;
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
    deadline: Option<Instant>,
}

impl Scope {
    /// An empty scope inside `parent`.
    pub fn inside(parent: Arc<Scope>) -> Self {
        Scope { parent: Some(parent), names: Vec::new(), deadline: None }
    }

    /// Puts the scope inside another one.
    pub fn set_parent(&mut self, parent: Arc<Scope>) {
        self.parent = Some(parent);
    }

    /// Binds `name` in this scope, replacing an earlier binding in this scope.
    pub fn bind(&mut self, name: impl AsRef<str> + Into<Arc<str>>, value: Value) {
        match self.names.iter_mut().find(|(known, _)| **known == *name.as_ref()) {
            Some((_, bound)) => *bound = Some(value),
            None => self.names.push((name.into(), Some(value))),
        }
    }

    /// Forgets the names bound in this scope, not those of its parents.
    pub fn clear(&mut self) {
        self.names.iter_mut().for_each(|(_, bound)| *bound = None);
    }

    /// The value bound to `name` here or outside.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let own = self.names.iter().find(|(known, _)| **known == *name).and_then(|(_, bound)| bound.as_ref());
        own.or_else(|| self.parent.as_ref()?.get(name))
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
        let mut scope = Scope::default();
        entries.into_iter().for_each(|(name, value)| scope.bind(name, value));
        scope
    }
}
