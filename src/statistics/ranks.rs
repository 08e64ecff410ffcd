//! Tests by ranks, and the normal distribution that they need.

/// The most samples a side for which the test of Mann and Whitney is exact, if there are no ties.
const EXACT_SAMPLES: usize = 20;

/// The two-sided p of "values of one side are as often the greater as those of the other".
///
/// H. B. Mann and D. R. Whitney, *On a test of whether one of two random variables is stochastically larger than the other*, Annals of Mathematical
/// Statistics 18, 1947: their recurrence for small samples, else the normal approximation with correction for ties and for continuity
/// (E. L. Lehmann, *Nonparametrics*, 1975, section 1.4).
pub fn mann_whitney(left: &[f64], right: &[f64]) -> f64 {
    let (n, m) = (left.len(), right.len());
    if n == 0 || m == 0 {
        return 1.0;
    }
    let all: Vec<f64> = left.iter().chain(right).copied().collect();
    let (ranks, ties) = ranks(&all);
    let u = ranks[..n].iter().sum::<f64>() - (n * (n + 1)) as f64 / 2.0;
    let centre = (n * m) as f64 / 2.0;
    let least = u.min((n * m) as f64 - u);
    if ties == 0.0 && n <= EXACT_SAMPLES && m <= EXACT_SAMPLES {
        let ways = ways_by_u(n, m);
        let as_far: f64 = ways[..=least as usize].iter().sum();
        return (2.0 * as_far / ways.iter().sum::<f64>()).min(1.0);
    }
    let total = (n + m) as f64;
    let variance = (n * m) as f64 / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    let z = ((centre - least - 0.5) / variance.sqrt()).max(0.0);
    (2.0 * normal_below(-z)).min(1.0)
}

/// In how many orders of `n` and `m` values the first side's U is 0, 1, … `n m`.
fn ways_by_u(n: usize, m: usize) -> Vec<f64> {
    // `table[j]` is the distribution for `i` and `j` values, with `i` growing.
    let mut table: Vec<Vec<f64>> = vec![vec![1.0]; m + 1];
    for i in 1..=n {
        let mut next = vec![vec![1.0]];
        for j in 1..=m {
            let mut ways = vec![0.0; i * j + 1];
            // The greatest value is of the first side, above all `j` of the other, or of the other side.
            table[j].iter().enumerate().for_each(|(u, count)| ways[u + j] += count);
            next[j - 1].iter().enumerate().for_each(|(u, count)| ways[u] += count);
            next.push(ways);
        }
        table = next;
    }
    table.swap_remove(m)
}

/// Spearman's rank correlation of values with their position, and its two-sided p: whether they drift.
///
/// C. Spearman, *The proof and measurement of association between two things*, American Journal of Psychology 15, 1904. Without drift, the correlation of n values
/// has the variance 1 / (n - 1).
pub fn rank_correlation(values: &[f64]) -> (f64, f64) {
    let number = values.len();
    if number < 3 {
        return (0.0, 1.0);
    }
    let (ranks, _) = ranks(values);
    let centre = (number + 1) as f64 / 2.0;
    let (mut joint, mut own, mut order) = (0.0, 0.0, 0.0);
    for (position, rank) in ranks.iter().enumerate() {
        let (x, y) = (position as f64 + 1.0 - centre, rank - centre);
        joint += x * y;
        own += y * y;
        order += x * x;
    }
    if own == 0.0 {
        return (0.0, 1.0);
    }
    let correlation: f64 = joint / (own * order).sqrt();
    let z = correlation.abs() * ((number - 1) as f64).sqrt();
    (correlation, 2.0 * normal_below(-z))
}

/// Ranks from 1, the mean of their ranks for equal values, and the sum of t³ - t over the ties of t values each.
fn ranks(values: &[f64]) -> (Vec<f64>, f64) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut ties = 0.0;
    let mut start = 0;
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let number = equal.len();
        let rank = start as f64 + (number + 1) as f64 / 2.0;
        equal.iter().for_each(|index| ranks[*index] = rank);
        ties += (number.pow(3) - number) as f64;
        start += number;
    }
    (ranks, ties)
}

