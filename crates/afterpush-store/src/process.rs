//! Which process is which: identities that survive the reuse of process ids, and the search for the `git push` above us.
//!
//! Linux only, by `/proc`. Nothing here signals anybody.

use std::{
    fs, io,
    time::{Duration, SystemTime},
};

use afterpush_core::{
    file::{BootTime, ProcessId, Pusher},
    push::read_push_arguments,
};
use nix::{
    sys::prctl,
    time::{ClockId, clock_gettime},
};

/// How many processes may stand between a hook and its `git push`: five with lefthook, and some to spare.
const GENERATIONS: usize = 16;

/// Closes this process to others of the same user: no core file, no `/proc/<pid>/environ`, no ptrace. It holds the environment of
/// a push, and with it tokens. Nothing that it starts inherits this. Where the system refuses, it goes on as any program does.
pub fn close_to_others() {
    let _ = prctl::set_dumpable(false);
}

/// Identifies a process of this PID namespace.
///
/// # Errors
/// When there is no such process, or `/proc` is not there.
pub fn identify(pid: i32) -> io::Result<ProcessId> {
    Ok(ProcessId { pid, start_time: stat(pid)?.start_time, boot_id: boot_id()?, pid_namespace: pid_namespace()? })
}

/// Identifies this process.
///
/// # Errors
/// When `/proc` is not there.
pub fn current() -> io::Result<ProcessId> {
    identify(i32::try_from(std::process::id()).map_err(io::Error::other)?)
}

/// Tells whether exactly this process is alive: same boot, same PID namespace, same start time; a zombie is not, and
/// neither is a thread that was given the number.
#[must_use]
pub fn is_alive(id: &ProcessId) -> bool {
    let is_here = boot_id().is_ok_and(|boot| boot == id.boot_id)
        && pid_namespace().is_ok_and(|namespace| namespace == id.pid_namespace);
    is_here
        && stat(id.pid).is_ok_and(|stat| stat.start_time == id.start_time && !matches!(stat.state, b'Z' | b'X' | b'x'))
        && is_process(id.pid)
}

/// Finds the `git push` at or above `from_pid`. Its [`Pusher::exit_proves`] is false for a dry run.
///
/// Hook managers put up to four processes between git and a hook, so the parent alone says nothing.
#[must_use]
pub fn find_pusher(from_pid: i32) -> Option<Pusher> {
    let mut pid = from_pid;
    for _ in 0..GENERATIONS {
        if pid <= 0 {
            return None;
        }
        let stat = stat(pid).ok()?;
        if let Some(pusher) = pusher_of(pid, &stat) {
            return Some(pusher);
        }
        pid = stat.parent;
    }
    None
}

/// The process itself, when it is a `git push`.
#[must_use]
pub fn pusher_at(pid: i32) -> Option<Pusher> {
    pusher_of(pid, &stat(pid).ok()?)
}

fn pusher_of(pid: i32, stat: &Stat) -> Option<Pusher> {
    if stat.command != b"git" {
        return None;
    }
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let arguments: Vec<_> = arguments.strip_suffix(b"\0").unwrap_or(&arguments).split(|byte| *byte == 0).collect();
    let arguments: Vec<_> = arguments.into_iter().map(String::from_utf8_lossy).collect();
    let said = read_push_arguments(arguments.iter().map(AsRef::as_ref));
    if !said.is_push {
        return None;
    }
    Some(Pusher { process: identify(pid).ok()?, exit_proves: !said.is_dry_run })
}

/// When a process of this PID namespace began, by the clock of the wall: never too late, too early by 0.04 s at most.
///
/// # Errors
/// When there is no such process, or `/proc` is not there.
pub fn began_at(pid: i32) -> io::Result<SystemTime> {
    let start = stat(pid)?.start_time;
    let uptime = fs::read_to_string("/proc/uptime")?;
    let uptime: Option<f64> = uptime.split(' ').next().and_then(|seconds| seconds.parse().ok());
    let uptime = uptime.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/uptime is not readable"))?;
    // Both count from the boot, suspended time included; Linux tells start times in hundredths whatever its own clock is.
    // Each of the two is cut to them, and the times of files lag behind by a tick of the kernel.
    let age = uptime - start as f64 / 100.0 + 0.03;
    Ok(SystemTime::now() - Duration::try_from_secs_f64(age.max(0.0)).unwrap_or_default())
}

struct Stat {
    command: Vec<u8>,
    state: u8,
    parent: i32,
    start_time: u64,
}

fn stat(pid: i32) -> io::Result<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat"))?;
    parse_stat(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat is not readable")))
}

/// Reads `<pid> (<command>) <state> <parent> ... <field 22: start time>`; see proc_pid_stat(5). The command can hold spaces
/// and parentheses of its own, so the last closing one counts.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let open = text.iter().position(|byte| *byte == b'(')?;
    let close = text.iter().rposition(|byte| *byte == b')')?;
    let command = text.get(open + 1..close)?.to_vec();
    let rest = str::from_utf8(text.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        command,
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

/// `/proc/<number>` also exists for a thread, whose group has another number.
fn is_process(pid: i32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
        return false;
    };
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    group.is_some_and(|group| group.trim().parse() == Ok(pid))
}

/// This moment by the clock that nobody sets.
///
/// # Errors
/// When the clock or `/proc` is not there.
pub fn boot_time() -> io::Result<BootTime> {
    let milliseconds = u64::try_from(since_boot()?.as_millis()).map_err(io::Error::other)?;
    Ok(BootTime { boot_id: boot_id()?, milliseconds })
}

/// The time since the boot, suspended time included.
pub(crate) fn since_boot() -> io::Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?))
}

pub(crate) fn boot_id() -> io::Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim_end().to_owned())
}

fn pid_namespace() -> io::Result<String> {
    fs::read_link("/proc/self/ns/pid").map(|link| link.to_string_lossy().into_owned())
}
