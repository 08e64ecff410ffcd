//! Head starts: in one round of four some workers leave the start barrier before the others.
//!
//! Workers that leave together meet in the same orders again and again; a worker that is a step or two ahead meets others. The
//! rounds, and the workers that are ahead, follow from the seed and the round's number; the time is up to three of a typical
//! step. Others wait by yielding, so that they keep no core from those ahead. Such a round is judged like any other, and left
//! out of what is measured: latency, growth, skew and makespan.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::task::yield_now;
use tokio::time::sleep;

use super::clock::Clock;
use super::order::Choices;
use super::overlap::asks;
use crate::duration::as_ns;
use crate::model::record::{Attempt, HeadStart, Outcome, StepRecord};
use crate::model::{Case, START};

/// Of so many rounds, one has a head start.
const ROUNDS_EACH: u64 = 4;

/// A head start is at most so many typical steps.
const STEPS_MAX: f64 = 3.0;

/// It never is longer, so that it does not keep anybody waiting in vain.
const LEAD_MAX: Duration = Duration::from_millis(100);

/// It takes at most this part of a barrier's time, and of the round's.
const PART_OF_TIMEOUT: u32 = 10;

/// A wait that is longer sleeps, since timers are as coarse as a millisecond.
const YIELDED_MAX_NS: u64 = 2_000_000;

/// Keeps these random numbers apart from those of the orders.
const STREAM: u64 = 0x6865_6164_7374_6172;

/// Which rounds of a case have a head start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadStarts {
    /// None.
    Never,
    /// One of four, of up to three typical steps.
    Sometimes,
    /// Every one, of this time: that of a stored round.
    Of(Duration),
}

/// The head starts of a case's rounds.
#[derive(Debug)]
pub(crate) struct Starts {
    choices: Choices,
    /// The workers that take the start barrier.
    parties: Vec<usize>,
    lead_max: Duration,
    /// The median of a step's duration, in the last round without a head start.
    typical_ns: Option<u64>,
}

impl Starts {
    /// A case that orders its workers on purpose has none, nor has one in which nobody would be left behind.
    pub(crate) fn new(case: &Case, mut choices: Choices) -> Self {
        let parties = case.barriers[START].parties.clone();
        if parties.len() < 2 || case.ordered.is_some() {
            choices.head_starts = HeadStarts::Never;
        }
        let timeouts = case.barriers.iter().map(|barrier| barrier.timeout).chain([case.round_timeout]);
        let lead_max = timeouts.map(|timeout| timeout / PART_OF_TIMEOUT).fold(LEAD_MAX, Duration::min);
        Starts { choices, parties, lead_max, typical_ns: None }
    }

    /// The head start of round `number`, if it has one.
    pub(crate) fn of(&self, number: u64) -> Option<HeadStart> {
        if self.choices.head_starts == HeadStarts::Never {
            return None;
        }
        let number = number.wrapping_add(self.choices.first_round);
        let mut random = self.random(number);
        let mut ahead = self.parties.clone();
        ahead.shuffle(&mut random);
        let steps = random.random_range(0.0..STEPS_MAX);
        let lead = match self.choices.head_starts {
            HeadStarts::Never => return None,
            HeadStarts::Of(lead) => lead,
            HeadStarts::Sometimes => {
                let chosen = self.random(!(number / ROUNDS_EACH)).random_range(0..ROUNDS_EACH);
                let typical_ns = self.typical_ns.filter(|_| number % ROUNDS_EACH == chosen)?;
                Duration::from_nanos((steps * typical_ns as f64) as u64).min(self.lead_max)
            }
        };
        ahead.truncate(random.random_range(1..ahead.len()));
        ahead.sort_unstable();
        (!lead.is_zero()).then_some(HeadStart { ahead, lead_ns: as_ns(lead) })
    }

    /// Learns from a round how long a step typically takes.
    pub(crate) fn learn(&mut self, case: &Case, attempts: &[Attempt]) {
        let mut took_ns: Vec<u64> = attempts.iter().flat_map(|attempt| durations(case, attempt)).collect();
        took_ns.sort_unstable();
        self.typical_ns = took_ns.get(took_ns.len() / 2).copied().or(self.typical_ns);
    }

