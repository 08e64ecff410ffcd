//! In which order the workers of a round are told to begin, and which of them sits where.
//!
//! Who comes first depends on the order in which workers are told, on the core and the sessions that they have, and on the
//! machine. Left to chance, one of these can favour the same worker for a whole run, and a run would see one order of things
//! only. So the orders of a case are drawn in blocks: within a block each worker is told first, and last, equally often, and
//! workers that are alike change places. It is a function of the seed and the round's number, and of nothing else.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::head_start::HeadStarts;
use crate::model::Case;

/// Up to this number of workers a block has two permutations with all their rotations; above it, one.
const TWO_PERMUTATIONS_MAX: usize = 8;

/// What decides the orders of a case's rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choices {
    /// The case's seed.
    pub seed: u64,
    /// The number whose order the first round has; the following ones go on from there.
    pub first_round: u64,
    /// Which rounds have a head start.
    pub head_starts: HeadStarts,
}

/// The order of one round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// The workers, by number, in the order in which they are told to begin.
    pub(crate) told: Vec<usize>,
    /// The worker that sits at each place. A place is a task with its sessions, and stays what it is through all rounds.
    pub(crate) worker_at: Vec<usize>,
}

impl Order {
    /// Everybody at his own place, told one after the other.
    #[cfg(test)]
    pub(crate) fn plain(workers: usize) -> Self {
        Order { told: (0..workers).collect(), worker_at: (0..workers).collect() }
    }

    /// The place of each worker.
    pub(crate) fn place_of(&self) -> Vec<usize> {
        let mut places = vec![0; self.worker_at.len()];
        self.worker_at.iter().enumerate().for_each(|(place, worker)| places[*worker] = place);
        places
    }
}

/// The orders of a case's rounds.
#[derive(Debug)]
pub(crate) struct Orders {
    choices: Choices,
    workers: usize,
    /// The places whose workers may change with each other: of the same group, with their transactions on the same target, and
    /// thus with sessions on the same targets, and of the same instances of a store.
    alike: Vec<Vec<usize>>,
}

impl Orders {
    pub(crate) fn new(case: &Case, choices: Choices) -> Self {
        let kinds = case.targets.iter().map(|target| target.driver.session_kinds(&target.options).max(1));
        let kinds: Vec<usize> = kinds.collect();
        let mut alike: BTreeMap<(usize, Option<usize>, Vec<usize>), Vec<usize>> = BTreeMap::new();
        for (place, worker) in case.workers.iter().enumerate() {
            let kinds = kinds.iter().map(|kinds| place % kinds).collect();
            let transaction = worker.transaction.map(|transaction| transaction.target);
            alike.entry((worker.group, transaction, kinds)).or_default().push(place);
        }
        Orders { choices, workers: case.workers.len(), alike: alike.into_values().collect() }
    }

    /// By place: on which of `cores` cores it is. Workers that are alike are on as many cores as there are, for they race each
    /// other; and so do workers with the same position among their like, who are on different ones.
    pub(crate) fn spread(&self, cores: usize) -> Vec<usize> {
        let cores = cores.max(1);
        let (mut core_of, mut number_on) = (vec![0; self.workers], vec![0; cores]);
        let mut first = cores - 1;
        for places in &self.alike {
            // The emptiest core; of several the next one.
            let next = (1..=cores).map(|turn| (first + turn) % cores).min_by_key(|core| number_on[*core]);
            first = next.unwrap_or_default();
            for (index, place) in places.iter().enumerate() {
                core_of[*place] = (first + index) % cores;
                number_on[core_of[*place]] += 1;
            }
        }
        core_of
    }

