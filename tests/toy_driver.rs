//! A driver in one file: a counter in this process, raced from TOML like every other system.
//!
//! It is all that a driver has to be. The reader of scenarios, the JSON schema, `check`'s hints, step names, invariants, pauses
//! and reports know it by its tables alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use deadheat::diagnostic::SourceFile;
use deadheat::driver;
use deadheat::engine::{CaseRun, Choices, Cores, HeadStarts};
use deadheat::judge::{CaseTally, judge_round};
use deadheat::model::Case;
use deadheat::outcome::{Cause, OutcomeKind};
use deadheat::plan::{Overrides, cases};
use deadheat::port::{
    BarrierBroken, Bound, Description, Done, Driver, Drivers, Field, Given, Layout, Literal, Misfit, Need, NoRules,
    Options, Pause, PausePoint, Refusal, Reply, Request, RequestSpec, ResultShape, Session, Shape, Source, Target,
    TargetError, TargetSpec, Usage, Wait,
};
use deadheat::scenario::{self, FileAccess, LoadError, Scenario};
use deadheat::value::Value;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use tokio::time::Instant;

/// The driver, a value.
static COUNTER: Counter = Counter;

struct Counter;

/// What its targets can be asked: two kinds of steps and what invariants read. One step has a pause point.
static REQUESTS: [RequestSpec; 3] = [
    RequestSpec {
        key: "read_counter",
        word: "read-counter",
        doc: "Reads the counter.",
        usages: &[Usage::Step],
        layout: Layout::Table,
        fields: &[],
        result: ResultShape::Value("result"),
        may_write: false,
        pauses: &[],
        rules: &NoRules,
    },
    RequestSpec {
        key: "add",
        word: "add",
        doc: "Reads the counter, and stores the sum.",
        usages: &[Usage::Step, Usage::Fixture],
        layout: Layout::Table,
        fields: &[
            Field {
                key: "amount",
                shape: Shape::Value,
                need: Need::Default(Literal::Int(1)),
                doc: "How much is added.",
            },
            Field { key: "expected", shape: Shape::Value, need: Need::Optional, doc: "What the counter must be." },
        ],
        result: ResultShape::Value("result"),
        may_write: true,
        pauses: &[PausePoint { word: "between", doc: "after the counter was read, and before the sum is stored." }],
        rules: &NoRules,
    },
    RequestSpec {
        key: "counter",
        word: "counter",
        doc: "Reads the counter, bound to `counter`.",
        usages: &[Usage::Probe],
        layout: Layout::Table,
        fields: &[],
        result: ResultShape::Value("counter"),
        may_write: false,
        pauses: &[],
        rules: &NoRules,
    },
];

static OPTIONS: [Field; 1] = [Field {
    key: "start",
    shape: Shape::Whole { least: 0 },
    need: Need::Default(Literal::Int(0)),
    doc: "where it begins.",
}];

impl Driver for Counter {
    fn word(&self) -> &'static str {
        "counter"
    }

    fn options(&self) -> &'static [Field] {
        &OPTIONS
    }

    fn requests(&self) -> &'static [RequestSpec] {
        &REQUESTS
    }

    fn configure(&self, given: &Given) -> Result<Options, Misfit> {
        match given.whole("start") {
            Some(start) if start <= 100 => Ok(Options::new(start)),
            _ => Err(Misfit { key: "start", message: "`start` must be at most 100".to_owned() }),
        }
    }

    fn sessions_take_files(&self, _: &Options) -> bool {
        false
    }

    fn open<'a>(
        &'a self,
        spec: &'a TargetSpec,
        _: &'a Source,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Target>, TargetError>> {
        let start = *spec.options.get::<i64>().unwrap();
        let description =
            Description { driver: "counter".to_owned(), version: "1".to_owned(), ..Description::default() };
        let target = CounterTarget { counter: Arc::new(AtomicI64::new(start)), description };
        ready(Ok(Box::new(target) as Box<dyn Target>)).boxed()
    }
}

struct CounterTarget {
    counter: Arc<AtomicI64>,
    description: Description,
}

/// A call, ready to be carried out.
#[derive(Clone, Copy)]
enum Call {
    Read,
    Add { amount: i64, expected: Option<i64> },
}

