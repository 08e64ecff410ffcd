//! A barrier that understands databases: parties arrive, fail before it, or block on somebody parked at it.
//!
//! A plain barrier hangs as soon as one party waits for another's lock or dies. This one counts a party that
//! failed as arrived (after its rollback, so that nobody waits for the dead), and is released when every party that
//! is still missing waits, through however many others, for a worker parked here: such a wait cannot end without
//! the release, so seeing it once is enough, but it is judged again at each look and never remembered.
//!
//! A release has two levels: each core is woken once, and wakes its own parties. The core of the party that came last needs
//! no waking; nor does one whose last party still watches for the release.
//!
//! Each round has barriers of its own, so that nothing of one round can leak into the next.

use std::future::poll_fn;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures::task::AtomicWaker;

use super::clock::Clock;
use super::crew::Crew;
use super::waits::WaitGraph;
use crate::duration::as_ns;
use crate::model::record::{Arrival, ArrivalKind, BarrierRecord, Missing};
use crate::model::{BarrierSpec, START};
use crate::port::BarrierBroken;
use crate::requeue::requeue;

/// How long the last party of a core watches for the release of the start barrier before it parks: longer than a thread that
/// sleeps mostly takes to wake up. `cargo bench --bench performance -- skew` shows it: with 50 µs, the last party of another
/// core came too late in one round of twenty.
const WATCH_BEFORE_PARKING_NS: u64 = 300_000;

/// One barrier in one round.
#[derive(Debug)]
pub(crate) struct Barrier {
    /// Index into [`crate::model::Case::barriers`].
    index: usize,
    parties: Vec<usize>,
    timeout: Duration,
    state: Mutex<State>,
    /// A [`Phase`], written under the lock of `state` and read without it.
    phase: AtomicU64,
    /// By position in `parties`.
    places: Vec<Place>,
    /// The parties core by core, first the core of the party that was told first.
    parts: Vec<Part>,
    crew: Arc<Crew>,
}

/// The parties on one core.
#[derive(Debug)]
#[repr(align(64))]
struct Part {
    core: usize,
    /// Their positions, in the order in which they are woken.
    wake: Vec<usize>,
    /// Whether the last of them may watch for the release: at the start barrier only, where nobody's step is under way, and if
    /// all workers of the core are here. Else the thread would be kept from somebody's reply.
    may_watch: bool,
    /// Whether one of them watches, and will wake the others.
    is_watched: AtomicBool,
}

/// Where a party parks. Used without a lock: what a worker does right after the release must not queue up behind others.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place {
    /// Index into [`Barrier::parts`].
    part: usize,
    waker: AtomicWaker,
    /// When the parked party was past the barrier, plus one; 0 if it never was.
    passed_ns: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Released { at_ns: u64 },
    Broken,
}

impl Phase {
    /// As one word: 0 while it waits, the greatest when it is broken, and between them the time of the release plus one.
    fn to_word(self) -> u64 {
        match self {
            Phase::Waiting => 0,
            Phase::Released { at_ns } => at_ns.saturating_add(1).min(u64::MAX - 1),
            Phase::Broken => u64::MAX,
        }
    }

    #[inline]
    fn from_word(word: u64) -> Self {
        match word {
            0 => Phase::Waiting,
            u64::MAX => Phase::Broken,
            released => Phase::Released { at_ns: released - 1 },
        }
    }
}

#[derive(Debug)]
struct State {
    /// How each party came, by position; `None` while it is missing.
    came: Vec<Option<Came>>,
    missing: usize,
    /// By part.
    missing_of: Vec<usize>,
    arrivals: Vec<Arrival>,
    first_arrival_ns: Option<u64>,
    broken_by: Vec<Missing>,
}

/// A party past a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed {
    /// When the barrier was released.
    pub(crate) released_ns: u64,
    /// When the party was past it.
    pub(crate) at_ns: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    Parked,
    Failed,
}

/// What a party does that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It goes on if the barrier was released by it, and else parks.
    Park,
    /// It released the barrier, and lets the parties that it woke go first.
    Follow,
    /// It watches for the release before it parks.
    Watch,
}

