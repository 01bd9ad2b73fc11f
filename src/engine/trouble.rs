//! How what a port says of its troubles reaches the user.

use crate::adapters::service::ServiceError;
use crate::error::Error;

/// An error of the machine with its cause.
pub fn machine(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = inner.source();
    }
    Error::machine(message)
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        let remedy = error.remedy();
        let error = machine(error);
        match remedy {
            Some(remedy) => error.hint(remedy),
            None => error,
        }
    }
}

impl From<crate::adapters::git::GitError> for Error {
    fn from(error: crate::adapters::git::GitError) -> Self {
        use crate::adapters::git::GitError as Git;
        let kind = match error {
            Git::NotARepository(_) | Git::Unsupported(_) | Git::NoBranch(_) => crate::error::ExitCode::Usage,
            Git::ConfigurationChanged(_) => crate::error::ExitCode::LandingBlocked,
            Git::Harvest(_) | Git::Failed { .. } | Git::Process(_) | Git::Io { .. } => crate::error::ExitCode::Machine,
        };
        let changed = matches!(error, Git::ConfigurationChanged(_));
        let error = Self::new(kind, error.to_string());
        if changed { error.hint("look at it (git config --show-origin --list), then: blueprint resume") } else { error }
    }
}
