//! Latency histograms, and which of their quantiles a sample supports.

mod histogram;

pub use histogram::{DecodeError, Histogram, more_rounds, operations_needed};
