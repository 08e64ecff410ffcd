//! A schema of a case's own, for targets that speak to PostgreSQL in words of their own.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use super::PostgresTarget;
use crate::port::{Description, Endpoint, Target, TargetError};

/// A schema, and the way to the server that has it.
pub(crate) struct Schema {
    target: PostgresTarget,
}

impl Schema {
    /// Creates the schema `namespace`, which must not exist yet.
    pub(crate) async fn create(
        settings: &BTreeMap<String, String>,
        endpoint: &Endpoint,
        namespace: &str,
    ) -> Result<Self, TargetError> {
        Ok(Schema { target: super::opened(settings, &[], endpoint, namespace).await? })
    }

    /// Whether deadheat started the server itself.
    pub(crate) fn is_private(&self) -> bool {
        self.target.shared.server.is_private()
    }

    /// What the server is.
    pub(crate) fn description(&self) -> &Description {
        self.target.description()
    }

    /// A connection whose unqualified names lead into the schema, for the worker called `name`.
    pub(crate) async fn connect(&self, name: impl std::fmt::Display) -> Result<Client, TargetError> {
        Ok(self.target.shared.connect_session(name).await?.into_client())
    }

    /// Ends the server processes of the worker called `name`, and waits until they are gone with their locks.
    pub(crate) async fn terminate(&self, name: impl std::fmt::Display) -> Result<(), TargetError> {
        let shared = &self.target.shared;
        shared.watch.terminate(&shared.application(name)).await
    }

    /// Ends the connections and drops the schema.
    pub(crate) async fn remove(&self) -> Result<(), TargetError> {
        self.target.close().await
    }
}
