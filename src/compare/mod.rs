//! Compares two runs.

pub mod statistics;
