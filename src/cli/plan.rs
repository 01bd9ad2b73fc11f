//! `plan`: what `run` would do, without doing it.

use std::path::{Path, PathBuf};

use super::signals::Signals;
use super::watch::Watch;
use super::{Context, Outcome, documents};
use crate::compose::{self, Prepared, Purpose};
use crate::domain::plan::Status;
use crate::engine::competition;
use crate::engine::context::Run;
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
    /// First try the harness on the baseline: set-up, tests and slices of every metric. No agent starts.
    #[arg(long = "try")]
    trying: bool,
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
    if args.trying {
        try_out(&args.document, &project, context).await?;
    }
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

/// Tries a document's harness on the baseline. What was seen is in the journal, where the plan finds it.
async fn try_out(path: &Path, project: &Project, context: &Context) -> Result<(), super::Failure> {
    let loaded = documents::load(path, context)?;
    documents::bind(&loaded, project, context)?;
    let target = opening::target(&*project.git, project.config.branch.as_deref()).await?;
    let relative = project.relative(&context.directory.join(path))?;
    let signals = Signals::watch()?;
    let watch = Watch::new(context, None)?;
    let sink = watch.sink.clone();
    let prepared = compose::prepare(project, &relative, &loaded.document, &target, Purpose::Try, sink).await?;
    let journal = project.journal().await?;
    let _lock = journal.lock(&prepared.started.run).await?;
    let facts = prepared.record(&journal).await?;
    let Prepared { mut ports, settings, .. } = prepared;
    ports.journal = journal;
    let run = Run::new(&facts, ports, settings, signals.stop.clone())?;
    let tried = competition::try_out(&run).await;
    watch.finish()?;
    match tried {
        Ok(_) => Ok(()),
        Err(error) => Err(signals.named(error).into()),
    }
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
