//! The command line as a user types it: what is printed, how it ends, and that nothing stays behind.
//!
//! These are tests of the built program. Those with servers start private ones, and fail where none is installed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cli;
mod expressions;
mod faults;
mod folder;
mod forms;
mod given;
mod interrupts;
mod messages;
mod order;
mod scenarios;
mod secrets;
mod servers;
mod sessions;
mod shipped;
mod usage;
mod verdicts;
