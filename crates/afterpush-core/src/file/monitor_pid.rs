//! monitor.pid: which process the monitor is, so that `stop` signals it and nobody else.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A process, named so that no other process on any boot can be taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The process id inside its PID namespace.
    pub pid: i32,
    /// When the process started, in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
    pub start_time: u64,
    /// The boot, from `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// The PID namespace, from `/proc/self/ns/pid`, such as `pid:[4026531836]`.
    pub pid_namespace: String,
}

/// The monitor's identity. Shown, and used for signalling after every field was checked; never a proof of life: that is the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorPid {
    /// The process.
    #[serde(flatten)]
    pub process: ProcessId,
    /// A random word that the monitor also carries in its arguments.
    pub nonce: String,
    /// The machine's name.
    pub host: String,
    /// When it started.
    pub started_at: Timestamp,
}
