//! The machine port: which cores there are, and what they did as counters that only grow.

mod cores;
pub mod fake;
pub mod linux;

use std::time::Duration;

use crate::domain::lanes::Topology;

/// Counters since some fixed moment; what the machine does not tell is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// CPU time of everything, all CPUs that were asked about together; of the whole machine without this process.
    pub busy: Option<Duration>,
    /// Time that a hypervisor took from those CPUs.
    pub steal: Option<Duration>,
    /// Time in which anything waited for a core.
    pub pressure: Option<Duration>,
}

impl Load {
    /// What was added since an earlier look.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        let less = |now: Option<Duration>, then: Option<Duration>| Some(now?.saturating_sub(then?));
        Self {
            busy: less(self.busy, earlier.busy),
            steal: less(self.steal, earlier.steal),
            pressure: less(self.pressure, earlier.pressure),
        }
    }
}

/// The machine that everything runs on.
pub trait Machine: Send + Sync {
    /// The counters of these CPUs now; of the whole machine where none is named.
    fn load(&self, cpus: &[usize]) -> Load;

    /// The physical cores that this process may use.
    fn topology(&self) -> Topology;
}
