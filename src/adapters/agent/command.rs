//! Any program as an agent. It gets a prompt and a cap, and may say what it spends.
//!
//! Besides the lease's environment the program finds `BLUEPRINT_STEP` (from 1), `BLUEPRINT_PROMPT`
//! (a file), `BLUEPRINT_USAGE` (a file that it may write, see [`super::usage`]) and, where there is
//! a cap, `BLUEPRINT_TOKENS`. Its exit status counts, and what it left in the worktree.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use super::prompt::prompt;
use super::template::Template;
use super::usage::Meter;
use super::{Agent, AgentEnd, AgentError, AgentReport, Task};
use crate::adapters::process::{Command as Invocation, Exchange, Executor, Finished, ProcessError};
use crate::domain::plan::Variant;
use crate::domain::quantity::Tokens;

/// How often the usage file is read while the program runs.
const POLL: Duration = Duration::from_millis(200);
/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);
/// The kernel takes no longer argument (`MAX_ARG_STRLEN`), its final zero included.
const LONGEST_ARGUMENT: usize = 128 * 1024 - 1;

/// Which program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What to run for each work item.
    pub command: Template,
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

    /// What to run for a task whose prompt is in this file.
    fn words(&self, task: &Task<'_>, prompt: &str, file: &str) -> Result<Vec<String>, AgentError> {
        let words = self.settings.command.fill(|name| match name {
            "prompt" => prompt.to_owned(),
            "prompt_file" => file.to_owned(),
            "variant" => task.variant.key.to_string(),
            "step" => (task.step + 1).to_string(),
            "worktree" => task.worktree.display().to_string(),
            "tokens" => task.tokens.map(|t| t.0.to_string()).unwrap_or_default(),
            _ => String::new(),
        });
        if words.iter().any(|word| word.len() > LONGEST_ARGUMENT) {
            return Err(AgentError::Material {
                what: format!("`{}`", self.settings.command.text()),
                why: "the prompt is longer than an argument may be (128 KiB); use {prompt_file}".to_owned(),
            });
        }
        Ok(words)
    }

    fn report(&self, finished: &Finished, meter: &mut Meter, cap: Option<Tokens>) -> AgentReport {
        let usage = meter.read();
        let over = cap.is_some_and(|cap| usage.total() > cap);
        let end = match AgentEnd::interrupted(finished.exit) {
            _ if over => AgentEnd::OverTokens,
            Some(end) => end,
            None if finished.exit.success() => AgentEnd::Finished,
            None => {
                let said = finished.tail(3);
                let gap = if said.is_empty() { "" } else { "\n" };
                let command = self.settings.command.text();
                AgentEnd::Failed { message: format!("`{command}` ended with {}{gap}{said}", finished.exit) }
            }
        };
        let said = [Some(finished.tail(20)).filter(|tail| !tail.is_empty()), meter.fault()];
        AgentReport { usage, end, summary: said.into_iter().flatten().collect::<Vec<_>>().join("\n") }
    }
}

#[async_trait]
impl Agent for Command {
    fn describe(&self) -> String {
        format!("command {}", self.settings.command.text())
    }

    fn whole_variant(&self) -> bool {
        false
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

        let mut words = self.words(&task, &text, &file.shown())?.into_iter();
        let program = words.next().unwrap_or_default();
        let mut command = Invocation::new(program, words, task.worktree).env(task.env).limit(task.time);
        command.env.insert("BLUEPRINT_STEP".to_owned(), (task.step + 1).to_string());
        command.env.insert("BLUEPRINT_PROMPT".to_owned(), file.shown());
        command.env.insert("BLUEPRINT_USAGE".to_owned(), meter.path());
        if let Some(cap) = task.tokens {
            command.env.insert("BLUEPRINT_TOKENS".to_owned(), cap.0.to_string());
        }
        command.grace = GRACE;
        command.log = Some(task.scratch.join("agent.log"));

        let stop = task.stop.child_token();
        let mut running = exec.run(command, &stop);
        let finished = tokio::select! {
            finished = &mut running => finished?,
            () = spent(&mut meter, task.tokens) => {
                stop.cancel();
                running.await?
            }
        };
        Ok(self.report(&finished, &mut meter, task.tokens))
    }
}

/// Returns when more was reported than the cap allows; never without a cap.
async fn spent(meter: &mut Meter, cap: Option<Tokens>) {
    let Some(cap) = cap else { return std::future::pending().await };
    while meter.read().total() <= cap {
        tokio::time::sleep(POLL).await;
    }
}

/// Whether a program can be found before anything runs. A path inside the worktree can't be judged
/// yet: set-up may make it.
fn installed(program: &str) -> bool {
    let path = Path::new(program);
    if path.is_absolute() {
        return executable(path);
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    program.contains('/') || std::env::split_paths(&folders).any(|folder| executable(&folder.join(program)))
}

fn executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
