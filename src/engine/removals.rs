//! What is being removed while a run goes on.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::error::Error;

/// Removals that are under way. A lease's directory counts as held until its last file is gone.
#[derive(Default)]
pub struct Removals {
    tasks: Mutex<JoinSet<Result<(), Error>>>,
    number: AtomicU64,
}

impl Removals {
    /// A number that no other removal of the run has.
    pub fn number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// Lets one go on beside the run.
    pub async fn begin(&self, removal: impl Future<Output = Result<(), Error>> + Send + 'static) {
        self.tasks.lock().await.spawn(removal.in_current_span());
    }

    /// Waits until all are over; those that failed.
    pub async fn ended(&self) -> Vec<Error> {
        let mut tasks = self.tasks.lock().await;
        let mut failed = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            let ended = ended.map_err(|error| Error::machine("files could not be removed").because(error));
            failed.extend(ended.and_then(|done| done).err());
        }
        failed
    }
}
