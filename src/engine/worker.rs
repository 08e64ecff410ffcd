//! One worker: holds its sessions through all rounds and makes one attempt at its steps in each.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::crew::Told;
use super::head_start::hold_back;
use super::pause::{PauseAtBarrier, broken, pass};
use super::ready::{Ready, bound_in_race, needs_none_of};
use super::refused::{StepEnd, other_rows, outcome, rule_to_paste, too_late};
use super::round::Round;
use super::save::save;
use super::sessions::{no_session, open};
use super::steering::{Schedule, Turn};
use super::{EngineError, panic_message};
use crate::duration;
use crate::expression::{Scope, Template};
use crate::model::record::{Attempt, Outcome, StepAt, StepRecord};
use crate::model::{Action, Case, Exchange, Group, START, Start, Step, Transaction};
use crate::outcome::{Cause, OutcomeKind};
use crate::port::{BarrierBroken, Done, Pause, Refusal, Reply, Request, Session, Target, TargetError, Transactions};
use crate::requeue::requeue;
use crate::value::Value;

/// How many step records are reserved before a round at most; more grow the buffer as they come.
const RESERVED_STEPS_MAX: usize = 1 << 20;

/// How many steps in a row a worker takes before it lets others run.
const STEPS_BEFORE_YIELD: usize = 1024;

/// A racing party, alive through all rounds of a case.
pub(crate) struct WorkerTask {
    case: Arc<Case>,
    /// By [`Case::targets`].
    targets: Arc<[Arc<dyn Target>]>,
    /// Its place, which it has in all rounds.
    place: usize,
    /// Which worker it is in this round.
    worker: usize,
    /// By [`Case::targets`]; `None` for targets its group does not use. They belong to the worker's core: it opens them, and
    /// they are dropped with it.
    sessions: Vec<Option<Box<dyn Session>>>,
    /// Its names in this round.
    scope: Scope,
    /// By step: whether it needs nothing that is bound during the race.
    needs_nothing_bound: Vec<bool>,
    /// By step: what could be resolved before the race.
    ready: Vec<Ready>,
    /// Whether steps of its group bind names during the race.
    binds_in_race: bool,
    /// What it did so far in this round.
    attempt: Attempt,
    /// Whether the last call had to prepare its statement.
    has_prepared: bool,
    /// What the step under way asked, and what came of it.
    exchange: Exchange,
    /// When it last looked at the clock: a step begins when the one before it has ended, and one look serves both.
    now_ns: u64,
    /// When the last barrier that it passed was released.
    released_ns: AtomicU64,
}

/// Why an attempt goes no further.
enum Stop {
    /// It ended, with the outcome that is noted in the attempt.
    Ended,
    /// The harness cannot go on.
    Failed(EngineError),
}

impl WorkerTask {
    pub(crate) fn new(case: Arc<Case>, targets: Arc<[Arc<dyn Target>]>, place: usize) -> Self {
        let group = &case.groups[case.workers[place].group];
        let bound_in_race = bound_in_race(group);
        WorkerTask {
            scope: Scope::inside(case.workers[place].scope.clone()),
            needs_nothing_bound: group.steps.iter().map(|step| needs_none_of(step, &case, &bound_in_race)).collect(),
            ready: Vec::with_capacity(group.steps.len()),
            attempt: Attempt::new(place),
            has_prepared: false,
            exchange: Exchange::default(),
            now_ns: 0,
            released_ns: AtomicU64::new(0),
            binds_in_race: !bound_in_race.is_empty(),
            case,
            targets,
            place,
            worker: place,
            sessions: Vec::new(),
        }
    }

