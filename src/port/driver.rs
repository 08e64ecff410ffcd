//! A driver, and all that there are.

use std::fmt;

use futures::future::BoxFuture;

use super::given::{Given, Misfit, Options};
use super::provider::Provider;
use super::spec::{Source, TargetSpec};
use super::table::{Field, RequestSpec, Usage};
use super::target::{Target, TargetError};

/// A kind of target.
pub trait Driver: Send + Sync {
    /// Its word in scenarios: `postgres`.
    fn word(&self) -> &'static str;

    /// The keys of its targets beyond `driver`, `url` and `url_env`.
    fn options(&self) -> &'static [Field];

    /// What its targets can be asked.
    fn requests(&self) -> &'static [RequestSpec];

    /// Whether a worker group can wrap its steps in a transaction. Its sessions then have [`super::Session::transactions`].
    fn has_transactions(&self) -> bool {
        false
    }

    /// The options of one target. Each value has the shape that its field says; what else must hold is refused.
    fn configure(&self, given: &Given) -> Result<Options, Misfit>;

    /// Where the server that such a target talks to comes from; `None` if it is embedded.
    fn provider(&self, options: &Options) -> Option<&'static dyn Provider> {
        let _ = options;
        None
    }

    /// How many kinds of sessions there are: session `w` is of kind `w % kinds`, and workers change sessions of one kind
    /// only.
    fn session_kinds(&self, options: &Options) -> usize {
        let _ = options;
        1
    }

    /// Whether each session takes a file descriptor.
    fn sessions_take_files(&self, options: &Options) -> bool {
        let _ = options;
        true
    }

    /// Opens a target in `namespace`: the name of a schema, stream or file of its own, which [`Target::close`] removes. Every
    /// request of `spec` is compiled; one that cannot be is [`TargetError::Request`].
    fn open<'a>(
        &'a self,
        spec: &'a TargetSpec,
        source: &'a Source,
        namespace: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Target>, TargetError>>;
}

impl fmt::Debug for dyn Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl dyn Driver {
    /// Whether its targets can be asked `spec` at a place of this kind.
    pub fn can(&self, spec: &RequestSpec) -> bool {
        self.requests().iter().any(|own| own == spec)
    }
}

/// The drivers that scenarios may name.
#[derive(Debug, Clone)]
pub struct Drivers(Vec<&'static dyn Driver>);

impl Drivers {
    /// These drivers, whose words differ.
    pub fn new(drivers: impl IntoIterator<Item = &'static dyn Driver>) -> Self {
        Drivers(drivers.into_iter().collect())
    }

    /// These drivers, and one more. It takes the place of one with the same word.
    #[must_use]
    pub fn with(mut self, driver: &'static dyn Driver) -> Self {
        self.0.retain(|known| known.word() != driver.word());
        self.0.push(driver);
        self
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &'static dyn Driver> + use<'_> {
        self.0.iter().copied()
    }

    /// The driver with this word.
    pub fn find(&self, word: &str) -> Option<&'static dyn Driver> {
        self.iter().find(|driver| driver.word() == word)
    }

    /// The words of all.
    pub fn words(&self) -> Vec<&'static str> {
        self.iter().map(Driver::word).collect()
    }

    /// What targets can be asked at places of this kind, each key once.
    pub fn requests(&self, usage: Usage) -> Vec<&'static RequestSpec> {
        let mut found: Vec<&'static RequestSpec> = Vec::new();
        for spec in self.iter().flat_map(Driver::requests).filter(|spec| spec.serves(usage)) {
            if !found.contains(&spec) {
                found.push(spec);
            }
        }
        found
    }
}
