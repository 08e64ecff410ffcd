//! A histogram of nanoseconds (or of any other count) over hdrhistogram.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

/// Significant decimal digits kept: values are exact to 0.1 %.
const SIGNIFICANT_DIGITS: u8 = 3;

/// How many operations a sample must hold so that its `quantile` is more than a name for its maximum.
///
/// With `n` operations, the largest is above the true quantile with 95 % confidence when `quantile^n <= 0.05`: 29 for p90,
/// 299 for p99, 2995 for p99.9. The median and everything below it, and the maximum, describe any sample.
pub fn operations_needed(quantile: f64) -> u64 {
    if quantile <= 0.5 || quantile >= 1.0 {
        return 1;
    }
    // Both logarithms are negative, and the quotient is finite since the quantile is below 1.
    (0.05_f64.ln() / quantile.ln()).ceil() as u64
}

/// What to do when `rounds` rounds gave `operations` of the operations `needed`, in words.
pub fn more_rounds(rounds: u64, operations: u64, needed: u64) -> String {
    if operations == 0 {
        return "raise `rounds`".to_owned();
    }
    format!("raise `rounds` to {}", needed.saturating_mul(rounds).div_ceil(operations))
}

/// A histogram that grows with its values. Values are whole numbers, in this project mostly nanoseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram(hdrhistogram::Histogram<u64>);

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        Histogram(hdrhistogram::Histogram::new(SIGNIFICANT_DIGITS).expect("3 significant digits are allowed"))
    }

    /// Records one value.
    pub fn record(&mut self, value: u64) {
        self.0.record(value).expect("an auto-resizing histogram takes every u64");
    }

    /// Adds everything that `other` recorded.
    pub fn merge(&mut self, other: &Histogram) {
        let before = self.len();
        self.0.add(&other.0).expect("an auto-resizing histogram takes every u64");
        assert_eq!(self.len(), before + other.len(), "a merge conserves the number of values");
    }

    /// How many values were recorded.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The least value, or the least of those that the precision cannot tell from it.
    pub fn min(&self) -> Option<u64> {
        (!self.is_empty()).then(|| self.0.min())
    }

    /// The greatest value, or the greatest of those that the precision cannot tell from it.
    pub fn max(&self) -> Option<u64> {
        (!self.is_empty()).then(|| self.0.max())
    }

    /// The value at `quantile` (0 to 1; 1 is the maximum), or `None` when too few values were recorded to speak of it.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let supported = self.len() >= operations_needed(quantile);
        supported.then(|| self.0.value_at_quantile(quantile))
    }

    /// Every recorded value, as far as the precision tells them apart, with how often it was recorded, ascending.
    pub fn values(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter_recorded().map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()))
    }

    /// The distribution in steps that halve with each half of the distance left to 1: values, the quantiles that they are at, and how many
    /// values are not greater. Quantiles rise strictly and end at 1.
    pub fn percentiles(&self, ticks_per_half: u32) -> impl Iterator<Item = (u64, f64, u64)> + '_ {
        let (mut so_far, mut last) = (0, -1.0);
        let steps = self.0.iter_quantiles(ticks_per_half).map(move |step| {
            so_far += step.count_since_last_iteration();
            (step.value_iterated_to(), step.quantile_iterated_to(), so_far)
        });
        // The iterator of the crate may give 1 twice, and steps too close to it to be told apart.
        steps.filter(move |(_, quantile, _)| std::mem::replace(&mut last, *quantile) < *quantile)
    }

    /// The mean; 0 of nothing.
    pub fn mean(&self) -> f64 {
        self.0.mean()
    }

    /// The standard deviation; 0 of nothing.
    pub fn standard_deviation(&self) -> f64 {
        self.0.stdev()
    }

    /// How many buckets of doubling width it has, and how many values each tells apart.
    pub fn buckets(&self) -> (u64, u64) {
        let sub_buckets = (2 * 10u64.pow(u32::from(self.0.sigfig()))).next_power_of_two();
        (u64::from(self.0.buckets()), sub_buckets)
    }

    /// The standard exchange form: HdrHistogram V2, deflated, in base64 (`HISTFAAA…`).
    pub fn encode(&self) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.0, &mut bytes).expect("writing to memory does not fail");
        STANDARD.encode(bytes)
    }

    /// Reads what [`Self::encode`] wrote, deflated or not.
    pub fn decode(text: &str) -> Result<Self, DecodeError> {
        let bytes = STANDARD.decode(text).map_err(|error| DecodeError(error.to_string()))?;
        let mut histogram: hdrhistogram::Histogram<u64> =
            Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| DecodeError(error.to_string()))?;
        histogram.auto(true);
        Ok(Histogram(histogram))
    }
}

