//! Known clients as agents: each is called without a terminal, in a private home, with a trial's own
//! key and address in the place of a provider's. How, stands in `table` as data.
//!
//! Neither exit statuses nor the tokens that clients report can be trusted. Whether a cap is spent is
//! the proxy's to say, and what a client printed counts only for what is told to the user.

mod home;
mod output;
mod settings;
mod table;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::filling::{self, Filling, LONGEST_ARGUMENT};
use super::prompt::prompt;
use super::watch::{Watched, watched};
use super::{Agent, AgentEnd, AgentError, AgentReport, Task};
use crate::adapters::process::{Command, Environment, Exchange, Executor, Exit, Finished, Stop, installed};
use crate::domain::plan::Variant;
use crate::domain::quantity::Tokens;
use crate::domain::wire::Wire;
use home::Home;
use output::Told;
pub use settings::{Call, Settings};
pub use table::{Client, Way, clients};

/// How much of a client's output is read, counted from its end. Some repeat a whole message for each word of it.
const KEEP: usize = 16 << 20;
/// A client that does not tell its version within this does not run. Some take seconds to start, and half a minute on a
/// machine that is busy with other work.
const PROBE: Duration = Duration::from_secs(180);
/// Lines of the error stream that are shown.
const SHOWN: usize = 10;

/// The agent.
pub struct Preset {
    settings: Settings,
    /// Its version, once it was asked.
    version: OnceCell<String>,
}

impl Preset {
    /// From its settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings, version: OnceCell::new() }
    }

    fn named(&self) -> String {
        format!("preset {}", self.settings.client().name)
    }

    /// The client's process, ready to run; nothing of its environment is inherited but the lease's.
    fn command(&self, filling: &Filling<'_>, home: &Home) -> Result<Command, AgentError> {
        let task = filling.task;
        let Some(access) = task.access else {
            return Err(AgentError::Material {
                what: self.named(),
                why: "no model can be reached; name its provider under `models` in blueprint.yaml".to_owned(),
            });
        };
        let failed = |source| AgentError::Io { what: home.path().display().to_string(), source };
        let at = home.path().display().to_string();
        let call = self.settings.call(|name| if name == "home" { at.clone() } else { filling.value(name) });
        for (path, text) in &call.files {
            home.write(path, text).map_err(failed)?;
        }
        let mut words = call.words.into_iter();
        let program = words.next().unwrap_or_default();
        let mut command = Command::new(program, words, task.worktree).env(task.env).limit(task.time);
        home.settle(&mut command.env).map_err(failed)?;
        command.env.extend(filling::variables(access));
        command.env.extend(call.env);
        command.log = Some(task.scratch.join("agent.log"));
        command.keep = KEEP;
        Ok(command)
    }

    fn report(&self, watched: Watched, refused: bool) -> AgentReport {
        let Watched { finished, end } = watched;
        let client = self.settings.client();
        let told = client.output.read(&finished.stdout, &client.errors);
        let end = match end {
            _ if refused => AgentEnd::OverTokens,
            Some(end) => end,
            None => self.judged(&finished, &told),
        };
        let error = told.error.iter().map(|error| format!("error: {error}"));
        let summary: Vec<String> =
            told.message.iter().cloned().chain(error).chain(told.text.iter().cloned()).chain(last(&finished)).collect();
        AgentReport { usage: told.usage, end, summary: summary.join("\n") }
    }

    /// How a client that ended by itself did.
    fn judged(&self, finished: &Finished, told: &Told) -> AgentEnd {
        let client = self.settings.client();
        let meaningless = matches!(finished.exit, Exit::Code(code) if client.meaningless_exits.contains(&code));
        let well = if meaningless { told.error.is_none() } else { finished.exit.success() };
        if well {
            return AgentEnd::Finished;
        }
        let why = told.error.clone().unwrap_or_else(|| {
            let lines: Vec<String> = told.text.iter().cloned().chain(last(finished)).collect();
            lines[lines.len().saturating_sub(3)..].join("\n")
        });
        let gap = if why.is_empty() { "" } else { "\n" };
        AgentEnd::Failed { message: format!("`{}` {}{gap}{why}", client.program(), finished.exit.ending()) }
    }
}

