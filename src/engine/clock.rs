//! The time that a run used, over all its sessions.

use std::time::Duration;

use tokio::time::Instant;

/// A clock that goes on where an earlier session of the run stopped. Monotonic.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    since: Instant,
    before: Duration,
}

impl Clock {
    /// A clock that shows `before` now.
    pub fn resumed(before: Duration) -> Self {
        Self { since: Instant::now(), before }
    }

    /// Time that the run used, over all its sessions.
    pub fn elapsed(&self) -> Duration {
        self.before + self.since.elapsed()
    }
}
