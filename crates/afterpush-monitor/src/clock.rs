//! Elapsed time that goes on while the machine is suspended.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// More than this between the two clocks means that the machine slept.
const SUSPENDED: Duration = Duration::from_secs(2);

/// A clock that counts suspended time (`CLOCK_BOOTTIME`), and notices suspends by the clock that does not.
#[derive(Debug)]
pub struct BootClock {
    began: Duration,
    lag: Duration,
}

impl BootClock {
    /// Begins to count.
    #[must_use]
    pub fn begin() -> Self {
        let clock = Self { began: boot(), lag: Duration::ZERO };
        Self { lag: clock.lag_now(), ..clock }
    }

    /// The time since the beginning, suspended time included.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        boot().saturating_sub(self.began)
    }

    /// Tells, once for each time, that the machine was suspended since the last call.
    pub fn was_suspended(&mut self) -> bool {
        let lag = self.lag_now();
        let slept = lag > self.lag + SUSPENDED;
        if slept {
            self.lag = lag;
        }
        slept
    }

    /// By how much the clock that stops in suspend is behind.
    fn lag_now(&self) -> Duration {
        boot().saturating_sub(now(ClockId::CLOCK_MONOTONIC))
    }
}

fn boot() -> Duration {
    now(ClockId::CLOCK_BOOTTIME)
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
        let mut clock = BootClock::begin();
        let first = clock.elapsed();
        assert!(clock.elapsed() >= first);
        assert!(!clock.was_suspended());
        clock.lag = clock.lag.saturating_sub(Duration::from_secs(3600));
        clock.began = clock.began.saturating_sub(Duration::from_secs(3600));
        if boot() > Duration::from_secs(3600) {
            assert!(clock.elapsed() >= Duration::from_secs(3600));
        }
    }
}
