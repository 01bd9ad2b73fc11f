//! The runs of a repository: what `status` lists, and what `gc` removed.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::style::{Style, Tone};
use super::table::{Align, Cell, Table};
use super::words;
use crate::engine::rehearsal;
use crate::engine::resources::recovery::Cleaned;
use crate::engine::state::Facts;
use crate::error::ExitCode;

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// A process carries it out.
    Live,
    /// No process carries it out, and it is not finished; the command that goes on with it.
    Interrupted(&'static str),
    /// The winner landed in this commit.
    Landed(String),
    /// Finished without a winner; the document says so in this commit, where it was told.
    NoWinner(Option<String>),
    /// Finished before anything was decided; more measuring may.
    Undecided,
    /// Finished with a winner that was not to be landed.
    Finished,
    /// Only the harness was tried; `false` where that was broken off.
    Tried(bool),
    /// A rehearsal that is over, and whether the harness passed it.
    Rehearsed(bool),
}

/// One run of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLine {
    /// Its id.
    pub run: String,
    /// The document, relative to the repository's root.
    pub document: String,
    /// Where it is.
    pub state: RunState,
    /// Seconds since 1970.
    pub started: i64,
    /// Time that it used, over all its sessions.
    pub elapsed: Duration,
}

impl RunLine {
    /// From a run's facts, and whether a process holds its lock.
    pub fn of(facts: &Facts, live: bool) -> Self {
        let wins = facts.scoreboard.as_ref().is_some_and(|board| board.lands().is_some());
        let undecided = facts.scoreboard.as_ref().is_some_and(|board| board.is_open());
        let rehearsed = facts.scoreboard.as_ref().filter(|_| facts.seen.started.rehearsal);
        let rehearsed = rehearsed.map(|board| rehearsal::passed(&rehearsal::findings(facts, board)));
        let state = match (&facts.landed, live, facts.finished) {
            (_, true, _) => RunState::Live,
            (_, false, over) if facts.seen.started.trying => RunState::Tried(over),
            (_, false, false) => RunState::Interrupted(way_on(facts)),
            (None, false, true) if rehearsed.is_some() => RunState::Rehearsed(rehearsed == Some(true)),
            (Some(commit), false, true) => RunState::Landed(commit.to_string()),
            (None, false, true) if wins => RunState::Finished,
            (None, false, true) if undecided => RunState::Undecided,
            (None, false, true) => RunState::NoWinner(facts.recorded.as_ref().map(ToString::to_string)),
        };
        Self {
            run: facts.seen.started.run.clone(),
            document: facts.seen.started.document.clone(),
            state,
            started: facts.seen.started.at,
            elapsed: facts.elapsed,
        }
    }

    /// Where it is, in a word.
    fn outcome(&self) -> Cell {
        match &self.state {
            RunState::Landed(_) => Cell::toned(Tone::Good, "landed"),
            RunState::Interrupted(_) => Cell::toned(Tone::Warn, "interrupted"),
            RunState::NoWinner(_) => Cell::from("no winner"),
            RunState::Undecided => Cell::toned(Tone::Warn, "undecided"),
            _ => self.state(),
        }
    }

    fn state(&self) -> Cell {
        let (tone, text) = match &self.state {
            RunState::Live => (Tone::Strong, "live".to_owned()),
            RunState::Interrupted(command) => {
                (Tone::Warn, format!("interrupted – go on with `blueprint {command} {}`", self.run))
            }
            RunState::Landed(commit) => (Tone::Good, format!("landed {}", words::short(commit))),
            RunState::Undecided => {
                (Tone::Warn, format!("undecided – measure on with `blueprint resume {} --measure 5m`", self.run))
            }
            RunState::NoWinner(None) => (Tone::Plain, "no winner".to_owned()),
            RunState::NoWinner(Some(commit)) => (Tone::Plain, format!("no winner, recorded {}", words::short(commit))),
            RunState::Tried(true) => (Tone::Plain, "tried on the baseline".to_owned()),
            RunState::Tried(false) => {
                (Tone::Warn, "a try that was broken off – remove it with `blueprint gc`".to_owned())
            }
            RunState::Rehearsed(true) => (Tone::Good, "rehearsal: the harness passed".to_owned()),
            RunState::Rehearsed(false) => (Tone::Warn, "rehearsal: the harness did not pass".to_owned()),
            RunState::Finished => (Tone::Plain, "finished, not landed".to_owned()),
        };
        Cell::toned(tone, text)
    }
}

/// The command that goes on with a run: where its time was spent before the verdict, only a new one can.
fn way_on(facts: &Facts) -> &'static str {
    let spent = facts.seen.started.plan.budget.time_cap.is_some_and(|cap| facts.elapsed >= cap);
    if spent && facts.scoreboard.is_none() { "retry" } else { "resume" }
}

