//! The sign-flip permutation test for pairs.

use rand::RngExt;

use super::{RESAMPLES, generator};

/// The most pairs for which all flips are tried, so that p is exact.
pub const EXACT_PAIRS: usize = 16;

/// The two-sided p of "the differences are as often positive as negative, by as much": how many of the ways to flip their signs give a sum at least as far
/// from 0. Assumes nothing but that swapping the two of a pair would change nothing. Beyond 16 pairs, 10 000 flips are drawn and the data counted
/// as one of them, so that p is never 0.
///
/// R. A. Fisher, *The Design of Experiments*, 1935, section 21; B. Phipson and G. K. Smyth, *Permutation P-values should never be zero*, Statistical
/// Applications in Genetics and Molecular Biology 9, 2010.
pub fn sign_flip(differences: &[f64], seed: u64) -> f64 {
    let observed = differences.iter().sum::<f64>().abs();
    // Sums of the same numbers in another order may differ in their last digits.
    let as_far = |sum: f64| sum.abs() >= observed * (1.0 - 1e-12);
    if differences.len() <= EXACT_PAIRS {
        let ways = 1u32 << differences.len();
        let flipped = |way: u32| {
            let signed = |(bit, value): (usize, &f64)| if way >> bit & 1 == 1 { -value } else { *value };
            differences.iter().enumerate().map(signed).sum()
        };
        return f64::from((0..ways).filter(|way| as_far(flipped(*way))).count() as u32) / f64::from(ways);
    }
    let mut rng = generator(seed);
    let mut flipped = || differences.iter().map(|value| if rng.random::<bool>() { -value } else { *value }).sum();
    let far = (0..RESAMPLES).filter(|_| as_far(flipped())).count();
    (far + 1) as f64 / (RESAMPLES + 1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bootstrap::normal;
    use super::*;

    #[test]
    fn known_values() {
        // All of one sign: only this way and its mirror image are as far out.
        assert_eq!(sign_flip(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0), 2.0 / 64.0);
        // Fisher's own data: Darwin's maize, in eighths of an inch. He gives 1726 of 32 768 ways.
        let maize = [49., -67., 8., 16., 6., 23., 28., 41., 14., 29., 56., 24., 75., 60., -48.];
        assert_eq!(sign_flip(&maize, 0), 1726.0 / 32_768.0);
        assert_eq!(sign_flip(&[0.0; 8], 0), 1.0);
    }

    #[test]
    fn drawn_flips_agree_with_all_flips() {
        let mut rng = generator(4);
        for _ in 0..20 {
            let sixteen: Vec<f64> = (0..16).map(|_| normal(&mut rng) + 0.3).collect();
            let exact = sign_flip(&sixteen, 0);
            // A pair without a difference changes no sum, but makes 17 pairs.
            let drawn = sign_flip(&[sixteen, vec![0.0]].concat(), 0);
            assert!((exact - drawn).abs() < 0.02, "{exact} {drawn}");
        }
    }

    #[test]
    fn without_a_difference_p_is_uniform() {
        let mut rng = generator(9);
        let small = (0..500).filter(|_| sign_flip(&std::array::from_fn::<f64, 12, _>(|_| normal(&mut rng)), 0) < 0.05);
        let share = small.count() as f64 / 500.0;
        assert!((0.02..=0.08).contains(&share), "{share}");
    }

    proptest! {
        #[test]
        fn p_is_a_probability_and_does_not_care_for_sign(values in prop::collection::vec(-5.0f64..5.0, 1..24)) {
            let p = sign_flip(&values, 1);
            prop_assert!(p > 0.0 && p <= 1.0);
            if values.len() <= EXACT_PAIRS {
                let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
                prop_assert_eq!(p, sign_flip(&mirrored, 1));
            }
        }
    }
}
