//! The waiting rules. All durations of a run come from here, so that a test can make them short and a user can tune them.

use std::time::Duration;

/// How often to ask, how long to wait.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The interval after the first question, and after each change of state.
    pub first_interval: Duration,
    /// The longest interval between two questions.
    pub slow_interval: Duration,
    /// By how much the interval grows at each question.
    pub growth: f64,
    /// The share by which each interval varies at random, so that many monitors do not ask at once.
    pub jitter: f64,
    /// How long after the confirmed push a deployment of the commit may take to appear.
    pub registration_deadline: Duration,
    /// How long a run may take in all.
    pub deadline: Duration,
    /// How long after the end of `git push` a proof that the push landed may take.
    pub confirmation_deadline: Duration,
    /// The longest wait that a provider may ask of us at once.
    pub retry_after_cap: Duration,
    /// How long the log of a failed deployment may take to fetch.
    pub log_deadline: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_interval: Duration::from_secs(5),
            slow_interval: Duration::from_secs(15),
            growth: 1.3,
            jitter: 0.2,
            registration_deadline: Duration::from_secs(5 * 60),
            deadline: Duration::from_secs(30 * 60),
            confirmation_deadline: Duration::from_secs(2 * 60),
            retry_after_cap: Duration::from_secs(15 * 60),
            log_deadline: Duration::from_secs(30),
        }
    }
}

impl Policy {
    /// The interval that follows `interval`: longer by the growth, up to the slow interval.
    #[must_use]
    pub fn next_interval(&self, interval: Duration) -> Duration {
        interval.mul_f64(self.growth.clamp(1.0, 100.0)).min(self.slow_interval.max(self.first_interval))
    }

    /// An interval varied at random: `roll` in 0..1 becomes a factor of 1 - jitter to 1 + jitter.
    #[must_use]
    pub fn jittered(&self, interval: Duration, roll: f64) -> Duration {
        let roll = if roll.is_finite() { roll.clamp(0.0, 1.0) } else { 0.5 };
        interval.mul_f64(1.0 + self.jitter.clamp(0.0, 1.0) * (2.0 * roll - 1.0))
    }

    /// The wait that a provider asked for, within our cap.
    #[must_use]
    pub fn capped_retry_after(&self, wish: Duration) -> Duration {
        wish.min(self.retry_after_cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_grow_from_five_to_fifteen_seconds() {
        let policy = Policy::default();
        let mut interval = policy.first_interval;
        let mut seen = vec![interval.as_millis()];
        for _ in 0..6 {
            interval = policy.next_interval(interval);
            seen.push(interval.as_millis());
        }
        assert_eq!(seen, [5000, 6500, 8450, 10985, 14280, 15000, 15000]);
    }

    #[test]
    fn jitter_is_a_fifth_each_way_and_never_trusts_its_input() {
        let policy = Policy::default();
        let ten = Duration::from_secs(10);
        assert_eq!(policy.jittered(ten, 0.0), Duration::from_secs(8));
        assert_eq!(policy.jittered(ten, 1.0), Duration::from_secs(12));
        assert_eq!(policy.jittered(ten, f64::NAN), ten);
        assert_eq!(policy.jittered(ten, 7.0), Duration::from_secs(12));
    }

    #[test]
    fn a_provider_cannot_make_us_wait_for_ever() {
        let policy = Policy::default();
        assert_eq!(policy.capped_retry_after(Duration::from_secs(9_999_999)), policy.retry_after_cap);
    }
}
