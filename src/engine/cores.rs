//! Cores: threads on which workers race, each with a runtime of its own.
//!
//! On a runtime of several threads a worker's task and the task of its connection mostly run on different threads, so that
//! each answer costs a wake-up from one processor to another. On a core both take turns on one thread. Sockets and timers
//! belong to the runtime that they are made on: a worker's sessions are opened, called and dropped on its core.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// How long the threads may take to end. A thread that blocks is left behind then, and ends with the process.
const END_LIMIT: Duration = Duration::from_secs(2);

/// The threads on which workers race. Dropping the value ends the threads, with everything that is still on them.
#[derive(Debug)]
pub struct Cores {
    threads: Vec<Core>,
    /// Disconnected when the last thread has ended.
    ended: mpsc::Receiver<Infallible>,
}

#[derive(Debug)]
struct Core {
    runtime: Handle,
    /// Dropping it ends the thread.
    _stop: oneshot::Sender<Infallible>,
}

impl Cores {
    /// No threads: workers race on the runtime of whoever opens the race. Only so can the clock of a test be paused.
    pub fn in_place() -> Self {
        Cores { threads: Vec::new(), ended: mpsc::channel().1 }
    }

    /// A thread for each processor that this process may use.
    pub fn of_this_machine() -> io::Result<Self> {
        Cores::start(thread::available_parallelism().map_or(1, usize::from))
    }

    /// This number of threads.
    pub fn start(number: usize) -> io::Result<Self> {
        let (alive, ended) = mpsc::channel();
        let threads = (0..number).map(|core| Core::start(core, alive.clone())).collect::<io::Result<_>>()?;
        Ok(Cores { threads, ended })
    }

    /// The number of threads; 0 in place.
    pub(crate) fn number(&self) -> usize {
        self.threads.len()
    }

    /// The runtime of number `core`; in place, the current one.
    pub(crate) fn runtime(&self, core: usize) -> Handle {
        self.threads.get(core).map_or_else(Handle::current, |core| core.runtime.clone())
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        self.threads.clear();
        // Nothing is ever sent: this returns when all threads have ended, or after the limit.
        let _ = self.ended.recv_timeout(END_LIMIT);
    }
}

impl Core {
    fn start(core: usize, alive: mpsc::Sender<Infallible>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new().name(format!("core-{core}")).spawn(move || {
            keep_to_processor(core);
            run(runtime, stopped);
            drop(alive);
        })?;
        Ok(Core { runtime: handle, _stop: stop })
    }
}

/// Binds the current thread to the processor with this number among those that the process may use. Two cores that share a
/// processor, because the system woke both on one, would take turns where they should race. Where it cannot be done the
/// system goes on to choose; threads that the current one starts are bound as it is.
#[cfg(target_os = "linux")]
fn keep_to_processor(number: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let mut all = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor)).cycle();
    let Some(processor) = all.nth(number) else { return };
    let mut one = CpuSet::new();
    one.set(processor);
    // A container may forbid it.
    let _ = sched_setaffinity(None, &one);
}

#[cfg(not(target_os = "linux"))]
fn keep_to_processor(_: usize) {}

/// Runs what is spawned on `runtime` until nobody has its core any more.
fn run(runtime: Runtime, stopped: oneshot::Receiver<Infallible>) {
    let Err(_) = runtime.block_on(stopped);
    // Ends the tasks, and does not wait for a blocked helper thread, such as one that looks up a host.
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    use super::*;

    struct Dropped(Arc<AtomicBool>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn dropping_cores_ends_their_threads_and_what_is_on_them() {
        let cores = Cores::start(3).unwrap();
        let dropped = Arc::new(AtomicBool::new(false));
        let on_the_core = Dropped(dropped.clone());
        let (began, has_begun) = mpsc::channel();
        cores.runtime(2).spawn(async move {
            began.send(thread::current().name().unwrap_or_default().to_owned()).unwrap();
            std::future::pending::<()>().await;
            drop(on_the_core);
        });
        cores.runtime(1).spawn(async { panic!("as the test says") });
        assert_eq!(has_begun.recv().unwrap(), "core-2");
        let begin = Instant::now();
        drop(cores);
        assert!(begin.elapsed() < END_LIMIT, "a thread does not end");
        assert!(dropped.load(Ordering::SeqCst), "a task outlives its core");
    }

    #[test]
    fn a_core_outlives_a_panic_of_its_task() {
        let cores = Cores::start(1).unwrap();
        let panicked = cores.runtime(0).spawn(async { panic!("as the test says") });
        let (done, is_done) = mpsc::channel();
        cores.runtime(0).spawn(async move {
            assert!(panicked.await.unwrap_err().is_panic());
            done.send(()).unwrap();
        });
        is_done.recv().unwrap();
    }

    #[test]
    fn a_thread_that_blocks_is_left_behind_in_time() {
        let cores = Cores::start(2).unwrap();
        let (release, blocked) = mpsc::channel::<()>();
        let (began, has_begun) = mpsc::channel();
        cores.runtime(0).spawn(async move {
            began.send(()).unwrap();
            let _ = blocked.recv();
        });
        has_begun.recv().unwrap();
        let begin = Instant::now();
        drop(cores);
        assert!(begin.elapsed() >= END_LIMIT && begin.elapsed() < 5 * END_LIMIT, "{:?}", begin.elapsed());
        drop(release);
    }
}