impl Barrier {
    /// Barrier number `index`. `told` are the workers in the order in which they are told of the round, and are woken, and
    /// `core_of` says by worker on which core of `crew` it is in this round.
    pub(crate) fn new(spec: &BarrierSpec, index: usize, told: &[usize], core_of: &[usize], crew: &Arc<Crew>) -> Self {
        let parties = spec.parties.len();
        let mut places: Vec<Place> = (0..parties).map(|_| Place::default()).collect();
        let mut parts: Vec<Part> = Vec::new();
        for position in told.iter().filter_map(|worker| spec.parties.binary_search(worker).ok()) {
            let core = core_of[spec.parties[position]];
            let known = parts.iter().position(|part| part.core == core);
            places[position].part = known.unwrap_or(parts.len());
            if known.is_none() {
                parts.push(Part { core, wake: Vec::new(), may_watch: false, is_watched: AtomicBool::new(false) });
            }
            parts[places[position].part].wake.push(position);
        }
        for part in &mut parts {
            part.may_watch = index == START && crew.has_cores() && part.wake.len() == crew.on(part.core);
        }
        Barrier {
            index,
            parties: spec.parties.clone(),
            timeout: spec.timeout,
            state: Mutex::new(State {
                came: vec![None; parties],
                missing: parties,
                missing_of: parts.iter().map(|part| part.wake.len()).collect(),
                arrivals: Vec::with_capacity(parties),
                first_arrival_ns: None,
                broken_by: Vec::new(),
            }),
            phase: AtomicU64::new(Phase::Waiting.to_word()),
            places,
            parts,
            crew: crew.clone(),
        }
    }

    /// Waits until the barrier is released.
    pub(crate) async fn arrive(&self, worker: usize, clock: &Clock) -> Result<Passed, BarrierBroken> {
        let Some(position) = self.position(worker) else { return Err(BarrierBroken) };
        let now_ns = clock.now_ns();
        let next;
        {
            let mut state = self.lock();
            let phase = self.phase();
            let kind = if phase == Phase::Waiting { ArrivalKind::Arrived } else { ArrivalKind::Late };
            state.arrivals.push(Arrival { worker, kind, at_ns: now_ns });
            match phase {
                Phase::Waiting => {
                    state.first_arrival_ns.get_or_insert(now_ns);
                    next = self.came(&mut state, position, Came::Parked, clock);
                }
                Phase::Released { at_ns } => return Ok(Passed { released_ns: at_ns, at_ns: now_ns }),
                Phase::Broken => return Err(BarrierBroken),
            }
        }
        let lets_others_go = match next {
            Next::Park => false,
            Next::Follow => true,
            Next::Watch => self.watch(position, now_ns + WATCH_BEFORE_PARKING_NS, clock),
        };
        if lets_others_go {
            // It has its thread already: it would run on first, whatever the order.
            requeue().await;
        }
        let place = &self.places[position];
        let released_ns = poll_fn(|context| {
            if self.phase() == Phase::Waiting {
                place.waker.register(context.waker());
            }
            // Looked at again after the waker is in place, so that no release can be missed.
            match self.phase() {
                Phase::Waiting => Poll::Pending,
                Phase::Released { at_ns } => Poll::Ready(Ok(at_ns)),
                Phase::Broken => Poll::Ready(Err(BarrierBroken)),
            }
        })
        .await?;
        let at_ns = clock.now_ns();
        place.passed_ns.store(at_ns + 1, Ordering::Relaxed);
        Ok(Passed { released_ns, at_ns })
    }

    /// Watches for the release until `until_ns`, as the last party of its core, which [`Barrier::came`] has noted, and then wakes
    /// the others. True if that woke one that leaves before it.
    fn watch(&self, position: usize, until_ns: u64, clock: &Clock) -> bool {
        let part = &self.parts[self.places[position].part];
        while self.phase() == Phase::Waiting && clock.now_ns() < until_ns {
            spin_loop();
        }
        part.is_watched.store(false, Ordering::SeqCst);
        // Whoever releases the barrier looks at `is_watched` after that, and this looks at the phase after `is_watched` was
        // taken back: one of the two wakes the others, or both do.
        let has_ended = self.phase.load(Ordering::SeqCst) != Phase::Waiting.to_word();
        has_ended && self.wake_part(part, Some(position))
    }

    /// Notes that `worker`'s attempt has ended, after its rollback. Does nothing if it is not a party, or came before.
    #[inline]
    pub(crate) fn fail(&self, worker: usize, clock: &Clock) {
        // Asked before locking: every attempt ends here, mostly long after the release, which is never taken back.
        if self.phase() != Phase::Waiting {
            return;
        }
        let Some(position) = self.position(worker) else { return };
        let mut state = self.lock();
        if self.phase() == Phase::Waiting && state.came[position].is_none() {
            state.arrivals.push(Arrival { worker, kind: ArrivalKind::Failed, at_ns: clock.now_ns() });
            self.came(&mut state, position, Came::Failed, clock);
        }
    }

