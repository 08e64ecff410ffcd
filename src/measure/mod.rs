//! Latency histograms, and which of their quantiles a sample supports.

mod histogram;
mod metric;

pub use histogram::{DecodeError, Histogram, more_rounds, operations_needed};
pub use metric::is_metric;
