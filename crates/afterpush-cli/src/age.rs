//! Durations and times as people say them. Pure.

use std::time::Duration;

use jiff::Timestamp;

/// A duration in at most two units: `4s`, `2m10s`, `3h5m`, `2d3h`.
pub(crate) fn for_people(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (big, big_unit, small, small_unit) = match seconds {
        0..60 => return format!("{seconds}s"),
        60..3_600 => (seconds / 60, "m", seconds % 60, "s"),
        3_600..86_400 => (seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => (seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    };
    if small == 0 { format!("{big}{big_unit}") } else { format!("{big}{big_unit}{small}{small_unit}") }
}

/// The time from `start` to `end`; zero when the clock was set back in between.
pub(crate) fn between(start: Timestamp, end: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(start)).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (130, "2m10s"), (3_600, "1h"), (11_100, "3h5m"), (183_600, "2d3h")]
        {
            assert_eq!(for_people(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_clock_that_was_set_back_gives_no_time_at_all() {
        let now: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
        let later: Timestamp = "2026-01-01T00:00:20.9Z".parse().unwrap();
        assert_eq!(between(later, now), Duration::ZERO);
        assert_eq!(between(now, later).as_secs(), 10);
    }
}
