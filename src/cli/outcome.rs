//! What a command works with, and how it ends.

use std::path::PathBuf;
use std::sync::Arc;

use crate::adapters::journal::JournalError;
use crate::error::{self, Error, ExitCode};
use crate::project::Project;
use crate::ui::{Log, Terminal};

/// What a command works with.
pub struct Context {
    pub out: Arc<Terminal>,
    pub log: Log,
    pub directory: PathBuf,
}

impl Context {
    /// The project of the directory. What is logged from here on is without its secrets.
    pub async fn project(&self) -> error::Result<Project> {
        let project = Project::open(&self.directory).await?;
        let redactor = project.redactor();
        self.log.without(Box::new(move |text| redactor.text(text)));
        Ok(project)
    }
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
