//! `gc`: removes what interrupted runs left behind, by what their journal says they meant to make.

use super::{Context, Outcome};
use crate::adapters::git::Git as _;
use crate::compose;
use crate::engine::clock::Clock;
use crate::engine::journal::{Facts, Log};
use crate::engine::recovery;
use crate::error::{Error, ExitCode};
use crate::project::Project;
use crate::ui;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    let project = Project::open(&context.directory)?;
    let mut cleaned = Vec::new();
    if project.has_journal() {
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
            let ports = compose::caretaker(&project, journal.clone(), &facts).await?;
            let log = Log::new(journal.clone(), &run, Clock::resumed(facts.elapsed));
            cleaned.push(recovery::clean(&ports, &log, &facts).await?);
        }
    }
    if !args.dry_run {
        // A run that was killed after its last record is finished, and may have left this.
        project.git.tidy(None).await.map_err(Error::from)?;
    }
    context.out.print(&ui::cleaned(&cleaned, !args.dry_run));
    Ok(ExitCode::Done)
}
