//! What a run leaves on disk and on the terminal. [`schema`] is the only thing that is written to disk.

pub mod annotations;
pub mod build;
mod cells;
mod checks;
mod consistency;
pub mod data_file;
#[cfg(test)]
pub(crate) mod example;
pub mod forms;
pub mod hgrm;
mod history;
pub mod hlog;
pub mod html;
pub mod junit;
pub mod load;
pub mod lookup;
pub mod rounds;
mod rows;
pub mod samples;
pub mod schema;
pub mod sinks;
pub mod summary;
pub mod table;
pub mod terminal;
mod trace;
pub(crate) mod words;

pub use load::{LoadError, load};
pub(crate) use rows::base_id;
pub use samples::{Samples, SamplesError, load_samples};
pub use sinks::{RunFolder, SinkError, run_name};
