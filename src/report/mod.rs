//! What a run leaves on disk and on the terminal. [`schema`] is the only thing that is written to disk.

pub mod build;
#[cfg(test)]
pub(crate) mod example;
mod history;
pub mod html;
pub mod load;
mod rows;
pub mod schema;
pub mod sinks;
pub mod terminal;
mod trace;

pub use load::{LoadError, load};
pub use sinks::{RunFolder, SinkError};
