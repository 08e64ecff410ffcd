//! A race: one case with its targets, its workers and their sessions, through all its rounds.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::EngineError;
use super::barrier::Barrier;
use super::cores::Cores;
use super::crew::{Crew, Told, herald};
use super::head_start::Starts;
use super::number::RoundNumber;
use super::observe::evaluate;
use super::order::{Choices, Orders};
use super::overlap::{answered_first, overlap};
use super::round::Round;
use super::steering::{Deeds, Steering};
use super::worker::WorkerTask;
use crate::expression::Scope;
use crate::model::record::{Attempt, BarrierRecord, RoundRecord};
use crate::model::{Case, FixtureStep, START};
use crate::outcome::Tally;
use crate::port::Target;
use crate::value::Value;

/// How many sessions are opened at once: more only queue up in the server.
const SESSIONS_OPENED_AT_ONCE: usize = 16;

/// How long the expressions of a fixture's step, or of an invariant, may take.
pub(super) const EVALUATION_MAX: Duration = Duration::from_secs(10);

/// How much longer than the round's deadline the engine waits for workers, whose steps all end by that deadline and
/// whose sessions then have to cancel what is in flight and connect again.
const ROUND_GRACE: Duration = Duration::from_secs(35);

/// One case under way.
pub struct CaseRun {
    case: Arc<Case>,
    targets: Vec<Arc<dyn Target>>,
    scope: Arc<Scope>,
    /// Names the run.
    run: String,
    /// Rounds begun since `setup` ran.
    begun: u64,
    crew: Arc<Crew>,
    tasks: JoinSet<()>,
    orders: Orders,
    starts: Starts,
    steering: Steering,
}

impl CaseRun {
    /// Sets the case up on its targets (by [`Case::targets`]), starts the workers on `cores`, and has each open its sessions.
    pub async fn open(
        case: Arc<Case>,
        targets: Vec<Arc<dyn Target>>,
        run: &str,
        choices: Choices,
        cores: &Cores,
    ) -> Result<Self, EngineError> {
        let scope = Arc::new(case_scope(&case, run));
        apply(&case.fixture.setup, &targets, &scope).await?;
        let orders = Orders::new(&case, choices);
        let mut tasks = JoinSet::new();
        let crew = Arc::new(employ(&case, &targets, &orders, cores, &mut tasks));
        let opened = open_sessions(&crew, case.workers.len()).await;
        if let Err(error) = opened {
            end(&mut tasks).await;
            return Err(error);
        }
        let starts = Starts::new(&case, choices);
        Ok(CaseRun {
            orders,
            starts,
            case,
            targets,
            scope,
            run: run.to_owned(),
            begun: 0,
            crew,
            tasks,
            steering: Steering::default(),
        })
    }

    /// Has `steering` take part in the rounds from now on.
    pub fn steer(&mut self, steering: Steering) {
        self.steering = steering;
    }

    /// Races round `number` of the run: fresh state, workers released together, outcomes counted, invariants evaluated.
    pub async fn round(&mut self, number: u64) -> Result<RoundRecord, EngineError> {
        let number = RoundNumber::new(&self.run, number, self.begun);
        self.begun += 1;
        let scope = self.round_scope(number);
        apply(&self.case.fixture.before_round, &self.targets, &scope).await?;
        let order = self.orders.of(number.of_run);
        let places: Vec<usize> = order.place_of();
        let told: Vec<usize> = order.told.iter().map(|worker| places[*worker]).collect();
        let head_start = self.starts.of(number.of_run);
        let round = Arc::new(Round::new(
            &self.case,
            number,
            &order,
            head_start.clone(),
            &self.crew,
            self.steering.schedule.clone(),
        ));
        let deeds = Deeds::new(round.clock);
        let attempts = self.attempts(&round, &told, &deeds).await?;
        if head_start.is_none() {
            self.starts.learn(&self.case, &attempts);
        }
        settle(&self.targets).await?;
        let barriers: Vec<BarrierRecord> = round.barriers.iter().map(Barrier::record).collect();
        let mut record = RoundRecord {
            round: number.of_run,
            since_setup: number.since_setup,
            invariants: Vec::with_capacity(self.case.checks.invariants.len()),
            overlap: overlap(&self.case, &attempts, &round.parked()),
            makespan: makespan(&attempts, barriers[START].released_ns),
            answered_first: answered_first(&self.case, &attempts, &barriers),
            barriers,
            order: order.told,
            head_start,
            places,
            attempts,
            deeds: deeds.into_done(),
        };
        let tally: Tally = record.tally();
        for invariant in &self.case.checks.invariants {
            let target = self.targets[invariant.target].as_ref();
            record.invariants.push(evaluate(invariant, target, number, &tally).await?);
        }
        self.clean(&round).await?;
        apply(&self.case.fixture.after_round, &self.targets, &scope).await?;
        Ok(record)
    }

