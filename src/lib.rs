//! deadheat makes racing workers start together against a real database or broker, counts who won
//! and who was refused, and says whether that is what should have happened.

pub mod diagnostic;
pub mod duration;
pub mod engine;
pub mod event_store;
pub mod expression;
pub mod outcome;
pub mod plan;
pub mod scenario;
pub mod target;
pub mod value;
