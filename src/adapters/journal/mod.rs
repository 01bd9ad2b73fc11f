//! The journal port: an append-only record of every run, durable before `append` returns.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod memory;
mod sqlite;

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

/// Keeps records.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Adds a record; it is on disk when this returns.
    async fn append(&self, run: &str, elapsed: Duration, kind: &str, data: Value) -> Result<i64, JournalError>;

    /// All records of a run, oldest first.
    async fn entries(&self, run: &str) -> Result<Vec<Entry>, JournalError>;

    /// The ids of all runs, oldest first.
    async fn runs(&self) -> Result<Vec<String>, JournalError>;

    /// Takes a run for this process.
    async fn lock(&self, run: &str) -> Result<Box<dyn RunLock>, JournalError>;
}