    /// Whether somebody is parked here and others are missing.
    pub(crate) fn is_pending(&self) -> bool {
        let state = self.lock();
        self.phase() == Phase::Waiting && state.first_arrival_ns.is_some() && state.missing > 0
    }

    /// When its time is over, in nanoseconds since the round's origin; `None` while nobody waits for it.
    pub(crate) fn due_ns(&self) -> Option<u64> {
        let first_ns = self.lock().first_arrival_ns.filter(|_| self.phase() == Phase::Waiting)?;
        Some(first_ns.saturating_add(as_ns(self.timeout)))
    }

    /// The workers parked here now.
    pub(crate) fn parked(&self) -> Vec<usize> {
        let state = self.lock();
        if self.phase() != Phase::Waiting {
            return Vec::new();
        }
        self.with(&state, Some(Came::Parked)).collect()
    }

    /// Releases the barrier if every missing party is, in `waits`, blocked by a worker of `holding`: those who before
    /// `waits` was read were parked here, and therefore still are, or whose attempts had ended.
    pub(crate) fn release_if_rest_blocked(&self, waits: &WaitGraph, holding: &[usize], clock: &Clock) {
        let mut state = self.lock();
        if self.phase() != Phase::Waiting || state.missing == 0 {
            return;
        }
        let mut blocked = Vec::new();
        for worker in self.with(&state, None) {
            match waits.chain_to(worker, holding) {
                Some(by) => {
                    blocked.push(Arrival { worker, kind: ArrivalKind::Blocked { by }, at_ns: clock.now_ns() });
                }
                None => return,
            }
        }
        state.arrivals.extend(blocked);
        self.end(Phase::Released { at_ns: clock.now_ns() }, None);
    }

    /// Breaks the barrier if its deadline has passed, or at once if `now`. `missing` tells what a worker is doing.
    pub(crate) fn break_if_due(&self, clock: &Clock, now: bool, missing: impl Fn(usize) -> Missing) {
        let Some(due_ns) = self.due_ns() else { return };
        let mut state = self.lock();
        if (now || clock.now_ns() >= due_ns) && self.phase() == Phase::Waiting {
            state.broken_by = self.with(&state, None).map(missing).collect();
            self.end(Phase::Broken, None);
        }
    }

    /// What happened here.
    pub(crate) fn record(&self) -> BarrierRecord {
        let state = self.lock();
        let passed = || self.places.iter().map(|place| place.passed_ns.load(Ordering::Relaxed)).filter(|ns| *ns > 0);
        BarrierRecord {
            released_ns: match self.phase() {
                Phase::Released { at_ns } => Some(at_ns),
                Phase::Waiting | Phase::Broken => None,
            },
            skew_ns: passed().max().unwrap_or(0) - passed().min().unwrap_or(0),
            arrivals: state.arrivals.clone(),
            missing: state.broken_by.clone(),
        }
    }

    /// The workers that parked here, each with when it arrived and when it ran on; never, if the barrier broke.
    pub(crate) fn stays(&self) -> Vec<(usize, (u64, u64))> {
        let state = self.lock();
        let parked = state.arrivals.iter().filter(|arrival| arrival.kind == ArrivalKind::Arrived);
        let stay = |arrival: &Arrival| {
            let passed_ns = self.places[self.position(arrival.worker)?].passed_ns.load(Ordering::Relaxed);
            Some((arrival.worker, (arrival.at_ns, passed_ns.checked_sub(1).unwrap_or(u64::MAX))))
        };
        parked.filter_map(stay).collect()
    }

    /// Notes how a party came, and releases the barrier if it was the last.
    fn came(&self, state: &mut State, position: usize, how: Came, clock: &Clock) -> Next {
        let part = self.places[position].part;
        if state.came[position].replace(how).is_none() {
            state.missing -= 1;
            state.missing_of[part] -= 1;
        }
        if state.missing == 0 {
            // With nobody parked there is nobody to release; it is released all the same, so that a late one passes.
            let woke_one_before = self.end(Phase::Released { at_ns: clock.now_ns() }, Some(position));
            return if woke_one_before { Next::Follow } else { Next::Park };
        }
        let is_last_of_core = state.missing_of[part] == 0;
        if !is_last_of_core || !self.parts[part].may_watch || how == Came::Failed {
            return Next::Park;
        }
        // Said under the lock, so that one who comes next and releases the barrier need not wake this core.
        self.parts[part].is_watched.store(true, Ordering::SeqCst);
        Next::Watch
    }