    /// Opens its sessions, races in every round it is told of, and cleans its sessions after it, until there are no more.
    pub(crate) async fn run(mut self, mut told: mpsc::Receiver<Told>) {
        let case = self.case.clone();
        while let Some(told) = told.recv().await {
            let round = match told {
                Told::Race(round) => round,
                Told::Open(reply) => {
                    let opened = open(&case, &self.targets, self.place).await;
                    drop(reply.send(opened.map(|sessions| self.sessions = sessions)));
                    continue;
                }
                Told::Clean(reply) => {
                    // Nobody waits for the answer any more only if the race was given up.
                    drop(reply.send(self.clean().await));
                    continue;
                }
            };
            self.takes_place(&round);
            let result = match AssertUnwindSafe(self.attempt(&case, &round)).catch_unwind().await {
                Ok(result) => result,
                Err(panic) => self.crashed(&round, panic_message(panic.as_ref())).await,
            };
            if result.is_err() {
                round.abandon();
            }
            // What is left to do is not part of the race: those go first who still have to leave the start barrier.
            requeue().await;
            self.gives_requests();
            let attempt = std::mem::replace(&mut self.attempt, Attempt::new(self.worker));
            if self.sessions.iter().flatten().any(|session| session.needs_cleaning()) {
                round.wants_cleaning(self.worker);
            }
            round.ended(self.worker, result.map(|()| attempt));
        }
    }

    /// Gives what was resolved before the race to the attempt, now that all is over that asked it.
    fn gives_requests(&mut self) {
        let requests = self.ready.drain(..).map(|ready| match ready {
            Ready::Call(_, request) => Some(request),
            Ready::Values(_) | Ready::Nothing => None,
        });
        self.attempt.exchanges.asked(requests.collect());
    }

    /// Becomes the worker that has its place in `round`.
    fn takes_place(&mut self, round: &Round) {
        self.worker = round.worker_at(self.place);
        self.attempt.worker = self.worker;
        self.scope.set_parent(self.case.workers[self.worker].scope.clone());
    }

