//! A race: one case with its targets, its workers and their sessions, through all its rounds.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::EngineError;
use super::barrier::Barrier;
use super::head_start::Starts;
use super::number::RoundNumber;
use super::observe::evaluate;
use super::order::{Choices, Orders};
use super::overlap::{answered_first, overlap};
use super::round::Round;
use super::steering::{Deeds, Steering};
use super::worker::{Told, WorkerTask};
use crate::expression::Scope;
use crate::model::record::{Attempt, BarrierRecord, RoundRecord};
use crate::model::{Action, Case, FixtureStep, START};
use crate::outcome::Tally;
use crate::port::{Session, Target};
use crate::value::Value;

/// How many sessions are opened at once: more only queue up in the server.
const SESSIONS_OPENED_AT_ONCE: usize = 16;

/// How long the expressions of a fixture's step, or of an invariant, may take.
pub(super) const EVALUATION_MAX: Duration = Duration::from_secs(10);

/// How much longer than the round's deadline the engine waits for workers, whose steps all end by that deadline and
/// whose sessions then have to cancel what is in flight and connect again.
const ROUND_GRACE: Duration = Duration::from_secs(35);

/// One case under way.
pub struct Race {
    case: Arc<Case>,
    targets: Vec<Arc<dyn Target>>,
    scope: Arc<Scope>,
    /// Names the run.
    run: String,
    /// Rounds begun since `setup` ran.
    begun: u64,
    workers: Vec<mpsc::Sender<Told>>,
    tasks: JoinSet<()>,
    orders: Orders,
    starts: Starts,
    steering: Steering,
}

impl Race {
    /// Sets the case up on its targets (by [`Case::targets`]), opens a session for every worker, and starts the workers.
    pub async fn open(
        case: Arc<Case>,
        targets: Vec<Arc<dyn Target>>,
        run: &str,
        choices: Choices,
    ) -> Result<Self, EngineError> {
        let scope = Arc::new(case_scope(&case, run));
        apply(&case.fixture.setup, &targets, &scope).await?;
        let sessions = open_sessions(&case, &targets).await?;
        let shared: Arc<[Arc<dyn Target>]> = targets.iter().cloned().collect();
        let mut workers = Vec::with_capacity(case.workers.len());
        let mut tasks = JoinSet::new();
        for (worker, sessions) in sessions.into_iter().enumerate() {
            let (sender, receiver) = mpsc::channel(1);
            workers.push(sender);
            tasks.spawn(WorkerTask::new(case.clone(), shared.clone(), worker, sessions).run(receiver));
        }
        Ok(Race {
            orders: Orders::new(&case, choices),
            starts: Starts::new(&case, choices),
            case,
            targets,
            scope,
            run: run.to_owned(),
            begun: 0,
            workers,
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
        let round =
            Arc::new(Round::new(&self.case, number, &order, head_start.clone(), self.steering.schedule.clone()));
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
        let mut replies = Vec::new();
        for place in round.to_clean() {
            let (sender, reply) = oneshot::channel();
            // The reply of a worker that is gone is missed below.
            drop(self.workers[place].send(Told::Clean(sender)).await);
            replies.push(async move { reply.await.unwrap_or_else(|_| Err(gone(place))) });
        }
        let targets = self.targets.iter().map(async |target| target.clean().await.map_err(EngineError::from));
        tokio::try_join!(try_join_all(replies), try_join_all(targets))?;
        Ok(())
    }

    /// Tells the workers of `round`, by their places and in this order, and waits for every one's attempt while watching over
    /// the barriers.
    async fn attempts(&self, round: &Arc<Round>, told: &[usize], deeds: &Deeds) -> Result<Vec<Attempt>, EngineError> {
        let raced = async {
            for place in told {
                // A worker that is gone is missed at the deadline, like one that does not come back.
                drop(self.workers[*place].send(Told::Race(round.clone())).await);
            }
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
        let mut attempts = Vec::with_capacity(self.workers.len());
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
    pub async fn close(mut self) -> Result<(), EngineError> {
        self.workers.clear();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(ROUND_GRACE, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
        // Each is done whatever came of the one before: what was made is to be removed.
        let settled = settle(&self.targets).await;
        let torn_down = apply(&self.case.fixture.teardown, &self.targets, &self.scope).await;
        settled.and(torn_down)?;
        let never = self.targets.iter().enumerate().find_map(|(index, target)| Some((index, target.never_asked()?)));
        match never.filter(|_| self.begun > 0) {
            Some((target, error)) => Err(EngineError::preparing(&self.case, target, error)),
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

/// Opens and prepares a session for every worker on each target that its group uses.
async fn open_sessions(
    case: &Case,
    targets: &[Arc<dyn Target>],
) -> Result<Vec<Vec<Option<Box<dyn Session>>>>, EngineError> {
    futures::stream::iter(0..case.workers.len())
        .map(async |worker| {
            let mut sessions = Vec::with_capacity(targets.len());
            for (index, target) in targets.iter().enumerate() {
                sessions.push(if uses(case, worker, index) {
                    let mut session = target.session(worker).await?;
                    session.prepare().await.map_err(|error| EngineError::preparing(case, index, error))?;
                    Some(session)
                } else {
                    None
                });
            }
            Ok(sessions)
        })
        .buffered(SESSIONS_OPENED_AT_ONCE)
        .try_collect()
        .await
}

fn uses(case: &Case, worker: usize, target: usize) -> bool {
    let worker = &case.workers[worker];
    worker.transaction.is_some_and(|transaction| transaction.target == target)
        || case.groups[worker.group]
            .steps
            .iter()
            .any(|step| matches!(&step.action, Action::Call { target: used, .. } if *used == target))
}

fn makespan(attempts: &[Attempt], released_ns: Option<u64>) -> Duration {
    let last = attempts.iter().map(|attempt| attempt.ended_ns).max().unwrap_or(0);
    Duration::from_nanos(last.saturating_sub(released_ns.unwrap_or(0)))
}

/// The task at `place` has ended before its race.
fn gone(place: usize) -> EngineError {
    EngineError::Environment {
        message: format!(
            "the worker at place {place} ended while its session was cleaned: this is a defect of deadheat"
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
