//! A target without a server, for tests of the engine: a statement's text is the script of what it does.
//!
//! | statement | what it does |
//! |---|---|
//! | `done` | is done |
//! | `row $1, …` | is done, and returns its arguments as one row |
//! | `refuse KIND` | is refused with the outcome `KIND` |
//! | `slow 20ms` | is done after so long |
//! | `hang` | is never done: refused with `timeout` at its deadline |
//! | `deaf` | never returns, whatever its deadline |
//! | `panic` | panics |
//! | `fault`, `environment` | the harness cannot ask |
//! | `lock NAME` | waits until nobody else holds the lock, and holds it until the session's commit or reset |
//! | `keep NAME` | as `lock`, but holds it until the session is cleaned |
//! | `calls TEXT` | is done, and returns how many calls of `TEXT` were ended by a session |
//!
//! An `append` comes to its pause point, if it has one, and is done.
//!
//! Everything is written down, in order, as `WORKER: WHAT`; fixtures and invariants as `control: WHAT`. With the clock
//! of the test paused nothing here takes any real time, and every run of a test is like the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{CaseRun, Choices, Cores, EngineError, HeadStarts, Steering};
use crate::diagnostic::SourceFile;
use crate::model::Case;
use crate::model::record::RoundRecord;
use crate::outcome::{Cause, OutcomeKind};
use crate::plan::{self, Overrides};
use crate::port::{
    BarrierBroken, Bound, Description, Done, Holder, Isolation, Pause, Refusal, Reply, Request, Session, Target,
    TargetError, Transactions, Wait,
};
use crate::scenario::{self, FileAccess, LoadError};
use crate::value::Value;

/// How long a session takes to roll back: long enough to see what does not wait for it.
pub(crate) const RESET_TAKES: Duration = Duration::from_millis(30);

/// How long it takes to see who waits: as with a server, no look is over at once.
const LOOK_TAKES: Duration = Duration::from_millis(3);

/// What the sessions of a fake target share.
#[derive(Default)]
struct Shared {
    log: Mutex<Vec<String>>,
    locks: Mutex<Locks>,
    freed: Notify,
    threads: Threads,
}

/// The names of the threads on which each worker's session was opened, called, reset, cleaned and dropped.
pub(crate) type Threads = Arc<Mutex<BTreeMap<usize, BTreeSet<String>>>>;

#[derive(Default)]
struct Locks {
    /// Who holds each lock.
    held: BTreeMap<String, usize>,
    /// Those of them that their holders keep until they are cleaned.
    kept: BTreeSet<String>,
    /// Which lock each worker waits for.
    waiting: BTreeMap<usize, String>,
}

impl Shared {
    fn log(&self, who: impl std::fmt::Display, what: impl std::fmt::Display) {
        self.log.lock().unwrap().push(format!("{who}: {what}"));
    }

    fn note_thread(&self, worker: usize) {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        self.threads.lock().unwrap().entry(worker).or_default().insert(name);
    }

    fn locks(&self) -> MutexGuard<'_, Locks> {
        self.locks.lock().unwrap()
    }

    /// How many calls of `text` were ended by a session.
    fn calls(&self, text: &str) -> i64 {
        let log = self.log.lock().unwrap();
        let ended = |line: &&String| line.split_once(": ").is_some_and(|(who, what)| who != "control" && what == text);
        i64::try_from(log.iter().filter(ended).count()).unwrap()
    }
}

/// A target that plays scripts.
pub(crate) struct FakeTarget {
    shared: Arc<Shared>,
    description: Description,
}

impl Target for FakeTarget {
    fn description(&self) -> &Description {
        &self.description
    }

    fn apply<'a>(&'a self, request: &'a Request<Value>) -> BoxFuture<'a, Result<(), TargetError>> {
        Box::pin(async move { self.observe(request).await.map(drop) })
    }

    fn bind(&self, _: usize, request: &Request<Value>, _: usize) -> Result<Bound, TargetError> {
        Ok(Bound::new(request.clone()))
    }

    fn session(&self, worker: usize) -> BoxFuture<'_, Result<Box<dyn Session>, TargetError>> {
        let session = FakeSession { worker, shared: self.shared.clone(), in_transaction: false };
        Box::pin(async move {
            self.shared.note_thread(worker);
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }

    fn observe<'a>(&'a self, request: &'a Request<Value>) -> BoxFuture<'a, Result<Done, TargetError>> {
        Box::pin(async move {
            let (text, args) = statement(request);
            let text = text.as_str();
            self.shared.log("control", text);
            play(&self.shared, text, args).map(|reply| match reply {
                Reply::Done(done) => done,
                Reply::Refused(refusal) => panic!("a script of a fixture or an invariant was refused: {refusal:?}"),
            })
        })
    }

    fn waits(&self) -> BoxFuture<'_, Result<Vec<Wait>, TargetError>> {
        let locks = self.shared.locks();
        let holder = |lock: &String| locks.held.get(lock).map(|holder| Holder::Worker(*holder));
        let waits = locks
            .waiting
            .iter()
            .map(|(waiter, lock)| Wait { waiter: *waiter, holders: holder(lock).into_iter().collect() });
        let waits = waits.collect();
        Box::pin(async move {
            sleep(LOOK_TAKES).await;
            Ok(waits)
        })
    }