/// What `status` prints: a line a run, in the order handed in.
pub fn runs(lines: &[RunLine], style: Style) -> String {
    if lines.is_empty() {
        return "nothing was run here yet\n".to_owned();
    }
    let head = [
        ("Run", Align::Left),
        ("Document", Align::Left),
        ("Started", Align::Left),
        ("Took", Align::Right),
        ("State", Align::Left),
    ];
    let mut table = Table::new(head.map(|(title, align)| (title.to_owned(), align)));
    for line in lines {
        let started = jiff::Timestamp::from_second(line.started).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        table.row([
            Cell::from(&line.run),
            Cell::from(&line.document),
            Cell::from(started.strftime("%Y-%m-%d %H:%M UTC").to_string()),
            Cell::from(words::duration(Duration::from_secs(line.elapsed.as_secs()))),
            line.state(),
        ]);
    }
    table.render(style)
}

/// What `status --json` prints.
pub fn runs_json(lines: &[RunLine]) -> String {
    let runs = lines.iter().map(|line| RunRecord {
        run: &line.run,
        document: &line.document,
        state: match &line.state {
            RunState::Live => "live",
            RunState::Interrupted(_) => "interrupted",
            RunState::Landed(_) => "landed",
            RunState::NoWinner(_) => "no-winner",
            RunState::Undecided => "undecided",
            RunState::Finished => "not-landed",
            RunState::Tried(true) => "tried",
            RunState::Tried(false) => "try-interrupted",
            RunState::Rehearsed(true) => "harness-passed",
            RunState::Rehearsed(false) => "harness-failed",
        },
        landed: if let RunState::Landed(commit) = &line.state { Some(commit) } else { None },
        recorded: if let RunState::NoWinner(commit) = &line.state { commit.as_ref() } else { None },
        started_at: line.started,
        elapsed_seconds: line.elapsed.as_secs_f64(),
    });
    super::report::json_text(&Runs { schema_version: 1, runs: runs.collect() })
}

#[derive(Serialize)]
struct Runs<'a> {
    /// Of this form; it changes when a key changes its meaning or goes.
    schema_version: u32,
    runs: Vec<RunRecord<'a>>,
}

#[derive(Serialize)]
struct RunRecord<'a> {
    run: &'a str,
    document: &'a str,
    state: &'static str,
    landed: Option<&'a String>,
    recorded: Option<&'a String>,
    started_at: i64,
    elapsed_seconds: f64,
}

/// One document of a `run` of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentLine {
    /// As it was named.
    pub document: String,
    /// What it came to.
    pub code: ExitCode,
    /// Its run, where one was started.
    pub run: Option<RunLine>,
}

/// What a `run` of several documents came to: a line each.
pub fn documents(lines: &[DocumentLine], style: Style) -> String {
    let head = [("Document", Align::Left), ("Outcome", Align::Left), ("Landed", Align::Left), ("Took", Align::Right)];
    let mut table = Table::new(head.map(|(title, align)| (title.to_owned(), align)));
    for line in lines {
        let outcome = match (&line.run, line.code) {
            (Some(run), _) => run.outcome(),
            (None, ExitCode::Done) => Cell::toned(Tone::Faint, "nothing to do"),
            (None, ExitCode::Usage) => Cell::toned(Tone::Bad, "not valid"),
            (None, ExitCode::Refused) => Cell::toned(Tone::Warn, "refused"),
            (None, _) => Cell::toned(Tone::Bad, "failed before it started"),
        };
        let landed = line.run.as_ref().and_then(|run| match &run.state {
            RunState::Landed(commit) => Some(words::short(commit)),
            _ => None,
        });
        let took = line.run.as_ref().map(|run| words::duration(Duration::from_secs(run.elapsed.as_secs())));
        let or_none = |text: Option<&str>| Cell::from(text.unwrap_or("–"));
        table.row([Cell::from(&line.document), outcome, or_none(landed), or_none(took.as_deref())]);
    }
    format!("\n{}", table.render(style))
}

