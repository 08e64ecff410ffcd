//! Cases and records for tests, written shortly.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::expression::{Expression, Template};
use crate::model::record::{
    Arrival, ArrivalKind, Attempt, BarrierRecord, InvariantResult, Outcome, RoundRecord, StepAt, StepRecord,
};
use crate::model::*;
use crate::outcome::{Cause, OutcomeKind, Tally};
use crate::port::{
    Done, Driver, Entry, Field, Given, Layout, Misfit, Need, NoRules, Options, Place, Request, RequestAt, RequestSpec,
    ResultShape, Shape, Source, Target, TargetError, TargetSpec, Usage,
};
use crate::said::Said;
use crate::value::Value;

/// `1 success, 2 conflict`.
pub(crate) fn tally(text: &str) -> Tally {
    let mut tally = Tally::default();
    for part in text.split(", ").filter(|part| !part.is_empty() && *part != "nothing") {
        let (number, word) = part.split_once(' ').expect("a number and a word");
        tally.add(word.parse().unwrap(), number.parse().unwrap());
    }
    tally
}

pub(crate) fn place(line: usize) -> Place {
    Place { file: Arc::new(PathBuf::from("race.toml")), line, column: 1 }
}

/// `success = 1, conflict = ">= 1", busy = "<= 2"`.
pub(crate) fn expectation(text: &str) -> Expectation {
    let mut counts = BTreeMap::new();
    for part in text.split(", ").filter(|part| !part.is_empty()) {
        let (word, range) = part.split_once(" = ").expect("a word and a range");
        let range = range.trim_matches('"');
        let range = match (range.strip_prefix(">= "), range.strip_prefix("<= ")) {
            (Some(low), _) => CountRange { low: low.parse().unwrap(), high: None },
            (_, Some(high)) => CountRange { low: 0, high: Some(high.parse().unwrap()) },
            _ => CountRange::exactly(range.parse().unwrap()),
        };
        counts.insert(word.parse().unwrap(), range);
    }
    Expectation { counts, places: BTreeMap::new(), origins: BTreeMap::new(), place: place(9) }
}

/// A driver of which nothing is asked.
#[derive(Debug)]
pub(crate) struct NoDriver;

impl Driver for NoDriver {
    fn word(&self) -> &'static str {
        "none"
    }

    fn options(&self) -> &'static [Field] {
        &[]
    }

    fn requests(&self) -> &'static [RequestSpec] {
        &[]
    }

    fn configure(&self, _: &Given) -> Result<Options, Misfit> {
        Ok(Options::new(()))
    }

    fn open<'a>(
        &'a self,
        spec: &'a TargetSpec,
        _: &'a Source,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Target>, TargetError>> {
        let message = format!("`{}` is only judged", spec.name);
        Box::pin(async move { Err(TargetError::Fault { message }) })
    }
}

/// A request that gives one value.
pub(crate) static READ: RequestSpec = RequestSpec {
    key: "latest_version",
    word: "latest-version",
    doc: "Reads something.",
    usages: &[Usage::Step],
    layout: Layout::Table,
    fields: &[Field { key: "of", shape: Shape::Value, need: Need::Optional, doc: "Of what." }],
    result: ResultShape::Value("result"),
    may_write: false,
    pauses: &[],
    rules: &NoRules,
};

/// A request that may write.
pub(crate) static WRITE: RequestSpec = RequestSpec {
    key: "write",
    word: "write",
    doc: "Writes something.",
    usages: &[Usage::Step],
    layout: Layout::Table,
    fields: &[],
    result: ResultShape::Value("result"),
    may_write: true,
    pauses: &[],
    rules: &NoRules,
};

/// A request without values.
pub(crate) fn request(spec: &'static RequestSpec) -> Request<Template> {
    Request { spec, fields: Vec::new(), pauses: Vec::new() }
}

/// A statement.
pub(crate) fn statement(text: &str) -> RequestAt {
    let spec = &crate::driver::builtin().requests(Usage::Step)[0];
    let text = Entry::One(Template::Literal(Value::text(text)));
    RequestAt { request: Request { spec, fields: vec![text, Entry::Absent], pauses: Vec::new() }, place: place(5) }
}

/// Builds cases.
pub(crate) struct TestCase(Case);

impl TestCase {
    /// `workers` in one group called `writer`, who all `append` once.
    pub(crate) fn new(workers: usize) -> Self {
        Self::groups(&[("writer", workers)])
    }

    pub(crate) fn groups(groups: &[(&str, usize)]) -> Self {
        let append = Step {
            name: "append".to_owned(),
            action: Action::Call { target: 0, request: 0 },
            rows: None,
            otherwise: OutcomeKind::Conflict,
            unfit: OutcomeKind::Crash,
            save: Save::Nothing,
            timeout: Duration::from_secs(10),
            place: place(5),
        };
        let mut workers = Vec::new();
        for (index, (_, count)) in groups.iter().enumerate() {
            let worker = Worker { group: index, scope: Arc::default(), transaction: None };
            workers.extend(std::iter::repeat_n(worker, *count));
        }
        let start = BarrierSpec {
            name: "start".to_owned(),
            timeout: Duration::from_secs(5),
            parties: (0..workers.len()).collect(),
        };
        TestCase(Case {
            scenario: Arc::new(ScenarioHead {
                compare: None,
                file: Arc::new(PathBuf::from("race.toml")),
                name: "race".to_owned(),
                summary: "one wins".to_owned(),
                tags: Vec::new(),
                hash: "00".repeat(32),
            }),
            id: "race[backend=memory]".to_owned(),
            control: None,
            axes: BTreeMap::from([("backend".to_owned(), Value::text("memory"))]),
            params: BTreeMap::from([("writers".to_owned(), Value::Int(workers.len() as i64))]),
            rounds: 100,
            round_timeout: Duration::from_secs(30),
            targets: vec![TargetSpec {
                name: "store".to_owned(),
                driver: &NoDriver,
                options: Options::new(()),
                url: None,
                unset_variable: None,
                requests: vec![RequestAt { request: request(&READ), place: place(5) }],
                place: place(3),
            }],
            fixture: Fixture::default(),
            barriers: vec![start],
            groups: groups
                .iter()
                .map(|(name, _)| Group {
                    name: (*name).to_owned(),
                    start: Start::Together,
                    repeat: 1,
                    steps: vec![append.clone()],
                })
                .collect(),
            workers,
            checks: Checks::default(),
            controlled: true,
            ordered: None,
            classify: Vec::new(),
        })
    }

