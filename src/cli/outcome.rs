//! What a command works with, and how it ends.

use std::path::PathBuf;
use std::sync::Arc;

use crate::adapters::journal::JournalError;
use crate::error::{Error, ExitCode};
use crate::ui::Terminal;

/// What a command works with.
pub struct Context {
    pub out: Arc<Terminal>,
    pub directory: PathBuf,
}

/// How a command ends early: with an error, or with one that was already told.
pub enum Failure {
    Error(Error),
    Told(ExitCode),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::Error(error.into())
    }
}

pub type Outcome = Result<ExitCode, Failure>;
