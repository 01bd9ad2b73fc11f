//! Load over HTTP: starting the server under test and asking it; and streams of events, however they come.

mod answers;
mod client;
mod dial;
mod endpoint;
mod limits;
mod server;
mod sse;

use std::num::NonZeroU32;
use std::time::Duration;

use super::process::ProcessError;
pub use answers::Answers;
pub(crate) use client::builder;
pub use client::{Client, RequestPath, RequestSettings, plain};
pub use endpoint::Endpoint;
pub use server::{ServeSettings, Server};
pub use sse::{SseEvent, SseReader};

/// How long a server may take to answer its first request, unless the configuration says.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// Requests in flight of the closed loop, unless the configuration says.
pub const CONCURRENCY: NonZeroU32 = NonZeroU32::new(16).expect("not zero");

/// Why there is no server, or no answer from it that counts.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The tree's doing: the server died, never became ready, or answered with errors.
    #[error("{0}")]
    Variant(String),
    /// The machine's doing: no free port, too few open files.
    #[error("{0}")]
    Machine(String),
    /// The server's program was missing or failed to start.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The run is being stopped.
    #[error("stopped")]
    Stopped,
}
