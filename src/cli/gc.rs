//! `gc`: removes what interrupted runs left behind, by what their journal says they meant to make,
//! and templates of databases that nothing uses.

use super::{Context, Outcome};
use crate::adapters::git::Git as _;
use crate::compose;
use crate::engine::clock::Clock;
use crate::engine::resources::recovery;
use crate::engine::state::{Facts, Log};
use crate::error::{Error, ExitCode};
use crate::project::Project;
use crate::ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint gc --dry-run")]
pub struct Args {
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
    /// Keep templates of databases, so that the next run need not build them again.
    #[arg(long)]
    keep_templates: bool,
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    let project = context.project().await?;
    let mut cleaned = Vec::new();
    if project.has_journal()? {
        let journal = project.journal().await?;
        for run in journal.runs().await? {
            let Some(facts) = Facts::read(&journal.entries(&run).await?)? else { continue };
            if facts.finished && facts.live.is_empty() {
                continue;
            }
            if args.dry_run {
                cleaned.push(recovery::would_clean(&facts));
                continue;
            }
            // Who holds the lock is at work, and what it made is its own.
            let Ok(_lock) = journal.lock(&run).await else { continue };
            let ports = compose::caretaker(&project, &facts).await?;
            let log = Log::new(journal.clone(), &run, Clock::resumed(facts.elapsed));
            cleaned.push(recovery::clean(&ports, &log, &facts).await?);
        }
    }
    if !args.dry_run {
        // A run that was killed after its last record is finished, and may have left this.
        project.git.tidy(None).await.map_err(Error::from)?;
    }
    let templates = if args.dry_run || args.keep_templates { Ok(Vec::new()) } else { forget(&project).await };
    context.out.print(&ui::cleaned(&cleaned, templates.as_deref().unwrap_or_default(), !args.dry_run));
    templates?;
    Ok(ExitCode::Done)
}

/// Removes unused templates of the services that the configuration asks for; what they were.
async fn forget(project: &Project) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    for service in compose::services::ports(project, 1).await? {
        removed.extend(service.forget().await?);
    }
    Ok(removed)
}
