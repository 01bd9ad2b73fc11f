//! `run`: carries documents out, one after another; each has its own verdict.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::documents::{self, Loaded};
use super::signals::Signals;
use super::{Context, Failure, Outcome, plan};
use crate::compose::{self, Prepared};
use crate::domain::verdict::Verdict;
use crate::engine::approval::{self, Approval, Candidate};
use crate::engine::competition::{self, Conclusion};
use crate::engine::context::Run;
use crate::engine::opening;
use crate::error::{Error, ExitCode, Result};
use crate::project::Project;
use crate::ui::{report, watch};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Documents; all in docs/blueprints where none is named.
    #[arg(value_name = "DOCUMENT")]
    documents: Vec<PathBuf>,
    /// What becomes of a winner.
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    merge: Merge,
    /// Append every event to this file, a JSON document a line.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Only show what would be done; the same as `blueprint plan`.
    #[arg(long)]
    dry_run: bool,
}

/// What becomes of a winner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Merge {
    /// It lands.
    #[default]
    Auto,
    /// It stays on its ref, and the document as it is.
    None,
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    let project = Project::open(&context.directory)?;
    let paths = documents::named(&args.documents, context)?;
    if args.dry_run {
        return plan::show(&paths, &project, context).await;
    }
    let signals = Signals::watch()?;
    let mut worst = ExitCode::Done;
    for path in &paths {
        let alone = paths.len() == 1;
        let code = match carry_out(path, alone, args, &project, &signals, context).await {
            Ok(code) | Err(Failure::Told(code)) => code,
            Err(Failure::Error(error)) => {
                context.out.error(&error);
                error.kind
            }
        };
        worst = worst.max(code);
        if signals.stop.is_cancelled() {
            break;
        }
    }
    Ok(worst)
}

async fn carry_out(
    path: &Path,
    alone: bool,
    args: &Args,
    project: &Project,
    signals: &Signals,
    context: &Context,
) -> Outcome {
    let loaded = documents::load(path, context)?;
    let target = opening::target(&*project.git, project.config.branch.as_deref()).await?;
    let relative = project.relative(&context.directory.join(path))?;
    let candidate =
        Candidate { path: &relative, disk: &loaded.document, base: &target.base, target: &target.branch };
    if let Approval::NotNow(status) = approval::judge(&candidate, &*project.git).await? {
        return Ok(passed_over(&loaded, status, alone, context)?);
    }
    documents::bind(&loaded, project, context)?;
    let events = watch(&context.out, args.events.as_deref())?;
    let prepared = compose::prepare(project, &relative, &loaded.document, &target, events).await?;
    let run = start(project, prepared, args.merge, signals).await?;
    finish(&run, signals, context).await
}

/// A document that is not to run now is passed over among others and refused alone.
fn passed_over(
    loaded: &Loaded,
    status: crate::domain::plan::Status,
    alone: bool,
    context: &Context,
) -> Result<ExitCode> {
    use crate::domain::plan::Status;
    let shown = &loaded.shown;
    let message = format!("{shown} is {status}, and only approved documents run");
    if !alone || status == Status::Completed {
        context.out.note(&format!("{message}; passed over\n"));
        return Ok(ExitCode::Done);
    }
    Err(Error::refused(message).hint(format!("approve what it says now: blueprint approve {shown}, and commit it")))
}

/// From here on something is written: the journal first.
async fn start(project: &Project, prepared: Prepared, merge: Merge, signals: &Signals) -> Result<Started> {
    let journal = project.journal().await?;
    let lock = journal.lock(&prepared.started.run).await?;
    let facts = prepared.record(&journal).await?;
    let Prepared { mut ports, mut settings, .. } = prepared;
    ports.journal = journal;
    settings.merge = merge == Merge::Auto;
    Ok(Started { run: Run::new(&facts, ports, settings, signals.stop.clone()), _lock: lock })
}

/// A run that this process carries out.
pub struct Started {
    pub run: Run,
    pub _lock: Box<dyn crate::adapters::journal::RunLock>,
}

/// Carries a run to its end and shows what it came to.
pub async fn finish(started: &Started, signals: &Signals, context: &Context) -> Outcome {
    let run = &started.run;
    let conclusion = competition::carry_out(run).await.map_err(|error| signals.named(error))?;
    let facts = run.facts().await?;
    context.out.print(&report::text(&facts, &conclusion.scoreboard, context.out.width()));
    Ok(code(&conclusion))
}

fn code(conclusion: &Conclusion) -> ExitCode {
    match conclusion.scoreboard.verdict {
        Verdict::NoWinner { .. } => ExitCode::NoWinner,
        Verdict::Winner { .. } | Verdict::Tie { .. } | Verdict::Undecided { .. } => ExitCode::Done,
    }
}
