//! `status`: the runs of a repository.

use super::{Context, Outcome};
use crate::engine::state::Facts;
use crate::error::ExitCode;
use crate::ui::{self, RunLine};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint status --json")]
pub struct Args {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    let project = context.project().await?;
    let mut lines = Vec::new();
    if project.has_journal()? {
        let journal = project.journal().await?;
        for run in journal.runs().await? {
            let live = journal.lock(&run).await.is_err();
            if let Some(facts) = Facts::read(&journal.entries(&run).await?)? {
                lines.push(RunLine::of(&facts, live));
            }
        }
    }
    if args.json {
        context.out.print_document(&ui::runs_json(&lines));
    } else {
        context.out.print(&ui::runs(&lines, context.out.style()));
    }
    Ok(ExitCode::Done)
}