/// The last lines of the error stream.
fn last(finished: &Finished) -> Vec<String> {
    let text = String::from_utf8_lossy(&finished.stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(SHOWN)..].iter().map(|line| (*line).to_owned()).collect()
}

#[async_trait]
impl Agent for Preset {
    fn describe(&self) -> String {
        let model = self.settings.model().map(|model| format!(" {model}")).unwrap_or_default();
        format!("{}{model}", self.named())
    }

    fn whole_variant(&self) -> bool {
        false
    }

    fn wires(&self) -> &[Wire] {
        std::slice::from_ref(self.settings.wire())
    }

    fn model(&self) -> Option<&str> {
        self.settings.requested()
    }

    fn needs(&self) -> Option<Tokens> {
        self.settings.needs()
    }

    async fn check(&self, _: &Path, _: &Variant, exec: &dyn Executor) -> Result<(), AgentError> {
        self.version.get_or_try_init(|| probe(self.settings.client(), exec)).await.map(drop)
    }

    async fn implement(&self, task: Task<'_>, exec: &dyn Executor) -> Result<AgentReport, AgentError> {
        let scratch = |source| AgentError::Io { what: task.scratch.display().to_string(), source };
        let mut text = prompt(&task);
        let file = Exchange::empty(task.scratch, "prompt.md").map_err(scratch)?;
        std::fs::write(file.path(), &text).map_err(scratch)?;
        if text.len() > LONGEST_ARGUMENT {
            text = format!("Your task stands in the file {}. Read all of it and carry it out.", file.shown());
        }
        let home = Home::make(task.scratch).map_err(scratch)?;
        let command = self.command(&Filling { task: &task, prompt: &text, file: &file.shown(), model: None }, &home)?;
        let watched = watched(&task, command, exec, std::future::pending()).await?;
        Ok(self.report(watched, task.refused.is_cancelled()))
    }
}

/// The version of a client, or what keeps it from running, with how to get it.
pub async fn probe(client: &Client, exec: &dyn Executor) -> Result<String, AgentError> {
    let program = client.program();
    let wrong = |why: String| AgentError::Material { what: format!("preset {}", client.name), why };
    if !installed(&program) {
        return Err(wrong(format!("`{program}` is not installed; {}", how(client))));
    }
    let home = tempfile::tempdir().map_err(|source| AgentError::Io { what: "a directory".to_owned(), source })?;
    let path = std::env::var("PATH").unwrap_or_default();
    let env: Environment = [("PATH", path), ("HOME", home.path().display().to_string())]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
    let args = client.version.iter().skip(1);
    let command = Command::new(&program, args, home.path()).env(&env).limit(PROBE);
    let shown = command.shown();
    let finished = exec.run(command, &Stop::new()).await?;
    if !finished.exit.success() {
        let said = finished.tail(3);
        let gap = if said.is_empty() { "" } else { "\n" };
        return Err(wrong(format!("`{shown}` {}{gap}{said}", finished.exit.ending())));
    }
    let said = finished.text() + &String::from_utf8_lossy(&finished.stderr);
    Ok(version(&said).unwrap_or_else(|| "of an unknown version".to_owned()))
}

/// How to get a client, as a half sentence.
pub fn how(client: &Client) -> String {
    if client.install.starts_with("see ") { client.install.clone() } else { format!("install it: {}", client.install) }
}

/// The first number with points in it.
fn version(text: &str) -> Option<String> {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.')).map(|word| word.trim_matches('.'));
    words.filter(|word| word.contains('.')).map(str::to_owned).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_first_number_with_points() {
        assert_eq!(version("codex-cli 0.169.0\n").as_deref(), Some("0.169.0"));
        assert_eq!(version("This is v2 of mini, version 2.4.6.").as_deref(), Some("2.4.6"));
        assert_eq!(version("no number... 5"), None);
    }
}
