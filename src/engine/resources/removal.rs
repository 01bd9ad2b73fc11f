//! Files of leases that were given back: out of the way at once, removed while the run goes on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::engine::resources::lease::machine;
use crate::engine::run::Run;
use crate::engine::state::{Record, Resource};
use crate::error::Error;

/// Removals that are under way. A lease's directory counts as held until its last file is gone.
#[derive(Default)]
pub struct Removals {
    tasks: Mutex<JoinSet<Result<(), Error>>>,
    number: AtomicU64,
}

impl Run {
    /// Takes a lease's directory out of its place; where it is then. What can't be moved stays, and is
    /// removed from there.
    pub(in crate::engine) async fn put_aside(&self, dir: &Path) -> std::path::PathBuf {
        let number = self.removals.number.fetch_add(1, Ordering::Relaxed);
        let aside = self.started.state.join(format!("removed-{number}"));
        match self.ports.workspace.put_aside(dir, &aside).await {
            Ok(()) => aside,
            Err(_) => dir.to_owned(),
        }
    }

    /// Removes what was put aside, and then records that the lease's directory is gone.
    pub(in crate::engine) async fn remove_in_background(&self, aside: std::path::PathBuf, resource: Resource) {
        let (workspace, log) = (Arc::clone(&self.ports.workspace), self.log.clone());
        let remove = async move {
            workspace.remove(&aside).await.map_err(machine)?;
            log.write(&Record::Removed { resource }).await
        };
        self.removals.tasks.lock().await.spawn(remove.in_current_span());
    }

    /// Waits until all that was put aside is gone: nothing else may run while a run measures, and nothing
    /// is left when it ends. What can't be removed is told and stays in the journal, for `gc` to take.
    pub(in crate::engine) async fn removed(&self) {
        let mut tasks = self.removals.tasks.lock().await;
        while let Some(ended) = tasks.join_next().await {
            let ended = ended.map_err(|error| Error::machine("files could not be removed").because(error));
            if let Err(error) = ended.and_then(|done| done) {
                self.warn(format!("something of a trial is left, which `blueprint gc` removes: {}", error.message));
            }
        }
    }
}
