//! The port: what a driver is to the rest, and the rest to a driver.
//!
//! A [`Driver`] is a value. It says what its targets are called, which keys they have, and what they can be asked, as a
//! table of [`RequestSpec`]s: the reader of scenarios, the JSON schema, the hints of `check`, step names and reports all
//! read that table. A request goes through three stages. Opening a [`Target`] compiles every request of the case's steps
//! once. [`Target::bind`] makes a call of it with the values of one attempt, before the release wherever the values are
//! known by then. [`Session::call`] carries it out: between release and reply nothing is looked up or built.

mod driver;
mod given;
mod provider;
mod request;
mod spec;
mod table;
mod target;
mod written;

pub use driver::{Driver, Drivers};
pub use given::{Given, Misfit, Options};
pub use provider::Provider;
pub use request::{Entry, PauseAt, Request, RequestAt};
pub use spec::{Endpoint, Isolation, Place, ServerOrigin, Source, TargetSpec};
pub use table::{Field, Layout, Literal, Need, NoRules, PausePoint, RequestSpec, ResultShape, Rules, Shape, Usage};
pub use target::{
    BarrierBroken, Bound, Description, Done, Holder, Pause, Refusal, Reply, Session, Target, TargetError, Transactions,
    Wait, read,
};
pub use written::{At, Notes, TemplateAt, Use, Written};
