//! The journal port: an append-only record of every run. A record has its place as soon as it is
//! taken down, and is durable when what `append` returns has resolved.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod memory;
mod schema;
mod sqlite;
mod writer;

pub use memory::Memory;
pub use sqlite::Sqlite;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Grows with every append over all runs.
    pub sequence: i64,
    /// Which run.
    pub run: String,
    /// Seconds since 1970, for people; nothing is decided by it.
    pub at: i64,
    /// Time the run had used, over all its sessions.
    pub elapsed: Duration,
    /// The record's kind, such as `block`.
    pub kind: String,
    /// The record.
    pub data: Value,
}

/// Why the journal could not be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It can't be opened, read or written.
    #[error("the journal {}: {why}", path.display())]
    Failed {
        /// Where it is.
        path: PathBuf,
        /// What came back.
        why: String,
    },
    /// Another orchestrator has the run.
    #[error("run {0} is being carried out by another process")]
    Locked(String),
}

/// Held while a run is live; freed by the system when the process dies, however it dies.
pub trait RunLock: Send + Sync {}

/// A record that was taken down; resolves to its sequence once it is on disk.
pub type Appended = BoxFuture<'static, Result<i64, JournalError>>;

/// Keeps records.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Takes a record down. Its place behind all records taken down before is fixed when this
    /// returns, whether or not anybody waits for what it returns; on disk it is when that has
    /// resolved. Where nobody waits and it can't be written, all later records fail.
    fn append(&self, run: &str, elapsed: Duration, kind: &str, data: Value) -> Appended;

    /// All records of a run, oldest first.
    async fn entries(&self, run: &str) -> Result<Vec<Entry>, JournalError>;

    /// The ids of all runs, oldest first.
    async fn runs(&self) -> Result<Vec<String>, JournalError>;

    /// Takes a run for this process.
    async fn lock(&self, run: &str) -> Result<Box<dyn RunLock>, JournalError>;
}
