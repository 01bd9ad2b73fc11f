//! `plan`: what `run` would do, without doing it.

use std::path::{Path, PathBuf};

use super::{Context, Outcome, documents};
use crate::compose;
use crate::domain::plan::Status;
use crate::engine::opening;
use crate::engine::outline::Outline;
use crate::error::ExitCode;
use crate::project::{self, Project};
use crate::ui;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The document.
    #[arg(value_name = "DOCUMENT")]
    document: PathBuf,
    /// One JSON document.
    #[arg(long)]
    json: bool,
    /// Write the plan as JSON into this file as well.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// End with 10 where there is work to do.
    #[arg(long)]
    detailed_exitcode: bool,
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    let project = Project::open(&context.directory)?;
    let outline = outline(&args.document, &project, context).await?;
    let json = ui::outline_json(&outline);
    if let Some(path) = &args.out {
        project::write(path, json.as_bytes())?;
    }
    if args.json {
        context.out.print_document(&json);
    } else {
        context.out.print(&ui::outline(&outline, context.out.style()));
    }
    let work = args.detailed_exitcode && outline.status == Status::Approved;
    Ok(if work { ExitCode::Work } else { ExitCode::Done })
}

/// Shows what would be done with each document.
pub async fn show(paths: &[PathBuf], project: &Project, context: &Context) -> Outcome {
    for path in paths {
        let outline = outline(path, project, context).await?;
        context.out.print(&ui::outline(&outline, context.out.style()));
    }
    Ok(ExitCode::Done)
}

async fn outline(path: &Path, project: &Project, context: &Context) -> Result<Outline, super::Failure> {
    let loaded = documents::load(path, context)?;
    documents::bind(&loaded, project, context)?;
    let target = opening::target(&*project.git, project.config.branch.as_deref()).await?;
    let relative = project.relative(&context.directory.join(path))?;
    Ok(compose::outline(project, &relative, &loaded.document, &target).await?)
}
