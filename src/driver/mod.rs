//! The systems raced against: a folder for each driver. Only these name a driver crate, and everything else goes through
//! the port.

pub mod event_store;
pub(crate) mod full_disk;
pub mod jetstream;
pub mod postgres;
#[cfg(test)]
pub(crate) mod proxy;
mod reconnect;
mod runtime;
#[cfg(test)]
mod testing;

use crate::port::Drivers;

/// The drivers that come with deadheat.
pub fn builtin() -> Drivers {
    Drivers::new([&postgres::POSTGRES as _, &jetstream::JETSTREAM as _, &event_store::EVENT_STORE as _])
}
