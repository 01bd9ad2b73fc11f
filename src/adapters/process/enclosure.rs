//! The port through which the programs of a lease are walled in: what they see of the machine, what they may write, and
//! that nothing of them outlives the lease.
//!
//! The walls belong to the lease. Whoever runs something in it does so by the lease's own executor, so that nobody can
//! forget them.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::Executor;
use super::command::Environment;

/// What the programs of one lease need of the machine besides its usual places. The root is read-only, and the home, the
/// places for temporary files and sockets are empty ones of the lease's own.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// The lease's own place for what its programs leave in the home and among temporary files; made where it is not there,
    /// and not to be seen by them.
    pub private: PathBuf,
    /// Not to be seen, whatever is in it: the repository, other leases.
    pub hidden: Vec<PathBuf>,
    /// To be read.
    pub read: Vec<PathBuf>,
    /// To be read and written, and what is written stays.
    pub write: Vec<PathBuf>,
    /// Those of `write` in which what a fleeting program writes is thrown away at its end, but for what lies in folders
    /// that it alone is told of by name.
    pub reset: Vec<PathBuf>,
    /// Those of `write` that are empty for a fleeting program, but for folders that it is told of by name.
    pub bare: Vec<PathBuf>,
    /// The environment of the lease, whole.
    pub env: Environment,
}

/// Makes enclosures.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// Walls as ordered, with nobody in them yet.
    async fn open(&self, order: &Order) -> Result<Arc<dyn Enclosure>, SandboxError>;
}

/// The walls of one lease. When this is dropped, everything in them is killed.
#[async_trait]
pub trait Enclosure: Send + Sync {
    /// Runs programs within the walls.
    fn executor(&self) -> Arc<dyn Executor>;

    /// Kills everything in it, and returns when it is dead.
    async fn close(&self);
}

/// Why no walls could be had. Always the machine's fault, never a variant's.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox could not be opened: {0}")]
pub struct SandboxError(pub String);
