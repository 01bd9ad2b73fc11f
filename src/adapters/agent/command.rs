//! Any program as an agent. It gets a prompt and a cap, and may say what it spends.
//!
//! Besides the lease's environment the program finds `BLUEPRINT_STEP` (from 1), `BLUEPRINT_PROMPT`
//! (a file), `BLUEPRINT_USAGE` (a file that it may write, see `super::usage`), where there is a cap
//! `BLUEPRINT_TOKENS`, `BLUEPRINT_MODEL` where one is configured, and where it can reach a model through us `BLUEPRINT_KEY` and the base URLs
//! `BLUEPRINT_ANTHROPIC_URL`, `BLUEPRINT_OPENAI_URL` and `BLUEPRINT_GEMINI_URL`. Its exit status counts,
//! and what it left in the worktree.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use super::filling::{self, Filling, LONGEST_ARGUMENT};
use super::prompt::prompt;
use super::template::Template;
use super::usage::Meter;
use super::watch::{Watched, watched};
use super::{Agent, AgentEnd, AgentError, AgentReport, Task};
use crate::adapters::process::{Command as Invocation, Exchange, Executor, ProcessError, installed};
use crate::domain::plan::Variant;
use crate::domain::quantity::Tokens;

/// How often the usage file is read while the program runs.
const POLL: Duration = Duration::from_millis(200);

/// Which program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What to run for each work item.
    pub command: Template,
    /// The model that it is told to use.
    pub model: Option<String>,
}

/// The agent.
pub struct Command {
    settings: Settings,
}

impl Command {
    /// From its settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// What to run.
    fn words(&self, filling: &Filling<'_>) -> Result<Vec<String>, AgentError> {
        let words = self.settings.command.fill(|name| filling.value(name));
        if words.iter().any(|word| word.len() > LONGEST_ARGUMENT) {
            return Err(AgentError::Material {
                what: format!("`{}`", self.settings.command.text()),
                why: "the prompt is longer than an argument may be (128 KiB); use {prompt_file}".to_owned(),
            });
        }
        Ok(words)
    }

    fn report(&self, watched: Watched, meter: &mut Meter, task: &Task<'_>) -> AgentReport {
        let Watched { finished, end } = watched;
        let usage = meter.read();
        let over = cap(task).is_some_and(|cap| usage.total() > cap);
        let end = match end {
            _ if over || task.refused.is_cancelled() => AgentEnd::OverTokens,
            Some(end) => end,
            None if finished.exit.success() => AgentEnd::Finished,
            None => {
                let said = finished.tail(3);
                let gap = if said.is_empty() { "" } else { "\n" };
                let command = self.settings.command.text();
                AgentEnd::Failed { message: format!("`{command}` {}{gap}{said}", finished.exit.ending()) }
            }
        };
        let said = [Some(finished.tail(20)).filter(|tail| !tail.is_empty()), meter.fault()];
        AgentReport { usage, end, summary: said.into_iter().flatten().collect::<Vec<_>>().join("\n") }
    }
}

/// What the usage file is held against: nothing where the proxy counts.
fn cap(task: &Task<'_>) -> Option<Tokens> {
    task.tokens.filter(|_| task.access.is_none())
}

#[async_trait]
impl Agent for Command {
    fn describe(&self) -> String {
        format!("command {}", self.settings.command.text())
    }

    fn whole_variant(&self) -> bool {
        false
    }

    fn model(&self) -> Option<&str> {
        self.settings.model.as_deref()
    }

    async fn check(&self, _: &Path, _: &Variant, _: &dyn Executor) -> Result<(), AgentError> {
        match self.settings.command.program() {
            Some(program) if !installed(program) => Err(ProcessError::Missing { program: program.to_owned() }.into()),
            _ => Ok(()),
        }
    }

    async fn implement(&self, task: Task<'_>, exec: &dyn Executor) -> Result<AgentReport, AgentError> {
        let scratch = |source| AgentError::Io { what: task.scratch.display().to_string(), source };
        let text = prompt(&task);
        let file = Exchange::empty(task.scratch, "prompt.md").map_err(scratch)?;
        std::fs::write(file.path(), &text).map_err(scratch)?;
        let mut meter = Meter::new(Exchange::new(task.scratch, "usage.json").map_err(scratch)?);

        let model = self.settings.model.as_deref();
        let filling = Filling { task: &task, prompt: &text, file: &file.shown(), model };
        let mut words = self.words(&filling)?.into_iter();
        let program = words.next().unwrap_or_default();
        let mut command = Invocation::new(program, words, task.worktree).env(task.env).limit(task.time);
        command.env.insert("BLUEPRINT_STEP".to_owned(), (task.step + 1).to_string());
        command.env.insert("BLUEPRINT_PROMPT".to_owned(), file.shown());
        command.env.insert("BLUEPRINT_USAGE".to_owned(), meter.path());
        if let Some(cap) = task.tokens {
            command.env.insert("BLUEPRINT_TOKENS".to_owned(), cap.0.to_string());
        }
        command.env.extend(model.map(|model| ("BLUEPRINT_MODEL".to_owned(), model.to_owned())));
        command.env.extend(task.access.into_iter().flat_map(filling::variables));
        command.log = Some(task.scratch.join("agent.log"));

        let watched = watched(&task, command, exec, spent(&mut meter, cap(&task))).await?;
        Ok(self.report(watched, &mut meter, &task))
    }
}

/// Returns when more was reported than the cap allows; never without a cap.
async fn spent(meter: &mut Meter, cap: Option<Tokens>) {
    let Some(cap) = cap else { return std::future::pending().await };
    while meter.read().total() <= cap {
        tokio::time::sleep(POLL).await;
    }
}
