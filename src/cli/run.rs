//! `run`: carries documents out, one after another; each has its own verdict.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::documents::{self, Chosen};
use super::look::{Look, Wanted, ended, look, passed_over};
use super::signals::Signals;
use super::watch::Watch;
use super::{Context, Failure, Outcome, plan};
use crate::compose::{self, Prepared, Purpose};
use crate::domain::document::Document;
use crate::domain::measurement::Contender;
use crate::domain::price::Prices;
use crate::domain::scoreboard::Scoreboard;
use crate::domain::trial::{Disqualification, Outcome as TrialOutcome};
use crate::domain::verdict::{NoWinner, Row, Verdict};
use crate::engine::before::target;
use crate::engine::competition::Competition;
use crate::engine::judge::shadow;
use crate::engine::pipeline;
use crate::engine::rehearsal::{self, Finding};
use crate::engine::run::Run;
use crate::engine::state::Facts;
use crate::error::{Error, ExitCode, Result};
use crate::project::Project;
use crate::ui::{self, DocumentLine, RunLine};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint run docs/blueprints/faster-listing.md")]
pub struct Args {
    /// Documents to run [default: all in docs/blueprints].
    #[arg(value_name = "DOCUMENT")]
    documents: Vec<PathBuf>,
    /// What to do with the winner.
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    merge: Merge,
    /// Append events to this file, one JSON object per line.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Run the harness check first: the baseline and cheats compete and must not win. With `only`, stop after it.
    #[arg(long, value_enum, value_name = "THEN", num_args = 0..=1, require_equals = true, default_missing_value = "run")]
    verify_harness: Option<Verify>,
    /// Run a document again in which a run recorded that nothing landed.
    #[arg(long)]
    again: bool,
    /// Only show what would be done, as `blueprint plan` does.
    #[arg(long)]
    dry_run: bool,
}

/// What follows a rehearsal that the harness passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verify {
    /// The document is carried out.
    Run,
    /// Nothing.
    Only,
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
    let project = context.project().await?;
    let Chosen { paths, alone } = documents::named(&args.documents, context)?;
    if args.dry_run {
        return plan::show(&paths, &project, context).await;
    }
    let signals = Signals::watch()?;
    let Args { merge, verify_harness: verify, again, .. } = *args;
    let session = Session { project, signals, merge, verify, again, reuse: None, events: args.events.clone() };
    let mut worst = ExitCode::Done;
    let mut lines = Vec::new();
    for path in &paths {
        let before = session.newest().await?;
        let code = match session.carry_out(path, alone, context).await {
            Ok(code) | Err(Failure::Told(code)) => code,
            Err(Failure::Error(error)) => {
                context.out.error(&error);
                error.kind
            }
        };
        worst = worst.max(code);
        let run = session.newest().await?.filter(|run| before.as_ref().is_none_or(|before| before.run != run.run));
        lines.push(DocumentLine { document: path.display().to_string(), code, run });
        if session.signals.stop.is_cancelled() {
            break;
        }
    }
    if paths.len() > 1 {
        context.out.print(&ui::documents(&lines, context.out.style()));
    }
    Ok(worst)
}

/// Carries out one document as `run` without options does.
pub async fn one(path: &Path, context: &Context) -> Outcome {
    let project = context.project().await?;
    let signals = Signals::watch()?;
    let session =
        Session { project, signals, merge: Merge::Auto, verify: None, again: false, reuse: None, events: None };
    session.carry_out(path, true, context).await
}

/// What is the same for all documents of one call.
pub struct Session {
    project: Project,
    signals: Signals,
    merge: Merge,
    verify: Option<Verify>,
    again: bool,
    /// A run whose work is taken over.
    reuse: Option<Facts>,
    events: Option<PathBuf>,
}

impl Session {
    /// What carries the document of an earlier run out once more, with what that run wrote.
    pub(super) fn again_with(project: Project, reuse: Facts, events: Option<PathBuf>) -> Result<Self> {
        let signals = Signals::watch()?;
        Ok(Self { project, signals, merge: Merge::Auto, verify: None, again: true, reuse: Some(reuse), events })
    }

