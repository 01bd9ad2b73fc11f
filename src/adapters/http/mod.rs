//! Load over HTTP: starting the server under test, asking it, and counting its answers.
//!
//! An open loop measures latency: requests start when a seeded schedule says, whether or not
//! earlier ones were answered, and a latency runs from that intended start. A closed loop measures
//! throughput: a fixed number of requests is in flight all the time. An error is neither a
//! latency nor throughput.

mod client;
mod closed;
mod limits;
mod open;
mod schedule;
mod server;
mod tally;

use std::num::NonZeroU32;
use std::time::Duration;

use super::process::ProcessError;
pub use client::{Client, RequestPath, RequestSettings};
pub use closed::{Pace, Steady, burst, closed_loop};
pub use open::{Lagged, open_loop};
pub use schedule::{arrivals, samples_for};
pub use server::{ServeSettings, Server};
pub use tally::Tally;

/// How long a server may take to answer its first request, unless the configuration says.
pub const READY_LIMIT: Duration = Duration::from_secs(30);
/// How long one request may take, unless the configuration says.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// How long one slice loads the server in each loop, unless the configuration says.
pub const SLICE: Duration = Duration::from_millis(400);
/// Requests a second of the open loop, unless the configuration says.
pub const RATE: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
/// Requests in flight of the closed loop, unless the configuration says.
pub const CONCURRENCY: NonZeroU32 = NonZeroU32::new(16).expect("not zero");

/// Why there is no server, or no answer from it that counts.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The tree's doing: the server died, never became ready, or answered with errors.
    #[error("{0}")]
    Variant(String),
    /// The machine's doing: no free port, too few open files, a load generator that fell behind.
    #[error("{0}")]
    Machine(String),
    /// The server's program was missing or failed to start.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The run is being stopped.
    #[error("stopped")]
    Stopped,
}
