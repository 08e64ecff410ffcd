//! How many files and threads the operating system lets one process have, before a race needs more.

use std::convert::Infallible;
use std::sync::mpsc;
use std::{io, thread};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

use super::Failure;
use crate::judge::RunVerdict;
use crate::model::Case;
use crate::plan::PlannedScenario;
use crate::port::TargetSpec;

/// What a run has open beside the connections of workers: its folder, control connections, pipes, the runtime's own.
const BESIDE_WORKERS: u64 = 128;

/// Raises how many files this process may have open to what `planned` needs, if the limit is lower and may be raised. `Err` says
/// what was found and what is needed.
pub(super) fn make_room<'a>(planned: impl Iterator<Item = &'a PlannedScenario>) -> Result<(), String> {
    let needed = planned.flat_map(PlannedScenario::all_cases).map(needed).max().unwrap_or(0);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let raised = limit.maximum.is_none_or(|maximum| maximum >= needed)
        && setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum }).is_ok();
    if raised {
        return Ok(());
    }
    let found = limit.maximum.or(limit.current).unwrap_or(0);
    Err(format!(
        "this process may have {found} files open, and the largest case needs about {needed}: one connection for each worker and target; raise the limit with `ulimit -n {needed}`, or race fewer workers"
    ))
}

/// How many files are open in a case; 0 where no worker connects anywhere.
fn needed(case: &Case) -> u64 {
    let connects = |target: &&TargetSpec| target.driver.sessions_take_files(&target.options);
    let connections = case.targets.iter().filter(connects).count() as u64;
    if connections == 0 {
        return 0;
    }
    (case.workers.len() as u64).saturating_mul(connections).saturating_add(BESIDE_WORKERS)
}

/// The main runtime of a race: for control connections, the watch and the servers.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    let runtime = room_for_threads().and_then(|()| Builder::new_multi_thread().enable_all().build());
    runtime.map_err(|error| Failure::new(RunVerdict::Environment, no_threads(&error)))
}

/// Starts as many threads as a race needs, and ends them. A runtime that cannot start its own panics, and one that cannot start
/// a helper leaves those waiting who need it.
fn room_for_threads() -> io::Result<()> {
    let mut started = Vec::new();
    for _ in 0..threads_needed() {
        let (end, ended) = mpsc::channel::<Infallible>();
        // Nothing is ever sent: it lives until `end` is dropped.
        let thread = thread::Builder::new().stack_size(64 << 10).spawn(move || ended.recv().is_err())?;
        started.push((end, thread));
    }
    for (end, thread) in started {
        drop(end);
        // It cannot panic, and its answer says nothing.
        let _ = thread.join();
    }
    Ok(())
}

/// Each processor has a thread of the main runtime and one on which workers race; the rest look up hosts and write files.
fn threads_needed() -> usize {
    2 * thread::available_parallelism().map_or(1, usize::from) + 8
}

/// An error of starting threads, with the limit and what to do. A runtime opens a few files before its threads.
pub(super) fn no_threads(error: &io::Error) -> String {
    if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) {
        let found = getrlimit(Resource::Nofile).current.unwrap_or(0);
        return format!(
            "cannot start: {error}; this process may have {found} files open, and deadheat needs about {BESIDE_WORKERS}; raise the limit with `ulimit -n {BESIDE_WORKERS}`"
        );
    }
    let limit = getrlimit(Resource::Nproc).current;
    let found =
        limit.map_or("no limit of its own".to_owned(), |limit| format!("a limit of {limit} threads and processes"));
    format!(
        "cannot start threads: {error}; this user has {found}, and deadheat needs about {} more; raise the limit with `ulimit -u`, or end other processes",
        threads_needed()
    )
}
