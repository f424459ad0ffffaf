//! What `/proc` tells of a process: memory and processor time. Reads only.

use std::{fs, time::Duration};

/// Linux tells processor times in hundredths of a second, whatever its own clock is.
const TICK: Duration = Duration::from_millis(10);

/// What a process holds, in MiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Its own pages, and of those that it shares its part.
    pub(crate) proportional: f64,
    /// Its own pages.
    pub(crate) private: f64,
}

/// What a process holds; `None` when it is gone, or not for us to look into.
pub(crate) fn memory(pid: i32) -> Option<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let field = |name: &str| mebibytes(&text, name);
    Some(Memory { proportional: field("Pss:")?, private: field("Private_Clean:")? + field("Private_Dirty:")? })
}

/// The processor time of a process and of those of its children that it has waited for.
pub(crate) fn cpu(pid: i32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which can hold anything: user and system time are the 12th and 13th, the children's follow.
    let times = text.rsplit_once(") ")?.1.split(' ').skip(11).take(4);
    let ticks: u32 = times.map(|ticks| ticks.parse::<u32>().unwrap_or(0)).sum();
    Some(TICK * ticks)
}

/// The memory that the machine can still give, in MiB.
pub(crate) fn available_memory() -> f64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    mebibytes(&text, "MemAvailable:").unwrap_or_default()
}

fn mebibytes(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
