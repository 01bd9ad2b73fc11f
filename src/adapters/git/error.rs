//! Why git could not do something.

use std::path::PathBuf;

use crate::adapters::process::ProcessError;

/// Why git could not do it.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// No repository here.
    #[error("{} is not inside a git repository", .0.display())]
    NotARepository(PathBuf),
    /// A repository that can't be worked with.
    #[error("{0}")]
    Unsupported(String),
    /// No such branch.
    #[error("there is no branch `{0}`")]
    NoBranch(String),
    /// The agent left something that can't be taken over.
    #[error("{0}")]
    Harvest(String),
    /// Configuration or hooks changed under our feet.
    #[error("hooks and signers obey the repository's configuration, and of that this changed during the run: {0}")]
    ConfigurationChanged(String),
    /// A git command failed.
    #[error("{what}: {why}")]
    Failed {
        /// What was being done.
        what: String,
        /// What git said.
        why: String,
    },
    /// The git program is missing or could not be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file could not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl GitError {
    /// Whether a harvest failed by nothing that stands in the worktree: no git, no room, a
    /// configuration that can't be trusted any more.
    pub fn is_of_the_machine(&self) -> bool {
        matches!(self, Self::ConfigurationChanged(_) | Self::Process(ProcessError::Missing { .. }))
            || crate::error::is_full(&self.to_string())
    }
}

impl From<git2::Error> for GitError {
    fn from(error: git2::Error) -> Self {
        Self::Failed { what: "git".to_owned(), why: error.message().to_owned() }
    }
}