    /// The order of round `number` of the run.
    pub(crate) fn of(&self, number: u64) -> Order {
        let number = number.wrapping_add(self.choices.first_round);
        let permutations = if self.workers <= TWO_PERMUTATIONS_MAX { 2 } else { 1 };
        let length = (permutations * self.workers).max(1);
        let block = number / length as u64;
        // The golden ratio's bits keep the seeds of neighbouring blocks apart (Knuth, TAOCP 3, 6.4).
        let mut random = StdRng::seed_from_u64(self.choices.seed ^ block.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let drawn: Vec<Vec<usize>> = (0..permutations).map(|_| shuffled(self.workers, &mut random)).collect();
        let entries = shuffled(length, &mut random);
        let entry = entries[usize::try_from(number % length as u64).unwrap_or_default()];
        let mut told = drawn[entry / self.workers.max(1)].clone();
        told.rotate_left(entry % self.workers.max(1));

        // With two permutations each order is met with two seatings, and blocks go on to the next two.
        let turn = match permutations {
            2 => block.wrapping_mul(2).wrapping_add((entry / self.workers.max(1)) as u64),
            _ => random.random_range(0..=u64::from(u32::MAX)).wrapping_add(entry as u64),
        };
        let mut worker_at: Vec<usize> = (0..self.workers).collect();
        for places in &self.alike {
            for (index, place) in places.iter().enumerate() {
                worker_at[*place] = places[(index as u64).wrapping_add(turn) as usize % places.len()];
            }
        }
        Order { told, worker_at }
    }
}

fn shuffled(length: usize, random: &mut StdRng) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..length).collect();
    numbers.shuffle(random);
    numbers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::judge::fixture::TestCase;
    use crate::model::Transaction;
    use crate::port::{
        Driver, Field, Given, Isolation, Misfit, Options, RequestSpec, Source, Target, TargetError, TargetSpec,
    };

    /// A driver with two kinds of sessions.
    struct TwoKinds;

    impl Driver for TwoKinds {
        fn word(&self) -> &'static str {
            "two-kinds"
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

        fn session_kinds(&self, _: &Options) -> usize {
            2
        }

        fn open<'a>(
            &'a self,
            _: &'a TargetSpec,
            _: &'a Source,
            _: &'a str,
        ) -> futures::future::BoxFuture<'a, Result<Box<dyn Target>, TargetError>> {
            unreachable!("nothing is raced here")
        }
    }

    fn from(seed: u64) -> Choices {
        Choices { seed, first_round: 0, head_starts: HeadStarts::Never }
    }

    fn counts(workers: usize, chosen: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut counts = vec![0; workers];
        chosen.for_each(|worker| counts[worker] += 1);
        counts
    }

    proptest! {
        #[test]
        fn in_each_block_everybody_is_told_first_and_last_equally_often(
            seed in any::<u64>(),
            workers in 1usize..20,
            block in 0u64..1_000,
        ) {
            let orders = Orders::new(&TestCase::new(workers).build(), from(seed));
            let length = if workers <= 8 { 2 * workers as u64 } else { workers as u64 };
            let rounds: Vec<Order> = (block * length..(block + 1) * length).map(|round| orders.of(round)).collect();
            let share = vec![length as usize / workers; workers];
            prop_assert_eq!(counts(workers, rounds.iter().map(|order| order.told[0])), &share[..]);
            prop_assert_eq!(counts(workers, rounds.iter().map(|order| order.told[workers - 1])), &share[..]);
        }

        #[test]
        fn an_order_is_a_function_of_seed_and_round_and_seats_everybody_among_his_like(
            seed in any::<u64>(),
            round in any::<u64>(),
            groups in prop::collection::vec(1usize..7, 1..4),
        ) {
            let names = ["a", "b", "c"];
            let groups: Vec<(&str, usize)> = names.into_iter().zip(groups).collect();
            let case = TestCase::groups(&groups).build();
            let order = Orders::new(&case, from(seed)).of(round);
            prop_assert_eq!(&order, &Orders::new(&case, from(seed)).of(round));
            let everybody: Vec<usize> = (0..case.workers.len()).collect();
            let sorted = |numbers: &[usize]| {
                let mut numbers = numbers.to_vec();
                numbers.sort_unstable();
                numbers
            };
            prop_assert_eq!(sorted(&order.told), &everybody[..]);
            prop_assert_eq!(sorted(&order.worker_at), &everybody[..]);
            for (place, worker) in order.worker_at.iter().enumerate() {
                prop_assert_eq!(case.workers[place].group, case.workers[*worker].group);
                prop_assert_eq!(order.place_of()[*worker], place);
            }
        }
    }

    #[test]
    fn two_workers_have_each_order_with_each_seating_once_in_a_block() {
        let orders = Orders::new(&TestCase::new(2).build(), from(7));
        for block in 0..50 {
            let mut seen: Vec<(Vec<usize>, Vec<usize>)> = (4 * block..4 * (block + 1))
                .map(|round| orders.of(round))
                .map(|order| (order.told, order.worker_at))
                .collect();
            seen.sort();
            let both = [vec![0, 1], vec![1, 0]];
            let all: Vec<_> = both.iter().flat_map(|told| both.iter().map(|at| (told.clone(), at.clone()))).collect();
            assert_eq!(seen, all, "block {block}");
        }
    }

    #[test]
    fn neighbouring_blocks_and_other_seeds_have_other_orders() {
        let case = TestCase::new(8).build();
        let told = |seed: u64, block: u64| -> Vec<Vec<usize>> {
            (16 * block..16 * (block + 1)).map(|round| Orders::new(&case, from(seed)).of(round).told).collect()
        };
        assert_ne!(told(7, 0), told(7, 1));
        assert_ne!(told(7, 0), told(8, 0));
    }

    #[test]
    fn workers_change_places_only_where_the_same_sessions_and_instances_are() {
        let transaction = |target| Some(Transaction { target, isolation: Isolation::Serializable });
        let case = TestCase::groups(&[("adder", 4), ("remover", 4)]).change(|case| {
            case.targets[0].driver = &TwoKinds;
            (4..6).for_each(|worker| case.workers[worker].transaction = transaction(0));
            (6..8).for_each(|worker| case.workers[worker].transaction = transaction(1));
        });
        let alike = Orders::new(&case.build(), from(9)).alike;
        assert_eq!(alike, [vec![0, 2], vec![1, 3], vec![4], vec![5], vec![6], vec![7]]);
    }

    #[test]
    fn workers_that_race_each_other_are_on_different_cores() {
        let spread =
            |groups: &[(&str, usize)], cores| Orders::new(&TestCase::groups(groups).build(), from(9)).spread(cores);
        assert_eq!(spread(&[("writer", 5)], 2), [0, 1, 0, 1, 0]);
        assert_eq!(spread(&[("writer", 3)], 8), [0, 1, 2]);
        assert_eq!(spread(&[("reader", 1), ("writer", 1)], 2), [0, 1]);
        assert_eq!(spread(&[("adder", 2), ("remover", 2)], 2), [0, 1, 1, 0]);
        assert_eq!(spread(&[("adder", 3), ("remover", 2), ("reader", 1)], 2), [0, 1, 0, 1, 0, 1]);
        assert_eq!(spread(&[("writer", 3)], 0), [0, 0, 0]);
        let two_kinds = TestCase::groups(&[("writer", 4)]).change(|case| case.targets[0].driver = &TwoKinds);
        assert_eq!(Orders::new(&two_kinds.build(), from(9)).spread(2), [0, 1, 1, 0]);
    }
}
