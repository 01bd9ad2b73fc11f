//! The cache port: a private Redis a contender, or an ACL user bound to a key prefix.

mod acl;
mod address;
mod choice;
pub mod fake;
mod link;
mod rules;
mod secret;
mod server;

use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::process::{Environment, ProcessError};
pub use choice::{choose, found};

/// What the configuration asks for. It holds credentials, so it can't be printed.
#[derive(Clone)]
pub struct CacheSettings {
    /// A server to share, with credentials that may manage its users; absent for private servers.
    pub url: Option<String>,
    /// Which level.
    pub isolation: Isolation,
    /// Where private servers may live; created with mode 0700.
    pub state: PathBuf,
}

/// How contenders are kept apart. Logical database numbers are no level: `FLUSHALL` reaches all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Private servers where the program is found, else users of the configured one.
    #[default]
    Auto,
    /// A private server each.
    Server,
    /// A user of the configured server each, bound to a key prefix.
    Acl,
}

/// What a cache will be, written to the journal before it exists and enough to remove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheResource {
    /// The implementation's name in the table.
    pub kind: String,
    /// Server address or socket, without credentials.
    pub place: String,
    /// ACL user and key prefix, or the server's directory.
    pub name: String,
    /// Drawn for this resource alone.
    pub nonce: String,
}

/// A cache that is ready.
#[derive(Debug, Clone)]
pub struct CacheReady {
    /// The resource.
    pub resource: CacheResource,
    /// `REDIS_URL` and `BLUEPRINT_CACHE_PREFIX`.
    pub env: Environment,
}

/// Why a cache could not be had. Always the machine's fault, never a variant's.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Can't be reached.
    #[error("the Redis server at {place} can't be reached: {why}")]
    Unreachable {
        /// Without credentials.
        place: String,
        /// What it said.
        why: String,
    },
    /// Refused for safety, or for want of rights.
    #[error("{0}")]
    Refused(String),
    /// A command failed.
    #[error("{what}: {why}")]
    Failed {
        /// What was being done, to what.
        what: String,
        /// What came back.
        why: String,
    },
    /// A program was missing or failed to start.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// One way of giving each contender a cache of its own.
#[async_trait]
pub trait Cache: Send + Sync {
    /// The level and the reason it was chosen, such as `("redis server", "redis-server 7.0 found")`.
    fn choice(&self) -> (String, String);

    /// What `create` would make; pure.
    fn intend(&self, run: &str, contender: &str) -> CacheResource;

    /// Makes it.
    async fn create(&self, resource: &CacheResource) -> Result<CacheReady, CacheError>;

    /// Removes it, whole or half-made; says nothing when it is already gone.
    async fn remove(&self, resource: &CacheResource) -> Result<(), CacheError>;
}
