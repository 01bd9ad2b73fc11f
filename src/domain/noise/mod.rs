//! The noise of a machine: how long the same small work took, over and over, and what disturbed it.

mod codec;
mod contest;
#[cfg(test)]
pub mod fixtures;
mod replay;
mod summary;

use std::time::Duration;

use jiff::Timestamp;

pub use codec::TraceError;
pub use contest::{CAP, Field, Question, RUN, SLICE, Said, Tally, Timed, least, mean, race, sequential};
pub use replay::{Machine, Replay, Slice};
pub use summary::{Difference, Summary};

/// What a machine did to the same work for a while. Ticks follow one another without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Where and when.
    pub header: Header,
    /// One a piece of work; at least one.
    pub ticks: Vec<Tick>,
    /// Counters of the whole machine, on a coarser grid.
    pub samples: Vec<Sample>,
}

/// Where and when a trace was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// When it began.
    pub recorded: Timestamp,
    /// The version of the program that recorded it.
    pub version: String,
    /// CPUs that the recorder could use.
    pub cores: usize,
    /// The model of the CPU.
    pub cpu: Option<String>,
    /// The release of the kernel.
    pub kernel: Option<String>,
    /// What the user wants to remember.
    pub note: Option<String>,
    /// Microseconds of CPU time of the fastest tick while the length of the work was chosen.
    pub tick: u64,
}

/// The work, done once; the next tick begins where it ends. Everything is in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// Elapsed, at least 1.
    pub wall: u64,
    /// CPU time of the thread.
    pub cpu: u64,
    /// What the thread waited for a CPU, where the system tells.
    pub run_delay: Option<u64>,
}

/// Counters of the whole machine. What the system does not tell is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Microseconds since the recording began.
    pub at: u64,
    /// Microseconds that the hypervisor took from all CPUs since the first sample.
    pub steal: Option<u64>,
    /// Microseconds in which some task waited for a CPU since the first sample.
    pub pressure: Option<u64>,
    /// Tasks that ran or wanted to.
    pub running: Option<u64>,
}

impl Trace {
    /// From the first to the last moment.
    pub fn length(&self) -> Duration {
        Duration::from_micros(self.ticks.iter().map(|tick| tick.wall).sum())
    }
}
