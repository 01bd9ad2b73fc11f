//! Whether a document may run now.

use std::path::Path;

use super::documents::{self, Loaded};
use super::{Context, Failure, Outcome};
use crate::domain::plan::Status;
use crate::engine::before::approval::{self, Approval, Candidate};
use crate::engine::before::target;
use crate::error::{Error, ExitCode};
use crate::project::Project;

/// What a run would make of a document before it starts.
pub enum Look {
    /// It may run, and its winner lands here.
    Ready(target::Target),
    /// A run recorded in it that nothing landed.
    Ended,
    /// It is not meant to run now.
    NotNow(Status),
}

/// What is asked of a document before it runs.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Whether its winner lands.
    pub lands: bool,
    /// Whether it may be one in which a run recorded its end.
    pub again: bool,
}

/// Looks whether a document may run now; what is wrong with it is told, or an error.
pub async fn look(
    loaded: &Loaded,
    path: &Path,
    wanted: Wanted,
    project: &Project,
    context: &Context,
) -> Result<Look, Failure> {
    let target = target::target(&*project.git, project.config.branch.as_deref()).await?;
    let relative = project.relative(&context.directory.join(path))?;
    let (disk, again) = (&loaded.document, wanted.again);
    let candidate = Candidate { path: &relative, disk, base: &target.base, target: &target.branch, again };
    match approval::judge(&candidate, &*project.git).await? {
        Approval::Approved => {}
        Approval::Ended => return Ok(Look::Ended),
        Approval::NotNow(status) => return Ok(Look::NotNow(status)),
    }
    documents::bind(loaded, project, context)?;
    if wanted.lands {
        target::document_is_committed(&*project.git, &target, &relative).await?;
        if let Some(warning) = target::checkout_is_ready(&*project.git, &target).await? {
            context.out.note(&format!("warning: {warning}\n"));
        }
    }
    Ok(Look::Ready(target))
}

/// A document that is not to run now is passed over among others and refused alone.
pub(super) fn passed_over(loaded: &Loaded, status: Status, alone: bool, context: &Context) -> Outcome {
    let shown = &loaded.shown;
    let message = format!("{shown} is {status}, and only approved documents run");
    if !alone || status == Status::Completed {
        context.out.note(&format!("{message}; skipped\n"));
        return Ok(ExitCode::Done);
    }
    Err(Error::refused(message)
        .hint(format!("approve what it says now: blueprint approve {shown}, and commit it"))
        .into())
}

/// A document in which a run recorded its end is done, until somebody asks for it again.
pub fn ended(loaded: &Loaded, context: &Context) -> ExitCode {
    let (shown, run) = (&loaded.shown, loaded.document.run().unwrap_or_default());
    context.out.note(&format!(
        "{shown} is failed: run {run} landed nothing; skipped (once more: blueprint run --again {shown})\n"
    ));
    ExitCode::Done
}
