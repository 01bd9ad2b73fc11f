//! The port through which the programs of a lease are walled in: what they see of the machine, what they may write, and
//! that nothing of them outlives the lease.
//!
//! The walls belong to the lease. Whoever runs something in it does so by the lease's own executor, so that nobody can
//! forget them.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::command::Environment;
use super::{Address, Executor, Limits};

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
    /// What they reach over the network.
    pub network: Network,
    /// How much they may use of the machine; the usual where it says nothing.
    pub limits: Limits,
}

/// What programs in a lease reach over the network, besides the services of the lease and the run's way to models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Egress {
    /// What this machine reaches.
    All,
    /// While set-up and builds run, these; and nothing at any other time.
    SetUp(Vec<Address>),
}

impl Default for Egress {
    fn default() -> Self {
        Self::SetUp(Vec::new())
    }
}

/// What the programs of a lease reach over the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// What this machine does; its ports are theirs.
    Shared,
    /// A loopback of the lease's own, and besides what is named.
    Own {
        /// Reached at any time: services of the lease, the proxy of the run.
        always: Vec<Address>,
        /// Reached while [`Enclosure::reach`] says so.
        sometimes: Vec<Address>,
        /// By which proxies they are reached: what the environment outside says of that.
        proxies: Environment,
    },
}

impl Default for Network {
    fn default() -> Self {
        Self::Own { always: Vec::new(), sometimes: Vec::new(), proxies: Environment::new() }
    }
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

    /// Lets them reach what they reach only sometimes, until what comes back is dropped.
    async fn reach(&self) -> Result<Box<dyn Ways>, SandboxError>;

    /// Names of hosts that were asked for since the last time and are not reached from there.
    fn missed(&self) -> Vec<String>;

    /// Kills everything in it, and returns when it is dead.
    async fn close(&self);
}

/// Ways to addresses outside that are open.
pub trait Ways: Send + Sync {
    /// How many connections there were to each that was used.
    fn used(&self) -> Vec<(Address, u64)>;
}

/// Why no walls could be had. Always the machine's fault, never a variant's.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox could not be opened: {0}")]
pub struct SandboxError(pub String);