    /// Carries one document out. `alone` says that no other is meant.
    pub async fn carry_out(&self, path: &Path, alone: bool, context: &Context) -> Outcome {
        let loaded = documents::load(path, &self.project, context).await?;
        let wanted = Wanted { lands: self.merge == Merge::Auto, again: self.again };
        let target = match look(&loaded, path, wanted, &self.project, context).await? {
            Look::Ready(target) => target,
            Look::Ended => return Ok(ended(&loaded, context)),
            Look::NotNow(status) => return passed_over(&loaded, status, alone, context),
        };
        let relative = self.project.relative(&context.directory.join(path))?;
        if let Some(run) = self.open_run(&relative, &loaded.document).await?.filter(|_| !alone && !self.again) {
            let shown = &loaded.shown;
            context.out.note(&format!(
                "{shown} is undecided: run {run} can be measured on with `blueprint resume {run} --measure 5m`; skipped \
                 (once more: blueprint run --again {shown})\n"
            ));
            return Ok(ExitCode::Done);
        }
        let ready = Ready { path: &relative, document: &loaded.document, target: &target };
        if let Some(then) = self.verify {
            let code = self.carry(&ready, Purpose::Rehearsal, context).await?;
            if code != ExitCode::Done || then == Verify::Only {
                return Ok(code);
            }
        }
        self.carry(&ready, Purpose::Document, context).await
    }

    /// The newest run of a document as it is now, where that ended undecided.
    async fn open_run(&self, path: &str, document: &Document) -> Result<Option<String>> {
        if !self.project.has_journal()? {
            return Ok(None);
        }
        let (journal, digest) = (self.project.journal().await?, document.digest());
        for run in journal.runs().await?.into_iter().rev() {
            let Some(facts) = Facts::read(&journal.entries(&run).await?)? else { continue };
            let started = &facts.seen.started;
            let same = started.document == path && started.digest == digest && !started.rehearsal && !started.trying;
            if same {
                let open = facts.scoreboard.as_ref().is_some_and(|board| board.is_open());
                return Ok(Some(run).filter(|_| open && facts.finished && facts.landed.is_none()));
            }
        }
        Ok(None)
    }

    /// The newest run of the repository.
    async fn newest(&self) -> Result<Option<RunLine>> {
        if !self.project.has_journal()? {
            return Ok(None);
        }
        let journal = self.project.journal().await?;
        let Some(run) = journal.runs().await?.pop() else { return Ok(None) };
        Ok(Facts::read(&journal.entries(&run).await?)?.map(|facts| RunLine::of(&facts, false)))
    }

    async fn carry(&self, ready: &Ready<'_>, purpose: Purpose, context: &Context) -> Outcome {
        let watch = Watch::new(context, self.events.as_deref())?;
        let Ready { path, document, target } = ready;
        let prepared = compose::prepare(
            &self.project,
            path,
            document,
            target,
            (purpose, self.merge == Merge::Auto),
            watch.sink.clone(),
        )
        .await?;
        let started = self.start(prepared, watch).await?;
        finish(&started, &self.signals, context).await
    }

    /// From here on something is written: the journal first.
    async fn start(&self, mut prepared: Prepared, watch: Watch) -> Result<Started> {
        let journal = self.project.journal().await?;
        let lock = journal.lock(&prepared.started.run).await?;
        prepared.started.given = Some(self.project.git.keep_given(&prepared.started.run)?);
        let facts = prepared.record(&journal).await?;
        let Prepared { ports, settings, .. } = prepared;
        let competition = Competition::new(&facts, &ports, settings, journal, self.signals.stop.clone())?;
        if let Some(earlier) = self.reuse.as_ref().filter(|_| !facts.seen.started.rehearsal) {
            competition.take_over(earlier).await?;
        }
        Ok(Started { competition, prices: self.project.config.prices(), watch, _lock: lock })
    }
}

/// An approved document that is to be carried out.
struct Ready<'a> {
    path: &'a str,
    document: &'a Document,
    target: &'a target::Target,
}

