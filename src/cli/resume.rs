//! `resume`: goes on with a run that was interrupted, or measures on where one ended undecided.

use super::run::{Started, finish};
use super::signals::Signals;
use super::watch::Watch;
use super::{Context, Outcome};
use crate::compose;
use crate::domain::budget::Caps;
use crate::domain::quantity::{Tokens, parse_duration};
use crate::engine::clock::Clock;
use crate::engine::competition::Competition;
use crate::engine::resources::recovery;
use crate::engine::state::{Facts, Log, Record};
use crate::error::{Error, ExitCode, Result};
use crate::project::Project;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint resume")]
pub struct Args {
    /// The run [default: the newest that is not finished].
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Measure a finished, undecided run for this much longer, such as `5m`.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    measure: Option<Duration>,
    /// Go on with unfinished variants, with so many tokens for all of them together (those already spent are part of it).
    #[arg(long, value_name = "TOKENS", value_parser = tokens, conflicts_with = "measure")]
    session_cap: Option<Tokens>,
    /// Go on with unfinished variants, with so many tokens for each step.
    #[arg(long, value_name = "TOKENS", value_parser = tokens, conflicts_with = "measure")]
    step_cap: Option<Tokens>,
    /// Go on with unfinished variants, with so much time for the whole run, such as `2h` (what it took is part of it).
    #[arg(long, value_name = "TIME", value_parser = parse_duration, conflicts_with = "measure")]
    time_cap: Option<Duration>,
    /// Append events to this file, one JSON object per line.
    #[arg(long, value_name = "FILE")]
    events: Option<std::path::PathBuf>,
}

impl Args {
    fn caps(&self) -> Option<Caps> {
        let caps = Caps { session: self.session_cap, step: self.step_cap, time: self.time_cap };
        Some(caps).filter(Caps::any)
    }
}

/// A number of tokens, with `,` or `_` between its digits where that is easier to read.
fn tokens(text: &str) -> std::result::Result<Tokens, String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ',' | '_')).collect();
    digits.parse().map(Tokens).map_err(|_| format!("`{text}` is no number of tokens, such as 200000"))
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    let mut project = context.project().await?;
    let Some(mut facts) = wanted(&project, args).await? else {
        context.out.note("nothing to resume: every run of this repository is finished\n");
        return Ok(ExitCode::Done);
    };
    let signals = Signals::watch()?;
    let journal = project.journal().await?;
    let lock = journal.lock(&facts.seen.started.run).await?;
    let started = &facts.seen.started;
    let (strayed, how) = match started.sandboxed {
        // Nothing that ran in its sandbox could write them: somebody put something right.
        true => (project.strayed_since(&started.run, started.given.as_deref()).await?, "are now"),
        false => (project.go_on_as_given(&started.run, started.given.as_deref()).await?, "were"),
    };
    if !strayed.is_empty() {
        context.out.note(&format!(
            "warning: git configuration or hooks changed since run {} began: {}; it goes on with them as they {how}\n",
            started.run,
            strayed.join(", ")
        ));
    }
    let watch = Watch::new(context, args.events.as_deref())?;
    let more = args.measure.map(|by| Record::Extended { by }).or(args.caps().map(Record::Raised));
    let (ports, settings) = compose::again(&project, &facts, watch.sink.clone()).await?;
    let log = Log::new(journal.clone(), &facts.seen.started.run, Clock::resumed(facts.elapsed));
    recovery::clean(&ports, &log, &facts).await?;
    log.write(&Record::Resumed).await?;
    if let Some(record) = more {
        log.write(&record).await?;
        facts.take(record);
    }
    let competition = Competition::new(&facts, &ports, settings, journal, signals.stop.clone())?;
    finish(&Started { competition, prices: project.config.prices(), watch, _lock: lock }, &signals, context).await
}

/// The run that is meant, as its journal has it.
async fn wanted(project: &Project, args: &Args) -> Result<Option<Facts>> {
    let wanted = args.run.as_deref();
    if !project.has_journal()? {
        return Ok(None);
    }
    let journal = project.journal().await?;
    for run in journal.runs().await?.into_iter().rev() {
        if wanted.is_some_and(|wanted| wanted != run) {
            continue;
        }
        let Some(facts) = Facts::read(&journal.entries(&run).await?)? else { continue };
        // A try is begun again by whoever wants it; what is left of it is `gc`'s.
        if facts.seen.started.trying && wanted.is_some() && !facts.finished {
            return Err(Error::usage(format!("run {run} only tried the harness of {}", facts.seen.started.document))
                .hint(format!("try it again: blueprint plan --try {}", facts.seen.started.document))
                .hint("what it left is removed by: blueprint gc"));
        }
        if let Some(caps) = args.caps() {
            if wanted.is_none() && (facts.unfinished().is_empty() || facts.landed.is_some()) {
                continue;
            }
            return facts.may_be_raised(&caps).map(|()| Some(facts));
        }
        if args.measure.is_some() {
            if wanted.is_none() && !is_undecided(&facts) {
                continue;
            }
            return may_be_measured_on(facts).map(Some);
        }
        if !facts.finished && !facts.seen.started.trying {
            return Ok(Some(facts));
        }
        if wanted.is_some() {
            return Ok(None);
        }
    }
    match wanted {
        None if args.measure.is_some() => {
            Err(Error::refused("no run of this repository ended undecided").hint("blueprint status"))
        }
        None if args.caps().is_some() => {
            Err(Error::refused("no run of this repository has unfinished variants and did not land")
                .hint("blueprint status"))
        }
        None => Ok(None),
        Some(wanted) => {
            Err(Error::usage(format!("there is no run {wanted} in this repository")).hint("blueprint status"))
        }
    }
}

fn is_undecided(facts: &Facts) -> bool {
    let undecided = facts.scoreboard.as_ref().is_some_and(|board| board.is_open());
    undecided && facts.landed.is_none() && !facts.seen.started.rehearsal
}

/// Only what is open can be measured on: not what is decided, and not what has landed.
fn may_be_measured_on(facts: Facts) -> Result<Facts> {
    let run = &facts.seen.started.run;
    if is_undecided(&facts) {
        return Ok(facts);
    }
    let refuse = |why: &str| Error::refused(format!("run {run} can't be measured on: {why}"));
    Err(match (&facts.scoreboard, &facts.landed) {
        (_, Some(commit)) => refuse("it has landed").hint(format!("git show {}", commit.short())),
        (None, None) => refuse("it has no verdict yet").hint(format!("blueprint resume {run}")),
        (Some(_), None) => {
            refuse("more measuring would not change its verdict").hint(format!("blueprint report {run}"))
        }
    })
}
