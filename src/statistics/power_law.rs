//! How a cost grows: the exponent of a power law through a few points.

use super::median;

/// Fewer points than this lie on some power law whatever they say.
pub const LEAST_POINTS: usize = 3;

/// `y = coefficient * x^exponent`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerLaw {
    /// 0 is O(1), 1 is O(n).
    pub exponent: f64,
    /// The value at x = 1, in the unit of y.
    pub coefficient: f64,
    /// By which factor points typically lie off the law: 1 is a perfect fit.
    pub spread: f64,
}

impl PowerLaw {
    /// The law through points with positive coordinates; `None` with fewer than [`LEAST_POINTS`], or all at one x.
    ///
    /// The exponent is the median of the slopes between any two points, on logarithms: of five points, one may lie
    /// anywhere and the law still goes through the others. With least squares, one point that was measured while the
    /// machine was busy would pass for growth. P. K. Sen, *Estimates of the regression coefficient based on Kendall's
    /// tau*, Journal of the American Statistical Association 63, 1968, after H. Theil, 1950.
    pub fn fit(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < LEAST_POINTS {
            return None;
        }
        let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
        let pairs =
            logs.iter().enumerate().flat_map(|(index, left)| logs[index + 1..].iter().map(move |right| (left, right)));
        let slopes: Vec<f64> = pairs
            .filter(|(left, right)| left.0 != right.0)
            .map(|(left, right)| (right.1 - left.1) / (right.0 - left.0))
            .collect();
        if slopes.is_empty() {
            return None;
        }
        let exponent = median(&slopes);
        let offset = median(&logs.iter().map(|(x, y)| y - exponent * x).collect::<Vec<_>>());
        let residuals: f64 = logs.iter().map(|(x, y)| (y - offset - exponent * x).powi(2)).sum();
        let spread = (residuals / (logs.len() as f64 - 2.0)).sqrt().exp();
        Some(PowerLaw { exponent, coefficient: offset.exp(), spread })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn points_at_one_x_have_no_law() {
        assert_eq!(PowerLaw::fit(&[(10.0, 1.0), (10.0, 2.0), (10.0, 3.0)]), None);
        assert_eq!(PowerLaw::fit(&[(1.0, 1.0), (10.0, 2.0)]), None);
    }

    #[test]
    fn one_point_measured_on_a_busy_machine_is_no_growth() {
        // Medians of three rounds each, in microseconds, as a machine with four times as many processes as cores gave them.
        let busy = [(1.0, 79.7), (10.0, 112.0), (100.0, 118.0), (1_000.0, 3_880.0), (10_000.0, 173.0)];
        let law = PowerLaw::fit(&busy).unwrap();
        assert!(law.exponent < 0.15, "{law:?}");
        assert!(law.spread > 3.0, "{law:?}");
    }

    #[test]
    fn a_cost_that_is_linear_beyond_a_constant_part_grows() {
        let linear: Vec<(f64, f64)> = (0..5).map(|decade| 10f64.powi(decade)).map(|x| (x, 100.0 + 0.3 * x)).collect();
        let law = PowerLaw::fit(&linear).unwrap();
        assert!(law.exponent > 0.2, "{law:?}");
    }

    proptest! {
        #[test]
        fn the_fit_finds_the_power_law_it_was_made_from(
            exponent in -1.0f64..3.0,
            coefficient in 1.0f64..1e6,
            xs in prop::collection::btree_set(1u32..100_000, 3..12),
        ) {
            let points: Vec<(f64, f64)> =
                xs.iter().map(|x| (f64::from(*x), coefficient * f64::from(*x).powf(exponent))).collect();
            let law = PowerLaw::fit(&points).unwrap();
            prop_assert!((law.exponent - exponent).abs() < 1e-6, "{law:?}");
            prop_assert!((law.coefficient / coefficient - 1.0).abs() < 1e-4, "{law:?}");
            prop_assert!((law.spread - 1.0).abs() < 1e-4, "{law:?}");
        }

        #[test]
        fn noise_of_a_tenth_moves_the_exponent_little_over_four_decades(
            exponent in 0.0f64..2.0,
            noise in prop::collection::vec(0.9f64..1.1, 5),
        ) {
            let points: Vec<(f64, f64)> = (0..5)
                .map(|decade| 10f64.powi(decade))
                .zip(&noise)
                .map(|(x, noise)| (x, 1_000.0 * x.powf(exponent) * noise))
                .collect();
            let law = PowerLaw::fit(&points).unwrap();
            prop_assert!((law.exponent - exponent).abs() < 0.03, "{law:?}");
            prop_assert!(law.spread < 1.2, "{law:?}");
        }

        #[test]
        fn one_point_that_lies_anywhere_hardly_moves_it(
            exponent in 0.0f64..2.0,
            noise in prop::collection::vec(0.9f64..1.1, 5),
            position in 0usize..5,
            off in 0.001f64..1_000.0,
        ) {
            let mut points: Vec<(f64, f64)> = (0..5)
                .map(|decade| 10f64.powi(decade))
                .zip(&noise)
                .map(|(x, noise)| (x, 1_000.0 * x.powf(exponent) * noise))
                .collect();
            points[position].1 *= off;
            let law = PowerLaw::fit(&points).unwrap();
            // Two of the other points differ by at most ln(1.1 / 0.9) = 0.2 of what the law says, over ln(10) = 2.3 or more.
            prop_assert!((law.exponent - exponent).abs() < 0.1, "{law:?}");
        }
    }
}
