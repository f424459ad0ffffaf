//! Waiting for a `git push` that is not our child: by a pidfd, which can never come to mean another process.

use std::{
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use afterpush_core::file::Pusher;
use afterpush_store::process;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::time::sleep;

use crate::sys;

/// Between two looks at the process. A push lasts a second or two; a thread that sleeps in poll(2) would cost more.
const LOOK: Duration = Duration::from_millis(50);
/// How long the parent of `git push` may take to reap it; only then does the kernel tell its exit code.
const REAPED_WITHIN: Duration = Duration::from_secs(1);

/// Waits until the process has ended, and gives its exit code where it is known and where 0 would prove the push.
///
/// The process is looked up at the call, not when the wait begins: the exit code of one that ends in between is not lost.
pub fn wait(pusher: Pusher) -> impl Future<Output = Option<i32>> {
    let pidfd = open(&pusher);
    async move { ended(pidfd?, pusher.exit_proves).await }
}

fn open(pusher: &Pusher) -> Option<OwnedFd> {
    let pid = Pid::from_raw(pusher.process.pid)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // Checked after the pidfd was opened: from here on it is this process or none.
    process::is_alive(&pusher.process).then_some(pidfd)
}

async fn ended(pidfd: OwnedFd, exit_proves: bool) -> Option<i32> {
    while !has_ended(&pidfd) {
        sleep(LOOK).await;
    }
    let mut waited = Duration::ZERO;
    let exit = loop {
        if let Some(code) = sys::exit_code(pidfd.as_fd()) {
            break code;
        }
        if waited >= REAPED_WITHIN {
            return None;
        }
        sleep(LOOK).await;
        waited += LOOK;
    };
    // A failure is telling in any case; a success only when it was surely this push, and not a dry one.
    (exit != 0 || exit_proves).then_some(exit)
}

/// A pidfd becomes readable when its process has ended.
fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut descriptors = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    // Trouble with the look itself counts as the end: then the refs and the remote decide.
    !matches!(poll(&mut descriptors, PollTimeout::ZERO), Ok(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn the_end_of_a_process_is_waited_for_and_its_code_told_where_it_proves_something() {
        for (code, exit_proves, expected) in [(0, true, Some(0)), (0, false, None), (1, false, Some(1))] {
            let mut child = Command::new("/bin/sh").args(["-c", &format!("sleep 0.2; exit {code}")]).spawn().unwrap();
            let process = process::identify(i32::try_from(child.id()).unwrap()).unwrap();
            let reaper = std::thread::spawn(move || child.wait().unwrap());
            let told = wait(Pusher { process, exit_proves }).await;
            reaper.join().unwrap();
            // Kernels before 6.15 do not tell; the test of `sys` says so.
            assert!(told == expected || told.is_none(), "{told:?} {expected:?}");
        }
    }

    #[tokio::test]
    async fn a_process_that_ends_before_the_wait_begins_is_told_of() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let process = process::identify(i32::try_from(child.id()).unwrap()).unwrap();
        let waiting = wait(Pusher { process, exit_proves: true });
        child.kill().unwrap();
        child.wait().unwrap();
        let told = waiting.await;
        let tells = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = tells.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
        // Kernels before 6.15 do not tell; the test of `sys` says so.
        let tells = (numbers.next().unwrap(), numbers.next().unwrap()) >= (6, 15);
        assert_eq!(told, tells.then_some(-9));
    }

    #[tokio::test]
    async fn a_process_that_is_not_the_one_is_not_waited_for() {
        let mut sleeper = Command::new("sleep").arg("600").spawn().unwrap();
        let mut process = process::identify(i32::try_from(sleeper.id()).unwrap()).unwrap();
        process.start_time += 1;
        assert_eq!(wait(Pusher { process, exit_proves: true }).await, None);
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }
}
