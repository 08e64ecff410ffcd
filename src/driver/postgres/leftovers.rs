//! What a session may keep beyond its transaction, and how that is removed.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// Removes it in one round trip: cursors, settings, the role, what is listened to, temporary tables, what sequences gave,
/// and advisory locks. `DISCARD ALL` would take the statements that the driver prepared, too: these are counted last, and
/// those that were prepared by SQL are named.
const REMOVE: &str = "CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; UNLISTEN *; \
    DISCARD TEMP; DISCARD SEQUENCES; SELECT pg_advisory_unlock_all(); \
    SELECT count(*) FILTER (WHERE NOT from_sql), string_agg(format('DEALLOCATE %I', name), ';') FILTER (WHERE from_sql) \
    FROM pg_prepared_statements";

/// Why a session could not be cleaned; another connection has to take its place.
pub(super) struct NotCleaned;

/// Cleans a session: always, whatever its statements say. A view, a default, a function may do anything, and hardly more
/// time is needed than to find out. `prepared` is how many statements the driver has prepared there.
///
/// `may_have_begun`: a transaction may be open. Where none can be, no ROLLBACK is sent, which the server would warn of in
/// its log.
pub(super) async fn remove(
    client: &Client,
    may_have_begun: bool,
    prepared: usize,
    deadline: Duration,
) -> Result<(), NotCleaned> {
    let removed = async {
        if may_have_begun {
            client.batch_execute("ROLLBACK").await?;
        }
        let answer = client.simple_query(REMOVE).await?;
        let last = answer.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let left = last.and_then(|row| row.get(0)).and_then(|count| count.parse::<usize>().ok());
        if let Some(deallocate) = last.and_then(|row| row.get(1)) {
            client.batch_execute(deallocate).await?;
        }
        Ok::<_, Error>(left.is_some_and(|left| left >= prepared))
    };
    match timeout(deadline, removed).await {
        Ok(Ok(true)) => Ok(()),
        // Refused, lost or late; or a step has deallocated what the driver had prepared.
        Ok(Ok(false) | Err(_)) | Err(_) => Err(NotCleaned),
    }
}

/// Whether `sql` may begin a transaction. No function can: where the words are not in the text, none is begun.
pub(super) fn may_begin(sql: &str) -> bool {
    let mut words = sql.split(|character: char| !character.is_alphanumeric() && character != '_');
    words.any(|word| word.eq_ignore_ascii_case("begin") || word.eq_ignore_ascii_case("transaction"))
}
