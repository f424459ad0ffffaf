//! Elapsed time that goes on while the machine is suspended.
//!
//! Pure: the readings come from the surroundings, so that a simulated machine can sleep.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// More than this between the two clocks means that the machine slept.
const SUSPENDED: Duration = Duration::from_secs(2);

/// One look at the machine's two clocks, which both begin when it boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// The clock that counts suspended time (`CLOCK_BOOTTIME`).
    pub boot: Duration,
    /// The clock that does not (`CLOCK_MONOTONIC`).
    pub awake: Duration,
}

impl Clocks {
    /// Reads the clocks of this machine.
    #[must_use]
    pub fn read() -> Self {
        Self { boot: now(ClockId::CLOCK_BOOTTIME), awake: now(ClockId::CLOCK_MONOTONIC) }
    }

    /// By how much the clock that stops in suspend is behind.
    fn lag(self) -> Duration {
        self.boot.saturating_sub(self.awake)
    }
}

/// The clock of one run: counts from its beginning, and notices suspends by the two clocks that drift apart.
#[derive(Debug)]
pub struct RunClock {
    began: Duration,
    lag: Duration,
}

impl RunClock {
    /// Begins to count.
    #[must_use]
    pub fn begin(clocks: Clocks) -> Self {
        Self { began: clocks.boot, lag: clocks.lag() }
    }

    /// The time since the beginning, suspended time included.
    #[must_use]
    pub fn elapsed(&self, clocks: Clocks) -> Duration {
        clocks.boot.saturating_sub(self.began)
    }

    /// Tells, once for each time, that the machine was suspended since the last call.
    pub fn was_suspended(&mut self, clocks: Clocks) -> bool {
        let slept = clocks.lag() > self.lag + SUSPENDED;
        if slept {
            self.lag = clocks.lag();
        }
        slept
    }
}

fn now(clock: ClockId) -> Duration {
    // Both clocks exist on every kernel this program runs on; were one missing, time would stand still rather than jump.
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_only_goes_forward_and_an_awake_machine_was_not_suspended() {
        let mut clock = RunClock::begin(Clocks::read());
        let first = clock.elapsed(Clocks::read());
        assert!(clock.elapsed(Clocks::read()) >= first);
        assert!(!clock.was_suspended(Clocks::read()));
    }

    #[test]
    fn suspended_time_counts_and_each_suspend_is_told_once() {
        let hour = Duration::from_secs(3600);
        let clocks = |boot, awake| Clocks { boot, awake };
        let mut clock = RunClock::begin(clocks(2 * hour, hour));
        assert!(!clock.was_suspended(clocks(3 * hour, 2 * hour)));
        let slept = clocks(4 * hour, 2 * hour);
        assert_eq!(clock.elapsed(slept), 2 * hour);
        assert!(clock.was_suspended(slept));
        assert!(!clock.was_suspended(slept));
    }
}
