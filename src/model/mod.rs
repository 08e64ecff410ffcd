//! What is raced, and what came of it: plain data that planning makes, the engine reads and writes, and judging reads.

mod case;
mod endpoint;
mod expectation;
pub mod headers;
mod operation;
pub mod record;

pub use case::{
    Action, BarrierSpec, Case, ClassifyRule, Compare, Control, Driver, Fixture, FixtureStep, Group, Isolation, Place,
    START, Save, ScenarioHead, Start, Step, StoreOptions, TargetSpec, Transaction, Worker,
};
pub use endpoint::{Endpoint, Source};
pub use expectation::{Checks, CountRange, Expectation, Growth, Invariant, LatencyBound, Origin};
pub use operation::Operation;
