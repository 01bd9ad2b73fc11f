//! `plan`: what `run` would do, without doing it.

use std::path::{Path, PathBuf};

use super::documents::{self, Chosen};
use super::look::{Look, Wanted, ended, look, passed_over};
use super::signals::Signals;
use super::watch::Watch;
use super::{Context, Failure, Outcome};
use crate::compose::{self, Prepared, Purpose};
use crate::engine::before::preview::Outline;
use crate::engine::before::target;
use crate::engine::competition::Competition;
use crate::engine::pipeline;
use crate::error::ExitCode;
use crate::project::{self, Project};
use crate::ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint plan docs/blueprints/faster-listing.md")]
pub struct Args {
    /// Documents to plan [default: all in docs/blueprints].
    #[arg(value_name = "DOCUMENT")]
    documents: Vec<PathBuf>,
    /// First try the harness on the baseline: set-up, tests and slices of every metric. No agent starts.
    #[arg(long = "try")]
    trying: bool,
    /// Print one JSON document; an array of them if several documents are named.
    #[arg(long)]
    json: bool,
    /// Also write the plan as JSON into this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit as `run` would if it would not start, and with 10 if there is work to do.
    #[arg(long)]
    detailed_exitcode: bool,
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    let project = context.project().await?;
    let Chosen { paths, alone } = documents::named(&args.documents, context)?;
    let (mut outlines, mut worst) = (Vec::new(), ExitCode::Done);
    for path in &paths {
        if args.trying {
            try_out(path, &project, context).await?;
        }
        let code = match planned(path, alone, args.detailed_exitcode, &project, context).await {
            Ok((outline, code)) => {
                outlines.extend(outline);
                code
            }
            Err(Failure::Told(code)) => code,
            Err(Failure::Error(error)) => {
                context.out.error(&error);
                error.kind
            }
        };
        worst = worst.max(code);
    }
    let json = match outlines.as_slice() {
        [one] if alone => ui::outline_json(one),
        all => ui::outlines_json(all),
    };
    if let Some(path) = args.out.as_ref().filter(|_| !outlines.is_empty()) {
        project::write(path, json.as_bytes())?;
    }
    match () {
        () if outlines.is_empty() => {}
        () if args.json => context.out.print_document(&json),
        () => outlines.iter().for_each(|outline| context.out.print(&ui::outline(outline, context.out.style()))),
    }
    Ok(worst)
}

/// The outline of a document, and the code that stands for it. Where that is asked for, it is what `run` would come
/// to before it starts, also of a document that has no outline.
async fn planned(
    path: &Path,
    alone: bool,
    detailed: bool,
    project: &Project,
    context: &Context,
) -> Result<(Option<Outline>, ExitCode), Failure> {
    if !detailed {
        return Ok((Some(outline(path, project, context).await?), ExitCode::Done));
    }
    let code = match would_be(path, alone, project, context).await {
        Ok(code) => code,
        Err(Failure::Error(error)) => {
            context.out.error(&error);
            error.kind
        }
        // Its findings stand there already.
        Err(told) => return Err(told),
    };
    match outline(path, project, context).await {
        Ok(outline) => Ok((Some(outline), code)),
        Err(Failure::Told(_)) => Ok((None, code)),
        Err(Failure::Error(error)) if code == ExitCode::Work => Err(error.into()),
        Err(Failure::Error(_)) => Ok((None, code)),
    }
}

/// 10 where a run would start; else what it would end with.
async fn would_be(path: &Path, alone: bool, project: &Project, context: &Context) -> Outcome {
    let loaded = documents::load(path, project, context).await?;
    match look(&loaded, path, Wanted { lands: true, again: false }, project, context).await? {
        Look::Ended => Ok(ended(&loaded, context)),
        Look::NotNow(status) => passed_over(&loaded, status, alone, context),
        Look::Ready(target) => {
            compose::preflight(project, &loaded.document, &target).await?;
            Ok(ExitCode::Work)
        }
    }
}

/// Tries a document's harness on the baseline. What was seen is in the journal, where the plan finds it.
async fn try_out(path: &Path, project: &Project, context: &Context) -> Result<(), Failure> {
    let loaded = documents::load(path, project, context).await?;
    documents::bind(&loaded, project, context)?;
    let target = target::target(&*project.git, project.config.branch.as_deref()).await?;
    let relative = project.relative(&context.directory.join(path))?;
    let signals = Signals::watch()?;
    let watch = Watch::new(context, None)?;
    let sink = watch.sink.clone();
    let prepared = compose::prepare(project, &relative, &loaded.document, &target, (Purpose::Try, true), sink).await?;
    let journal = project.journal().await?;
    let _lock = journal.lock(&prepared.started.run).await?;
    let facts = prepared.record(&journal).await?;
    let Prepared { ports, settings, .. } = prepared;
    let competition = Competition::new(&facts, &ports, settings, journal, signals.stop.clone())?;
    let tried = pipeline::try_out(&competition).await;
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

async fn outline(path: &Path, project: &Project, context: &Context) -> Result<Outline, Failure> {
    let loaded = documents::load(path, project, context).await?;
    documents::bind(&loaded, project, context)?;
    let target = target::target(&*project.git, project.config.branch.as_deref()).await?;
    let relative = project.relative(&context.directory.join(path))?;
    Ok(compose::outline(project, &relative, &loaded.document, &target).await?)
}
