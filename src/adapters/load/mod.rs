//! Load on anything that answers: when it is asked, and what came back.
//!
//! An open loop measures latency: requests start when a seeded schedule says, whether or not
//! earlier ones were answered, and a latency runs from that intended start. A closed loop measures
//! throughput: a fixed number of requests is in flight all the time. An error is neither a
//! latency nor throughput. All of it runs on threads of its own, which go first where the machine lets them.

mod closed;
mod generator;
mod open;
mod schedule;
mod tally;

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;

pub use closed::{Pace, Steady, burst, closed_loop};
pub(crate) use generator::on_generator;
pub use open::{Opened, open_loop};
pub use schedule::arrivals;
pub(crate) use schedule::samples_for;
pub use tally::Tally;

/// How long one slice loads its target in each loop, unless the configuration says.
pub const SLICE: Duration = Duration::from_millis(400);
/// Requests a second of the open loop, unless the configuration says.
pub(super) const RATE: NonZeroU32 = NonZeroU32::new(100).expect("not zero");

/// The first question of a closed loop.
pub(super) const CLOSED: u64 = 1 << 32;
/// The first question of a burst.
const BURST: u64 = 2 << 32;

/// What is loaded.
#[async_trait]
pub trait Target: Send + Sync + 'static {
    /// Asks one question once and reads the answer to its end. The same number is the same question: an open loop
    /// asks from 0 on in the order of its schedule, a closed one from `CLOSED`, a burst from `BURST`.
    async fn ask(&self, question: u64) -> Result<(), Failure>;
}

/// A request without a clean answer.
#[derive(Debug, Clone)]
pub struct Failure {
    /// By which it is counted, such as `status 500`.
    pub kind: String,
    /// Whether it is nothing that the target did: no request could be sent, or what answers is ours and gone.
    pub machine: bool,
    /// What happened.
    pub message: String,
}
