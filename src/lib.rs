//! deadheat makes racing workers start together against a real database or broker, counts who won
//! and who was refused, and says whether that is what should have happened.
//!
//! From Rust, start with [`Run`] for scenario files and with [`race`] for closures. A driver of your own implements
//! [`port::Driver`] and is given to [`Run::drivers`]. What is not documented here is the inside of the program: it is public for
//! the program's benchmarks and tests alone, and changes without notice.

// `event-store` has all drivers: its backends are their servers.
#![cfg_attr(
    not(feature = "event-store"),
    allow(dead_code, unused_imports, reason = "what only the drivers need that are left out")
)]

mod api;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod compare;
pub mod diagnostic;
pub mod driver;
#[doc(hidden)]
pub mod duration;
#[doc(hidden)]
pub mod engine;
#[cfg(feature = "event-store")]
#[doc(hidden)]
pub mod event_store;
pub mod expression;
#[doc(hidden)]
pub mod judge;
#[doc(hidden)]
pub mod measure;
#[doc(hidden)]
pub mod model;
pub mod outcome;
#[doc(hidden)]
pub mod plan;
pub mod port;
#[doc(hidden)]
pub mod report;
mod requeue;
#[doc(hidden)]
pub mod run;
pub mod said;
#[doc(hidden)]
pub mod scenario;
#[doc(hidden)]
pub mod secrets;
pub mod server;
#[doc(hidden)]
pub mod statistics;
pub mod value;

pub use api::{Context, Error, Race, Refused, Report, Run, race};
pub use judge::RunVerdict;
pub use outcome::OutcomeKind;
pub use port::Drivers;
