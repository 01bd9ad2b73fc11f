//! `retry`: carries a run's document out again from where the target is now, with what its agents wrote.

use super::run::Session;
use super::{Context, Outcome};
use crate::engine::state::Facts;
use crate::error::{Error, Result};
use crate::project::Project;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint retry")]
pub struct Args {
    /// The run [default: the newest].
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Append events to this file, one JSON object per line.
    #[arg(long, value_name = "FILE")]
    events: Option<std::path::PathBuf>,
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    let project = context.project().await?;
    let facts = earlier(&project, args.run.as_deref()).await?;
    let started = &facts.seen.started;
    let strayed = project.strayed_since(&started.run, started.given.as_deref()).await?;
    if !strayed.is_empty() {
        context.out.note(&format!(
            "warning: git configuration or hooks changed since run {} began: {}; the new run obeys them as they are now\n",
            started.run,
            strayed.join(", ")
        ));
    }
    let path = project.git_root().join(&started.document);
    Session::again_with(project, facts, args.events.clone())?.carry_out(&path, true, context).await
}

/// The run whose work is taken over; nobody may be at work on it.
async fn earlier(project: &Project, wanted: Option<&str>) -> Result<Facts> {
    let none = || Error::usage("nothing was run in this repository yet").hint("blueprint run docs/blueprints/*.md");
    if !project.has_journal()? {
        return Err(none());
    }
    let journal = project.journal().await?;
    for run in journal.runs().await?.into_iter().rev().filter(|run| wanted.is_none_or(|wanted| wanted == run)) {
        let Some(facts) = Facts::read(&journal.entries(&run).await?)? else { continue };
        if facts.seen.started.rehearsal {
            if wanted.is_some() {
                return Err(Error::usage(format!("run {run} was a rehearsal, in which no variant took part")));
            }
            continue;
        }
        drop(journal.lock(&run).await?);
        return Ok(facts);
    }
    Err(wanted.map_or_else(none, |wanted| {
        Error::usage(format!("there is no run {wanted} in this repository")).hint("blueprint status")
    }))
}
