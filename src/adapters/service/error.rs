//! Why a service could not be had.

use crate::adapters::process::ProcessError;
use crate::domain::service::Use;

/// Why a service could not be had. Always the machine's fault, never a variant's.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Can't be reached.
    #[error("the {used_as} server at {place} can't be reached: {why}")]
    Unreachable {
        /// As what it is used.
        used_as: Use,
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
    /// Refused for safety, or because it can't be had so.
    #[error("{0}")]
    Refused(String),
    /// A statement, command or file failed.
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

impl ServiceError {
    /// What to do about it, where that is known.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Unreachable { used_as, .. } => {
                Some(format!("start the server, or correct `{used_as}.url` in blueprint.yaml"))
            }
            Self::Rights { grant, .. } => {
                Some(format!("let it, as a superuser: {grant}; or set `database.isolation` to another level"))
            }
            _ => None,
        }
    }
}
