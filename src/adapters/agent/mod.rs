//! The agent port: something that implements a variant in a worktree within a budget.
//!
//! An agent is one file here and one line in the table below. None of them is trusted with the
//! token count of the run: what an agent reports is checked against the cap while it works.

pub mod api;
pub mod command;
pub mod fake;
mod filling;
pub mod patch;
pub mod preset;
pub mod prompt;
pub mod scripted;
mod template;
mod usage;
mod watch;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::process::{Environment, Executor, Exit, ProcessError, Stop};
use crate::domain::plan::{Plan, Variant, WorkItem};
use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;
use crate::domain::wire::{Access, Wire};
pub use template::{Template, TemplateError};

/// Makes the settings' enum, the table and the constructor out of one line an agent.
macro_rules! agents {
    ($($(#[$doc:meta])* $variant:ident, $name:literal => $module:ident::$agent:ident;)+) => {
        /// What the configuration says about the agent.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum AgentSettings {
            $($(#[$doc])* $variant($module::Settings),)+
        }

        /// The name of every agent, as `blueprint.yaml` has it.
        pub const AGENTS: &[&str] = &[$($name),+];

        /// The agent that these settings describe.
        pub fn build(settings: AgentSettings) -> Arc<dyn Agent> {
            match settings {
                $(AgentSettings::$variant(settings) => Arc::new($module::$agent::new(settings)),)+
            }
        }
    };
}

agents! {
    /// Recorded work: a diff or a branch for each variant.
    Patch, "patch" => patch::Patch;
    /// The built-in loop of a model and a few tools.
    Api, "api" => api::Api;
    /// Any program.
    Command, "command" => command::Command;
    /// A known client.
    Preset, "preset" => preset::Preset;
}

/// One step of one variant, handed to an agent.
pub struct Task<'a> {
    /// The whole plan, for prompts.
    pub plan: &'a Plan,
    /// Which variant.
    pub variant: &'a Variant,
    /// Which step of it.
    pub item: &'a WorkItem,
    /// Steps are counted from 0.
    pub step: usize,
    /// Where to work: a checkout on the variant's branch.
    pub worktree: &'a Path,
    /// The repository's root in the user's checkout, read-only, for recorded material.
    pub repository: &'a Path,
    /// Private to the trial; transcripts, prompts and usage files go here.
    pub scratch: &'a Path,
    /// The lease's environment, whole.
    pub env: &'a Environment,
    /// Tokens that this step may use; unlimited where absent.
    pub tokens: Option<Tokens>,
    /// Time that is left for this step; unlimited where absent.
    pub time: Option<Duration>,
    /// How it reaches its model, where its requests go through the run's proxy.
    pub access: Option<&'a Access>,
    /// Fires when the proxy refused a request because a cap is spent; never without a proxy.
    pub refused: &'a Stop,
    /// Whether a request to its model is under way, so that it may well be silent.
    pub asking: &'a (dyn Fn() -> bool + Send + Sync),
    /// Why the step is carried out once more, where what was done before can't stand.
    pub correction: Option<&'a str>,
    /// After so long without any sign of life a program is stopped.
    pub patience: Duration,
    /// Asked to stop when this fires.
    pub stop: &'a Stop,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentReport {
    /// Tokens used, as far as is known.
    pub usage: Usage,
    /// How it ended.
    pub end: AgentEnd,
    /// The tail of what it printed, for the log.
    pub summary: String,
}

/// How a step ended. What it left in the worktree is judged in every case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "end")]
pub enum AgentEnd {
    /// By itself, well.
    Finished,
    /// A token cap was reached.
    OverTokens,
    /// It showed no sign of life for too long.
    Stuck {
        /// For how long, and what was looked at.
        message: String,
    },
    /// The deadline was reached.
    OverTime,
    /// By itself, badly.
    Failed {
        /// What it said last.
        message: String,
    },
}

impl AgentEnd {
    /// The end of a step whose program we stopped; `None` where it ended by itself.
    fn interrupted(exit: Exit) -> Option<Self> {
        match exit {
            Exit::TimedOut => Some(Self::OverTime),
            Exit::Stopped | Exit::Beyond(_) => Some(Self::Failed { message: exit.to_string() }),
            Exit::Code(_) | Exit::Signal(_) => None,
        }
    }
}

/// Why an agent could not work at all.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A program was missing or failed to start.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Recorded material is missing or does not apply.
    #[error("{what}: {why}")]
    Material {
        /// Which file or branch.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no place for its programs.
    #[error("{0}")]
    Walls(String),
    /// A file could not be read or written.
    #[error("{what}")]
    Io {
        /// Which.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Why an agent of ours goes no further in the middle of its work.
enum Halt {
    Ended(AgentEnd),
    Error(AgentError),
}

impl From<AgentError> for Halt {
    fn from(error: AgentError) -> Self {
        Self::Error(error)
    }
}

/// Implements variants.
#[async_trait]
pub trait Agent: Send + Sync {
    /// As the plan shows it, such as `patch recorded/` or `command ./agent.sh`.
    fn describe(&self) -> String;

    /// Whether one call does the whole variant (recorded work) or one work item.
    fn whole_variant(&self) -> bool;

    /// By which protocols it reaches its model; none where it uses no model, or does not say.
    fn wires(&self) -> &[Wire] {
        &[]
    }

    /// The model that it is to ask, as requests name it; none where it uses none, or chooses by itself.
    fn model(&self) -> Option<&str> {
        None
    }

    /// What its first request, and an answer of a useful length, come to at the most; none where that is not known.
    fn needs(&self) -> Option<Tokens> {
        None
    }

    /// Finds what can be found out beforehand for this variant: missing programs, missing material.
    async fn check(&self, repository: &Path, variant: &Variant, exec: &dyn Executor) -> Result<(), AgentError>;

    /// Carries out one step.
    async fn implement(&self, task: Task<'_>, exec: &dyn Executor) -> Result<AgentReport, AgentError>;
}
