//! What the engine adds to a step.

use std::hint::black_box;
use std::time::Instant;

use deadheat::duration::as_ns;
use deadheat::measure::Histogram;
use deadheat::port::Source;

use crate::harness::{Raced, Result};
use crate::pairs::{Floor, Pairs};
use crate::row::Row;

/// Steps on each side of a pair.
const STEPS: u64 = 200_000;

/// The cheapest step there is: binding a name to a value that is bound already. `assert = "true"` evaluates an
/// expression, `sleep = "0s"` parses a duration and asks for a timer.
const NO_OP: &str = r#"let = { seen = "worker" }"#;
const ASSERT: &str = r#"assert = "worker == 0""#;

pub(crate) async fn rows() -> Result<Vec<Row>> {
    Ok(vec![row(NO_OP, Floor::None).await?, row(ASSERT, Floor::AtMost(2.0)).await?])
}

async fn row(step: &str, floor: Floor) -> Result<Row> {
    let mut raced = Raced::open(&scenario(step), &Source::Embedded, "step").await?;
    let mut histogram = Histogram::new();
    let pairs = Pairs::measure(
        async || Ok(raced.round().await?.makespan.as_nanos() as f64 / STEPS as f64),
        async || {
            let began = Instant::now();
            for _ in 0..STEPS {
                let step_began = black_box(Instant::now());
                histogram.record(as_ns(step_began.elapsed()));
            }
            Ok(began.elapsed().as_nanos() as f64 / STEPS as f64)
        },
    )
    .await?;
    raced.close().await?;
    Ok(Row {
        what: format!("one step `{step}`"),
        unit: "ns",
        peer: "two clock reads and a histogram's record",
        pairs,
        floor,
        note: format!("{STEPS} steps a side, one worker"),
    })
}

fn scenario(step: &str) -> String {
    format!(
        r#"
schema  = 1
name    = "step"
summary = "one worker, one step, over and over"

[targets.store]
driver  = "event-store"
backend = "memory"

[[workers]]
name   = "worker"
repeat = {STEPS}
steps  = [{{ {step} }}]

[expect]
success = 1
"#
    )
}