    fn sees_waits(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, Result<(), TargetError>> {
        Box::pin(async { Ok(()) })
    }
}

/// One worker's session on a fake target.
struct FakeSession {
    worker: usize,
    shared: Arc<Shared>,
    in_transaction: bool,
}

impl FakeSession {
    async fn lock(&self, name: &str, deadline: Instant) -> Reply {
        loop {
            let freed = self.shared.freed.notified();
            tokio::pin!(freed);
            // From here on no release is missed.
            freed.as_mut().enable();
            {
                let mut locks = self.shared.locks();
                let holder = *locks.held.entry(name.to_owned()).or_insert(self.worker);
                if holder == self.worker {
                    locks.waiting.remove(&self.worker);
                    return Reply::Done(Done::nothing());
                }
                locks.waiting.insert(self.worker, name.to_owned());
            }
            if timeout_at(deadline, freed).await.is_err() {
                self.shared.locks().waiting.remove(&self.worker);
                return refused(OutcomeKind::Timeout);
            }
        }
    }

    fn unlock(&mut self) {
        self.in_transaction = false;
        let locks = &mut *self.shared.locks();
        locks.held.retain(|name, holder| *holder != self.worker || locks.kept.contains(name));
        self.shared.freed.notify_waiters();
    }
}

impl Session for FakeSession {
    fn prepare(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        Box::pin(async { Ok(()) })
    }

    fn call<'a>(
        &'a mut self,
        bound: &'a mut Bound,
        deadline: Instant,
        pause: Option<&'a dyn Pause>,
    ) -> BoxFuture<'a, Result<Reply, TargetError>> {
        Box::pin(async move {
            self.shared.note_thread(self.worker);
            if let Some(pause) = pause
                && let Err(BarrierBroken) = pause.reached("checked").await
            {
                return Ok(refused(OutcomeKind::BrokenBarrier));
            }
            let request: &mut Request<Value> = bound.get()?;
            let (text, args) = statement(request);
            let text = text.as_str();
            let reply = match text.split_once(' ').unwrap_or((text, "")) {
                ("slow", time) => {
                    sleep(crate::duration::parse(time).unwrap()).await;
                    Ok(Reply::Done(Done::nothing()))
                }
                ("hang", _) => {
                    sleep_until(deadline).await;
                    Ok(refused(OutcomeKind::Timeout))
                }
                ("deaf", _) => std::future::pending().await,
                ("panic", _) => panic!("as the script says"),
                ("lock", name) => Ok(self.lock(name, deadline).await),
                ("keep", name) => {
                    let reply = self.lock(name, deadline).await;
                    self.shared.locks().kept.insert(name.to_owned());
                    Ok(reply)
                }
                _ => play(&self.shared, text, args),
            };
            self.shared.log(self.worker, text);
            reply
        })
    }

    fn transactions(&mut self) -> Option<&mut dyn Transactions> {
        Some(self)
    }

    fn reset(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        Box::pin(async {
            sleep(RESET_TAKES).await;
            self.shared.note_thread(self.worker);
            self.shared.log(self.worker, "rolled back");
            self.unlock();
            Ok(())
        })
    }

    fn needs_cleaning(&self) -> bool {
        let locks = self.shared.locks();
        locks.held.iter().any(|(name, holder)| *holder == self.worker && locks.kept.contains(name))
    }

    fn clean(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        Box::pin(async {
            self.shared.note_thread(self.worker);
            self.shared.log(self.worker, "cleaned");
            let locks = &mut *self.shared.locks();
            locks.held.retain(|_, holder| *holder != self.worker);
            Ok(())
        })
    }
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        self.shared.note_thread(self.worker);
    }
}

impl Transactions for FakeSession {
    fn begin(&mut self, _: Isolation, _: Instant) -> BoxFuture<'_, Result<Reply, TargetError>> {
        Box::pin(async {
            self.shared.log(self.worker, "begin");
            self.in_transaction = true;
            Ok(Reply::Done(Done::nothing()))
        })
    }

    fn commit(&mut self, _: Instant) -> BoxFuture<'_, Result<Reply, TargetError>> {
        Box::pin(async {
            assert!(self.in_transaction, "what was not begun is not committed");
            self.shared.log(self.worker, "commit");
            self.unlock();
            Ok(Reply::Done(Done::nothing()))
        })
    }
}