    #[inline]
    fn phase(&self) -> Phase {
        Phase::from_word(self.phase.load(Ordering::Acquire))
    }

    /// Lets everybody go who is parked, or will come: has the other cores woken, and wakes the core of the party at position
    /// `by`, which is the current one. True if that woke one that leaves before this party.
    fn end(&self, phase: Phase, by: Option<usize>) -> bool {
        self.phase.store(phase.to_word(), Ordering::SeqCst);
        let own = by.map(|position| self.places[position].part);
        for (index, part) in self.parts.iter().enumerate() {
            let has_to_be_woken = own != Some(index) && !part.is_watched.load(Ordering::SeqCst);
            if has_to_be_woken && !self.crew.wake(part.core, self.index) {
                self.wake_part(part, None);
            }
        }
        own.is_some_and(|own| self.wake_part(&self.parts[own], by))
    }

    /// Wakes the parties on `core`, if the barrier has ended. Called on that core.
    pub(crate) fn wake(&self, core: usize) {
        if let Some(part) = self.parts.iter().find(|part| part.core == core && self.phase() != Phase::Waiting) {
            self.wake_part(part, None);
        }
    }

    /// Wakes the parked parties of one core in their order. True if that woke one that leaves before the party at position `by`.
    fn wake_part(&self, part: &Part, by: Option<usize>) -> bool {
        let mut is_before = by.is_some();
        let mut woke_one_before = false;
        for position in &part.wake {
            is_before &= by != Some(*position);
            if let Some(waker) = self.places[*position].waker.take() {
                waker.wake();
                woke_one_before |= is_before;
            }
        }
        woke_one_before
    }

    fn with(&self, state: &State, how: Option<Came>) -> impl Iterator<Item = usize> {
        let chosen: Vec<usize> =
            self.parties.iter().zip(&state.came).filter(|(_, came)| **came == how).map(|(worker, _)| *worker).collect();
        chosen.into_iter()
    }