/// A run that this process carries out.
pub struct Started {
    pub competition: Competition,
    pub prices: Prices,
    pub watch: Watch,
    pub _lock: Box<dyn crate::adapters::journal::RunLock>,
}

/// Carries a run to its end and shows what it came to.
pub async fn finish(started: &Started, signals: &Signals, context: &Context) -> Outcome {
    let run = &*started.competition.run;
    let carried_out = pipeline::carry_out(&started.competition).await;
    let written = started.watch.finish();
    // A verdict is shown also where its landing was blocked.
    let facts = run.facts().await?;
    if let Some(scoreboard) = &facts.scoreboard {
        context.out.print(&ui::scoreboard(&facts, scoreboard, &started.prices, context.out.style()));
    }
    let conclusion = carried_out.map_err(|error| match facts.finished {
        // It holds to a commit and a configuration that can't decide anything.
        true => error,
        false => resumable(signals.named(error), run),
    })?;
    written?;
    if facts.landed.is_none() && conclusion.landed.is_none() && !facts.unfinished().is_empty() && !run.started.rehearsal
    {
        let run = &run.started.run;
        context.out.note(&format!(
            "to go on with what is unfinished: blueprint resume {run} --session-cap TOKENS (or --step-cap, --time-cap)\n"
        ));
    }
    if run.started.rehearsal {
        return Ok(rehearsed(&rehearsal::findings(&facts, &conclusion.scoreboard), &run.started.run)?);
    }
    match conclusion.scoreboard.verdict {
        Verdict::NoWinner { reason: NoWinner::HarnessBiased { .. } } => Err(biased(&run.started.run).into()),
        _ => Ok(code(&conclusion.scoreboard)),
    }
}

/// A harness that did not pass its rehearsal is a fault of the machine: no agent is started on it.
fn rehearsed(findings: &[Finding], run: &str) -> Result<ExitCode> {
    let failed: Vec<_> = findings.iter().filter(|f| !f.held).map(|f| f.contender.to_string()).collect();
    if failed.is_empty() {
        return Ok(ExitCode::Done);
    }
    Err(Error::machine(format!("the harness did not pass its rehearsal {run}: {}", failed.join(", ")))
        .hint("a verdict by this harness would mean nothing: no agent was started and nothing landed")
        .hint(shadow::LOOK))
}

/// What a run that its shadow baseline made invalid ends with.
fn biased(run: &str) -> Error {
    Error::machine(format!("run {run} is invalid: the baseline and its shadow did not come out alike"))
        .hint(shadow::LOOK)
        .hint(format!("nothing landed; the variants' work is kept under refs/blueprint/{run}/"))
}

/// What the machine broke off can be gone on with.
fn resumable(error: Error, run: &Run) -> Error {
    let error = match crate::error::is_full(&error.message) {
        true => error.hint(format!(
            "make room there; worktrees are in {} (another place: XDG_CACHE_HOME)",
            run.started.state.display()
        )),
        false => error,
    };
    match error.kind {
        ExitCode::Machine => error.hint(format!("fix this, then run: {}", run.way_on())),
        _ => error,
    }
}

fn code(scoreboard: &Scoreboard) -> ExitCode {
    let starved = |row: &Row| {
        use Disqualification::{OverBudget, Unfinished};
        let by_budget = |reason: &_| matches!(reason, OverBudget { .. } | Unfinished { over_budget: true, .. });
        matches!(&row.outcome, TrialOutcome::Disqualified { reason } if by_budget(reason))
            || row.contender == Contender::Baseline
    };
    match scoreboard.verdict {
        _ if scoreboard.lands().is_some() => ExitCode::Done,
        Verdict::Winner { .. } | Verdict::Tie { .. } | Verdict::Undecided { .. } => ExitCode::NoWinner,
        Verdict::NoWinner { reason: NoWinner::NotMeasured } => ExitCode::Budget,
        Verdict::NoWinner { reason: NoWinner::HarnessBiased { .. } } => ExitCode::Machine,
        Verdict::NoWinner { .. } if scoreboard.rows.iter().all(starved) => ExitCode::Budget,
        Verdict::NoWinner { .. } => ExitCode::NoWinner,
    }
}
