//! Races from Rust: scenario files in a test, or workers that are closures.
//!
//! A scenario file, raced in a test:
//! ```no_run
//! # async fn example() -> Result<(), deadheat::Error> {
//! let report = deadheat::Run::file("scenarios/basics/first-race.toml").rounds(50).run().await?;
//! report.assert_passed();
//! # Ok(())
//! # }
//! ```
//! Your own code, raced as it is. Each worker is an async closure; they meet at barriers wherever the code lets them:
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
//!
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
//! let seats = Arc::new(AtomicU64::new(0));
//! let booking = seats.clone();
//! let report = deadheat::race(2)
//!     .rounds(20)
//!     .before_round({
//!         let seats = seats.clone();
//!         move |_| { let seats = seats.clone(); async move { seats.store(1, SeqCst); Ok::<_, deadheat::Refused>(()) } }
//!     })
//!     .barrier("looked")
//!     .worker(move |context| {
//!         let seats = booking.clone();
//!         async move {
//!             let free = seats.load(SeqCst);
//!             context.barrier("looked").await?;
//!             match seats.compare_exchange(free, free - 1, SeqCst, SeqCst) {
//!                 Ok(_) => Ok(()),
//!                 Err(_) => Err(deadheat::Refused::conflict("somebody else has the seat")),
//!             }
//!         }
//!     })
//!     .expect("success", 1)
//!     .expect("conflict", 1)
//!     .run()
//!     .await
//!     .unwrap();
//! report.assert_passed();
//! # });
//! ```

mod closures;
mod driver_errors;
mod error;
mod race;
mod refused;
mod report;
mod run;
mod sources;

pub use closures::Context;
pub use error::Error;
pub use race::{Race, race};
pub use refused::Refused;
pub use report::Report;
pub use run::Run;
pub(crate) use sources::from_environment;
