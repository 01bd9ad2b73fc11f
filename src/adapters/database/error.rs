//! Why a database could not be had.

use crate::adapters::process::ProcessError;

/// Why a database could not be had. Always the machine's fault, never a variant's.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Can't be reached.
    #[error("the database server at {place} can't be reached: {why}")]
    Unreachable {
        /// Without credentials.
        place: String,
        /// What it said.
        why: String,
    },
    /// The role may not do what the level needs.
    #[error("the role `{role}` at {place} may not {what}")]
    Rights {
        /// The role.
        role: String,
        /// Without credentials.
        place: String,
        /// Such as `create databases`.
        what: String,
        /// The statement that changes it.
        grant: String,
    },
    /// Refused for safety.
    #[error("{0}")]
    Refused(String),
    /// A statement or file failed.
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
