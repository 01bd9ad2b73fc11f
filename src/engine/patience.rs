//! Until when a suite or a slice may go on, and whose trouble it is if it does not end.

use std::time::Duration;

use crate::adapters::metric::Slot;
use crate::engine::run::Run;

/// A slice that takes so many times as long as the baseline's longest is the contender's own trouble.
const TIMES: u32 = 10;
/// Below this neither a suite nor a slice is too long.
pub const SHORT: Duration = Duration::from_secs(30);

/// Until when a slice may go on, and whose trouble it is if it does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From the slice's start.
    pub limit: Option<Duration>,
    /// Whether the limit is the end of the time for measuring.
    pub ours: bool,
}

impl Patience {
    /// Until the end of the time for measuring, where the slot ends with it.
    pub fn until(slot: Slot) -> Self {
        Self { limit: slot.limit, ours: true }
    }

    /// Until a slice takes too long beside the baseline's longest, and no longer than there is time.
    pub fn beside(baseline: Option<Duration>, short: Duration, whole: Option<Duration>) -> Self {
        match (baseline.map(|longest| (longest * TIMES).max(short)), whole) {
            (Some(own), Some(whole)) if own < whole => Self { limit: Some(own), ours: false },
            (own, None) => Self { limit: own, ours: false },
            (_, whole) => Self { limit: whole, ours: true },
        }
    }
}

/// What is said of what a contender's own limit ended.
pub fn too_long() -> String {
    format!("it takes more than {TIMES} times as long as the baseline's longest")
}

impl Run {
    /// How long a slice may take beside one of the baseline's where no block tells: of what is read once, and in
    /// fresh trees.
    pub(super) fn first_patience(&self, baseline: Option<Duration>) -> Patience {
        Patience::beside(baseline, SHORT, self.time_left())
    }
}
