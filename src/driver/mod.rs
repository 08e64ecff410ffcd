//! The systems raced against: a folder for each driver. Only these name a driver crate, and everything else goes through
//! the port.

#[cfg(feature = "event-store")]
pub mod event_store;
pub(crate) mod full_disk;
#[cfg(feature = "jetstream")]
pub mod jetstream;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(test)]
pub(crate) mod proxy;
mod reconnect;
mod runtime;
#[cfg(test)]
mod testing;

use crate::port::Drivers;

/// The drivers that come with deadheat, as far as its features have them.
pub fn builtin() -> Drivers {
    let drivers = Drivers::new([]);
    #[cfg(feature = "postgres")]
    let drivers = drivers.with(&postgres::POSTGRES);
    #[cfg(feature = "jetstream")]
    let drivers = drivers.with(&jetstream::JETSTREAM);
    #[cfg(feature = "event-store")]
    let drivers = drivers.with(&event_store::EVENT_STORE);
    drivers
}