    async fn attempt(&mut self, case: &Case, round: &Round) -> Result<(), EngineError> {
        let group = &case.groups[case.workers[self.worker].group];
        round.told(self.worker);
        self.make_ready(group, round);
        for (target, session) in self.sessions.iter_mut().enumerate() {
            // Costs nothing unless a fixture changed what the statements are about.
            if let Some(session) = session {
                session.prepare().await.map_err(|error| EngineError::preparing(case, target, error))?;
            }
        }
        let held_back_ns = round.held_back_ns(self.worker);
        match group.start {
            Start::Together => {
                if let Err(BarrierBroken) = self.pass(round, START).await {
                    let now_ns = round.clock.now_ns();
                    let outcome = outcome(broken(case, START), None);
                    self.attempt = Attempt {
                        started_ns: now_ns,
                        ended_ns: now_ns,
                        released_ns: now_ns,
                        outcome,
                        ..Attempt::new(self.worker)
                    };
                    return Ok(());
                }
                if held_back_ns > 0 {
                    let until_ns = self.released_ns.load(Ordering::Relaxed).saturating_add(held_back_ns);
                    self.now_ns = hold_back(&round.clock, until_ns).await;
                }
            }
            Start::Free => {
                self.now_ns = round.clock.now_ns();
                self.released_ns.store(self.now_ns, Ordering::Relaxed);
            }
        }
        self.attempt.started_ns = self.now_ns;
        self.attempt.released_ns = self.released_ns.load(Ordering::Relaxed);
        for repetition in 0..group.repeat {
            if repetition > 0 && self.binds_in_race {
                self.name_round(round);
            }
            match self.run_steps(group, round).await {
                Ok(()) => {}
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Ended) => {
                    self.reset().await?;
                    self.now_ns = round.clock.now_ns();
                    break;
                }
            }
        }
        self.attempt.ended_ns = self.now_ns;
        Ok(())
    }

    /// Before the start barrier: names bound, memory reserved, and everything resolved that can be.
    fn make_ready(&mut self, group: &Group, round: &Round) {
        let repeat = usize::try_from(group.repeat).unwrap_or(usize::MAX);
        let steps = (group.steps.len() + 2).saturating_mul(repeat);
        self.attempt.steps.reserve(steps.min(RESERVED_STEPS_MAX));
        let calls = group.steps.iter().filter(|step| matches!(step.action, Action::Call { .. })).count();
        self.attempt.exchanges.reserve(calls.saturating_mul(repeat));
        self.exchange = Exchange::default();
        self.name_round(round);
        self.ready.clear();
        for (step, needs_nothing_bound) in group.steps.iter().zip(&self.needs_nothing_bound) {
            self.ready.push(if *needs_nothing_bound {
                Ready::of(step, &self.case, &self.targets, &self.scope, self.place)
            } else {
                Ready::Nothing
            });
        }
    }

    /// Forgets what was saved, and binds `round` and `round_id`.
    fn name_round(&mut self, round: &Round) {
        self.scope.clear();
        self.scope.set_deadline(round.deadline);
        round.number.bind(&mut self.scope);
    }

    /// Waits at a barrier. (`&mut`, since a shared worker could not cross threads.)
    async fn pass(&mut self, round: &Round, barrier: usize) -> Result<(), BarrierBroken> {
        self.now_ns = pass(round, barrier, self.worker, &self.released_ns).await?;
        Ok(())
    }

    async fn run_steps(&mut self, group: &Group, round: &Round) -> Result<(), Stop> {
        let transaction = self.case.workers[self.worker].transaction;
        if let Some(Transaction { target, isolation }) = transaction {
            if let Some(schedule) = &round.schedule {
                self.turn(schedule.as_ref(), round, StepAt::Begin).await;
            }
            let started_ns = self.step_started(round, StepAt::Begin);
            let end = match self.transactions(target) {
                Ok(session) => nothing(session.begin(isolation, round.deadline).await),
                Err(end) => Err(end),
            };
            self.step_ended(round, StepAt::Begin, started_ns, end)?;
        }
        for (index, step) in group.steps.iter().enumerate() {
            let at = StepAt::step(index);
            if let Some(schedule) = &round.schedule {
                self.turn(schedule.as_ref(), round, at).await;
            }
            let started_ns = self.step_started(round, at);
            let end = self.step(index, step, started_ns, round).await;
            self.step_ended(round, at, started_ns, end)?;
            // Steps that ask nothing never wait. The watch over barriers and deadlines has to run as well.
            if self.attempt.steps.len().is_multiple_of(STEPS_BEFORE_YIELD) {
                tokio::task::yield_now().await;
                self.now_ns = round.clock.now_ns();
            }
        }
        if let Some(Transaction { target, .. }) = transaction {
            if let Some(schedule) = &round.schedule {
                self.turn(schedule.as_ref(), round, StepAt::Commit).await;
            }
            let started_ns = self.step_started(round, StepAt::Commit);
            let end = match self.transactions(target) {
                Ok(session) => nothing(session.commit(round.deadline).await),
                Err(end) => Err(end),
            };
            self.step_ended(round, StepAt::Commit, started_ns, end)?;
        }
        Ok(())
    }

    /// The decision point between two steps: waits until the schedule lets the worker go on.
    async fn turn(&mut self, schedule: &dyn Schedule, round: &Round, step: StepAt) {
        schedule.turn(Turn { round: round.number.of_run, worker: self.worker, step }).await;
        self.now_ns = round.clock.now_ns();
    }

    fn step_started(&self, round: &Round, at: StepAt) -> u64 {
        round.step_started(self.worker, Some(at), self.now_ns);
        self.now_ns
    }

    /// Takes a step's times, and names the step in the outcome if the attempt ends with it.
    fn step_ended(&mut self, round: &Round, at: StepAt, started_ns: u64, end: Result<(), StepEnd>) -> Result<(), Stop> {
        self.now_ns = round.clock.now_ns();
        if let Some(schedule) = &round.schedule {
            schedule.ended(Turn { round: round.number.of_run, worker: self.worker, step: at });
        }
        let end = match end {
            Ok(()) => Ok(()),
            Err(StepEnd::Refused(refusal)) => {
                self.attempt.outcome = self.classified(at, refusal);
                Err(Stop::Ended)
            }
            Err(StepEnd::Failed(error)) => return Err(Stop::Failed(error)),
        };
        if !self.exchange.is_empty() {
            self.attempt.exchanges.push(self.attempt.steps.len(), std::mem::take(&mut self.exchange));
        }
        self.attempt.steps.push(StepRecord {
            step: at,
            started_ns,
            ended_ns: self.now_ns,
            released_ns: self.released_ns.load(Ordering::Relaxed),
            outcome: self.attempt.outcome.kind,
            has_prepared: std::mem::take(&mut self.has_prepared),
        });
        end
    }

    async fn step(&mut self, index: usize, step: &Step, started_ns: u64, round: &Round) -> Result<(), StepEnd> {
        if matches!(step.action, Action::Assert(_) | Action::Let(_)) && round.is_over_at(started_ns) {
            return Err(StepEnd::Refused(too_late("the round's `timeout` passed before this step".to_owned())));
        }
        let deadline = || round.deadline.min(round.clock.after(Duration::from_nanos(started_ns) + step.timeout));
        match &step.action {
            Action::Barrier(barrier) => {
                let passed = self.pass(round, *barrier).await;
                passed.map_err(|BarrierBroken| StepEnd::Refused(broken(&self.case, *barrier)))
            }
            Action::Sleep(template) => {
                let value = template.resolve(&self.scope).map_err(|error| self.without_value(index, step, &error))?;
                let duration = duration_of(&value);
                let duration = duration.map_err(|message| self.without_value(index, step, &message))?;
                let wake = Instant::now() + duration;
                let deadline = deadline();
                tokio::time::sleep_until(wake.min(deadline)).await;
                if wake <= deadline {
                    return Ok(());
                }
                let message = format!("its `timeout`, or the round's, passed during a sleep of {duration:?}");
                Err(StepEnd::Refused(too_late(message)))
            }
            Action::Assert(expression) => {
                let holds = expression.evaluate_bool(&self.scope);
                if holds.map_err(|error| self.without_value(index, step, &error))? {
                    return Ok(());
                }
                let message = format!("`{}` is false", expression.source());
                Err(StepEnd::Refused(Refusal::new(step.otherwise, Cause::Assertion, "assert", message)))
            }
            Action::Let(bindings) => {
                for (position, (name, expression)) in bindings.iter().enumerate() {
                    let value = match &self.ready[index] {
                        Ready::Values(values) => values[position].clone(),
                        _ => {
                            let value = expression.evaluate(&self.scope);
                            value.map_err(|error| self.without_value(index, step, &error))?
                        }
                    };
                    self.scope.bind(name.as_str(), value);
                }
                Ok(())
            }
            Action::Call { target, request } => {
                let case = self.case.clone();
                let asked = &case.targets[*target].requests[*request].request;
                let done = self.call(index, step, (*target, *request), asked, deadline(), round).await?;
                let end = match &step.rows {
                    Some(rows) if !rows.contains(done.affected) => Err(other_rows(step, rows, done.affected)),
                    _ => save(step, asked.spec.result, &done, &mut self.scope),
                };
                self.exchange.result = Some(done);
                end
            }
        }
    }

    async fn call(
        &mut self,
        index: usize,
        step: &Step,
        (target, request): (usize, usize),
        asked: &Request<Template>,
        deadline: Instant,
        round: &Round,
    ) -> Result<Done, StepEnd> {
        let (mut late, mut resolved) = (None, None);
        let bound = match &mut self.ready[index] {
            Ready::Call(bound, _) => bound,
            Ready::Nothing | Ready::Values(_) => {
                let values = asked.resolve(&self.scope).map_err(|error| self.without_value(index, step, &error))?;
                let bound = self.targets[target].bind(request, &values, self.place);
                resolved = Some(values);
                late.insert(bound.map_err(|error| EngineError::at(&step.place, error))?)
            }
        };
        let pause = (!asked.pauses.is_empty()).then(|| PauseAtBarrier {
            round,
            pauses: &asked.pauses,
            worker: self.worker,
            released_ns: &self.released_ns,
        });
        let session = self.sessions[target].as_mut().ok_or_else(|| no_session(&self.case, target))?;
        let reply = session.call(bound, deadline, pause.as_ref().map(|pause| pause as &dyn Pause)).await;
        self.has_prepared = session.has_prepared();
        self.exchange.request = resolved.map(Box::new);
        match reply.map_err(|error| EngineError::at(&step.place, error))? {
            Reply::Done(done) => Ok(done),
            Reply::Refused(refusal) => Err(StepEnd::Refused(refusal)),
        }
    }

    /// The outcome of a refusal: by the scenario's `[[classify]]` rules, else as the target classified it. No rule makes
    /// something of what is unknown or of a broken barrier: nobody has refused anything there.
    fn classified(&self, at: StepAt, refusal: Refusal) -> Outcome {
        let is_refusal = !matches!(refusal.kind, OutcomeKind::Unknown | OutcomeKind::BrokenBarrier);
        let group = &self.case.groups[self.case.workers[self.worker].group];
        let name = group.step(at).map(|step| step.name.as_str());
        let rule = self.case.classify.iter().find(|rule| {
            is_refusal
                && rule.code.as_ref().is_none_or(|code| *code == refusal.code)
                && rule.message.as_ref().is_none_or(|message| refusal.message.matches(message))
                && rule.step.as_ref().is_none_or(|step| Some(step.as_str()) == name)
        });
        let kind = rule.map_or(refusal.kind, |rule| rule.outcome);
        let mut outcome = Outcome { kind, ..outcome(refusal, Some(at)) };
        if kind == OutcomeKind::Crash {
            outcome.message = outcome.message.and(&rule_to_paste(&outcome.code));
        }
        outcome
    }

    /// Ends the attempt of a worker that panicked: a crash.
    async fn crashed(&mut self, round: &Round, message: String) -> Result<(), EngineError> {
        self.reset().await?;
        let ended_ns = round.clock.now_ns();
        self.attempt.started_ns = self.attempt.steps.first().map_or(ended_ns, |step| step.started_ns);
        self.attempt.ended_ns = ended_ns;
        self.attempt.released_ns = self.released_ns.load(Ordering::Relaxed);
        self.attempt.outcome = outcome(Refusal::new(OutcomeKind::Crash, Cause::Panic, "panic", message), None);
        Ok(())
    }

    async fn reset(&mut self) -> Result<(), EngineError> {
        for session in self.sessions.iter_mut().flatten() {
            session.reset().await.map_err(EngineError::from)?;
        }
        Ok(())
    }

    async fn clean(&mut self) -> Result<(), EngineError> {
        for session in self.sessions.iter_mut().flatten() {
            session.clean().await.map_err(EngineError::from)?;
        }
        Ok(())
    }

    /// What an expression of a step makes of the attempt if it has no value. What the step takes from the race may be at
    /// fault, and that is an outcome; else the scenario is.
    fn without_value(&self, index: usize, step: &Step, error: &dyn fmt::Display) -> StepEnd {
        if self.needs_nothing_bound[index] {
            return EngineError::Fault { place: Some(step.place.clone()), message: error.to_string() }.into();
        }
        StepEnd::Refused(Refusal::new(step.unfit, Cause::Malformed, "expression", error.to_string()))
    }

    fn transactions(&mut self, target: usize) -> Result<&mut dyn Transactions, StepEnd> {
        let case = &self.case;
        let session = self.sessions[target].as_mut().ok_or_else(|| no_session(case, target))?;
        session.transactions().ok_or_else(|| {
            let place = Some(case.targets[target].place.clone());
            let message = format!("target `{}` has no transactions", case.targets[target].name);
            EngineError::Fault { place, message }.into()
        })
    }
}

