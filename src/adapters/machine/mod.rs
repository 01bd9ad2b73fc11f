//! The machine port: what its cores did, as counters that only grow.

pub mod fake;
pub mod linux;

use std::time::Duration;

/// Counters of the whole machine since some fixed moment; what it does not tell is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// CPU time of everything but this process, all cores together.
    pub busy: Option<Duration>,
    /// Time that a hypervisor took from the cores.
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
    /// Its counters now.
    fn load(&self) -> Load;
}
