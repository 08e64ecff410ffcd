//! How fast deadheat is beside the barest way of doing the same: `cargo bench --bench performance [-- ROW…]`.
//!
//! Every row is a ratio of interleaved pairs, measured in one process against private servers of its own. Without a
//! choice of rows the table is written to docs/performance.md. Timings never fail the command: a missed floor is said.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod harness;
mod lookup;
mod memory;
mod page;
mod pairs;
mod publish;
mod row;
mod select;
mod skew;
mod step;

use std::path::Path;

use deadheat::server::find::{self, SearchPath};
use deadheat::server::{PrivateServer, nats, postgres};

use harness::Result;
use row::Row;

const PAGE: &str = "docs/performance.md";
/// The benchmarks, in the order of the page.
const NAMES: [&str; 6] = ["publish", "select", "skew", "step", "memory", "lookup"];

#[tokio::main]
async fn main() -> Result<()> {
    // Cargo itself adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.iter().any(|argument| argument == memory::PROBE) {
        let [few, many] = memory::probe().await?;
        println!("{few} {many}");
        return Ok(());
    }
    if let Some(unknown) = arguments.iter().find(|argument| !NAMES.contains(&argument.as_str())) {
        return Err(format!("`{unknown}` is not a benchmark; there are {}", NAMES.join(", ")).into());
    }
    let names: Vec<&str> =
        NAMES.into_iter().filter(|name| arguments.is_empty() || arguments.iter().any(|it| it == name)).collect();
    let rows = measure(&names).await?;
    let block = page::block(&rows);
    println!("\n{block}");
    match rows.iter().filter(|row| row.is_missed()).count() {
        0 => println!("\nEvery floor was kept."),
        missed => println!("\n{missed} of {} floors MISSED.", rows.len()),
    }
    if arguments.is_empty() {
        page::write(&Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE), &block)?;
        println!("Written to {PAGE}.");
    }
    Ok(())
}

async fn measure(names: &[&str]) -> Result<Vec<Row>> {
    let search = SearchPath::system(std::env::var_os("PATH").as_deref());
    let mut rows = Vec::new();
    for name in names {
        let measured = match *name {
            "publish" => with(start_nats(&search).await?, publish::rows).await?,
            "lookup" => with(start_nats(&search).await?, lookup::rows).await?,
            "select" => with(start_postgres(&search).await?, select::rows).await?,
            "skew" => skew::rows().await?,
            "step" => step::rows().await?,
            _ => memory::rows().await?,
        };
        for row in &measured {
            println!("{row}");
        }
        rows.extend(measured);
    }
    Ok(rows)
}

/// The rows measured against a server, which is stopped afterwards.
async fn with(server: PrivateServer, rows: impl AsyncFnOnce(&PrivateServer) -> Result<Vec<Row>>) -> Result<Vec<Row>> {
    let measured = rows(&server).await;
    server.stop().await?;
    measured
}

async fn start_nats(search: &SearchPath) -> Result<PrivateServer> {
    Ok(nats::start(&find::nats(search)?, &nats::NatsOptions::default()).await?)
}

async fn start_postgres(search: &SearchPath) -> Result<PrivateServer> {
    Ok(postgres::start(&find::postgres(search)?, &postgres::PostgresOptions::default()).await?)
}
