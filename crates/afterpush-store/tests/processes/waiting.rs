//! Waiting with a deadline for what other processes do.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Waits for something that has to come, and fails when it does not come in time.
pub(crate) fn wait_until(what: &str, mut is_there: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_there() {
        assert!(Instant::now() < deadline, "{what} did not happen in 20 s");
        thread::sleep(Duration::from_millis(2));
    }
}
