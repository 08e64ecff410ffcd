//! Fifty writers race to publish the first message of a subject.

use std::sync::Arc;
use std::time::Instant;

use async_nats::header::{HeaderMap, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream;
use async_nats::{Client, Request, jetstream};
use deadheat::model::START;
use deadheat::model::record::RoundRecord;
use deadheat::server::PrivateServer;
use tokio::sync::Barrier;

use crate::harness::{Raced, Result, at};
use crate::pairs::{Floor, Pairs};
use crate::row::Row;

const WRITERS: usize = 50;
/// Rounds on each side of a pair.
const ROUNDS: u64 = 100;

const SCENARIO: &str = r#"
schema  = 1
name    = "publish"
summary = "50 publishes that expect an empty subject"

[targets.stream]
driver = "jetstream"

[steps.publish]
publish = { subject = "orders.${round}", data = { client = "${worker}" }, expected_last_subject_sequence = 0 }

[[workers]]
name  = "client"
count = 50
steps = ["publish"]

[expect]
success  = 1
conflict = 49
"#;

pub(crate) async fn rows(nats: &PrivateServer) -> Result<Vec<Row>> {
    let mut raced = Raced::open(SCENARIO, &at(nats), "publish").await?;
    let mut bare = Bare::open(&nats.url).await?;
    let pairs = Pairs::measure(
        async || {
            let mut seconds = 0.0;
            for _ in 0..ROUNDS {
                seconds += release_to_last_end(&raced.round().await?);
            }
            Ok(throughput(seconds))
        },
        async || {
            let mut seconds = 0.0;
            for _ in 0..ROUNDS {
                seconds += bare.round().await?;
            }
            Ok(throughput(seconds))
        },
    )
    .await?;
    raced.close().await?;
    Ok(vec![Row {
        what: format!("JetStream race of {WRITERS} publishes that expect an empty subject"),
        unit: "publishes/s",
        peer: "bare async-nats loop",
        pairs,
        floor: Floor::AtLeast(1.0),
        note: format!("{ROUNDS} rounds a side, from the last arrival at the barrier to the last answer"),
    }])
}

fn throughput(seconds: f64) -> f64 {
    (WRITERS as u64 * ROUNDS) as f64 / seconds
}

/// Seconds from the last arrival at the start barrier to the end of the last attempt.
fn release_to_last_end(record: &RoundRecord) -> f64 {
    let last_arrival = record.barriers[START].arrivals.iter().map(|arrival| arrival.at_ns).max().unwrap_or(0);
    let last_end = record.attempts.iter().map(|attempt| attempt.ended_ns).max().unwrap_or(0);
    last_end.saturating_sub(last_arrival) as f64 / 1e9
}

/// The same race without a harness: a connection and a task per writer, tokio's barrier, and the answer read.
struct Bare {
    clients: Vec<Client>,
    round: u64,
}

impl Bare {
    async fn open(url: &str) -> Result<Self> {
        let mut clients = Vec::with_capacity(WRITERS);
        for _ in 0..WRITERS {
            clients.push(async_nats::connect(url).await?);
        }
        let config = stream::Config {
            name: "bare".to_owned(),
            subjects: vec!["bare.>".to_owned()],
            allow_direct: true,
            ..stream::Config::default()
        };
        jetstream::new(clients[0].clone()).create_stream(config).await?;
        Ok(Bare { clients, round: 0 })
    }

    /// Seconds from the last arrival at the barrier to the last answer.
    async fn round(&mut self) -> Result<f64> {
        let barrier = Arc::new(Barrier::new(WRITERS));
        let subject = format!("bare.orders.{}", self.round);
        self.round += 1;
        let tasks: Vec<_> = self
            .clients
            .iter()
            .enumerate()
            .map(|(writer, client)| tokio::spawn(publish(client.clone(), subject.clone(), writer, barrier.clone())))
            .collect();
        let mut last_arrival: Option<Instant> = None;
        let mut last_end: Option<Instant> = None;
        let mut stored = 0;
        for task in tasks {
            let (arrived, ended, was_stored) = task.await??;
            last_arrival = last_arrival.max(Some(arrived));
            last_end = last_end.max(Some(ended));
            stored += usize::from(was_stored);
        }
        if stored != 1 {
            return Err(format!("the bare loop stored {stored} messages, wanted one").into());
        }
        let (Some(arrival), Some(end)) = (last_arrival, last_end) else { return Err("no writers".into()) };
        Ok(end.duration_since(arrival).as_secs_f64())
    }
}

async fn publish(
    client: Client,
    subject: String,
    writer: usize,
    barrier: Arc<Barrier>,
) -> Result<(Instant, Instant, bool)> {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
    let payload = serde_json::json!({ "client": writer }).to_string();
    let request = Request::new().headers(headers).payload(payload.into());
    let arrived = Instant::now();
    barrier.wait().await;
    let message = client.send_request(subject, request).await?;
    let answer: Response<PublishAck> = serde_json::from_slice(&message.payload)?;
    Ok((arrived, Instant::now(), matches!(answer, Response::Ok(_))))
}