/// The text is not a histogram.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a base64 HdrHistogram V2: {0}")]
pub struct DecodeError(String);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn histogram(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    #[test]
    fn percentiles_need_their_operations() {
        assert_eq!([0.5, 0.9, 0.99, 0.999, 1.0].map(operations_needed), [1, 29, 299, 2995, 1]);
        let values: Vec<u64> = (1..=298).collect();
        assert_eq!(histogram(&values).quantile(0.99), None);
        let values: Vec<u64> = (1..=299).collect();
        assert_eq!(histogram(&values).quantile(0.99), Some(297));
        assert_eq!(Histogram::new().quantile(0.5), None);
        assert_eq!(Histogram::new().max(), None);
    }

    #[test]
    fn how_many_rounds_are_enough_is_said() {
        assert_eq!(more_rounds(20, 200, 299), "raise `rounds` to 30");
        assert_eq!(more_rounds(1, 2, 299), "raise `rounds` to 150");
        assert_eq!(more_rounds(20, 0, 299), "raise `rounds`");
    }

    #[test]
    fn a_histogram_merged_twice_is_noticed() {
        // The report's counts are compared with the histograms' lengths; this is what makes that comparison worth something.
        let mut merged = histogram(&[1, 2, 3]);
        let other = histogram(&[4, 5]);
        merged.merge(&other);
        assert_eq!(merged.len(), 5);
        merged.merge(&other);
        assert_ne!(merged.len(), 5);
    }

    #[test]
    fn what_is_no_histogram_is_refused() {
        assert!(Histogram::decode("%%%").unwrap_err().to_string().starts_with("not a base64 HdrHistogram V2"));
        assert!(Histogram::decode("AAAA").is_err());
    }

    proptest! {
        #[test]
        fn merging_equals_recording_all_in_one(
            left in prop::collection::vec(0u64..10_000_000_000, 0..200),
            right in prop::collection::vec(0u64..10_000_000_000, 0..200),
        ) {
            let mut merged = histogram(&left);
            merged.merge(&histogram(&right));
            let all: Vec<u64> = left.iter().chain(&right).copied().collect();
            prop_assert_eq!(merged, histogram(&all));
        }

        #[test]
        fn base64_round_trips(values in prop::collection::vec(0u64..10_000_000_000_000, 0..200)) {
            let original = histogram(&values);
            let mut decoded = Histogram::decode(&original.encode()).unwrap();
            prop_assert_eq!(&decoded, &original);
            decoded.record(u64::MAX / 4);
            prop_assert_eq!(decoded.len(), original.len() + 1);
        }

        #[test]
        fn quantiles_bracket_the_exact_ones(
            mut values in prop::collection::vec(1u64..10_000_000_000, 299..500),
            quantile in prop::sample::select(vec![0.01, 0.25, 0.5, 0.9, 0.99, 1.0]),
        ) {
            let measured = histogram(&values).quantile(quantile).unwrap();
            values.sort_unstable();
            let rank = ((quantile * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1];
            prop_assert!(measured >= exact, "{measured} is below {exact}");
            prop_assert!(measured as f64 <= exact as f64 * 1.001 + 1.0, "{measured} is more than 0.1 % above {exact}");
        }
    }
}
