//! Statistics. Pure: of a comparison, effects with intervals, tests that assume no distribution, and what to make of them; of a growth, its power law.
//!
//! A sample of a comparison is one number per round, such as its makespan. Rounds, not operations, are the samples: operations of one round share a lock queue, and
//! tests that take them for independent cry wolf. Ratios are HEAD over BASE: above 1 is slower. Nothing is left out as an outlier.

mod bootstrap;
mod mixes;
mod permutation;
mod power_law;
mod ranks;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

pub use mixes::mixes_differ;
pub use permutation::{EXACT_PAIRS, sign_flip};
pub use power_law::{LEAST_POINTS, PowerLaw};
pub use ranks::{mann_whitney, rank_correlation};

/// How often the data are resampled.
pub const RESAMPLES: usize = 10_000;

/// The seed of the resampling: the same data give the same interval.
pub const SEED: u64 = 20_260_131;

/// Fewer samples a side than this support no statement at 95 %: the interval of a median then spans the whole sample, and no permutation of
/// fewer than six pairs has a two-sided p below 0.05.
pub const LEAST_SAMPLES: usize = 6;

/// The level of tests; intervals cover 95 %.
pub const ALPHA: f64 = 0.05;

/// How many times the rounds that there are "how many more" may be: above it, the answer helps nobody.
const MORE_AT_MOST: f64 = 100.0;

/// The generator of everything random here: small, fast, and the same on every machine.
type Generator = Xoshiro256PlusPlus;

fn generator(seed: u64) -> Generator {
    Generator::seed_from_u64(seed)
}

/// By which factor HEAD differs from BASE, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// HEAD over BASE.
    pub ratio: f64,
    /// Lower end of the 95 % interval of the ratio.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How often chance alone gives a difference like this, two-sided.
    pub p: f64,
    /// Samples of the smaller side.
    pub samples: usize,
}

/// What an effect means for a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The whole interval is beyond the threshold, on the fast side.
    Improved,
    /// The whole interval is beyond the threshold, on the slow side.
    Regressed,
    /// The whole interval is within the threshold, on both sides.
    Equivalent,
    /// None of these.
    Inconclusive,
}

/// The effect between samples that have nothing to do with each other, such as those of two stored runs: the ratio of their medians with a bootstrap
/// interval, and the p of Mann and Whitney. `None` with too few samples, or where a value is not positive.
pub fn unpaired(base: &[f64], head: &[f64], seed: u64) -> Option<Effect> {
    if !usable(base) || !usable(head) {
        return None;
    }
    let (low, high) = bootstrap::ratio_of_medians(base, head, &mut generator(seed));
    let ratio = median(head) / median(base);
    Some(Effect { ratio, low, high, p: mann_whitney(base, head), samples: base.len().min(head.len()) })
}

/// The effect between samples of which each pair was taken under the same conditions: the geometric mean of the pairs' ratios with a bootstrap interval
/// over pairs, and the p of the sign-flip permutation test. `None` with too few pairs, or where a value is not positive.
pub fn paired(base: &[f64], head: &[f64], seed: u64) -> Option<Effect> {
    if base.len() != head.len() || !usable(base) || !usable(head) {
        return None;
    }
    let logs: Vec<f64> = base.iter().zip(head).map(|(base, head)| (head / base).ln()).collect();
    let (low, high) = bootstrap::mean_interval(&logs, &mut generator(seed));
    let ratio = mean(&logs).exp();
    Some(Effect { ratio, low: low.exp(), high: high.exp(), p: sign_flip(&logs, seed), samples: logs.len() })
}

fn usable(samples: &[f64]) -> bool {
    samples.len() >= LEAST_SAMPLES && samples.iter().all(|value| value.is_finite() && *value > 0.0)
}

impl Effect {
    /// What the effect means when ratios from `1 / (1 + threshold)` to `1 + threshold` are too small to count. Only a whole interval counts.
    pub fn change(&self, threshold: f64) -> Change {
        let slow = 1.0 + threshold;
        if self.low > slow && self.p < ALPHA {
            Change::Regressed
        } else if self.high < 1.0 / slow && self.p < ALPHA {
            Change::Improved
        } else if self.low >= 1.0 / slow && self.high <= slow {
            Change::Equivalent
        } else {
            Change::Inconclusive
        }
    }

