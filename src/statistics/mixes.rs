//! Exact tests of whether rounds end in the same mix of outcomes as often on both sides.

use rand::RngExt;

use super::{RESAMPLES, generator};

/// The p of "both sides' rounds fall into these sorts alike": `sorts` has, for each sort, how many rounds of BASE and of HEAD fell into it.
///
/// With two sorts, Fisher's exact test; with more, its generalisation by G. H. Freeman and J. H. Halton (*Note on an exact treatment of contingency,
/// goodness of fit and other problems of significance*, Biometrika 38, 1951), with 10 000 tables drawn by dealing out the rounds again instead of all that are possible.
pub fn mixes_differ(sorts: &[(u64, u64)], seed: u64) -> f64 {
    let sorts: Vec<(u64, u64)> = sorts.iter().copied().filter(|(base, head)| base + head > 0).collect();
    let base: u64 = sorts.iter().map(|(base, _)| base).sum();
    let total: u64 = sorts.iter().map(|(base, head)| base + head).sum();
    match sorts.as_slice() {
        [] | [_] => 1.0,
        _ if base == 0 || base == total => 1.0,
        [first, _] => fisher(first.0, first.0 + first.1, base, total),
        _ => dealt(&sorts, base, total, seed),
    }
}

/// Two-sided: the sum of the probabilities of all tables that are at most as likely as the observed one. `observed` of the `of_sort` rounds of the first sort are among
/// the `base` rounds of BASE, of `total` rounds.
fn fisher(observed: u64, of_sort: u64, base: u64, total: u64) -> f64 {
    let logs = log_factorials(total);
    let choose = |n: u64, k: u64| logs[n as usize] - logs[k as usize] - logs[(n - k) as usize];
    let log_probability =
        |count: u64| choose(of_sort, count) + choose(total - of_sort, base - count) - choose(total, base);
    let limit = log_probability(observed) + 1e-9;
    let counts = (base + of_sort).saturating_sub(total)..=base.min(of_sort);
    counts.map(log_probability).filter(|log| *log <= limit).map(f64::exp).sum::<f64>().min(1.0)
}

fn dealt(sorts: &[(u64, u64)], base: u64, total: u64, seed: u64) -> f64 {
    let logs = log_factorials(total);
    // With the sums of rows and columns given, the probability of a table falls with the factorials of its cells.
    let weight = |counts: &[u64]| -> f64 {
        let cells = counts.iter().zip(sorts).map(|(count, (base, head))| {
            let other = base + head - count;
            logs[*count as usize] + logs[other as usize]
        });
        cells.sum()
    };
    let observed: Vec<u64> = sorts.iter().map(|(base, _)| *base).collect();
    let limit = weight(&observed) - 1e-9;
    let mut rounds: Vec<usize> =
        sorts.iter().enumerate().flat_map(|(sort, (base, head))| vec![sort; (base + head) as usize]).collect();
    let mut rng = generator(seed);
    let mut counts = vec![0; sorts.len()];
    let mut far = 0;
    for _ in 0..RESAMPLES {
        counts.fill(0);
        for position in 0..base as usize {
            let chosen = rng.random_range(position..rounds.len());
            rounds.swap(position, chosen);
            counts[rounds[position]] += 1;
        }
        far += usize::from(weight(&counts) >= limit);
    }
    (far + 1) as f64 / (RESAMPLES + 1) as f64
}

/// The logarithms of 0!, 1!, … `most`!.
fn log_factorials(most: u64) -> Vec<f64> {
    let mut sum = 0.0;
    std::iter::once(0.0)
        .chain((1..=most).map(|n| {
            sum += (n as f64).ln();
            sum
        }))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(found: f64, wanted: f64, by: f64) {
        assert!((found - wanted).abs() <= by, "found {found}, wanted {wanted}");
    }

    #[test]
    fn known_values() {
        // Fisher's tea: 3 of 4 cups told right.
        close(mixes_differ(&[(3, 1), (1, 3)], 0), 34.0 / 70.0, 1e-9);
        // Fisher's convicts: 2 of 15 dizygotic and 10 of 13 monozygotic twins; R's fisher.test gives 0.0005367.
        close(mixes_differ(&[(2, 10), (15, 3)], 0), 0.000_536_7, 1e-6);
        close(mixes_differ(&[(10, 0), (0, 10), (5, 5)], 0), 0.000_1, 0.000_3);
    }

    #[test]
    fn nothing_to_compare_is_no_difference() {
        assert_eq!(mixes_differ(&[], 0), 1.0);
        assert_eq!(mixes_differ(&[(100, 90)], 0), 1.0);
        assert_eq!(mixes_differ(&[(100, 0), (3, 0)], 0), 1.0);
    }

    #[test]
    fn drawn_tables_agree_with_the_exact_test() {
        for (a, b, c, d) in [(30, 20, 20, 30), (12, 30, 40, 28), (50, 45, 1, 6)] {
            let exact = mixes_differ(&[(a, b), (c, d)], 0);
            let drawn = dealt(&[(a, b), (c, d)], a + c, a + b + c + d, 7);
            close(drawn, exact, 0.015);
        }
    }

    #[test]
    fn equal_mixes_rarely_seem_different() {
        let mut rng = generator(11);
        let mut side = || {
            let mut counts = [0u64; 3];
            for _ in 0..60 {
                let roll = rng.random::<f64>();
                counts[if roll < 0.5 {
                    0
                } else if roll < 0.85 {
                    1
                } else {
                    2
                }] += 1;
            }
            counts
        };
        let alarms = (0..40).filter(|trial| {
            let (base, head) = (side(), side());
            let sorts: Vec<(u64, u64)> = base.into_iter().zip(head).collect();
            mixes_differ(&sorts, *trial) < 0.05
        });
        let alarms = alarms.count();
        assert!(alarms <= 6, "{alarms}");
    }

    proptest! {
        #[test]
        fn p_is_a_probability_and_sides_may_be_swapped(sorts in prop::collection::vec((0u64..60, 0u64..60), 2..3)) {
            let p = mixes_differ(&sorts, 0);
            prop_assert!((0.0..=1.0).contains(&p), "{}", p);
            let swapped: Vec<(u64, u64)> = sorts.iter().map(|(base, head)| (*head, *base)).collect();
            prop_assert!((p - mixes_differ(&swapped, 0)).abs() < 1e-9);
        }
    }
}
