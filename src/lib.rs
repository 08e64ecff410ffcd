//! deadheat makes racing workers start together against a real database or broker, counts who won
//! and who was refused, and says whether that is what should have happened.

pub mod event_store;