    fn random(&self, number: u64) -> StdRng {
        StdRng::seed_from_u64(self.choices.seed ^ STREAM ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

/// How long the steps of an attempt took that ask a target for something.
fn durations<'a>(case: &'a Case, attempt: &'a Attempt) -> impl Iterator<Item = u64> {
    let is_typical = |step: &&StepRecord| {
        step.step != Outcome::COMMIT && !step.has_prepared && asks(case, attempt.worker, step.step)
    };
    attempt.steps.iter().filter(is_typical).map(|step| step.ended_ns.saturating_sub(step.started_ns))
}

/// Lets others go first until `until_ns`, and says when it was over.
pub(crate) async fn hold_back(clock: &Clock, until_ns: u64) -> u64 {
    loop {
        let now_ns = clock.now_ns();
        match until_ns.saturating_sub(now_ns) {
            0 => return now_ns,
            left_ns if left_ns > YIELDED_MAX_NS => sleep(Duration::from_nanos(left_ns)).await,
            _ => yield_now().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fixture::{TestCase, record};

    fn choices(seed: u64, head_starts: HeadStarts) -> Choices {
        Choices { seed, first_round: 0, head_starts }
    }

    /// The head starts of a case of five workers whose steps take a millisecond or two.
    fn starts(seed: u64, head_starts: HeadStarts) -> Starts {
        let case = TestCase::new(5).build();
        let mut starts = Starts::new(&case, choices(seed, head_starts));
        starts.learn(&case, &record(&case, 0, "5 success").attempts);
        starts
    }

    #[test]
    fn one_round_of_four_has_a_head_start_of_up_to_three_steps_for_some_but_not_all() {
        let starts = starts(3, HeadStarts::Sometimes);
        let typical_ns = starts.typical_ns.unwrap();
        let mut leads = Vec::new();
        for block in 0..500 {
            let given: Vec<HeadStart> = (4 * block..4 * block + 4).filter_map(|number| starts.of(number)).collect();
            let [HeadStart { ahead, lead_ns }] = &given[..] else { panic!("block {block}: {given:?}") };
            assert!((1..5).contains(&ahead.len()) && ahead.is_sorted() && ahead.iter().all(|it| *it < 5), "{ahead:?}");
            leads.push(*lead_ns as f64 / typical_ns as f64);
        }
        assert!(leads.iter().all(|lead| *lead < 3.0));
        let mean = leads.iter().sum::<f64>() / leads.len() as f64;
        assert!((1.35..1.65).contains(&mean), "spread evenly from 0 to 3: {mean}");
    }

    #[test]
    fn a_head_start_follows_from_the_seed_and_the_rounds_number() {
        let of = |seed| (0..40).map(|number| starts(seed, HeadStarts::Sometimes).of(number)).collect::<Vec<_>>();
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        let number = of(7).iter().position(Option::is_some).unwrap();
        let again = starts(7, HeadStarts::Of(Duration::from_micros(5))).of(number as u64).unwrap();
        assert_eq!((Some(again.ahead), again.lead_ns), (of(7)[number].clone().map(|it| it.ahead), 5_000));
    }

    #[test]
    fn there_is_none_where_it_is_not_wanted_or_would_be_of_no_use() {
        let none = |case: &Case, choice| {
            let mut starts = Starts::new(case, choices(1, choice));
            starts.learn(case, &record(case, 0, "2 success").attempts);
            (0..8).all(|number| starts.of(number).is_none())
        };
        let two = TestCase::new(2).build();
        assert!(!none(&two, HeadStarts::Sometimes));
        assert!(none(&two, HeadStarts::Never));
        let ordered = TestCase::new(2).change(|case| case.ordered = Some("a story".to_owned())).build();
        assert!(none(&ordered, HeadStarts::Sometimes));
        let free = TestCase::new(2).change(|case| case.barriers[START].parties = vec![0]).build();
        assert!(none(&free, HeadStarts::Sometimes), "one alone takes the start barrier");
        let unknown = Starts::new(&two, choices(1, HeadStarts::Sometimes));
        assert!((0..8).all(|number| unknown.of(number).is_none()), "no step's duration is known yet");
    }

    #[test]
    fn no_head_start_keeps_a_barrier_waiting_in_vain() {
        let case = TestCase::new(2).change(|case| case.barriers[START].timeout = Duration::from_micros(700)).build();
        let mut starts = Starts::new(&case, choices(1, HeadStarts::Sometimes));
        starts.learn(&case, &record(&case, 0, "2 success").attempts);
        assert!((0..400).filter_map(|number| starts.of(number)).all(|start| start.lead_ns <= 70_000));
    }
}
