//! What is raced, and what came of it: plain data that planning makes, the engine reads and writes, and judging reads.

mod case;
mod exchange;
mod expectation;
pub mod record;

pub use case::{
    Action, BarrierSpec, Case, ClassifyRule, Compare, Control, Fixture, FixtureStep, Group, START, Save, ScenarioHead,
    Start, Step, Transaction, Worker,
};
pub use exchange::{Exchange, Exchanges, KeptExchange, KeptExchanges};
pub use expectation::{Checks, CountRange, Expectation, Growth, Invariant, LatencyBound, Origin};