    /// Has the workers clean their sessions, all at once, and the targets their own connections.
    async fn clean(&self, round: &Round) -> Result<(), EngineError> {
        let (told, replies): (Vec<_>, Vec<_>) = round.to_clean().map(|place| asked(place, Told::Clean)).unzip();
        self.crew.tell(told.into_iter()).await;
        let targets = self.targets.iter().map(async |target| target.clean().await.map_err(EngineError::from));
        tokio::try_join!(try_join_all(replies), try_join_all(targets))?;
        Ok(())
    }

    /// Tells the workers of `round`, by their places and in this order, and waits for every one's attempt while watching over
    /// the barriers.
    async fn attempts(&self, round: &Arc<Round>, told: &[usize], deeds: &Deeds) -> Result<Vec<Attempt>, EngineError> {
        let raced = async {
            // A worker that is gone is missed at the deadline, like one that does not come back.
            self.crew.tell(told.iter().map(|place| (*place, Told::Race(round.clone())))).await;
            round.over().await;
        };
        let watched = async {
            tokio::select! {
                // The watch comes first, so that its timer is set before the first worker runs: setting one wakes a thread.
                biased;
                () = round.watch(&self.targets) => {}
                () = raced => {}
            }
        };
        let acting = self.steering.actors.iter().map(|actor| actor.act(round.number.of_run, deeds));
        let over = async { tokio::join!(watched, join_all(acting)) };
        let in_time = tokio::time::timeout_at(round.deadline + ROUND_GRACE, over).await.is_ok();
        let mut attempts = Vec::with_capacity(self.case.workers.len());
        let mut missing = Vec::new();
        for (worker, result) in round.take_results().into_iter().enumerate() {
            match result {
                Some(result) => attempts.push(result?),
                None => missing.push(worker),
            }
        }
        assert!(!in_time || missing.is_empty(), "a round that is over has a result of every worker");
        if missing.is_empty() { Ok(attempts) } else { Err(stuck(&self.case, &missing)) }
    }

    /// Ends the workers, closes their sessions and runs the teardown. The targets are the caller's to close. A statement
    /// that could not be asked once in all rounds is a fault.
    pub async fn close(self) -> Result<(), EngineError> {
        let CaseRun { case, targets, scope, begun, crew, mut tasks, .. } = self;
        // They end when nobody can tell them anything any more.
        drop(crew);
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(ROUND_GRACE, ended).await.is_err() {
            tasks.shutdown().await;
        }
        // Each is done whatever came of the one before: what was made is to be removed.
        let settled = settle(&targets).await;
        let torn_down = apply(&case.fixture.teardown, &targets, &scope).await;
        settled.and(torn_down)?;
        let never = targets.iter().enumerate().find_map(|(index, target)| Some((index, target.never_asked()?)));
        match never.filter(|_| begun > 0) {
            Some((target, error)) => Err(EngineError::preparing(&case, target, error)),
            None => Ok(()),
        }
    }

    fn round_scope(&self, number: RoundNumber) -> Arc<Scope> {
        let mut scope = Scope::inside(self.scope.clone());
        number.bind(&mut scope);
        Arc::new(scope)
    }
}

/// The names that fixtures may use: params, axes, `run` and `workers`; around a round also `round` and `round_id`.
fn case_scope(case: &Case, run: &str) -> Scope {
    let mut scope: Scope =
        case.params.iter().chain(&case.axes).map(|(name, value)| (name.as_str(), value.clone())).collect();
    scope.bind("run", Value::text(run));
    scope.bind("workers", Value::Int(i64::try_from(case.workers.len()).unwrap_or(i64::MAX)));
    scope
}

async fn apply(steps: &[FixtureStep], targets: &[Arc<dyn Target>], scope: &Arc<Scope>) -> Result<(), EngineError> {
    for step in steps {
        let mut scope = Scope::inside(scope.clone());
        scope.set_deadline(Instant::now() + EVALUATION_MAX);
        let request = step
            .request
            .resolve(&scope)
            .map_err(|error| EngineError::Fault { place: Some(step.place.clone()), message: error.to_string() })?;
        targets[step.target].apply(&request).await.map_err(|error| EngineError::at(&step.place, error))?;
    }
    Ok(())
}

