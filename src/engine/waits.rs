//! Who waits for whom, as the targets saw it at one moment.

use std::collections::{BTreeMap, VecDeque};

use crate::port::{Holder, Wait};

/// The direct waits of one look at the targets.
#[derive(Debug, Default)]
pub(crate) struct WaitGraph {
    holders: BTreeMap<usize, Vec<Holder>>,
}

impl WaitGraph {
    /// Targets know workers by their places; `worker_at` says who sits there.
    pub(crate) fn new(waits: impl IntoIterator<Item = Wait>, worker_at: &[usize]) -> Self {
        let mut holders: BTreeMap<usize, Vec<Holder>> = BTreeMap::new();
        for wait in waits {
            let named = wait.holders.into_iter().map(|holder| match holder {
                Holder::Worker(place) => Holder::Worker(worker_at[place]),
                other => other,
            });
            holders.entry(worker_at[wait.waiter]).or_default().extend(named);
        }
        WaitGraph { holders }
    }

    /// The shortest chain of waits from `worker` to one of `holding`: the workers after `worker`, the one that holds last.
    /// `None` if its waiting, if any, does not end there.
    pub(crate) fn chain_to(&self, worker: usize, holding: &[usize]) -> Option<Vec<usize>> {
        let mut came_from = BTreeMap::from([(worker, worker)]);
        let mut queue = VecDeque::from([worker]);
        while let Some(waiter) = queue.pop_front() {
            for holder in self.holders.get(&waiter).into_iter().flatten() {
                let Holder::Worker(holder) = *holder else { continue };
                if came_from.contains_key(&holder) {
                    continue;
                }
                came_from.insert(holder, waiter);
                if holding.contains(&holder) {
                    return Some(path(&came_from, holder, worker));
                }
                queue.push_back(holder);
            }
        }
        None
    }

    /// For messages: which workers `worker` waits for directly.
    pub(crate) fn named_holders(&self, worker: usize, name: impl Fn(usize) -> String) -> Vec<String> {
        let holders = self.holders.get(&worker).into_iter().flatten();
        holders
            .map(|holder| match holder {
                Holder::Worker(holder) => name(*holder),
                Holder::Other(description) => description.clone(),
            })
            .collect()
    }
}

fn path(came_from: &BTreeMap<usize, usize>, end: usize, start: usize) -> Vec<usize> {
    let mut path = vec![end];
    let mut at = end;
    while came_from[&at] != start {
        at = came_from[&at];
        path.push(at);
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(usize, usize)]) -> WaitGraph {
        WaitGraph::new(
            edges.iter().map(|&(waiter, holder)| Wait { waiter, holders: vec![Holder::Worker(holder)] }),
            &[0, 1, 2, 3, 4, 5],
        )
    }

    #[test]
    fn chains_are_followed_to_their_end() {
        assert_eq!(graph(&[(3, 2), (2, 1), (1, 0)]).chain_to(3, &[0]), Some(vec![2, 1, 0]));
        assert_eq!(graph(&[(3, 2), (3, 0), (2, 0)]).chain_to(3, &[0]), Some(vec![0]));
        assert_eq!(graph(&[(3, 2)]).chain_to(3, &[0]), None);
        assert_eq!(graph(&[]).chain_to(0, &[0]), None, "parked is not blocked");
    }

    #[test]
    fn a_cycle_without_a_parked_worker_is_no_block() {
        assert_eq!(graph(&[(1, 2), (2, 1)]).chain_to(1, &[0]), None);
    }
}
