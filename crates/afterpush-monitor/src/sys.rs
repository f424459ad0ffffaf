//! What has no safe wrapper: closing inherited descriptors, adopting variables that were handed over, and reading how a process
//! that is not our child ended. Invariant: nothing else in this program is `unsafe`.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

/// Closes every descriptor above 2.
///
/// git hands a hook its transport pipes (descriptors 4 and 5, or 3 to 6); while a monitor held one of them, ssh and
/// receive-pack would live as long as the monitor does.
///
/// Must be the first thing in `main`: see the safety comment.
pub fn close_inherited() {
    // SAFETY: close_range(2) takes numbers only. Closing is sound because nothing in this process owns a descriptor above 2
    // yet: this runs first in `main`, before any file, socket, thread or runtime is made, and the standard library
    // keeps no descriptor of its own. A kernel without the call (before 5.9) answers ENOSYS and changes nothing.
    let done = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    if done != 0 {
        for descriptor in 3..1024 {
            // SAFETY: as above; closing a number that is not open answers EBADF and changes nothing.
            unsafe { libc::close(descriptor) };
        }
    }
}

/// Sets a variable of this process, for libraries that look for it there.
///
/// Others see what a process was started with (`/proc/<pid>/environ`), not what it sets itself. Must be called before any thread
/// begins: see the safety comment.
pub fn adopt_variable(name: &str, value: &str) {
    // The standard library panics where the system would refuse.
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return;
    }
    // SAFETY: setting a variable is a race with whatever reads the environment in another thread, and there is no other yet:
    // `main` calls this before it makes a runtime or starts anything.
    unsafe { std::env::set_var(name, value) };
}

/// `struct pidfd_info` of linux/pidfd.h in its first published size (64 bytes), which every later kernel accepts.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup_id: u64,
    /// pid, tgid, ppid, and the eight user and group ids.
    ids: [u32; 11],
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(0xFF, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: libc::c_ulong = (3 << 30) | ((size_of::<PidfdInfo>() as libc::c_ulong) << 16) | (0xFF << 8) | 11;

/// The exit code of the process behind a pidfd, once it was reaped by whoever is its parent: 0 to 255, or minus the signal
/// that ended it. `None` while it was not reaped, and on kernels before 6.15, which do not tell.
#[must_use]
pub fn exit_code(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the descriptor is borrowed, so it is open for the duration of the call; the request number carries the size of
    // `info`, and the kernel writes at most that many bytes into it. On a descriptor that is no pidfd, and on kernels
    // that do not know the request, it answers ENOTTY or EINVAL and writes nothing.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    if done != 0 || info.mask & PIDFD_INFO_EXIT == 0 {
        return None;
    }
    let (signal, code) = (info.exit_code & 0x7f, (info.exit_code >> 8) & 0xff);
    Some(if signal == 0 { code } else { -signal })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{os::fd::AsFd, process::Command};

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    #[test]
    fn the_exit_code_of_a_reaped_process_is_read_through_its_pidfd() {
        assert_eq!(size_of::<super::PidfdInfo>(), 64);
        for (script, expected) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9)] {
            let mut child = Command::new("/bin/sh").args(["-c", script]).spawn().unwrap();
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
            let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
            child.wait().unwrap();
            let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
            let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
            let tells = (numbers.next().unwrap(), numbers.next().unwrap()) >= (6, 15);
            if tells {
                assert_eq!(super::exit_code(pidfd.as_fd()), Some(expected), "{script}");
            } else {
                let why = format!("kernel {release} does not tell the exit code of a process that is not a child");
                afterpush_testkit::sandbox::skipped("the exit code by a pidfd", &why);
                assert_eq!(super::exit_code(pidfd.as_fd()), None);
            }
        }
    }
}