/// A reply of which only matters whether it was a refusal.
fn nothing(reply: Result<Reply, TargetError>) -> Result<(), StepEnd> {
    match reply? {
        Reply::Done(_) => Ok(()),
        Reply::Refused(refusal) => Err(StepEnd::Refused(refusal)),
    }
}

fn duration_of(value: &Value) -> Result<Duration, String> {
    duration::parse(&value.to_string()).map_err(|error| format!("`sleep`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::crew::Crew;
    use crate::engine::number::RoundNumber;
    use crate::engine::order::Order;
    use crate::judge::fixture::TestCase;

    #[test]
    fn what_was_saved_is_forgotten_before_the_next_round() {
        let case = Arc::new(TestCase::new(1).build());
        let mut task = WorkerTask::new(case.clone(), Arc::new([]), 0);
        let crew = Arc::new(Crew::unheard(1));
        let number = |round| RoundNumber::new("run", round, round);
        task.name_round(&Round::new(&case, number(0), &Order::plain(1), None, &crew, None));
        task.scope.bind("balance", Value::Int(100));
        task.name_round(&Round::new(&case, number(1), &Order::plain(1), None, &crew, None));
        assert_eq!((task.scope.get("round"), task.scope.get("balance")), (Some(&Value::Int(1)), None));
    }
}
