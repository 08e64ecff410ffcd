//! Durations as scenarios write them: `20ms`, `3s`, `1m 30s`; and as reports do: in nanoseconds.

use std::time::Duration;

use jiff::SignedDuration;

/// The text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration of at most a year, such as `20ms`, `1.5s` or `2m`")]
pub struct BadDuration(pub String);

/// A year: what is longer is a mistake, and clocks end somewhere.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// Reads a duration of numbers with units: `ns`, `us`, `ms`, `s`, `m`, `h`. Negative durations are refused, and endless ones.
pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| BadDuration(text.to_owned()))
}

/// A duration in nanoseconds. 584 years are enough: what is longer is cut off.
#[inline]
pub fn as_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_end_where_64_bits_do() {
        assert_eq!(as_ns(Duration::from_micros(3)), 3000);
        assert_eq!(as_ns(Duration::MAX), u64::MAX);
    }

    #[test]
    fn numbers_with_units_are_durations() {
        assert_eq!(parse("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("500us"), Ok(Duration::from_micros(500)));
        for wrong in ["", "20", "-1s", "ms", "1 fortnight", "8761h", "9223372036854775807s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