/// The share of a standard normal distribution below `z`, off by less than 1e-7.
///
/// W. H. Press and others, *Numerical Recipes in C*, 2nd edition 1992, section 6.2 (`erfcc`).
pub(super) fn normal_below(z: f64) -> f64 {
    const COEFFICIENTS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let series = COEFFICIENTS.iter().rev().fold(0.0, |sum, coefficient| sum * t + coefficient);
    let beyond = 0.5 * t * (-x * x + series).exp();
    if z > 0.0 { 1.0 - beyond } else { beyond }
}

/// The value with the share `share` of a standard normal distribution below it, by bisection.
pub(super) fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if normal_below(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{generator, tests::latencies};
    use super::*;

    fn close(found: f64, wanted: f64, by: f64) {
        assert!((found - wanted).abs() <= by, "found {found}, wanted {wanted}");
    }

    #[test]
    fn known_values_of_the_normal_distribution() {
        for (z, below) in [(0.0, 0.5), (1.0, 0.841_344_746), (1.959_963_985, 0.975), (-3.0, 0.001_349_898)] {
            close(normal_below(z), below, 1e-7);
        }
        close(normal_quantile(0.975), 1.959_963_985, 1e-5);
        close(normal_quantile(0.5), 0.0, 1e-6);
    }

    #[test]
    fn known_values_of_mann_and_whitney() {
        close(mann_whitney(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 0.1, 1e-12);
        // The example of scipy.stats.mannwhitneyu: U = 17, exact p = 0.111…
        let (males, females) = ([19.0, 22.0, 16.0, 29.0, 24.0], [20.0, 11.0, 17.0, 12.0]);
        close(mann_whitney(&males, &females), 1.0 / 9.0, 1e-12);
        // With ties, the normal approximation: U = 0.5, variance 16 / 12 (9 - 12 / 56), z = 7 / 3.4226.
        close(mann_whitney(&[1.0, 2.0, 2.0, 3.0], &[3.0, 4.0, 5.0, 6.0]), 0.040_83, 1e-5);
        assert_eq!(mann_whitney(&[1.0; 30], &[1.0; 30]), 1.0);
    }

    #[test]
    fn the_recurrence_counts_every_order_once() {
        let ways = ways_by_u(3, 4);
        assert_eq!(ways.iter().sum::<f64>(), 35.0);
        assert_eq!(ways[..4], [1.0, 1.0, 2.0, 3.0]);
        assert!(ways.iter().eq(ways.iter().rev()));
    }

    #[test]
    fn the_approximation_agrees_with_the_exact_test() {
        let mut rng = generator(6);
        for _ in 0..30 {
            let (left, right) = (latencies(&mut rng, 20, 1.0, 0.3), latencies(&mut rng, 20, 1.1, 0.3));
            let exact = mann_whitney(&left, &right);
            // Each value twice: ties, and more samples, but the same order.
            let variance = 20.0 * 20.0 * 41.0 / 12.0;
            let (ranks, _) = ranks(&[left.clone(), right.clone()].concat());
            let u = ranks[..20].iter().sum::<f64>() - 210.0;
            let approximate = 2.0 * normal_below(-(((u - 200.0).abs() - 0.5) / f64::sqrt(variance)).max(0.0));
            close(approximate, exact, 0.01);
        }
    }

    #[test]
    fn drift_is_seen_and_noise_is_not() {
        let rising: Vec<f64> = (0..30).map(f64::from).collect();
        let (correlation, p) = rank_correlation(&rising);
        close(correlation, 1.0, 1e-12);
        assert!(p < 1e-6);
        let mut rng = generator(8);
        let alarms = (0..400).filter(|_| rank_correlation(&latencies(&mut rng, 30, 1.0, 0.3)).1 < 0.05).count();
        assert!((8..=34).contains(&alarms), "{alarms}");
        assert_eq!(rank_correlation(&[1.0; 10]), (0.0, 1.0));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_which_side_is_which(
            left in prop::collection::vec(0u32..20, 1..30),
            right in prop::collection::vec(0u32..20, 1..30),
        ) {
            let floats = |values: &[u32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
            let (left, right) = (floats(&left), floats(&right));
            let p = mann_whitney(&left, &right);
            prop_assert!((0.0..=1.0).contains(&p));
            prop_assert!((p - mann_whitney(&right, &left)).abs() < 1e-12);
        }
    }
}
