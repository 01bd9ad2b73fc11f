//! The plan's tests as the agent tries them: its commands, in the worktree. They decide nothing; the
//! judge runs them again in a clean tree.

use std::time::{Duration, Instant};

use super::super::{AgentError, Task};
use super::Halt;
use super::snapshot::Snapshot;
use super::tools::{Hands, tail};
use crate::adapters::process::{Executor, Exit, ProcessError, Program};
use crate::domain::plan::EvaluationTest;
use crate::domain::quantity::show_duration;

/// How long all of them may take.
const LIMIT: Duration = Duration::from_secs(300);
/// Tests that take longer are run only when the model says that it is done.
const CHEAP: Duration = Duration::from_secs(60);
/// So many turns lie between two runs that nobody asked for.
const PAUSE: usize = 3;
/// How much of what a failing test printed the model is shown.
const SHOWN: usize = 4 << 10;

/// What the tests said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All passed, or there are none that could be run.
    Passed,
    /// The first that did not, with the end of what it printed.
    Failed(String),
}

/// The tests, and what they said of the worktree as it is.
pub struct Gate {
    programs: Vec<(String, Program)>,
    verdict: Option<Verdict>,
    took: Duration,
    turns: usize,
}

impl Gate {
    /// The commands of the plan's evaluation; its prose is bound to suites of which the agent knows nothing.
    pub fn of(task: &Task<'_>) -> Self {
        let command = |test: &EvaluationTest| match test {
            EvaluationTest::Command { argv, text } => Some((text.clone(), Program::Argv(argv.clone()))),
            EvaluationTest::Prose { .. } => None,
        };
        let programs = task.plan.tests.iter().filter_map(command).collect();
        Self { programs, verdict: None, took: Duration::ZERO, turns: PAUSE }
    }

    /// Whether they passed on the worktree as it is now.
    pub fn passed(&self) -> bool {
        !self.programs.is_empty() && self.verdict == Some(Verdict::Passed)
    }

    /// Takes note of a turn, and whether it changed the worktree.
    pub fn turn(&mut self, changed: bool) {
        self.turns += 1;
        if changed {
            self.verdict = None;
        }
    }

    /// Whether it is time to try them without being asked.
    pub fn due(&self) -> bool {
        !self.programs.is_empty() && self.verdict.is_none() && self.turns >= PAUSE && self.took <= CHEAP
    }

    /// Tries them, unless it is known what they say.
    pub async fn try_out(&mut self, task: &Task<'_>, hands: &Hands<'_>, exec: &dyn Executor) -> Result<Verdict, Halt> {
        if let Some(known) = &self.verdict {
            return Ok(known.clone());
        }
        let started = Instant::now();
        let before = Snapshot::of(task.worktree).await;
        let mut verdict = Verdict::Passed;
        for (text, program) in &self.programs {
            let limit = hands.time(LIMIT.saturating_sub(started.elapsed()));
            let command = program.command(&[], task.worktree).env(task.env).limit(limit);
            let failed = match exec.run(command, task.stop).await {
                Ok(finished) if finished.exit.success() => continue,
                Ok(finished) if finished.exit == Exit::TimedOut => {
                    format!("`{text}` was stopped after {}", show_duration(limit))
                }
                Ok(finished) => format!("`{text}`: {}\n{}", finished.exit, tail(&finished.tail(60), SHOWN)),
                Err(ProcessError::Missing { program }) => format!("`{text}`: there is no program `{program}`"),
                Err(error) => return Err(AgentError::from(error).into()),
            };
            verdict = Verdict::Failed(failed);
            break;
        }
        clear(task, hands, &before).await;
        (self.took, self.turns) = (started.elapsed(), 0);
        self.verdict = Some(verdict.clone());
        Ok(verdict)
    }
}

/// Takes away what the tests left behind where it is no part of the work: it would count as a change
/// that the contract does not allow, and the model did not make it.
async fn clear(task: &Task<'_>, hands: &Hands<'_>, before: &Snapshot) {
    for path in Snapshot::of(task.worktree).await.new_since(before) {
        if !hands.may_change(&path)
            && let Ok(place) = hands.tree().place(&path)
        {
            drop(hands.tree().remove(&place));
        }
    }
}
