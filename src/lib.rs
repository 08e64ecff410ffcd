//! deadheat makes racing workers start together against a real database or broker, counts who won
//! and who was refused, and says whether that is what should have happened.

pub mod check;
pub mod cli;
pub mod compare;
pub mod diagnostic;
pub mod duration;
pub mod endpoints;
pub mod engine;
pub mod event_store;
pub mod expression;
pub mod measure;
pub mod outcome;
pub mod plan;
pub mod rejudge;
pub mod report;
pub mod run;
pub mod scenario;
pub mod secrets;
pub mod server;
pub mod statistics;
pub mod target;
pub mod value;