/// What `gc` prints; `done` is false for a dry run.
pub fn cleaned(runs: &[Cleaned], templates: &[String], done: bool) -> String {
    let (remove, end) = if done { ("removed", "ended") } else { ("would remove", "would end") };
    let mut out = String::new();
    for run in runs.iter().filter(|run| !run.resources.is_empty() || run.processes > 0) {
        let ended = match run.processes {
            0 => String::new(),
            1 => format!(", {end} 1 process"),
            n => format!(", {end} {n} processes"),
        };
        let _ = writeln!(out, "{}: {remove} {}{ended}", run.run, words::count(run.resources.len(), "resource"));
        for resource in &run.resources {
            let _ = writeln!(out, "  {}", words::one_line(resource));
        }
    }
    if !templates.is_empty() {
        let _ = writeln!(out, "{remove} templates that nothing uses");
        for template in templates {
            let _ = writeln!(out, "  {}", words::one_line(template));
        }
    }
    if out.is_empty() { "nothing to remove\n".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use crate::domain::landing::{Landing, Withheld};
    use crate::domain::verdict::{NoWinner, Verdict};

    #[test]
    fn a_runs_state_follows_from_its_facts_and_its_lock() {
        let facts = fixtures::finished();
        let state = |facts: &Facts, live| RunLine::of(facts, live).state;
        let commit = "3f2a1c9d00000000000000000000000000000000".to_owned();
        assert_eq!(state(&facts, false), RunState::Landed(commit.clone()));
        assert_eq!(state(&facts, true), RunState::Live);
        assert_eq!(state(&fixtures::started(), false), RunState::Interrupted("resume"));
        let spent = Facts { elapsed: Duration::from_secs(3600), ..fixtures::started() };
        assert_eq!(state(&spent, false), RunState::Interrupted("retry"));
        let mut kept = facts.clone();
        kept.landed = None;
        assert_eq!(state(&kept, false), RunState::Finished);
        let board = kept.scoreboard.as_mut().unwrap();
        board.verdict = Verdict::NoWinner { reason: NoWinner::NoneEligible };
        board.landing = Some(Landing::Nothing { why: Withheld::NoWinner });
        assert_eq!(state(&kept, false), RunState::NoWinner(None));
        let open = Verdict::Undecided { leader: None, support: None, smallest_seen: None };
        let mut undecided = kept.clone();
        undecided.scoreboard.as_mut().unwrap().verdict = open;
        assert_eq!(state(&undecided, false), RunState::Undecided);
        kept.recorded = facts.landed.clone();
        assert_eq!(state(&kept, false), RunState::NoWinner(Some(commit.clone())));
        let mut landed = facts;
        landed.finished = false;
        assert_eq!(state(&landed, false), RunState::Interrupted("resume"));
    }

    #[test]
    fn status_is_a_line_a_run() {
        let landed = RunLine::of(&fixtures::finished(), false);
        let recorded = RunState::NoWinner(Some("9e1b3c4d".to_owned()));
        let states =
            [RunState::Live, RunState::Interrupted("resume"), RunState::NoWinner(None), recorded, RunState::Finished];
        let mut lines = vec![landed.clone()];
        lines.extend(states.map(|state| RunLine { state, ..landed.clone() }));
        insta::assert_snapshot!(runs(&lines, Style::PLAIN), @"
        Run                   Document                 Started               Took  State
        20260105-100000-1a2b  docs/blueprints/cost.md  2026-01-05 10:00 UTC  42 s  landed 3f2a1c9
        20260105-100000-1a2b  docs/blueprints/cost.md  2026-01-05 10:00 UTC  42 s  live
        20260105-100000-1a2b  docs/blueprints/cost.md  2026-01-05 10:00 UTC  42 s  interrupted – go on with `blueprint resume 20260105-100000-1a2b`
        20260105-100000-1a2b  docs/blueprints/cost.md  2026-01-05 10:00 UTC  42 s  no winner
        20260105-100000-1a2b  docs/blueprints/cost.md  2026-01-05 10:00 UTC  42 s  no winner, recorded 9e1b3c4
        20260105-100000-1a2b  docs/blueprints/cost.md  2026-01-05 10:00 UTC  42 s  finished, not landed
        ");
        assert_eq!(runs(&[], Style::PLAIN), "nothing was run here yet\n");
    }

    #[test]
    fn gc_names_what_it_removed_or_would() {
        let run = |resources: &[&str], processes| Cleaned {
            run: fixtures::RUN.to_owned(),
            resources: resources.iter().map(|r| (*r).to_owned()).collect(),
            processes,
        };
        let all =
            [run(&["worktree /w/a (branch blueprint/x/a)", "directory /w"], 2), run(&[], 0), run(&["directory /w"], 1)];
        insta::assert_snapshot!(cleaned(&all, &[], true), @"
        20260105-100000-1a2b: removed 2 resources, ended 2 processes
          worktree /w/a (branch blueprint/x/a)
          directory /w
        20260105-100000-1a2b: removed 1 resource, ended 1 process
          directory /w
        ");
        insta::assert_snapshot!(cleaned(&[], &["database bp_template_1 at db:5432/dev".to_owned()], true), @"
        removed templates that nothing uses
          database bp_template_1 at db:5432/dev
        ");
        insta::assert_snapshot!(cleaned(&all[2..], &[], false), @"
        20260105-100000-1a2b: would remove 1 resource, would end 1 process
          directory /w
        ");
        assert_eq!(cleaned(&all[1..2], &[], true), "nothing to remove\n");
    }
}
