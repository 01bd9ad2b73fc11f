//! Programs within the walls of a lease.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::local::{self, Local};
use super::walls::Walls;
use super::{ordinary, orphans};
use crate::adapters::process::{
    Command, Enclosure, Executor, Finished, Order, ProcessError, Sandbox, SandboxError, Serving, Stop, Stray,
};
use crate::domain::measurement::Priority;

/// Walls by bubblewrap.
#[derive(Debug, Clone)]
pub struct Bubblewrap {
    program: PathBuf,
    binary: PathBuf,
}

impl Bubblewrap {
    /// The installed one, where there is one; `binary` is ours.
    pub fn installed(binary: PathBuf) -> Option<Self> {
        Some(Self { program: ordinary::bubblewrap()?, binary })
    }
}

#[async_trait]
impl Sandbox for Bubblewrap {
    async fn open(&self, order: &Order) -> Result<Arc<dyn Enclosure>, SandboxError> {
        let (own, order) = (self.clone(), order.clone());
        let open = move || Walls::open(&own.program, &own.binary, &order);
        let joined = tokio::task::spawn_blocking(open).await.map_err(std::io::Error::other);
        let walls = joined.and_then(|opened| opened).map_err(|error| SandboxError(error.to_string()))?;
        Ok(Arc::new(Enclosed(Arc::new(walls))))
    }
}

/// The walls of a lease.
struct Enclosed(Arc<Walls>);

#[async_trait]
impl Enclosure for Enclosed {
    fn executor(&self) -> Arc<dyn Executor> {
        Arc::new(Within(Arc::clone(&self.0)))
    }

    async fn close(&self) {
        self.0.end().await;
    }
}

/// Runs programs within walls.
struct Within(Arc<Walls>);

#[async_trait]
impl Executor for Within {
    async fn run(&self, command: Command, stop: &Stop) -> Result<Finished, ProcessError> {
        local::run(command, stop, Some(&self.0)).await
    }

    async fn serve(&self, command: Command) -> Result<Box<dyn Serving>, ProcessError> {
        local::serve(command, Some(&self.0)).await
    }

    async fn sweep(&self, variable: &str, value: &str) -> usize {
        Local.sweep(variable, value).await
    }

    async fn settle(&self, _lease: &str) -> Vec<Stray> {
        orphans::settle_in(&self.0, None).await.left
    }

    fn priority(&self) -> Priority {
        Local.priority()
    }
}
