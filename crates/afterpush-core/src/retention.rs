//! Decides which finished runs cleanup removes; pure: the present arrives as an argument.

use std::time::Duration;

use jiff::Timestamp;

/// Tells whether a run that finished then is older than the limit now. A finish in the future (the clock was set back) is not.
#[must_use]
pub fn is_expired(finished_at: Timestamp, now: Timestamp, older_than: Duration) -> bool {
    let age = now.duration_since(finished_at);
    age.is_positive() && age.unsigned_abs() > older_than
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const WEEK: Duration = Duration::from_secs(7 * 86_400);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_run_expires_only_after_the_whole_limit() {
        let finished = at(1_700_000_000);
        let limit = at(1_700_000_000 + 7 * 86_400);
        assert!(!is_expired(finished, limit, WEEK));
        assert!(is_expired(finished, limit + Duration::from_nanos(1), WEEK));
        assert!(!is_expired(finished, finished, WEEK));
    }

    #[test]
    fn a_clock_that_was_set_back_expires_nothing() {
        assert!(!is_expired(at(1_700_000_000), at(1_600_000_000), WEEK));
        assert!(!is_expired(at(1_700_000_000), at(1_699_999_999), Duration::ZERO));
        assert!(!is_expired(Timestamp::MAX, Timestamp::MIN, WEEK));
    }

    #[test]
    fn a_limit_of_zero_expires_everything_that_is_past() {
        assert!(is_expired(at(1_700_000_000), at(1_700_000_001), Duration::ZERO));
        assert!(is_expired(Timestamp::MIN, Timestamp::MAX, Duration::ZERO));
    }

    #[test]
    fn the_longest_limit_does_not_overflow() {
        assert!(!is_expired(Timestamp::MIN, Timestamp::MAX, Duration::MAX));
    }
}
