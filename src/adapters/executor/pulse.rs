//! Signs of life of a group: what it printed, and the CPU time of all that descends from its leader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::stat::{Stat, processes};
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

/// The CPU time of the leader and of all that it started and that is still there, also where it
/// left the group.
fn cpu(leader: u32) -> Duration {
    let all: BTreeMap<u32, Stat> = processes().filter_map(|pid| Some((pid, Stat::of(pid)?))).collect();
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
    own.iter().filter_map(|pid| all.get(pid)).map(Stat::cpu).sum()
}