/// Ends what connections that were given up may still have in flight.
async fn settle(targets: &[Arc<dyn Target>]) -> Result<(), EngineError> {
    for target in targets {
        target.settle().await?;
    }
    Ok(())
}

/// Starts the workers on the cores where they are spread, and a herald on each core.
fn employ(
    case: &Arc<Case>,
    targets: &[Arc<dyn Target>],
    orders: &Orders,
    cores: &Cores,
    tasks: &mut JoinSet<()>,
) -> Crew {
    let core_of = orders.spread(cores.number());
    let targets: Arc<[Arc<dyn Target>]> = targets.iter().cloned().collect();
    let start = |(place, core): (usize, &usize)| {
        let (worker, told) = mpsc::channel(1);
        tasks.spawn_on(WorkerTask::new(case.clone(), targets.clone(), place).run(told), &cores.runtime(*core));
        worker
    };
    let workers: Arc<[mpsc::Sender<Told>]> = core_of.iter().enumerate().map(start).collect();
    let (heralds, errands): (Vec<_>, Vec<_>) = (0..cores.number()).map(|_| mpsc::unbounded_channel()).unzip();
    // Weak, since a herald ends when nobody can send it on errands any more.
    let others: Arc<[_]> = heralds.iter().map(mpsc::UnboundedSender::downgrade).collect();
    for (core, errands) in errands.into_iter().enumerate() {
        tasks.spawn_on(herald(core, workers.clone(), others.clone(), errands), &cores.runtime(core));
    }
    Crew::new(core_of, workers, heralds)
}

/// Ends all tasks, and goes on with a panic that has ended one of them.
async fn end(tasks: &mut JoinSet<()>) {
    tasks.abort_all();
    while let Some(ended) = tasks.join_next().await {
        if let Some(panic) = ended.err().and_then(|error| error.try_into_panic().ok()) {
            resume_unwind(panic);
        }
    }
}

/// Has every worker open its sessions.
async fn open_sessions(crew: &Crew, workers: usize) -> Result<(), EngineError> {
    let opening = futures::stream::iter(0..workers).map(async |place| {
        let (told, opened) = asked(place, Told::Open);
        crew.tell(std::iter::once(told)).await;
        opened.await
    });
    opening.buffered(SESSIONS_OPENED_AT_ONCE).try_collect().await
}

/// What the worker at `place` is told, and its answer.
fn asked(
    place: usize,
    tell: impl FnOnce(oneshot::Sender<Result<(), EngineError>>) -> Told,
) -> ((usize, Told), impl Future<Output = Result<(), EngineError>>) {
    let (sender, answer) = oneshot::channel();
    ((place, tell(sender)), async move { answer.await.unwrap_or_else(|_| Err(gone(place))) })
}

fn makespan(attempts: &[Attempt], released_ns: Option<u64>) -> Duration {
    let last = attempts.iter().map(|attempt| attempt.ended_ns).max().unwrap_or(0);
    Duration::from_nanos(last.saturating_sub(released_ns.unwrap_or(0)))
}

/// The task at `place` has ended before its race.
fn gone(place: usize) -> EngineError {
    EngineError::Environment {
        message: format!(
            "the worker at place {place} ended while it opened or cleaned its sessions: this is a defect of deadheat"
        ),
    }
}

fn stuck(case: &Case, workers: &[usize]) -> EngineError {
    let named: Vec<String> = workers.iter().map(|worker| format!("worker {worker}")).collect();
    EngineError::Environment {
        message: format!(
            "{} of `{}` did not come back within {:?} after the round's deadline of {:?}: the system neither answered nor let go of the connection; look at its log, or raise the scenario's `timeout`",
            named.join(", "),
            case.id,
            ROUND_GRACE,
            case.round_timeout,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(started_ns: u64, ended_ns: u64) -> Attempt {
        Attempt { started_ns, ended_ns, ..Attempt::new(0) }
    }

    #[test]
    fn makespan_runs_from_the_release_to_the_last_end() {
        assert_eq!(makespan(&[attempt(5, 30), attempt(6, 20)], Some(4)), Duration::from_nanos(26));
        assert_eq!(makespan(&[attempt(5, 30)], None), Duration::from_nanos(30));
    }
}
