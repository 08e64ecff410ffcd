//! The false-verdict oracle: whatever connection is lost, and wherever, deadheat says nothing false.
//!
//! Every shipped scenario is raced against private servers behind a proxy. In each of many short runs the proxy cuts one
//! worker's connection at one request, either before it reaches the server or after the server has answered. Then no round
//! may fail, no control may be caught by a round in which an attempt was lost, and no round may pass that needed what
//! nobody knows. `scripts/false-verdicts` runs it, and writes docs/false-verdicts.md.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and says how far it is"
)]

mod oracle;
mod proxy;
mod run;
mod table;
mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use deadheat::diagnostic::SourceFile;
use deadheat::model::Case;
use deadheat::outcome::OutcomeKind;
use deadheat::plan::{Overrides, PlannedCase, cases};
use deadheat::scenario::{FileAccess, parse};
use deadheat::server::find::{self, SearchPath};
use deadheat::server::{PrivateServer, nats, postgres};
use futures::StreamExt;

use oracle::{Row, false_pass};
use proxy::{Cut, Effect, Side};
use run::{Ran, Servers, run};
use table::{Line, Tried};

/// Rounds of each run: one for the cut, and others for what a control needs, and for seeing that the next round is sound.
const ROUNDS: u64 = 3;

/// Runs side by side.
const AT_ONCE: usize = 2;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes many minutes; scripts/false-verdicts runs it"]
async fn no_lost_connection_makes_a_verdict_false() {
    let wanted = std::env::var("FALSE_VERDICTS_OF").unwrap_or_default();
    let began = std::time::Instant::now();
    let (lines, violations) = tried(&wanted).await;
    let text = table::page(&lines, &violations, began.elapsed());
    if wanted.is_empty() {
        std::fs::write(root().join("docs/false-verdicts.md"), &text).unwrap();
    }
    eprintln!("{text}");
    assert!(violations.is_empty(), "{} false verdicts", violations.len());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Cuts every connection that is asked for in the cases whose id contains `wanted`.
async fn tried(wanted: &str) -> (Vec<Line>, Vec<String>) {
    let (of_postgres, of_nats) = tokio::join!(start_postgres(), start_nats());
    let servers = Servers { postgres: address(&of_postgres), nats: address(&of_nats) };
    let (mut lines, mut violations) = (Vec::new(), Vec::new());
    for file in shipped() {
        for case in planned(&file) {
            if !case.case.id.contains(wanted) || is_long(&case.case) {
                continue;
            }
            let (line, found) = cut_everywhere(servers, &file, &case).await;
            eprintln!("{}", table::row(&line));
            for violation in &found {
                eprintln!("    {violation}");
            }
            lines.push(line);
            violations.extend(found);
        }
    }
    of_postgres.stop().await.unwrap();
    of_nats.stop().await.unwrap();
    (lines, violations)
}

async fn start_postgres() -> PrivateServer {
    let programs = find::postgres(&SearchPath::system(std::env::var_os("PATH").as_deref())).unwrap();
    let options = postgres::PostgresOptions { max_connections: 300, ..postgres::PostgresOptions::default() };
    postgres::start(&programs, &options).await.unwrap()
}

async fn start_nats() -> PrivateServer {
    let program = find::nats(&SearchPath::system(std::env::var_os("PATH").as_deref())).unwrap();
    nats::start(&program, &nats::NatsOptions::default()).await.unwrap()
}

fn address(server: &PrivateServer) -> SocketAddr {
    let url = url::Url::parse(&server.url).unwrap();
    SocketAddr::new(url.host_str().unwrap().parse().unwrap(), url.port().unwrap())
}

fn shipped() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root().join("scenarios")).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.filter(|path| path.is_dir()).flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

fn planned(file: &Path) -> Vec<PlannedCase> {
    let source = SourceFile::new(file, std::fs::read_to_string(file).unwrap());
    let scenario = parse(source, file.parent().unwrap(), FileAccess::Below, &deadheat::driver::builtin()).unwrap();
    cases(&scenario, &Overrides::default()).unwrap().cases
}

