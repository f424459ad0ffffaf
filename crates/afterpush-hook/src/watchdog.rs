//! Ends the hook when it takes too long, so that a slow disk or a reader that never comes does not hang the push.

use std::{process, thread, time::Duration};

use crate::say;

/// Far above the milliseconds that the hook takes, far below what a server or a person bears.
const BUDGET: Duration = Duration::from_secs(3);

/// Starts watching. What is on record by then is kept; `afterpush resume` watches it.
///
/// A process that the kernel holds in a disk wait does not end by this either; nothing in user space could end it.
pub(crate) fn start() {
    let watch = || {
        thread::sleep(BUDGET);
        say::line("gave up on watching this push: the disk does not answer; `afterpush resume` tries again");
        #[expect(clippy::exit, reason = "the thread that could return is the one that hangs")]
        process::exit(0);
    };
    // Without the thread (a limit on processes) the hook works as well, only unguarded.
    let _ = thread::Builder::new().name("watchdog".into()).stack_size(64 << 10).spawn(watch);
}