    pub(crate) fn expect(mut self, text: &str) -> Self {
        self.0.checks.expect.push(expectation(text));
        self
    }

    pub(crate) fn by_group(mut self, group: usize, text: &str) -> Self {
        self.0.checks.by_group.insert(group, expectation(text));
        self
    }

    pub(crate) fn invariant(self, name: &str) -> Self {
        self.invariant_that(name, "result == 1")
    }

    pub(crate) fn invariant_that(mut self, name: &str, that: &str) -> Self {
        self.0.checks.invariants.push(Invariant {
            name: name.to_owned(),
            target: 0,
            probe: request(&READ),
            that: Expression::compile(that).unwrap(),
            scope: Arc::default(),
            place: place(12),
        });
        self
    }

    pub(crate) fn control(mut self, breaks: &[&str]) -> Self {
        self.0.id.push_str("/no guard");
        self.0.control = Some(Control {
            name: "no guard".to_owned(),
            why: "nothing holds the others back".to_owned(),
            breaks: breaks.iter().map(|it| (*it).to_owned()).collect(),
            place: place(20),
        });
        self
    }

    /// A bound on `append`, in microseconds.
    pub(crate) fn latency(mut self, quantile: f64, micros: u64) -> Self {
        self.0.checks.latency.push(LatencyBound {
            key: format!("append.p{}", quantile * 100.0),
            step: "append".to_owned(),
            quantile,
            at_most: Duration::from_micros(micros),
            place: place(14),
        });
        self
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut Case)) -> Self {
        change(&mut self.0);
        self
    }

    pub(crate) fn build(self) -> Case {
        self.0
    }
}

/// All invariants held.
pub(crate) fn held(case: &Case) -> Vec<InvariantResult> {
    vec![InvariantResult::Held; case.checks.invariants.len()]
}

/// A round whose workers ended as told, in order, overlapping, each later than the one before.
pub(crate) fn record(case: &Case, round: u64, outcomes: &str) -> RoundRecord {
    let kinds = tally(outcomes)
        .occurred()
        .flat_map(|(kind, count)| std::iter::repeat_n(kind, count as usize))
        .collect::<Vec<_>>();
    let released = 50_000;
    let attempts: Vec<Attempt> = kinds
        .iter()
        .enumerate()
        .map(|(worker, kind)| {
            let started_ns = released + 1_000 * worker as u64;
            let ended_ns = started_ns + 1_000_000 + 250_000 * worker as u64;
            let outcome = match kind {
                OutcomeKind::Success => Outcome::success(),
                kind => Outcome {
                    kind: *kind,
                    cause: Some(Cause::Server),
                    step: Some(StepAt::Step(0)),
                    code: "23505".to_owned(),
                    message: Said::new("duplicate key value violates unique constraint"),
                },
            };
            let step = StepRecord {
                step: StepAt::Step(0),
                started_ns,
                ended_ns: ended_ns - 10_000,
                released_ns: released,
                outcome: *kind,
                has_prepared: false,
            };
            let steps = vec![step];
            let mut exchanges = Exchanges::new();
            let exchange = Exchange {
                request: Some(Box::new(Request {
                    spec: &READ,
                    fields: vec![Entry::One(Value::text("order-1"))],
                    pauses: Vec::new(),
                })),
                result: (*kind == OutcomeKind::Success).then(|| Done::result(Value::Int(1))),
            };
            exchanges.push(0, exchange);
            let attempt = Attempt::new(worker);
            Attempt { started_ns, ended_ns, released_ns: released, outcome, steps, exchanges, ..attempt }
        })
        .collect();
    let arrivals = (0..attempts.len())
        .map(|worker| Arrival { worker, kind: ArrivalKind::Arrived, at_ns: 10_000 + worker as u64 })
        .collect();
    let makespan = attempts.last().map_or(0, |attempt| attempt.ended_ns - released);
    RoundRecord {
        round,
        since_setup: round,
        overlap: attempts.len() as u64,
        makespan: Duration::from_nanos(makespan),
        barriers: vec![BarrierRecord {
            released_ns: Some(released),
            skew_ns: 1_000 * attempts.len().saturating_sub(1) as u64,
            arrivals,
            missing: Vec::new(),
        }],
        invariants: held(case),
        order: (0..attempts.len()).collect(),
        places: (0..attempts.len()).collect(),
        head_start: None,
        answered_first: (!attempts.is_empty()).then(|| round as usize % attempts.len()),
        deeds: Vec::new(),
        attempts,
    }
}
