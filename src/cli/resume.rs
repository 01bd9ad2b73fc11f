//! `resume`: goes on with a run that was interrupted.

use super::run::{Started, finish};
use super::signals::Signals;
use super::watch::Watch;
use super::{Context, Outcome};
use crate::compose;
use crate::engine::clock::Clock;
use crate::engine::context::Run;
use crate::engine::journal::{Facts, Log, Record};
use crate::engine::recovery;
use crate::error::{Error, ExitCode, Result};
use crate::project::Project;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint resume")]
pub struct Args {
    /// The run [default: the newest that is not finished].
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Append events to this file, one JSON object per line.
    #[arg(long, value_name = "FILE")]
    events: Option<std::path::PathBuf>,
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    let project = Project::open(&context.directory)?;
    let Some(facts) = unfinished(&project, args.run.as_deref()).await? else {
        context.out.note("nothing to resume: every run of this repository is finished\n");
        return Ok(ExitCode::Done);
    };
    let signals = Signals::watch()?;
    let journal = project.journal().await?;
    let lock = journal.lock(&facts.started.run).await?;
    let watch = Watch::new(context, args.events.as_deref())?;
    let (ports, settings) = compose::again(&project, journal.clone(), &facts, watch.sink.clone()).await?;
    let log = Log::new(journal, &facts.started.run, Clock::resumed(facts.elapsed));
    recovery::clean(&ports, &log, &facts).await?;
    log.write(&Record::Resumed).await?;
    let run = Run::new(&facts, ports, settings, signals.stop.clone())?;
    finish(&Started { run, prices: project.config.prices(), watch, _lock: lock }, &signals, context).await
}

/// The run that is meant, as its journal has it.
async fn unfinished(project: &Project, wanted: Option<&str>) -> Result<Option<Facts>> {
    if !project.has_journal() {
        return Ok(None);
    }
    let journal = project.journal().await?;
    for run in journal.runs().await?.into_iter().rev() {
        if wanted.is_some_and(|wanted| wanted != run) {
            continue;
        }
        let Some(facts) = Facts::read(&journal.entries(&run).await?)? else { continue };
        if !facts.finished {
            return Ok(Some(facts));
        }
        if wanted.is_some() {
            return Ok(None);
        }
    }
    match wanted {
        None => Ok(None),
        Some(wanted) => {
            Err(Error::usage(format!("there is no run {wanted} in this repository")).hint("blueprint status"))
        }
    }
}
