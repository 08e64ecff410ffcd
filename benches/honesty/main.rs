//! How often comparisons cry wolf, and how often they see one:
//! `cargo bench --bench honesty -- [--trials N] [--rounds N] [SUBJECT…]`.
//!
//! Each subject is compared with itself, and with itself slowed by a sleep at the head of every attempt, many times, by
//! both forms of comparison and by their default gate. The table goes to stdout; docs/comparing.md holds one as it
//! came out.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]

mod bench;
mod row;
mod subject;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use crate::bench::{Bench, Trial};
use crate::row::Row;
use crate::subject::SUBJECTS;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// By which shares of the median HEAD is slowed.
const SLOWED: [f64; 4] = [0.0, 0.1, 0.2, 0.5];

/// Rounds by which the median is found, of attempts that begin with a sleep for no time.
const CALIBRATION: u64 = 60;

struct Arguments {
    trials: u64,
    rounds: u64,
    subjects: Vec<String>,
}

fn arguments() -> Result<Arguments> {
    let mut parsed = Arguments { trials: 40, rounds: 20, subjects: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|text| text.parse().ok()).ok_or(format!("{word} wants a number"));
        match word.as_str() {
            // Cargo itself adds this.
            "--bench" => {}
            "--trials" => parsed.trials = number()?,
            "--rounds" => parsed.rounds = number()?,
            name if SUBJECTS.contains(&name) => parsed.subjects.push(name.to_owned()),
            other => return Err(format!("`{other}` is not a subject; there are {}", SUBJECTS.join(", ")).into()),
        }
    }
    Ok(parsed)
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = arguments()?;
    println!("{} trials, {} rounds a side\n", arguments.trials, arguments.rounds);
    println!("{}", Row::HEAD);
    for name in SUBJECTS {
        if arguments.subjects.is_empty() || arguments.subjects.iter().any(|wanted| wanted == name) {
            for row in compared(name, &arguments).await? {
                println!("{row}");
            }
        }
    }
    Ok(())
}

/// Compares the subjects of this name with themselves, slowed and not.
async fn compared(name: &'static str, arguments: &Arguments) -> Result<Vec<Row>> {
    let subjects = subject::named(name)?;
    let bench = Bench::open(&subjects).await?;
    let mut medians_ms = Vec::with_capacity(subjects.len());
    for subject in &subjects {
        let calibrated = bench.live(subject, Trial { delays_ms: [Some(0); 2], rounds: CALIBRATION, seed: 1 }).await?;
        medians_ms.push(calibrated.base_ns.ok_or("the subject was not measured")? as f64 / 1e6);
        eprintln!("{}: median makespan {:.1} ms", subject.id(), medians_ms[medians_ms.len() - 1]);
    }
    let mut rows: BTreeMap<(usize, &str), Row> = BTreeMap::new();
    let began = Instant::now();
    for trial in 0..arguments.trials {
        // Conditions take turns, so that a busy minute of the machine hits all of them.
        for (index, share) in SLOWED.into_iter().enumerate() {
            for (subject, median_ms) in subjects.iter().zip(&medians_ms) {
                let Some((delays_ms, slowed)) = delays(share, *median_ms) else { continue };
                let trial = Trial { delays_ms, rounds: arguments.rounds, seed: trial };
                let live = bench.live(subject, trial).await?;
                rows.entry((index, "live")).or_insert_with(|| Row::new(name, "live")).add(slowed, live);
                let stored = bench.stored(subject, trial).await?;
                rows.entry((index, "stored")).or_insert_with(|| Row::new(name, "stored")).add(slowed, stored);
            }
        }
        eprintln!("{name}: {} of {} trials, {:?}", trial + 1, arguments.trials, began.elapsed());
    }
    bench.close().await?;
    Ok(rows.into_values().collect())
}

/// How long either side sleeps, in milliseconds, and which share of the median that is. Timers know no less than a
/// millisecond: where the share is shorter there is nothing to compare. BASE sleeps for no time, since falling asleep
/// and waking takes some, too.
fn delays(share: f64, median_ms: f64) -> Option<([Option<u64>; 2], f64)> {
    if share == 0.0 {
        return Some(([None, None], 0.0));
    }
    let delay = (share * median_ms).round();
    (delay >= 1.0).then_some(([Some(0), Some(delay as u64)], delay / median_ms))
}
