//! `report`: what a run came to, from its journal alone.

use super::{Context, Outcome};
use crate::adapters::journal::Journal;
use crate::domain::decision;
use crate::engine::state::Facts;
use crate::error::{Error, ExitCode, Result};
use crate::ui::{self, report};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint report --md")]
pub struct Args {
    /// The run [default: the newest].
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Print one JSON document.
    #[arg(long, conflicts_with_all = ["md", "junit"])]
    json: bool,
    /// Print Markdown.
    #[arg(long, conflicts_with = "junit")]
    md: bool,
    /// Print JUnit XML of every contender's tests and bounds.
    #[arg(long)]
    junit: bool,
    /// Recompute the verdict from the recorded blocks; fail if it differs.
    #[arg(long)]
    replay: bool,
}

/// The newest run in which variants took part.
async fn newest(journal: &dyn Journal, runs: Vec<String>) -> Result<Option<String>> {
    for run in runs.into_iter().rev() {
        let facts = Facts::read(&journal.entries(&run).await?)?;
        if facts.is_some_and(|facts| !facts.seen.started.trying) {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    let project = context.project().await?;
    let none = || Error::usage("nothing was run in this repository yet").hint("blueprint run docs/blueprints/*.md");
    if !project.has_journal()? {
        return Err(none().into());
    }
    let journal = project.journal().await?;
    let runs = journal.runs().await?;
    let run = match &args.run {
        None => newest(&*journal, runs).await?.ok_or_else(none)?,
        Some(wanted) => runs.iter().find(|r| r == &wanted).cloned().ok_or_else(|| {
            Error::usage(format!("there is no run {wanted} in this repository")).hint("blueprint status")
        })?,
    };
    let facts = Facts::read(&journal.entries(&run).await?)?.ok_or_else(none)?;
    let scoreboard = match &facts.scoreboard {
        Some(_) if args.replay && facts.seen.started.rules != decision::RULES => {
            return Err(Error::refused(format!(
                "run {run} was decided by rules of version {}, and this program decides by version {}",
                facts.seen.started.rules,
                decision::RULES
            ))
            .hint("what was decided then: the same command without --replay")
            .into());
        }
        Some(decided) if args.replay => {
            let again = decision::conclude(&facts.seen).map_err(Error::from)?;
            if again != *decided {
                return Err(Error::machine(format!("run {run} decides differently when it is replayed"))
                    .hint("please report this with the output of: blueprint report --json")
                    .into());
            }
            again
        }
        Some(decided) => decided.clone(),
        None => decision::conclude(&facts.seen).map_err(Error::from)?,
    };
    let prices = project.config.prices();
    match () {
        () if args.json => context.out.print_document(&report::json(&facts, &scoreboard, &prices)),
        () if args.junit => context.out.print_document(&report::junit(&facts, &scoreboard)),
        () if args.md => context.out.print_document(&report::markdown(&facts, &scoreboard, &prices)),
        () => context.out.print(&ui::scoreboard(&facts, &scoreboard, &prices, context.out.style())),
    }
    Ok(ExitCode::Done)
}
