//! What is asked of a server before a case begins there: what it is, whether it takes the settings, and a schema.

use std::collections::BTreeMap;

use tokio_postgres::error::DbError;
use tokio_postgres::types::Type;

use super::connect::{Link, Server};
use super::execute::ends_connection;
use crate::driver::postgres::sqlstate::is_lost_connection;
use crate::port::{Description, Endpoint, TargetError};

/// Settings of the server's that matter when reports are compared.
const DESCRIBED_SETTINGS: [&str; 6] = [
    "fsync",
    "synchronous_commit",
    "deadlock_timeout",
    "default_transaction_isolation",
    "max_connections",
    "shared_buffers",
];

/// Settings by which cases keep apart and processes are found again.
const OWN_SETTINGS: [&str; 2] = ["search_path", "application_name"];

/// What was found.
pub(super) struct Opened {
    pub(super) description: Description,
    /// The settings that the server accepted.
    pub(super) settings: BTreeMap<String, String>,
    /// Whether `public` holds nothing of a user's that a scenario could meet by a name of its own.
    pub(super) public_is_free: bool,
}

/// Tables, views and sequences in `public`, except those that belong to an extension.
const PUBLIC_IS_FREE: &str = "SELECT NOT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace \
    WHERE nspname = 'public' AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS (SELECT FROM pg_depend \
    WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'))";

/// Asks what the server is, tries the settings, and creates the schema last: nothing fails after it.
pub(super) async fn opened(
    server: &Server,
    link: &Link,
    wanted: &BTreeMap<String, String>,
    endpoint: &Endpoint,
) -> Result<Opened, TargetError> {
    let mut description = described(server, link, endpoint).await?;
    let mut settings = BTreeMap::new();
    for (name, value) in wanted {
        match tried(server, link, name, value).await? {
            Tried::Accepted(in_effect) => {
                description.settings.insert(name.to_lowercase(), shown(name, &in_effect).to_owned());
                settings.insert(name.clone(), value.clone());
            }
            Tried::NotAllowed(warning) => description.warnings.push(warning),
        }
    }
    left_out_at_start_up(server, &mut settings, &mut description).await?;
    let free = link.client.query_one(PUBLIC_IS_FREE, &[]).await.map_err(|error| server.unavailable(&error))?;
    let public_is_free = free.get(0);
    let create = link.client.batch_execute(&format!("CREATE SCHEMA {}", server.schema())).await;
    create.map_err(|error| match error.as_db_error() {
        Some(refusal) if !ends_connection(&error) => TargetError::Environment {
            message: format!(
                "the case's schema cannot be created on PostgreSQL at {}: {} ({}); user `{}` needs `GRANT CREATE ON DATABASE`",
                server.name(),
                refusal.message(),
                refusal.code().code(),
                server.user()
            ),
        },
        _ => server.unavailable(&error),
    })?;
    Ok(Opened { description, settings, public_is_free })
}

async fn described(server: &Server, link: &Link, endpoint: &Endpoint) -> Result<Description, TargetError> {
    let query = "SELECT split_part(current_setting('server_version'), ' ', 1), \
        ARRAY (SELECT current_setting(name) FROM unnest($1::text[]) WITH ORDINALITY AS described (name, at) ORDER BY at)";
    let row = link.client.query_one(query, &[&DESCRIBED_SETTINGS.as_slice()]).await;
    let row = row.map_err(|error| server.unavailable(&error))?;
    let values: Vec<String> = row.get(1);
    Ok(Description {
        driver: "postgres".to_owned(),
        version: row.get(0),
        origin: endpoint.origin,
        settings: DESCRIBED_SETTINGS.map(str::to_owned).into_iter().zip(values).collect(),
        warnings: Vec::new(),
    })
}

/// Takes out of `settings` what the server does not take at start-up, where sessions give them, with a warning each.
async fn left_out_at_start_up(
    server: &Server,
    settings: &mut BTreeMap<String, String>,
    description: &mut Description,
) -> Result<(), TargetError> {
    const TRIAL: &str = "deadheat settings";
    if settings.is_empty() || server.connect_with(TRIAL, settings).await?.is_ok() {
        return Ok(());
    }
    for (name, value) in settings.clone() {
        let alone = BTreeMap::from([(name.clone(), value.clone())]);
        let Err(error) = server.connect_with(TRIAL, &alone).await? else { continue };
        match error.as_db_error() {
            Some(refusal) if !is_lost_connection(refusal.code().code()) && refusal.code().code() != "53300" => {
                description.warnings.push(not_allowed(server, &name, &value, refusal));
                description.settings.remove(&name.to_lowercase());
                settings.remove(&name);
            }
            _ => return Err(server.unavailable(&error)),
        }
    }
    Ok(())
}

enum Tried {
    /// With the value as the server writes it.
    Accepted(String),
    /// With a warning.
    NotAllowed(String),
}

/// Sets a setting for one statement's time.
async fn tried(server: &Server, link: &Link, name: &str, value: &str) -> Result<Tried, TargetError> {
    if OWN_SETTINGS.contains(&name.to_lowercase().as_str()) {
        return Err(TargetError::Fault {
            message: format!(
                "setting `{name}` is set by deadheat, which keeps each case in a schema of its own; remove it"
            ),
        });
    }
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&name, Type::TEXT), (&value, Type::TEXT)];
    let error = match link.client.query_typed_one("SELECT set_config($1, $2, true)", &parameters).await {
        Ok(row) => return Ok(Tried::Accepted(row.get(0))),
        Err(error) => error,
    };
    let Some(refusal) = error.as_db_error().filter(|_| !ends_connection(&error)) else {
        return Err(server.unavailable(&error));
    };
    if refusal.code().code() == "42501" {
        return Ok(Tried::NotAllowed(not_allowed(server, name, value, refusal)));
    }
    Err(TargetError::Fault {
        message: format!(
            "setting `{name} = {}` cannot be set in a session: {} ({}); correct it under the target's `settings`",
            shown(name, value),
            refusal.message(),
            refusal.code().code()
        ),
    })
}

/// A setting's value, unless its name says that it is a secret.
fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    let name = name.to_lowercase();
    let is_secret = ["password", "passwd", "secret", "token"].iter().any(|word| name.contains(word));
    if is_secret && name != "password_encryption" { "***" } else { value }
}

fn not_allowed(server: &Server, name: &str, value: &str, refusal: &DbError) -> String {
    let value = shown(name, value);
    format!(
        "setting `{name} = {value}` was left out: {} on PostgreSQL at {}; to allow it: GRANT SET ON PARAMETER {name} TO {} (PostgreSQL 15 or newer)",
        refusal.message(),
        server.name(),
        server.user()
    )
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_setting_whose_name_says_that_it_is_a_secret_is_not_shown() {
        for name in ["password", "app.Password", "my.secret_key", "session_token"] {
            assert_eq!(shown(name, "s3cret"), "***", "{name}");
        }
        assert_eq!(shown("work_mem", "64kB"), "64kB");
        assert_eq!(shown("password_encryption", "md5"), "md5");
    }
}
