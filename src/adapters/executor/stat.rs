//! One process as /proc tells of it (proc_pid_stat(5)).

use std::fs;
use std::time::Duration;

/// The processes of this machine, as far as they are seen from here.
pub fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Where a process belongs, and what it took.
pub struct Stat {
    /// Whether it is on a core or waits for one.
    pub runs: bool,
    /// The process that started it.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// User and system time, its own and that of the children it waited for.
    ticks: u64,
}

impl Stat {
    /// Of a process that was not reaped.
    pub fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; the fields start after the last one.
        let fields: Vec<_> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse().ok();
        let runs = *fields.first()? == "R";
        let ticks = fields.get(11..15)?.iter().filter_map(|f| f.parse::<u64>().ok()).sum();
        Some(Self { runs, parent: number(1)?, group: number(2)?, session: number(3)?, ticks })
    }

    /// CPU time, its own and that of the children it waited for.
    pub fn cpu(&self) -> Duration {
        tick() * u32::try_from(self.ticks).unwrap_or(u32::MAX)
    }
}

/// The unit of CPU time in /proc.
fn tick() -> Duration {
    Duration::from_secs(1) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100).max(1)
}
