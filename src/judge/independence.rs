//! How independent the rounds of a case were of each other, by who was answered first.

/// Which worker was answered first, round after round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstAnswers {
    /// By worker: in how many rounds.
    rounds: Vec<u64>,
    /// How many rounds follow another one.
    pairs: u64,
    /// In how many of these it was the same worker as in the round before.
    same: u64,
    last: Option<usize>,
}

impl FirstAnswers {
    /// Adds a round. One in which nobody was answered says nothing.
    pub(super) fn add(&mut self, worker: Option<usize>) {
        let Some(worker) = worker else { return };
        if self.rounds.len() <= worker {
            self.rounds.resize(worker + 1, 0);
        }
        self.rounds[worker] += 1;
        if let Some(last) = self.last.replace(worker) {
            self.pairs += 1;
            self.same += u64::from(last == worker);
        }
    }

    /// The worker that was answered first in every round, if there is one.
    pub fn always(&self) -> Option<usize> {
        let mut workers = self.rounds.iter().enumerate().filter(|(_, rounds)| **rounds > 0);
        let (worker, _) = workers.next()?;
        workers.next().is_none().then_some(worker)
    }

    /// How many independent rounds show as much as one of these: (1 - r) / (1 + r), where r is the autocorrelation at lag 1 of
    /// "the same worker was answered first", at least 0. For a first-order autoregressive process the mean of n values has the
    /// variance of n (1 - r) / (1 + r) independent ones (Bayley and Hammersley, 1946).
    pub fn independent_share(&self) -> f64 {
        let total: u64 = self.rounds.iter().sum();
        if self.pairs == 0 || total == 0 {
            return 1.0;
        }
        let by_chance: f64 = self.rounds.iter().map(|rounds| (*rounds as f64 / total as f64).powi(2)).sum();
        if by_chance >= 1.0 {
            return 0.0;
        }
        let r = ((self.same as f64 / self.pairs as f64 - by_chance) / (1.0 - by_chance)).clamp(0.0, 1.0);
        (1.0 - r) / (1.0 + r)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answers(workers: impl IntoIterator<Item = usize>) -> FirstAnswers {
        let mut first = FirstAnswers::default();
        workers.into_iter().for_each(|worker| first.add(Some(worker)));
        first
    }

    #[test]
    fn rounds_that_stick_to_one_worker_say_less() {
        assert_eq!(answers([0, 1].repeat(25)).independent_share(), 1.0, "alternating is not worse than chance");
        let sticky = answers([vec![0; 25], vec![1; 25]].concat()).independent_share();
        assert!(sticky < 0.05, "{sticky}");
        assert_eq!(answers([0; 50]).always(), Some(0));
        assert_eq!((answers([0; 50]).independent_share(), answers([0, 1]).always()), (0.0, None));
        assert_eq!((FirstAnswers::default().independent_share(), FirstAnswers::default().always()), (1.0, None));
    }

    proptest! {
        #[test]
        fn the_share_is_a_share(workers in prop::collection::vec(0usize..4, 0..60)) {
            let share = answers(workers).independent_share();
            prop_assert!((0.0..=1.0).contains(&share), "{share}");
        }
    }
}