    /// About how many more rounds a side an inconclusive effect needs, if the ratio stays what it is: each arm of the interval narrows with the root of
    /// the rounds. Beyond a threshold, the arm that faces it must clear it; between the thresholds, either arm its own.
    /// `None` when the ratio is so close to the threshold that no reasonable number would do.
    pub fn rounds_to_settle(&self, threshold: f64) -> Option<u64> {
        let (ratio, slow) = (self.ratio.ln(), (1.0 + threshold).ln());
        let (down, up) = (ratio - self.low.ln(), self.high.ln() - ratio);
        let share = if ratio > slow {
            down / (ratio - slow)
        } else if ratio < -slow {
            up / (-slow - ratio)
        } else {
            (up / (slow - ratio)).max(down / (ratio + slow))
        };
        let times = share.powi(2);
        let more = (times - 1.0) * self.samples as f64;
        (times.is_finite() && times <= MORE_AT_MOST).then(|| more.ceil().max(1.0) as u64)
    }
}

/// The median; the mean of the two in the middle of an even number. 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Corrects p-values of several tests, so that the chance of even one false alarm among them stays what one test's would be.
///
/// S. Holm, *A simple sequentially rejective multiple test procedure*, Scandinavian Journal of Statistics 6, 1979.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_unstable_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut least = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        least = least.max(p_values[index] * (p_values.len() - rank) as f64).min(1.0);
        corrected[index] = least;
    }
    corrected
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Log-normal values around `centre`, whose logarithms have the standard deviation `spread`: what latencies look like.
    pub(crate) fn latencies(rng: &mut Generator, number: usize, centre: f64, spread: f64) -> Vec<f64> {
        (0..number).map(|_| centre * (spread * bootstrap::normal(rng)).exp()).collect()
    }

    /// How many of `trials` are true.
    fn share(trials: usize, mut trial: impl FnMut(usize) -> bool) -> f64 {
        (0..trials).filter(|number| trial(*number)).count() as f64 / trials as f64
    }

    #[test]
    fn intervals_hold_the_true_ratio_as_often_as_they_say() {
        for number in [20, 21] {
            let mut rng = generator(number as u64);
            let covered = |effect: Effect| effect.low <= 1.2 && 1.2 <= effect.high;
            let of_pairs = share(120, |seed| {
                let (base, head) = (latencies(&mut rng, number, 1.0, 0.3), latencies(&mut rng, number, 1.2, 0.3));
                covered(paired(&base, &head, seed as u64).unwrap())
            });
            let of_runs = share(120, |seed| {
                let (base, head) = (latencies(&mut rng, number, 1.0, 0.3), latencies(&mut rng, number, 1.2, 0.3));
                covered(unpaired(&base, &head, seed as u64).unwrap())
            });
            assert!((0.88..=0.99).contains(&of_pairs), "{number} pairs: {of_pairs}");
            assert!((0.88..=1.0).contains(&of_runs), "{number} rounds: {of_runs}");
        }
    }

    #[test]
    fn nothing_changed_is_rarely_called_a_change() {
        let mut rng = generator(1);
        let alarms = share(100, |seed| {
            let (base, head) = (latencies(&mut rng, 20, 1.0, 0.3), latencies(&mut rng, 20, 1.0, 0.3));
            let change = paired(&base, &head, seed as u64).unwrap().change(0.0);
            matches!(change, Change::Improved | Change::Regressed)
        });
        assert!(alarms <= 0.12, "{alarms}");
    }

    #[test]
    fn pairs_see_through_a_drift_that_blinds_unpaired_samples() {
        let mut rng = generator(5);
        let drift: Vec<f64> = (0..40).map(|round| 1.0 + round as f64 / 10.0).collect();
        let noise = latencies(&mut rng, 80, 1.0, 0.05);
        let base: Vec<f64> = drift.iter().zip(&noise).map(|(drift, noise)| drift * noise).collect();
        let head: Vec<f64> = drift.iter().zip(&noise[40..]).map(|(drift, noise)| 1.2 * drift * noise).collect();
        assert_eq!(paired(&base, &head, 0).unwrap().change(0.1), Change::Regressed);
        assert_eq!(unpaired(&base, &head, 0).unwrap().change(0.1), Change::Inconclusive);
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let mut rng = generator(2);
        let (base, head) = (latencies(&mut rng, 30, 1.0, 0.2), latencies(&mut rng, 30, 1.0, 0.2));
        assert_eq!(unpaired(&base, &head, SEED), unpaired(&base, &head, SEED));
        assert_eq!(paired(&base, &head, SEED), paired(&base, &head, SEED));
    }

    #[test]
    fn too_few_samples_say_nothing() {
        assert_eq!(unpaired(&[1.0; 5], &[1.0; 50], 0), None);
        assert_eq!(paired(&[1.0; 5], &[1.0; 5], 0), None);
        assert_eq!(paired(&[1.0; 7], &[1.0; 6], 0), None);
        assert_eq!(paired(&[0.0; 7], &[1.0; 7], 0), None);
        assert!(paired(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2.0, 4.0, 6.0, 8.0, 10.0, 12.0], 0).is_some());
    }

    #[test]
    fn only_a_whole_interval_beyond_the_threshold_counts() {
        let effect = |low, high| Effect { ratio: f64::midpoint(low, high), low, high, p: 0.001, samples: 20 };
        assert_eq!(effect(1.11, 1.3).change(0.1), Change::Regressed);
        assert_eq!(effect(1.05, 1.3).change(0.1), Change::Inconclusive);
        assert_eq!(effect(0.95, 1.05).change(0.1), Change::Equivalent);
        assert_eq!(effect(0.7, 0.9).change(0.1), Change::Improved);
        assert_eq!(effect(0.85, 1.05).change(0.1), Change::Inconclusive);
        assert_eq!(effect(0.5, 2.0).change(0.1), Change::Inconclusive);
        assert_eq!(Effect { p: 0.2, ..effect(1.11, 1.3) }.change(0.1), Change::Inconclusive);
    }

    #[test]
    fn the_number_of_rounds_to_settle_falls_with_the_distance_from_the_threshold() {
        let effect = |ratio: f64| Effect { ratio, low: ratio * 0.8, high: ratio / 0.8, p: 0.5, samples: 20 };
        let (near, far) = (effect(1.15).rounds_to_settle(0.1), effect(1.3).rounds_to_settle(0.1));
        assert!(near.unwrap() > far.unwrap(), "{near:?} {far:?}");
        assert_eq!(effect(1.1).rounds_to_settle(0.1), None);
    }

    #[test]
    fn the_arm_that_faces_the_threshold_says_how_many_rounds_would_settle() {
        let sixty = |ratio, low: f64, high: f64| {
            let rounds = Effect { ratio, low, high, p: 0.01, samples: 20 }.rounds_to_settle(0.1);
            assert!(matches!(rounds, Some(60..=61)), "{rounds:?}, but for rounding 60");
        };
        // In logarithms, the lower arm is twice as long as the way to the threshold: four times the rounds.
        let far = |ratio: f64| 1.1 * (ratio / 1.1).powi(-1);
        sixty(1.3, far(1.3), 1.31);
        sixty(1.3, far(1.3), 4.0); // The other arm faces no threshold.
        sixty(1.0 / 1.3, 0.1, 1.0 / far(1.3)); // The same on the fast side.
        // To be equivalent, both arms must be within.
        sixty(1.0, 0.99, 1.21);
        sixty(1.0, 1.0 / 1.21, 1.01);
    }

    #[test]
    fn medians_of_odd_and_even_samples() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn holm_multiplies_the_least_p_most() {
        let corrected = holm(&[0.01, 0.04, 0.03]);
        let expected = [0.03, 0.06, 0.06];
        assert!(corrected.iter().zip(expected).all(|(p, wanted)| (p - wanted).abs() < 1e-12), "{corrected:?}");
        assert_eq!(holm(&[]), [0.0; 0]);
    }
}