    #[inline]
    fn position(&self, worker: usize) -> Option<usize> {
        self.parties.binary_search(&worker).ok()
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;
    use tokio::task::yield_now;

    use super::*;
    use crate::engine::crew::Errand;
    use crate::port::{Holder, Wait};

    /// Any index but that of the start barrier.
    const INSIDE: usize = START + 1;

    struct Stage {
        barrier: Arc<Barrier>,
        clock: Clock,
    }

    fn stage(parties: usize, timeout_ms: u64) -> Stage {
        Stage {
            barrier: Arc::new(Barrier::new(
                &BarrierSpec {
                    name: "inside".into(),
                    timeout: Duration::from_millis(timeout_ms),
                    parties: (0..parties).collect(),
                },
                INSIDE,
                &(0..parties).collect::<Vec<_>>(),
                &vec![0; parties],
                &Arc::new(Crew::unheard(parties)),
            )),
            clock: Clock::start(),
        }
    }

    impl Stage {
        fn arrive(&self, worker: usize) -> tokio::task::JoinHandle<Result<u64, BarrierBroken>> {
            let (barrier, clock) = (self.barrier.clone(), self.clock);
            tokio::spawn(async move { barrier.arrive(worker, &clock).await.map(|passed| passed.released_ns) })
        }

        /// Lets everybody run who can, on the one thread of these tests; then this number of workers is parked, and the barrier waits.
        async fn settled(&self, parked: usize) {
            for _ in 0..100 {
                yield_now().await;
            }
            assert_eq!((self.barrier.phase(), self.barrier.parked().len()), (Phase::Waiting, parked));
        }

        fn kinds(&self) -> Vec<(usize, ArrivalKind)> {
            self.barrier.record().arrivals.into_iter().map(|arrival| (arrival.worker, arrival.kind)).collect()
        }
    }

    fn waits(edges: &[(usize, usize)]) -> WaitGraph {
        let wait = |&(waiter, holder)| Wait { waiter, holders: vec![Holder::Worker(holder)] };
        WaitGraph::new(edges.iter().map(wait), &[0, 1, 2, 3, 4, 5])
    }

    fn missing(worker: usize) -> Missing {
        Missing { worker, step: None, for_ns: 0, waits_for: Vec::new() }
    }

    #[tokio::test]
    async fn nobody_passes_before_the_last_party_has_come() {
        let stage = stage(3, 1000);
        let early = [stage.arrive(0), stage.arrive(1)];
        stage.settled(2).await;
        assert!(early.iter().all(|worker| !worker.is_finished()), "one was let through early");
        let last = stage.arrive(2).await.unwrap();
        for worker in early {
            assert_eq!(worker.await.unwrap(), last, "all parties share one release");
        }
    }

    /// The order in which three parties run on that came in the order of their numbers, and were told in that of `told`.
    async fn left(told: [usize; 3]) -> Vec<usize> {
        let spec = BarrierSpec { name: "inside".into(), timeout: Duration::from_secs(1), parties: vec![0, 1, 2] };
        let (barrier, clock) =
            (Arc::new(Barrier::new(&spec, INSIDE, &told, &[0; 3], &Arc::new(Crew::unheard(3)))), Clock::start());
        let left = Arc::new(Mutex::new(Vec::new()));
        let parties = [0, 1, 2].map(|worker| {
            let (barrier, left) = (barrier.clone(), left.clone());
            tokio::spawn(async move {
                barrier.arrive(worker, &clock).await.unwrap();
                left.lock().unwrap().push(worker);
            })
        });
        for party in parties {
            party.await.unwrap();
        }
        std::mem::take(&mut *left.lock().unwrap())
    }

    #[tokio::test]
    async fn parties_leave_in_the_order_told_and_the_last_to_come_too_takes_its_place() {
        for told in [[1, 0, 2], [0, 1, 2], [2, 1, 0], [2, 0, 1]] {
            assert_eq!(left(told).await, told);
        }
    }

    #[tokio::test]
    async fn a_party_that_failed_counts_as_come_and_is_named() {
        let stage = stage(2, 1000);
        let parked = stage.arrive(0);
        stage.settled(1).await;
        stage.barrier.fail(1, &stage.clock);
        assert!(parked.await.unwrap().is_ok());
        assert_eq!(stage.kinds(), [(0, ArrivalKind::Arrived), (1, ArrivalKind::Failed)]);
    }

    #[tokio::test]
    async fn a_failure_after_arriving_does_not_count_twice() {
        let stage = stage(3, 1000);
        let parked = stage.arrive(0);
        stage.settled(1).await;
        stage.barrier.fail(0, &stage.clock);
        stage.barrier.fail(1, &stage.clock);
        stage.barrier.fail(1, &stage.clock);
        stage.settled(1).await;
        assert!(!parked.is_finished());
        stage.barrier.fail(2, &stage.clock);
        assert!(parked.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_party_blocked_by_a_parked_one_releases_with_its_chain() {
        let stage = stage(3, 1000);
        let parked = stage.arrive(0);
        stage.settled(1).await;
        stage.barrier.release_if_rest_blocked(&waits(&[(1, 2), (2, 0)]), &[0], &stage.clock);
        assert!(parked.await.unwrap().is_ok());
        let kinds = stage.kinds();
        assert!(kinds.contains(&(1, ArrivalKind::Blocked { by: vec![2, 0] })), "{kinds:?}");
        assert!(kinds.contains(&(2, ArrivalKind::Blocked { by: vec![0] })), "{kinds:?}");
    }

    #[tokio::test]
    async fn a_block_seen_once_is_not_remembered() {
        let stage = stage(3, 1000);
        let parked = stage.arrive(0);
        stage.settled(1).await;
        // At the first look 1 is blocked and 2 is not; at the second it is the other way round.
        stage.barrier.release_if_rest_blocked(&waits(&[(1, 0)]), &[0], &stage.clock);
        stage.barrier.release_if_rest_blocked(&waits(&[(2, 0)]), &[0], &stage.clock);
        stage.settled(1).await;
        assert!(!parked.is_finished(), "a block that had ended was still counted");
        stage.barrier.release_if_rest_blocked(&waits(&[(1, 0), (2, 0)]), &[0], &stage.clock);
        assert!(parked.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn blocked_by_anybody_else_does_not_count() {
        let stage = stage(2, 1000);
        let parked = stage.arrive(0);
        stage.settled(1).await;
        let stranger = WaitGraph::new([Wait { waiter: 1, holders: vec![Holder::Other("pid 7".into())] }], &[0, 1]);
        stage.barrier.release_if_rest_blocked(&stranger, &[0], &stage.clock);
        stage.barrier.release_if_rest_blocked(&waits(&[(1, 5), (5, 1)]), &[0], &stage.clock);
        stage.settled(1).await;
        assert!(!parked.is_finished());
        stage.barrier.break_if_due(&stage.clock, true, missing);
        assert_eq!(parked.await.unwrap(), Err(BarrierBroken));
        assert_eq!(stage.barrier.record().missing, [missing(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_barrier_breaks_at_its_deadline_and_not_before() {
        let stage = stage(2, 30);
        let parked = stage.arrive(0);
        stage.settled(1).await;
        tokio::time::advance(Duration::from_millis(29)).await;
        stage.barrier.break_if_due(&stage.clock, false, missing);
        stage.settled(1).await;
        assert!(!parked.is_finished());
        tokio::time::advance(Duration::from_millis(1)).await;
        stage.barrier.break_if_due(&stage.clock, false, missing);
        assert_eq!(parked.await.unwrap(), Err(BarrierBroken));
        assert_eq!(stage.arrive(1).await.unwrap(), Err(BarrierBroken), "it stays broken for those who come late");
    }

    #[tokio::test]
    async fn one_that_comes_after_the_release_passes_at_once() {
        let stage = stage(2, 1000);
        let parked = stage.arrive(0);
        stage.settled(1).await;
        stage.barrier.release_if_rest_blocked(&waits(&[(1, 0)]), &[0], &stage.clock);
        let released = parked.await.unwrap();
        assert_eq!(stage.arrive(1).await.unwrap(), released);
        assert_eq!(stage.kinds().last(), Some(&(1, ArrivalKind::Late)));
    }

    /// The errands that the heralds of two cores get, and nobody does.
    type Errands = [mpsc::UnboundedReceiver<Errand>; 2];

    /// Three parties of barrier number `index`; two of them are on the first core.
    fn on_two_cores(index: usize) -> (Stage, Errands) {
        let spec = BarrierSpec { name: "it".into(), timeout: Duration::from_secs(1), parties: vec![0, 1, 2] };
        let [(first, of_first), (second, of_second)] = [mpsc::unbounded_channel(), mpsc::unbounded_channel()];
        let core_of = [0, 0, 1];
        let crew = Arc::new(Crew::new(core_of.to_vec(), Arc::new([]), vec![first, second]));
        let barrier = Arc::new(Barrier::new(&spec, index, &[0, 1, 2], &core_of, &crew));
        (Stage { barrier, clock: Clock::start() }, [of_first, of_second])
    }

    #[tokio::test]
    async fn a_party_that_watched_for_the_release_wakes_the_others_of_its_core() {
        let (stage, mut errands) = on_two_cores(START);
        let parked = stage.arrive(0);
        stage.settled(1).await;
        // As if worker 1 came, and watched until worker 2 came on the other core.
        let barrier = stage.barrier.clone();
        assert_eq!(barrier.came(&mut barrier.lock(), 1, Came::Parked, &stage.clock), Next::Watch);
        let last = stage.arrive(2).await.unwrap();
        assert!(errands.iter_mut().all(|errands| errands.try_recv().is_err()), "a core that watches is not woken");
        assert!(!parked.is_finished());
        assert!(barrier.watch(1, 0, &stage.clock), "worker 0 leaves before it");
        assert_eq!(parked.await.unwrap(), last);
        assert!(!barrier.parts[0].is_watched.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_party_that_failed_does_not_watch_for_its_core() {
        let (stage, [mut errands, _second]) = on_two_cores(START);
        let parked = stage.arrive(0);
        stage.settled(1).await;
        stage.barrier.fail(1, &stage.clock);
        let last = stage.arrive(2).await.unwrap();
        assert!(matches!(errands.try_recv(), Ok(Errand::Wake(START))), "nobody wakes the first core");
        stage.barrier.wake(0);
        assert_eq!(parked.await.unwrap(), last);
    }

    #[tokio::test]
    async fn a_core_that_nobody_watches_is_woken_once() {
        let (stage, [mut errands, _second]) = on_two_cores(INSIDE);
        let parked = [stage.arrive(0), stage.arrive(1)];
        stage.settled(2).await;
        let last = stage.arrive(2).await.unwrap();
        assert!(matches!(errands.try_recv(), Ok(Errand::Wake(INSIDE))));
        assert!(errands.try_recv().is_err() && parked.iter().all(|worker| !worker.is_finished()));
        stage.barrier.wake(0);
        for worker in parked {
            assert_eq!(worker.await.unwrap(), last);
        }
    }
}
