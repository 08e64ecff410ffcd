//! What the workers of one round share, and the watch over its barriers.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::EngineError;
use super::barrier::Barrier;
use super::clock::Clock;
use super::crew::Crew;
use super::number::RoundNumber;
use super::order::Order;
use super::steering::Schedule;
use super::waits::WaitGraph;
use crate::duration::as_ns;
use crate::model::Case;
use crate::model::record::{Attempt, HeadStart, Missing, StepAt};
use crate::port::Target;

/// How often blocked parties and deadlines are looked at. Nobody wakes the watch when a barrier is first come to: that
/// would take a core from the workers in every round, and most rounds are over before the first look.
const LOOK_EVERY: Duration = Duration::from_millis(4);

/// The state that the workers of one round share.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) number: RoundNumber,
    pub(crate) clock: Clock,
    /// When every step of the round must have ended.
    pub(crate) deadline: Instant,
    /// The same in nanoseconds since the round's origin, to be asked at every step.
    deadline_ns: u64,
    /// By [`Case::barriers`].
    pub(crate) barriers: Vec<Barrier>,
    /// By place: the worker that sits there.
    worker_at: Vec<usize>,
    head_start: Option<HeadStart>,
    /// Decides when workers take their steps.
    pub(crate) schedule: Option<Arc<dyn Schedule>>,
    /// By worker.
    slots: Vec<WorkerSlot>,
    end: End,
}

/// Counts the workers down. Beside a slot each, so that workers that end together need not queue up to say so; and on
/// cache lines of its own, for every end changes it, while others still read what stands around it.
#[derive(Debug)]
#[repr(align(128))]
struct End {
    under_way: AtomicUsize,
    over: Notify,
}

/// What one worker tells of itself. On cache lines of its own, since it is written in the middle of the race.
#[derive(Debug)]
#[repr(align(64))]
struct WorkerSlot {
    /// What it is doing, for the message when a barrier waits for it in vain: see [`as_number`].
    step: AtomicU64,
    since_ns: AtomicU64,
    /// Whether its sessions must be cleaned before the next round.
    wants_cleaning: AtomicBool,
    result: Mutex<Option<Result<Attempt, EngineError>>>,
}

/// What a worker is doing as a number, for an atomic; `None` if it has not begun.
const fn as_number(step: Option<StepAt>) -> u64 {
    match step {
        None => 0,
        Some(StepAt::Begin) => 1,
        Some(StepAt::Commit) => 2,
        Some(StepAt::Step(index)) => 3 + index as u64,
    }
}

/// What [`as_number`] made a number of.
fn from_number(number: u64) -> Option<StepAt> {
    match number {
        0 => None,
        1 => Some(StepAt::Begin),
        2 => Some(StepAt::Commit),
        number => u32::try_from(number - 3).ok().map(StepAt::Step),
    }
}

impl Default for WorkerSlot {
    fn default() -> Self {
        WorkerSlot {
            step: AtomicU64::new(as_number(None)),
            since_ns: AtomicU64::new(0),
            wants_cleaning: AtomicBool::new(false),
            result: Mutex::default(),
        }
    }
}

impl Round {
    pub(crate) fn new(
        case: &Case,
        number: RoundNumber,
        order: &Order,
        head_start: Option<HeadStart>,
        crew: &Arc<Crew>,
        schedule: Option<Arc<dyn Schedule>>,
    ) -> Self {
        let clock = Clock::start();
        let core_of: Vec<usize> = order.place_of().into_iter().map(|place| crew.core_of(place)).collect();
        Round {
            number,
            clock,
            deadline: clock.after(case.round_timeout),
            deadline_ns: as_ns(case.round_timeout),
            barriers: case
                .barriers
                .iter()
                .enumerate()
                .map(|(index, spec)| Barrier::new(spec, index, &order.told, &core_of, crew))
                .collect(),
            worker_at: order.worker_at.clone(),
            head_start,
            schedule,
            slots: case.workers.iter().map(|_| WorkerSlot::default()).collect(),
            end: End { under_way: AtomicUsize::new(case.workers.len()), over: Notify::new() },
        }
    }

    /// The worker that sits at `place`.
    pub(crate) fn worker_at(&self, place: usize) -> usize {
        self.worker_at[place]
    }

    /// For how long `worker` is held back after the start barrier.
    pub(crate) fn held_back_ns(&self, worker: usize) -> u64 {
        let others = self.head_start.as_ref().filter(|start| start.ahead.binary_search(&worker).is_err());
        others.map_or(0, |start| start.lead_ns)
    }

    /// Notes that `worker` was told of the round. (And brings its slot to its core, before time counts.)
    pub(crate) fn told(&self, worker: usize) {
        self.step_started(worker, None, self.clock.now_ns());
    }

    /// Notes that `worker` begins its step `step` at `now_ns`.
    #[inline]
    pub(crate) fn step_started(&self, worker: usize, step: Option<StepAt>, now_ns: u64) {
        let slot = &self.slots[worker];
        slot.since_ns.store(now_ns, Ordering::Relaxed);
        slot.step.store(as_number(step), Ordering::Relaxed);
    }

    /// Whether the round's deadline has passed at `now_ns`.
    #[inline]
    pub(crate) fn is_over_at(&self, now_ns: u64) -> bool {
        now_ns >= self.deadline_ns
    }