fn call_of(request: &Request<Value>) -> Result<Call, TargetError> {
    let whole = |key: &str| match request.one(key) {
        None => Ok(None),
        Some(Value::Int(number)) => Ok(Some(*number)),
        Some(other) => Err(TargetError::Fault { message: format!("`{key}` is {other}, which is not a whole number") }),
    };
    match request.spec.key {
        "add" => Ok(Call::Add { amount: whole("amount")?.unwrap_or(1), expected: whole("expected")? }),
        _ => Ok(Call::Read),
    }
}

impl CounterTarget {
    async fn ask(&self, request: &Request<Value>) -> Result<Done, TargetError> {
        match carry_out(&self.counter, call_of(request)?, None).await {
            Reply::Done(done) => Ok(done),
            Reply::Refused(refusal) => Err(TargetError::Fault { message: refusal.message.to_string() }),
        }
    }
}

/// The code table has one row: what was expected is not so.
const STALE: &str = "stale";

fn kind_of(code: &str) -> OutcomeKind {
    if code == STALE { OutcomeKind::Conflict } else { OutcomeKind::Crash }
}

async fn carry_out(counter: &AtomicI64, call: Call, pause: Option<&dyn Pause>) -> Reply {
    tokio::task::yield_now().await;
    let refused = |kind, code: &str, message: String| Reply::Refused(Refusal::new(kind, Cause::Server, code, message));
    let found = counter.load(Ordering::SeqCst);
    let Call::Add { amount, expected } = call else { return Reply::Done(Done::result(Value::Int(found))) };
    if let Some(pause) = pause
        && let Err(BarrierBroken) = pause.reached("between").await
    {
        return refused(OutcomeKind::BrokenBarrier, "barrier", "the pause was not completed".to_owned());
    }
    match expected {
        // The bug: what others have stored in between is lost.
        None => counter.store(found + amount, Ordering::SeqCst),
        Some(expected) => {
            let swapped = counter.compare_exchange(expected, expected + amount, Ordering::SeqCst, Ordering::SeqCst);
            if let Err(found) = swapped {
                return refused(kind_of(STALE), STALE, format!("the counter is {found}, not {expected}"));
            }
        }
    }
    Reply::Done(Done::result(Value::Int(found + amount)))
}

impl Target for CounterTarget {
    fn description(&self) -> &Description {
        &self.description
    }

    fn apply<'a>(&'a self, request: &'a Request<Value>) -> BoxFuture<'a, Result<(), TargetError>> {
        async { self.ask(request).await.map(drop) }.boxed()
    }

    fn bind(&self, _: usize, request: &Request<Value>, _: usize) -> Result<Bound, TargetError> {
        call_of(request).map(Bound::new)
    }

    fn session(&self, _: usize) -> BoxFuture<'_, Result<Box<dyn Session>, TargetError>> {
        let session = CounterSession(self.counter.clone());
        ready(Ok(Box::new(session) as Box<dyn Session>)).boxed()
    }

    fn observe<'a>(&'a self, request: &'a Request<Value>) -> BoxFuture<'a, Result<Done, TargetError>> {
        self.ask(request).boxed()
    }

    fn waits(&self) -> BoxFuture<'_, Result<Vec<Wait>, TargetError>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn sees_waits(&self) -> bool {
        false
    }

    fn close(&self) -> BoxFuture<'_, Result<(), TargetError>> {
        ready(Ok(())).boxed()
    }
}

struct CounterSession(Arc<AtomicI64>);

impl Session for CounterSession {
    fn prepare(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        ready(Ok(())).boxed()
    }

    fn call<'a>(
        &'a mut self,
        bound: &'a mut Bound,
        _: Instant,
        pause: Option<&'a dyn Pause>,
    ) -> BoxFuture<'a, Result<Reply, TargetError>> {
        async move {
            let call: &mut Call = bound.get()?;
            Ok(carry_out(&self.0, *call, pause).await)
        }
        .boxed()
    }

    fn reset(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        ready(Ok(())).boxed()
    }
}

/// The drivers that come with deadheat, and the one above.
fn drivers() -> Drivers {
    driver::builtin().with(&COUNTER)
}

const HEAD: &str = r#"
schema = 1
name = "counter"
[targets.c]
driver = "counter"
start = 7
"#;

const LOST_UPDATE: &str = r#"
[[workers]]
name = "adder"
count = 4
steps = [{ add = { amount = "${worker + 1}", pause = "between" } }]
[expect]
success = 4
[[invariants]]
name = "every addition is there"
counter = {}
that = "counter == 7 + 10"
"#;

