//! deadheat makes racing workers start together against a real database or broker, counts who won
//! and who was refused, and says whether that is what should have happened.
//!
//! From Rust, start with [`Run`] for scenario files and with [`race`] for closures. The other modules are the inside of the
//! program, and change without notice.

// `event-store` has all drivers: its backends are their servers.
#![cfg_attr(
    not(feature = "event-store"),
    allow(dead_code, unused_imports, reason = "what only the drivers need that are left out")
)]

mod api;
pub mod cli;
pub mod compare;
pub mod diagnostic;
pub mod driver;
pub mod duration;
pub mod engine;
#[cfg(feature = "event-store")]
pub mod event_store;
pub mod expression;
pub mod judge;
pub mod measure;
pub mod model;
pub mod outcome;
pub mod plan;
pub mod port;
pub mod report;
mod requeue;
pub mod run;
pub mod said;
pub mod scenario;
pub mod secrets;
pub mod server;
pub mod statistics;
pub mod value;

pub use api::{Context, Error, Race, Refused, Report, Run, race};
pub use judge::RunVerdict;
pub use outcome::OutcomeKind;
pub use port::Drivers;
