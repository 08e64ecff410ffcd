//! Ten workers ask `SELECT 1` over and over, without a barrier.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use deadheat::server::PrivateServer;
use tokio::process::Command;
use tokio::runtime::{Builder, Handle};
use tokio_postgres::{Client, NoTls, Statement};

use crate::harness::{Raced, Result, at};
use crate::pairs::{Floor, PAIRS, Pairs};
use crate::row::Row;

const WORKERS: usize = 10;
/// Statements of each worker on each side of a pair.
const REPEAT: usize = 4000;

pub(crate) async fn rows(postgres: &PrivateServer) -> Result<Vec<Row>> {
    let mut raced = Raced::open(&scenario(), &at(postgres), "select").await?;
    let bare = Bare::open(&postgres.url).await?;
    let pgbench = Pgbench::find(postgres)?;
    let mut to_bare = Pairs::default();
    let mut to_pgbench = Pairs::default();
    for pair in 0..=PAIRS {
        // Who goes first changes from pair to pair; pgbench runs last.
        let (ours, theirs) = if pair % 2 == 0 {
            let ours = per_second(raced.round().await?.makespan.as_secs_f64());
            (ours, bare.run().await?)
        } else {
            let theirs = bare.run().await?;
            (per_second(raced.round().await?.makespan.as_secs_f64()), theirs)
        };
        let tps = match &pgbench {
            Some(pgbench) => Some(pgbench.run().await?),
            None => None,
        };
        if pair > 0 {
            to_bare.push(ours, theirs);
            if let Some(tps) = tps {
                to_pgbench.push(ours, tps);
            }
        }
    }
    raced.close().await?;
    let row = |peer, pairs, floor| Row {
        what: format!("`SELECT 1` by {WORKERS} workers, prepared"),
        unit: "statements/s",
        peer,
        pairs,
        floor,
        note: format!("{} statements a side", WORKERS * REPEAT),
    };
    let mut rows = vec![row("bare tokio-postgres loop, a thread per core", to_bare, Floor::AtLeast(0.98))];
    if pgbench.is_some() {
        rows.push(row("pgbench -M prepared -c 10 -j 2", to_pgbench, Floor::AtLeast(0.98)));
    }
    Ok(rows)
}

fn per_second(seconds: f64) -> f64 {
    (WORKERS * REPEAT) as f64 / seconds
}

fn scenario() -> String {
    format!(
        r#"
schema  = 1
name    = "select"
summary = "the cheapest statement there is, over and over"

[targets.db]
driver = "postgres"

[[workers]]
name   = "reader"
count  = {WORKERS}
start  = "free"
repeat = {REPEAT}
steps  = [{{ sql = "SELECT 1" }}]

[expect]
success = {WORKERS}
"#
    )
}

/// The same statements without a harness: a connection, a prepared statement and a task per worker, and a thread with a
/// runtime per core. A worker and its connection share one.
struct Bare {
    sessions: Vec<(Handle, Arc<Client>, Statement)>,
}

impl Bare {
    async fn open(url: &str) -> Result<Self> {
        let cores: Vec<Handle> =
            (0..thread::available_parallelism()?.get()).map(|_| core()).collect::<std::io::Result<_>>()?;
        let mut sessions = Vec::with_capacity(WORKERS);
        for core in cores.iter().cycle().take(WORKERS) {
            let url = url.to_owned();
            let opened = core.spawn(async move {
                let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
                tokio::spawn(connection);
                let statement = client.prepare("SELECT 1").await?;
                Ok::<_, tokio_postgres::Error>((client, statement))
            });
            let (client, statement) = opened.await??;
            sessions.push((core.clone(), client.into(), statement));
        }
        Ok(Bare { sessions })
    }

    async fn run(&self) -> Result<f64> {
        let began = Instant::now();
        let tasks: Vec<_> = self
            .sessions
            .iter()
            .cloned()
            .map(|(core, client, statement)| {
                core.spawn(async move {
                    for _ in 0..REPEAT {
                        let rows = client.query(&statement, &[]).await?;
                        let [row] = rows.as_slice() else { return Err("SELECT 1 gives one row".into()) };
                        let _: i32 = row.try_get(0)?;
                    }
                    Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        Ok(per_second(began.elapsed().as_secs_f64()))
    }
}

/// A thread that runs what is spawned on it as long as this process lives.
fn core() -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().spawn(move || runtime.block_on(pending::<()>()))?;
    Ok(handle)
}

/// PostgreSQL's own load generator, beside the server's program or on PATH.
struct Pgbench {
    program: PathBuf,
    url: String,
    script: tempfile::NamedTempFile,
}

impl Pgbench {
    fn find(postgres: &PrivateServer) -> Result<Option<Self>> {
        let beside = postgres.program.with_file_name("pgbench");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path = std::env::split_paths(&path).map(|folder| folder.join("pgbench"));
        let Some(program) = std::iter::once(beside).chain(on_path).find(|program| program.is_file()) else {
            return Ok(None);
        };
        let script = tempfile::NamedTempFile::new()?;
        std::fs::write(script.path(), "SELECT 1;\n")?;
        Ok(Some(Pgbench { program, url: postgres.url.clone(), script }))
    }

    async fn run(&self) -> Result<f64> {
        let clients = WORKERS.to_string();
        let transactions = REPEAT.to_string();
        let output = Command::new(&self.program)
            .args(["-n", "-M", "prepared", "-c", &clients, "-j", "2", "-t", &transactions, "-f"])
            .arg(Path::new(self.script.path()))
            .arg(&self.url)
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        tps.ok_or_else(|| format!("pgbench told no tps: {text}{}", String::from_utf8_lossy(&output.stderr)).into())
    }
}
