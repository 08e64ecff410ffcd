//! How far apart the workers leave the start barrier.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use deadheat::duration::as_ns;
use deadheat::model::START;
use deadheat::port::Source;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio::sync::{Barrier, Notify, mpsc};

use crate::harness::{Raced, Result};
use crate::pairs::{Floor, Pairs, quantile};
use crate::row::Row;

/// Workers, rounds on each side of a pair, which are enough of them for a p99, and the floor.
const SIZES: [(usize, u64, f64); 3] = [(2, 3000, 1.0), (50, 1500, 1.1), (1000, 300, 1.0)];

pub(crate) async fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::with_capacity(SIZES.len());
    for (workers, rounds, at_most) in SIZES {
        rows.push(row(workers, rounds, at_most).await?);
    }
    Ok(rows)
}

async fn row(workers: usize, rounds: u64, at_most: f64) -> Result<Row> {
    let mut raced = Raced::open(&scenario(workers), &Source::Embedded, "skew").await?;
    let mut bare = Bare::start(workers);
    let pairs = Pairs::measure(
        async || {
            let mut skews = Vec::with_capacity(rounds as usize);
            for _ in 0..rounds {
                skews.push(raced.round().await?.barriers[START].skew_ns as f64 / 1e3);
            }
            Ok(quantile(&skews, 0.99))
        },
        async || {
            let mut skews = Vec::with_capacity(rounds as usize);
            for _ in 0..rounds {
                skews.push(bare.round().await? as f64 / 1e3);
            }
            Ok(quantile(&skews, 0.99))
        },
    )
    .await?;
    raced.close().await?;
    Ok(Row {
        what: format!("release skew of {workers} workers, p99"),
        unit: "µs",
        peer: "tokio::sync::Barrier",
        pairs,
        floor: Floor::AtMost(at_most),
        note: format!("{rounds} rounds a side"),
    })
}

fn scenario(workers: usize) -> String {
    format!(
        r#"
schema  = 1
name    = "skew"
summary = "workers that start together and do nothing"

[targets.store]
driver  = "event-store"
backend = "memory"

[[workers]]
name  = "worker"
count = {workers}
steps = [{{ let = {{ seen = "worker" }} }}]

[expect]
success = {workers}
"#
    )
}

/// What any harness does with a barrier: workers that live through all rounds are told of a round, wait, note the time,
/// time one step, and leave what they noted; the last one tells.
struct Bare {
    workers: Vec<mpsc::Sender<Arc<Round>>>,
    order: StdRng,
}

struct Round {
    barrier: Barrier,
    origin: Instant,
    passed_ns: Vec<AtomicU64>,
    steps: Vec<Mutex<Vec<[u64; 2]>>>,
    under_way: AtomicUsize,
    over: Notify,
}

impl Bare {
    fn start(workers: usize) -> Self {
        let workers = (0..workers)
            .map(|worker| {
                let (sender, receiver) = mpsc::channel(1);
                tokio::spawn(work(worker, receiver));
                sender
            })
            .collect();
        Bare { workers, order: StdRng::seed_from_u64(7) }
    }

    /// Nanoseconds from the first to the last worker past the barrier.
    async fn round(&mut self) -> Result<u64> {
        let workers = self.workers.len();
        let round = Arc::new(Round {
            barrier: Barrier::new(workers),
            origin: Instant::now(),
            passed_ns: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            steps: (0..workers).map(|_| Mutex::default()).collect(),
            under_way: AtomicUsize::new(workers),
            over: Notify::new(),
        });
        let mut order: Vec<usize> = (0..workers).collect();
        order.shuffle(&mut self.order);
        for worker in order {
            self.workers[worker].send(round.clone()).await?;
        }
        round.over.notified().await;
        let passed = || round.passed_ns.iter().map(|ns| ns.load(Ordering::Relaxed));
        Ok(passed().max().unwrap_or(0) - passed().min().unwrap_or(0))
    }
}

async fn work(worker: usize, mut rounds: mpsc::Receiver<Arc<Round>>) {
    while let Some(round) = rounds.recv().await {
        let now = || as_ns(round.origin.elapsed());
        let mut steps = Vec::with_capacity(1);
        round.barrier.wait().await;
        round.passed_ns[worker].store(now(), Ordering::Relaxed);
        steps.push([now(), now()]);
        *round.steps[worker].lock().unwrap_or_else(PoisonError::into_inner) = steps;
        if round.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            round.over.notify_one();
        }
    }
}
