//! How much the programs of a lease may use of the machine, all together.

use std::fmt;
use std::fs;

use crate::domain::quantity::Bytes;

/// How much they may use. What is not limited is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Of the memory.
    pub memory: Option<Bytes>,
    /// Processes at a time.
    pub processes: Option<u32>,
    /// Of the disk, by what is below the lease's directory.
    pub disk: Option<Bytes>,
    /// Of the disk besides what is there when the walls are opened, where `disk` says nothing.
    pub spare: Option<Bytes>,
    /// For one file there, by its length.
    pub file: Option<Bytes>,
}

/// Processes at a time where nobody says otherwise: more than any suite starts, and few enough that others can still start some.
const PROCESSES: u32 = 4000;
/// The longest file where nobody says otherwise.
const FILE: Bytes = Bytes(4 << 30);
/// So much of the disk may be used wherever nobody says otherwise: on one that has less, it is the disk that is full, and no program
/// that uses too much.
const SPARE: u64 = 1 << 30;

impl Limits {
    /// What holds where nobody says otherwise: three quarters of the memory, half of the free disk and a gibibyte at least.
    pub fn usual(free: Option<Bytes>) -> Self {
        Self {
            memory: memory().map(|all| Bytes(all.0 / 4 * 3)),
            processes: Some(PROCESSES),
            disk: None,
            spare: free.map(|free| Bytes((free.0 / 2).max(SPARE))),
            file: Some(FILE),
        }
    }

    /// These, and where they say nothing others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            memory: self.memory.or(others.memory),
            processes: self.processes.or(others.processes),
            disk: self.disk.or(others.disk),
            spare: self.spare.or(others.spare),
            file: self.file.or(others.file),
        }
    }
}

/// The memory of this machine.
fn memory() -> Option<Bytes> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Bytes(kibibytes * 1024))
}

/// Which limit was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// So much memory.
    Memory(Bytes, Bytes),
    /// So many processes.
    Processes(u32, u32),
    /// So much disk.
    Disk(Bytes, Bytes),
    /// So long a file.
    File(Bytes, Bytes),
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(used, most) => {
                write!(f, "its programs used {used} of memory, and `sandbox.limits.memory` is {most}")
            }
            Self::Processes(used, most) => {
                write!(f, "it ran {used} processes, and `sandbox.limits.processes` is {most}")
            }
            Self::Disk(used, most) => write!(f, "its files took {used}, and `sandbox.limits.disk` is {most}"),
            Self::File(used, most) => {
                write!(f, "one of its files was {used} long, and `sandbox.limits.file` is {most}")
            }
        }
    }
}
