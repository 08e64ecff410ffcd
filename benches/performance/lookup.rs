//! The latest version of an actor with a thousand events: the store's ways, and the one it started from.

use deadheat::model::record::RoundRecord;
use deadheat::server::PrivateServer;

use crate::harness::{Raced, Result, at};
use crate::pairs::{Floor, Pairs, quantile};
use crate::row::Row;

const EVENTS: u32 = 1000;
/// Lookups on each side of a pair.
const LOOKUPS: u32 = 300;

pub(crate) async fn rows(nats: &PrivateServer) -> Result<Vec<Row>> {
    let direct = row(nats, "direct get", r#"lookup = "direct-get""#).await?;
    let cached = row(nats, "version cache", r#"lookup = "direct-get", cache = true"#).await?;
    Ok(vec![direct, cached])
}

async fn row(nats: &PrivateServer, name: &str, options: &str) -> Result<Row> {
    let space = name.replace(' ', "_");
    let mut ours = Raced::open(&scenario(options), &at(nats), &format!("{space}_ours")).await?;
    let mut seed = Raced::open(&scenario(r#"lookup = "last-consumer""#), &at(nats), &format!("{space}_seed")).await?;
    let pairs =
        Pairs::measure(async || Ok(median_us(&ours.round().await?)), async || Ok(median_us(&seed.round().await?)))
            .await?;
    ours.close().await?;
    seed.close().await?;
    Ok(Row {
        what: format!("latest version by {name}, {EVENTS} events, median"),
        unit: "µs",
        peer: "by a consumer of the last message",
        pairs,
        floor: Floor::AtMost(1.0),
        note: format!("{LOOKUPS} lookups a side, one worker"),
    })
}

/// The median of a round's steps, in microseconds.
fn median_us(record: &RoundRecord) -> f64 {
    let steps = record.attempts.iter().flat_map(|attempt| &attempt.steps);
    let took: Vec<f64> = steps.map(|step| (step.ended_ns - step.started_ns) as f64 / 1e3).collect();
    quantile(&took, 0.5)
}

fn scenario(options: &str) -> String {
    format!(
        r#"
schema  = 1
name    = "lookup"
summary = "one reader asks for the latest version over and over"

[targets]
store = {{ driver = "event-store", backend = "jetstream", {options} }}

[fixture]
setup = [{{ fill = {{ actor = "long-lived", events = {EVENTS} }} }}]

[[workers]]
name   = "reader"
repeat = {LOOKUPS}
steps  = [{{ latest_version = {{ actor = "long-lived" }} }}]

[expect]
success = 1
"#
    )
}