const GUARDED: &str = r#"
[[workers]]
name = "adder"
count = 4
steps = [
  { read_counter = {}, save = "seen" },
  { barrier = "read" },
  { add = { expected = "${seen}", pause = "between" } },
]
[expect]
success = 1
conflict = 3
[[invariants]]
name = "one addition is there"
counter = {}
that = "counter == 7 + success"
"#;

fn parsed(text: &str) -> Result<Scenario, String> {
    let source = SourceFile::new("counter.toml", format!("{HEAD}{text}"));
    scenario::parse(source.clone(), Path::new(""), FileAccess::Below, &drivers()).map_err(|error| match error {
        LoadError::Invalid { diagnostics, .. } => {
            diagnostics.iter().map(|diagnostic| diagnostic.render(&source, false)).collect::<Vec<_>>().join("\n")
        }
        error => error.to_string(),
    })
}

fn case(text: &str) -> Arc<Case> {
    let scenario = parsed(text).unwrap_or_else(|faults| panic!("{faults}"));
    cases(&scenario, &Overrides::default()).unwrap().cases.remove(0).case
}

/// Races one round, and says whether it passed.
async fn races(case: &Arc<Case>) -> bool {
    let target = case.targets[0].driver.open(&case.targets[0], &Source::Embedded, "any").await.unwrap();
    let choices = Choices { seed: 1, first_round: 0, head_starts: HeadStarts::Never };
    let mut race = CaseRun::open(case.clone(), vec![target.into()], "run", choices, &Cores::in_place()).await.unwrap();
    let record = race.round(0).await.unwrap();
    race.close().await.unwrap();
    let judgement = judge_round(case, &record);
    let mut tally = CaseTally::new(case);
    tally.add(case, &record, &judgement);
    tally.failed == 0 && tally.rounds == 1
}

#[tokio::test]
async fn a_lost_update_of_a_toy_is_caught_and_its_guarded_form_passes() {
    assert!(!races(&case(LOST_UPDATE)).await, "all four read 7 before anyone has stored a sum");
    assert!(races(&case(GUARDED)).await);
}

#[test]
fn steps_are_called_by_the_words_of_the_table() {
    let case = case(GUARDED);
    let names: Vec<&str> = case.groups[0].steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["read-counter", "barrier", "add"]);
    assert_eq!(
        case.barriers.iter().map(|barrier| barrier.name.as_str()).collect::<Vec<_>>(),
        ["start", "read", "between"]
    );
}

#[test]
fn check_knows_the_toys_keys_and_gives_hints() {
    let faults = |text: &str| parsed(text).unwrap_err();
    let workers =
        |step: &str| format!("[[workers]]\nname = \"w\"\ncount = 2\nsteps = [{{ {step} }}]\n[expect]\nsuccess = 2\n");
    assert!(faults(&workers("add = { amuont = 1 }")).contains("did you mean `amount`?"));
    assert!(faults(&workers("add = { pause = \"before\" }")).contains("`pause` cannot be `before`"));
    let wrong = faults(&workers("sql = \"SELECT 1\""));
    assert!(
        wrong
            .contains("a `counter` target carries out `read_counter` and `add`, and shows its `counter` to invariants"),
        "{wrong}"
    );
    let Err(diagnostics) =
        cases(&parsed(&LOST_UPDATE.replace("[expect]", "on = \"c\"\n[expect]")).unwrap(), &Overrides::default())
    else {
        return;
    };
    panic!("{diagnostics:?}");
}

#[test]
fn a_targets_own_keys_are_checked() {
    let text = format!("{HEAD}{LOST_UPDATE}").replace("start = 7", "start = 700");
    let scenario =
        scenario::parse(SourceFile::new("c.toml", text), Path::new(""), FileAccess::Below, &drivers()).unwrap();
    let faults = cases(&scenario, &Overrides::default()).unwrap_err();
    assert_eq!(faults[0].message, "`start` must be at most 100");
}

#[test]
fn the_json_schema_has_the_toy() {
    let schema = scenario::schema::json_schema(&drivers());
    let at = |pointer: &str| schema.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")).clone();
    assert_eq!(at("/definitions/target/properties/driver/enum/3"), "counter");
    assert_eq!(
        at("/definitions/target/properties/start/description"),
        "counter: where it begins; at least 0; default `0`. May hold `${expression}`."
    );
    assert_eq!(at("/definitions/add/properties/pause/enum/0"), "between");
    at("/definitions/step/properties/read_counter");
    at("/definitions/fixtureStep/properties/add");
    at("/definitions/invariant/properties/counter");
}
