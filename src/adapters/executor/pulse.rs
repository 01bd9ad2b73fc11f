//! Signs of life of a group: what it printed, and the CPU time of all that descends from its leader.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::group::tick;
use crate::adapters::process::{Pulse, Vital};

/// Counts what both streams of a program brought.
#[derive(Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// So many bytes more.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Connects a pulse to a started program.
pub fn connect(pulse: &Pulse, leader: u32, counter: Counter) {
    pulse.connect(move || Vital { output: counter.0.load(Ordering::Relaxed), cpu: cpu(leader) });
}

/// One process as /proc tells of it.
struct Process {
    parent: u32,
    group: u32,
    session: u32,
    ticks: u64,
}

/// The CPU time of the leader and of all that it started and that is still there, also where it
/// left the group.
fn cpu(leader: u32) -> Duration {
    let all: BTreeMap<u32, Process> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, read(pid)?)))
        .collect();
    let mut own: BTreeSet<u32> = all
        .iter()
        .filter(|(pid, p)| **pid == leader || p.group == leader || p.session == leader)
        .map(|(pid, _)| *pid)
        .collect();
    // A child has the greater number but for a wrap-around; a second walk finds those.
    for _ in 0..2 {
        for (pid, process) in &all {
            if own.contains(&process.parent) {
                own.insert(*pid);
            }
        }
    }
    let ticks: u64 = own.iter().filter_map(|pid| all.get(pid)).map(|p| p.ticks).sum();
    tick() * u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// proc_pid_stat(5): the name in parentheses may hold anything, the fields start after the last one.
fn read(pid: u32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse().ok();
    let ticks = fields.get(11..15)?.iter().filter_map(|f| f.parse::<u64>().ok()).sum();
    Some(Process { parent: number(1)?, group: number(2)?, session: number(3)?, ticks })
}