    /// Notes that `worker`'s sessions must be cleaned before the next round.
    pub(crate) fn wants_cleaning(&self, worker: usize) {
        self.slots[worker].wants_cleaning.store(true, Ordering::Relaxed);
    }

    /// The places whose sessions must be cleaned before the next round.
    pub(crate) fn to_clean(&self) -> impl Iterator<Item = usize> + '_ {
        let wants_cleaning = |worker: usize| self.slots[worker].wants_cleaning.load(Ordering::Relaxed);
        self.worker_at.iter().enumerate().filter(move |(_, worker)| wants_cleaning(**worker)).map(|(place, _)| place)
    }

    /// The workers whose attempts have ended.
    fn ended_workers(&self) -> impl Iterator<Item = usize> + '_ {
        let has_ended = |slot: &WorkerSlot| slot.result.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        self.slots.iter().enumerate().filter(move |(_, slot)| has_ended(slot)).map(|(worker, _)| worker)
    }

    /// Takes `worker`'s result after its rollback, and notes at every barrier that its attempt has ended.
    #[inline]
    pub(crate) fn ended(&self, worker: usize, result: Result<Attempt, EngineError>) {
        for barrier in &self.barriers {
            barrier.fail(worker, &self.clock);
        }
        *self.slots[worker].result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        if self.end.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.end.over.notify_one();
        }
    }

    /// Waits until every worker has ended.
    pub(crate) async fn over(&self) {
        if self.end.under_way.load(Ordering::Acquire) > 0 {
            self.end.over.notified().await;
        }
    }

    /// The workers' results, by worker; `None` for one that is still under way.
    pub(crate) fn take_results(&self) -> Vec<Option<Result<Attempt, EngineError>>> {
        self.slots.iter().map(|slot| slot.result.lock().unwrap_or_else(PoisonError::into_inner).take()).collect()
    }

    /// When each worker was parked at a barrier, by worker.
    pub(crate) fn parked(&self) -> Vec<Vec<(u64, u64)>> {
        let mut parked = vec![Vec::new(); self.slots.len()];
        for (worker, stretch) in self.barriers.iter().flat_map(Barrier::stays) {
            parked[worker].push(stretch);
        }
        parked
    }

    /// Breaks every barrier that somebody is parked at: the race cannot go on.
    pub(crate) fn abandon(&self) {
        for barrier in &self.barriers {
            barrier.break_if_due(&self.clock, true, |worker| self.missing(worker, &Look::default()));
        }
    }

    /// Watches over the barriers: releases one when all that are missing are blocked by somebody parked there, or by
    /// somebody whose attempt has ended, whose session keeps what it holds until the round is over; and breaks it when its deadline passes, or the round's. Never returns; dropped when the round is over.
    pub(crate) async fn watch(&self, targets: &[Arc<dyn Target>]) {
        let mut last = Look::default();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if !self.barriers.iter().any(Barrier::is_pending) {
                continue;
            }
            // Before looking: what these hold, they still hold when their waiters are seen.
            let ended: Vec<usize> = self.ended_workers().collect();
            let mut holding: Vec<Vec<usize>> = self.barriers.iter().map(Barrier::parked).collect();
            // Where nobody is parked, nobody is to be released.
            holding.iter_mut().filter(|parked| !parked.is_empty()).for_each(|parked| parked.extend(&ended));
            // A look that lasts is given up when a barrier has to break.
            let due =
                self.barriers.iter().filter_map(Barrier::due_ns).map(|ns| self.clock.after(Duration::from_nanos(ns)));
            let due = due.min().map_or(self.deadline, |due| due.min(self.deadline));
            let from_ns = self.clock.now_ns();
            let looked = tokio::time::timeout_at(due, look(targets, &self.worker_at)).await.ok();
            if let Some(waits) = looked {
                for (barrier, holding) in self.barriers.iter().zip(&holding) {
                    barrier.release_if_rest_blocked(&waits, holding, &self.clock);
                }
                last = Look { from_ns, waits };
            }
            let is_over = Instant::now() >= self.deadline;
            for barrier in &self.barriers {
                barrier.break_if_due(&self.clock, is_over, |worker| self.missing(worker, &last));
            }
        }
    }

    /// What a missing worker is doing. Whom it waits for is told as of the last look, for a barrier mostly breaks when its
    /// time has run out for another; what was seen of a step that has ended since is not.
    fn missing(&self, worker: usize, last: &Look) -> Missing {
        let slot = &self.slots[worker];
        let step = from_number(slot.step.load(Ordering::Relaxed));
        let since_ns = slot.since_ns.load(Ordering::Relaxed);
        let waits_for = last.waits.named_holders(worker, |holder| format!("worker {holder}"));
        Missing {
            worker,
            step,
            for_ns: self.clock.now_ns().saturating_sub(since_ns),
            waits_for: if since_ns <= last.from_ns { waits_for } else { Vec::new() },
        }
    }
}

/// What the watch saw, and when it began to look.
#[derive(Debug, Default)]
struct Look {
    from_ns: u64,
    waits: WaitGraph,
}

/// Asks every target that can tell who waits for whom. A look that fails is one that saw nothing: the next one may
/// succeed, and the barrier's deadline holds in any case.
async fn look(targets: &[Arc<dyn Target>], worker_at: &[usize]) -> WaitGraph {
    let looks = targets.iter().filter(|target| target.sees_waits()).map(|target| target.waits());
    let seen = futures::future::join_all(looks).await;
    WaitGraph::new(seen.into_iter().flatten().flatten(), worker_at)
}