/// The text of a statement with its arguments; of any other request its word.
fn statement(request: &Request<Value>) -> (String, &[Value]) {
    match request.one("sql") {
        Some(text) => (text.to_string(), request.many("args")),
        None => (request.spec.word.to_owned(), &[]),
    }
}

/// A script that takes no time.
fn play(shared: &Shared, text: &str, args: &[Value]) -> Result<Reply, TargetError> {
    let row = |row: Vec<Value>| Reply::Done(Done { rows: vec![row], affected: 1, result: Value::Null });
    Ok(match text.split_once(' ').unwrap_or((text, "")) {
        ("done" | "append", _) => Reply::Done(Done::nothing()),
        ("row", _) => row(args.to_vec()),
        ("calls", of) => row(vec![Value::Int(shared.calls(of))]),
        ("refuse", kind) => refused(kind.parse().unwrap()),
        ("fault", _) => return Err(TargetError::Fault { message: "no such table".to_owned() }),
        ("environment", _) => return Err(TargetError::Environment { message: "no such server".to_owned() }),
        _ => panic!("`{text}` is not a script"),
    })
}

fn refused(kind: OutcomeKind) -> Reply {
    Reply::Refused(Refusal::new(kind, Cause::Server, "fake", format!("told to be {kind}")))
}

/// A race on a fake target.
pub(crate) struct Stage {
    pub(crate) case: Arc<Case>,
    race: CaseRun,
    shared: Arc<Shared>,
}

/// The beginning of every scenario here. Its one expectation is always met: these tests are about what is recorded.
const HEAD: &str = r#"
schema  = 1
name    = "stage"
summary = "what the engine does with a target that plays scripts"
timeout = "20s"

[targets.fake]
driver = "postgres"

[expect]
success = ">= 0"
"#;

impl Stage {
    /// Opens a race of a scenario, of which `tables` are the tables that matter.
    pub(crate) async fn open(tables: &str) -> Self {
        Self::with_seed(tables, 0).await
    }

    pub(crate) async fn with_seed(tables: &str, seed: u64) -> Self {
        Self::with(tables, Choices { seed, first_round: 0, head_starts: HeadStarts::Never }).await
    }

    pub(crate) async fn with(tables: &str, choices: Choices) -> Self {
        Self::on(tables, choices, &Cores::in_place()).await
    }

    pub(crate) async fn on(tables: &str, choices: Choices, cores: &Cores) -> Self {
        let case = case(&format!("{HEAD}{tables}"));
        let shared = Arc::<Shared>::default();
        let fake = FakeTarget { shared: shared.clone(), description: Description::default() };
        let targets: Vec<Arc<dyn Target>> = vec![Arc::new(fake)];
        let race = CaseRun::open(case.clone(), targets, "run", choices, cores).await.unwrap();
        Stage { case, race, shared }
    }

    pub(crate) fn steer(&mut self, steering: Steering) {
        self.race.steer(steering);
    }

    pub(crate) async fn try_round(&mut self, number: u64) -> Result<RoundRecord, EngineError> {
        self.race.round(number).await
    }

    pub(crate) async fn round(&mut self, number: u64) -> RoundRecord {
        self.try_round(number).await.unwrap()
    }

    pub(crate) async fn close(self) {
        self.race.close().await.unwrap();
    }

    pub(crate) fn threads(&self) -> Threads {
        self.shared.threads.clone()
    }

    /// Takes what was written down since the last time.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.log.lock().unwrap())
    }
}

/// The only case of a scenario.
fn case(text: &str) -> Arc<Case> {
    let source = SourceFile::new("stage.toml", text);
    let shown = |source: &SourceFile, diagnostics: &[crate::diagnostic::Diagnostic]| -> ! {
        let shown: Vec<String> = diagnostics.iter().map(|diagnostic| diagnostic.render(source, false)).collect();
        panic!("{}", shown.join("\n"))
    };
    let scenario = match scenario::parse(source, Path::new(""), FileAccess::Below, &crate::driver::builtin()) {
        Ok(scenario) => scenario,
        Err(LoadError::Invalid { source_file, diagnostics }) => shown(&source_file, &diagnostics),
        Err(error) => panic!("{error}"),
    };
    let planned = plan::cases(&scenario, &Overrides::default());
    let mut planned = planned.unwrap_or_else(|diagnostics| shown(&scenario.source, &diagnostics));
    planned.cases.pop().expect("a scenario without a matrix has one case").case
}
