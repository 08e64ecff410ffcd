//! The workers of a race and the cores that they are on.
//!
//! Waking a task of another core takes a system call, and a thread that sleeps takes its time to wake up. So a core is woken
//! once, and not once for each of its workers: its herald, a task on that core, passes on what concerns all of them.

use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, oneshot};

use super::EngineError;
use super::round::Round;

/// What a worker is told to do.
#[derive(Debug)]
pub(crate) enum Told {
    /// Open the sessions, prepare them, and say what came of it.
    Open(oneshot::Sender<Result<(), EngineError>>),
    /// Race once.
    Race(Arc<Round>),
    /// Clean the sessions, now that the round's final state was read, and say what came of it.
    Clean(oneshot::Sender<Result<(), EngineError>>),
}

impl Told {
    /// The round to race in, if that is what it is told.
    pub(crate) fn round(&self) -> Option<&Arc<Round>> {
        match self {
            Told::Race(round) => Some(round),
            Told::Open(_) | Told::Clean(_) => None,
        }
    }
}

/// The workers of a race, by place, and their cores.
#[derive(Debug)]
pub(crate) struct Crew {
    /// By place: the core.
    core_of: Vec<usize>,
    /// By core: how many workers it has.
    number_on: Vec<usize>,
    workers: Arc<[mpsc::Sender<Told>]>,
    /// By core; empty in place, where everybody is woken directly.
    heralds: Vec<mpsc::UnboundedSender<Errand>>,
}

/// What a herald does for its core.
#[derive(Debug)]
pub(crate) enum Errand {
    /// Tells the core's workers something, by place and in this order, once the other cores know what is theirs.
    Tell { own: Vec<(usize, Told)>, others: Vec<(usize, Vec<(usize, Told)>)> },
    /// Wakes the core's parties of the barrier with this index, in the round that was told last.
    Wake(usize),
}

impl Crew {
    /// Workers by place, each with its core. `heralds` lead to a herald on each core.
    pub(crate) fn new(
        core_of: Vec<usize>,
        workers: Arc<[mpsc::Sender<Told>]>,
        heralds: Vec<mpsc::UnboundedSender<Errand>>,
    ) -> Self {
        let mut number_on = vec![0; heralds.len().max(1)];
        core_of.iter().for_each(|core| number_on[*core] += 1);
        Crew { core_of, number_on, workers, heralds }
    }

    /// Workers on the current runtime that nobody tells anything.
    #[cfg(test)]
    pub(crate) fn unheard(workers: usize) -> Self {
        Crew::new(vec![0; workers], Arc::new([]), Vec::new())
    }

    /// The core of the worker at `place`.
    pub(crate) fn core_of(&self, place: usize) -> usize {
        self.core_of[place]
    }

    /// Whether the workers are on cores, and not all on the current runtime.
    pub(crate) fn has_cores(&self) -> bool {
        !self.heralds.is_empty()
    }

    /// How many workers a core has.
    pub(crate) fn on(&self, core: usize) -> usize {
        self.number_on[core]
    }

    /// Tells workers something, by place and in this order. A worker that is gone is missed by whoever waits for it.
    pub(crate) async fn tell(&self, told: impl Iterator<Item = (usize, Told)>) {
        if self.heralds.is_empty() {
            pass_on(&self.workers, told).await;
            return;
        }
        // By core; first that of the worker that comes first.
        let mut by_core: Vec<(usize, Vec<(usize, Told)>)> = Vec::with_capacity(self.heralds.len());
        for (place, told) in told {
            let core = self.core_of[place];
            match by_core.iter_mut().find(|(known, _)| *known == core) {
                Some((_, of_core)) => of_core.push((place, told)),
                None => by_core.push((core, vec![(place, told)])),
            }
        }
        if by_core.is_empty() {
            return;
        }
        let (first, own) = by_core.remove(0);
        drop(self.heralds[first].send(Errand::Tell { own, others: by_core }));
    }

    /// Has the parties of barrier number `barrier` on `core` woken. `false` if `core` has no herald to do it.
    pub(crate) fn wake(&self, core: usize, barrier: usize) -> bool {
        self.heralds.get(core).is_some_and(|herald| herald.send(Errand::Wake(barrier)).is_ok())
    }
}

/// Does errands on `core` until there are no more. `heralds` lead to those of all cores.
///
/// The first core tells the others, and not whoever tells all of them: that one's thread has parked by then, and has left its
/// processor to the next core. Else two cores may wake up on one processor, where one watches for the other in vain.
pub(crate) async fn herald(
    core: usize,
    workers: Arc<[mpsc::Sender<Told>]>,
    heralds: Arc<[mpsc::WeakUnboundedSender<Errand>]>,
    mut errands: mpsc::UnboundedReceiver<Errand>,
) {
    // Weak, since a round has its crew, and the crew the other end of `errands`.
    let mut round = Weak::new();
    while let Some(errand) = errands.recv().await {
        match errand {
            Errand::Tell { own, others } => {
                for (core, own) in others {
                    if let Some(herald) = heralds[core].upgrade() {
                        drop(herald.send(Errand::Tell { own, others: Vec::new() }));
                    }
                }
                if let Some(told) = own.iter().find_map(|(_, told)| told.round()) {
                    round = Arc::downgrade(told);
                }
                pass_on(&workers, own.into_iter()).await;
            }
            Errand::Wake(barrier) => {
                if let Some(round) = round.upgrade() {
                    round.barriers[barrier].wake(core);
                }
            }
        }
    }
}

async fn pass_on(workers: &[mpsc::Sender<Told>], told: impl Iterator<Item = (usize, Told)>) {
    for (place, told) in told {
        drop(workers[place].send(told).await);
    }
}
