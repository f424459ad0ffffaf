//! Interleaved rounds and what is told of them: whatever disturbs the machine then falls on all contestants alike.

use std::time::{Duration, Instant};

use afterpush_testkit::sandbox::{PATIENCE, Sandbox, wait_until};

/// The times of one contestant, shortest first.
#[derive(Debug, Clone)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    pub(crate) fn median(&self) -> Duration {
        self.part(50)
    }

    /// The time below which `percent` of all are.
    pub(crate) fn part(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

/// Times each of `count` contestants once a round; `once(which, round)` gives the time of what is to be timed alone.
pub(crate) fn rounds(
    count: usize,
    rounds: usize,
    warm_up: usize,
    mut once: impl FnMut(usize, usize) -> Duration,
) -> Vec<Times> {
    let mut times = vec![Vec::new(); count];
    for round in 0..rounds + warm_up {
        // Another one begins each round, so that nobody always runs after the same one.
        for which in (0..count).map(|which| (which + round) % count) {
            let time = once(which, round);
            if round >= warm_up {
                times[which].push(time);
            }
        }
    }
    times.into_iter().map(Times::of).collect()
}

/// How long a call takes.
pub(crate) fn time(call: impl FnOnce()) -> Duration {
    let began = Instant::now();
    call();
    began.elapsed()
}

/// Waits until no monitor works on beside what is timed next.
pub(crate) fn quiet(sandbox: &Sandbox) {
    wait_until(&format!("the end of all monitors, {PATIENCE:?}"), || sandbox.monitors().is_empty());
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// How much longer `time` is than `base`, in milliseconds; negative where it is shorter.
pub(crate) fn over(time: Duration, base: Duration) -> f64 {
    milliseconds(time) - milliseconds(base)
}

/// One line of a table: a contestant beside the baseline.
pub(crate) fn line(name: &str, times: &Times, base: Duration) {
    let median = times.median();
    println!(
        "  {name:<36} median {:7.2} ms   80 % in {:6.2} .. {:7.2} ms   {:+7.2} ms over the baseline   x {:.2}",
        milliseconds(median),
        milliseconds(times.part(10)),
        milliseconds(times.part(90)),
        over(median, base),
        median.as_secs_f64() / base.as_secs_f64()
    );
}

/// Says whether a figure keeps what is wanted of it.
pub(crate) fn aim(what: &str, is_kept: bool) {
    println!("  aim: {what}: {}", if is_kept { "kept" } else { "MISSED" });
}
