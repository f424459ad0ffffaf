//! Reads durations as people write them, such as `5s` or `1m30s`; every accepted text has exactly one meaning.

use std::time::Duration;

use thiserror::Error;

/// The longest duration that is read. Far beyond any use, and small enough that sums of durations and points in time never overflow.
pub const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// The units from the longest to the shortest, with their length in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Tells why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurationError {
    /// It is not whole numbers with units, from the longest unit to the shortest.
    #[error("{0:?} is not a duration such as \"200ms\", \"5s\", \"1m30s\", \"2h\" or \"7d\"")]
    NotADuration(String),
    /// It is longer than [`LONGEST`].
    #[error("{0:?} is longer than 36500d")]
    TooLong(String),
}

/// Reads a duration: whole numbers, each with one of the units `d`, `h`, `m`, `s` and `ms`, longest unit first, each unit at most once.
///
/// # Errors
/// [`DurationError`] for anything else, also for a number without a unit: `30` could mean seconds or minutes.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let shown = || text.chars().take(40).collect::<String>();
    let not_a_duration = || DurationError::NotADuration(shown());
    let too_long = || DurationError::TooLong(shown());

    let mut millis: u64 = 0;
    let mut units = UNITS.iter();
    let mut rest = text;
    if rest.is_empty() {
        return Err(not_a_duration());
    }
    while !rest.is_empty() {
        let (digits, after) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split_where(after, |c| c.is_ascii_digit());
        // The search goes on where it stopped, so a unit that comes twice or too late is not found.
        let Some((_, length)) = units.find(|(name, _)| *name == unit) else { return Err(not_a_duration()) };
        if digits.is_empty() {
            return Err(not_a_duration());
        }
        // Only digits are left, so the one way to fail is to be too large.
        let count: u64 = digits.parse().map_err(|_| too_long())?;
        millis = count.checked_mul(*length).and_then(|part| millis.checked_add(part)).ok_or_else(too_long)?;
        rest = after;
    }
    let duration = Duration::from_millis(millis);
    if duration > LONGEST { Err(too_long()) } else { Ok(duration) }
}

/// Splits before the first character that `ends` names.
fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_unit_and_compounds_are_read() {
        for (text, millis) in [
            ("200ms", 200),
            ("5s", 5_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("1m30s", 90_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("0s", 0),
            ("007s", 7_000),
        ] {
            assert_eq!(parse(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn texts_with_two_meanings_or_none_are_refused() {
        for text in [
            "", "5", "s", "5 s", " 5s", "5s ", "-5s", "+5s", "1.5s", "5S", "5sec", "1s1m", "1s1s", "5m30", "٣s",
            "5s\n", "ms5",
        ] {
            assert_eq!(parse(text), Err(DurationError::NotADuration(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_duration_that_could_overflow_a_sum_is_refused() {
        for text in ["36501d", "18446744073709551615ms", "99999999999999999999s", "36500d1ms", "18446744073709551615d"]
        {
            assert_eq!(parse(text), Err(DurationError::TooLong(text.to_owned())), "{text}");
        }
        assert_eq!(parse("36500d").unwrap(), LONGEST);
    }

    #[test]
    fn a_long_wrong_text_is_shown_cut() {
        let Err(error) = parse(&"x".repeat(1_000)) else { panic!() };
        assert!(error.to_string().len() < 140, "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_leave_its_bounds(text in "\\PC{0,30}", near in "[0-9dhms]{0,40}") {
            for text in [text, near] {
                if let Ok(duration) = parse(&text) {
                    prop_assert!(duration <= LONGEST);
                }
            }
        }
    }
}