/// Whether the case only has a longer history than another one, with the same requests.
fn is_long(case: &Case) -> bool {
    case.axes.get("events").is_some_and(|events| !["1", "10"].contains(&events.to_string().as_str()))
}

/// Learns how many requests the first worker of each group makes, and cuts its connection at each.
async fn cut_everywhere(servers: Servers, file: &Path, case: &PlannedCase) -> (Line, Vec<String>) {
    let id = &case.case.id;
    let mut violations = Vec::new();
    let learned = run(servers, file, case, 1, None).await;
    if !matches!(learned.exit, Some(0 | 4)) {
        violations.push(format!("{id}: exit code {:?} although nothing was cut: {}", learned.exit, learned.told));
    }
    let workers = &case.case.workers;
    let firsts = (0..case.case.groups.len()).filter_map(|group| workers.iter().position(|it| it.group == group));
    let mut cuts = Vec::new();
    for worker in firsts {
        let of_worker = learned.seen.requests.iter().filter(|((_, of), _)| *of == worker);
        let requests = of_worker.map(|(_, count)| *count).max().unwrap_or(0);
        let sides = [Side::Before, Side::After];
        cuts.extend((0..requests).flat_map(|request| sides.map(|side| Cut { worker, request, side })));
    }
    let has_server = case.case.targets.iter().any(|target| target.driver.provider(&target.options).is_some());
    if has_server && cuts.is_empty() {
        violations.push(format!("{id}: no connection of a worker was seen"));
    }
    let runs = cuts.iter().map(|cut| async move { (*cut, run(servers, file, case, ROUNDS, Some(*cut)).await) });
    let mut runs = futures::stream::iter(runs).buffered(AT_ONCE);
    let mut line = Line { case: id.clone(), tried: Tried::of(cuts.len()), violations: 0 };
    while let Some((cut, ran)) = runs.next().await {
        line.tried.count(&ran);
        let place = format!("{id}: worker {} cut {:?} request {}", cut.worker, cut.side, cut.request);
        violations.extend(false_verdicts(case, &ran).into_iter().map(|what| format!("{place}: {what}")));
    }
    if has_server && line.tried.lost() == 0 {
        violations.push(format!("{id}: no cut was noticed"));
    }
    line.violations = violations.len();
    (line, violations)
}

/// What a run said that is false.
fn false_verdicts(case: &PlannedCase, ran: &Ran) -> Vec<String> {
    let mut found = Vec::new();
    match ran.exit {
        // Passed, inconclusive, or no way to the server.
        Some(0 | 4 | 10) => {}
        Some(code) => found.push(format!("exit code {code}, {}: {}", ran.verdict, ran.told.trim())),
        None => found.push(ran.told.clone()),
    }
    if ran.verdict == "fail" {
        found.push(format!("the case failed: {}", ran.reasons));
    }
    // The case is the first that a run races.
    let took_effect = ran.seen.cuts.first_key_value().map_or(Effect::Unknown, |(_, effect)| *effect);
    for row in &ran.rows {
        let Row { control, round, .. } = row;
        match control {
            None if row.verdict == "fail" => {
                found.push(format!("round {round} failed: {:?}, invariants {:?}", row.groups, row.not_held));
            }
            None if row.verdict == "pass" && row.lost() > 0 => {
                found.extend(false_pass(&case.case, row, took_effect).map(|what| format!("round {round} {what}")));
            }
            Some(name) if row.lost() > 0 && ran.caught.get(name) == Some(&Some(*round)) => {
                let unknown = row.count(OutcomeKind::Unknown);
                let lost = row.lost();
                found.push(format!("control `{name}` caught by round {round}, {lost} lost, {unknown} of them unknown"));
            }
            None | Some(_) => {}
        }
    }
    found
}
