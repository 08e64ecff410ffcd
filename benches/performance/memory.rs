//! Whether memory grows with rounds.

use std::fs;

use deadheat::port::Source;
use tokio::process::Command;

use crate::harness::{Raced, Result};
use crate::pairs::{Floor, PAIRS, Pairs};
use crate::row::Row;

/// Tells this program to be the process that is measured.
pub(crate) const PROBE: &str = "--memory-probe";

const FEW_ROUNDS: u64 = 1_000;
const MANY_ROUNDS: u64 = 100_000;
/// More than this much growth is a leak.
const GROWTH_MAX_MEGABYTES: f64 = 5.0;

const SCENARIO: &str = r#"
schema  = 1
name    = "memory"
summary = "two workers that do nothing, round after round"

[targets.store]
driver  = "event-store"
backend = "memory"

[[workers]]
name  = "worker"
count = 2
steps = [{ let = { seen = "worker" } }]

[expect]
success = 2
"#;

pub(crate) async fn rows() -> Result<Vec<Row>> {
    let mut pairs = Pairs::default();
    for _ in 0..PAIRS {
        let output = Command::new(std::env::current_exe()?).arg(PROBE).output().await?;
        let text = String::from_utf8(output.stdout)?;
        let [few, many] = text.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(
                format!("the process that is measured failed: {}", String::from_utf8_lossy(&output.stderr)).into()
            );
        };
        pairs.push(many.parse()?, few.parse()?);
    }
    let growth = pairs.ours() - pairs.peer();
    Ok(vec![Row {
        what: format!("resident memory after {MANY_ROUNDS} rounds"),
        unit: "MB",
        peer: "after 1000 rounds",
        floor: Floor::AtMost(1.0 + GROWTH_MAX_MEGABYTES / pairs.peer()),
        note: format!("{growth:.2} MB apart, at most {GROWTH_MAX_MEGABYTES} allowed; a process for each pair"),
        pairs,
    }])
}

/// Races in this process, and gives the two sizes in megabytes.
pub(crate) async fn probe() -> Result<[f64; 2]> {
    let mut raced = Raced::open(SCENARIO, &Source::Embedded, "memory").await?;
    for _ in 0..FEW_ROUNDS {
        raced.round().await?;
    }
    let few = resident_megabytes()?;
    for _ in FEW_ROUNDS..MANY_ROUNDS {
        raced.round().await?;
    }
    let many = resident_megabytes()?;
    raced.close().await?;
    Ok([few, many])
}

/// `VmRSS` of /proc/self/status, which counts in KiB.
fn resident_megabytes() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes: f64 = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmRSS")?.trim().parse()?;
    Ok(kibibytes * 1024.0 / 1e6)
}
