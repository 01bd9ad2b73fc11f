//! The built-in agent: a small loop of a model and a few tools, over Anthropic Messages or OpenAI
//! Chat Completions, through the run's proxy.
//!
//! It is told all of the plan that concerns its step, works in the worktree, keeps its conversation
//! small enough for what the step may still use, and ends by itself: when the model says that it is
//! done, when nothing useful can be paid for any more, or when its time is over. It keeps no
//! accounts that count: what it adds up is an estimate, the proxy's ledger is what holds.

mod allowance;
mod client;
mod contract;
mod conversation;
mod dialect;
mod gate;
mod record;
mod session;
mod settings;
mod snapshot;
mod tools;
mod tree;

use std::path::Path;

use async_trait::async_trait;

use super::{Agent, AgentError, AgentReport, Halt, Task};
use crate::adapters::process::Executor;
use crate::domain::plan::Variant;
use crate::domain::wire::Wire;
use dialect::Dialect;
use session::Session;
pub use settings::Settings;

/// The agent.
pub struct Api {
    settings: Settings,
}

impl Api {
    /// From its settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    fn dialect(&self) -> Result<&'static dyn Dialect, AgentError> {
        dialect::of(self.settings.wire).ok_or_else(|| AgentError::Material {
            what: self.describe(),
            why: format!("the built-in agent speaks `messages` and `chat`, not `{}`", self.settings.wire),
        })
    }
}

#[async_trait]
impl Agent for Api {
    fn describe(&self) -> String {
        format!("api {} ({})", self.settings.model, self.settings.wire)
    }

    fn whole_variant(&self) -> bool {
        false
    }

    fn wires(&self) -> &[Wire] {
        std::slice::from_ref(&self.settings.wire)
    }

    fn model(&self) -> Option<&str> {
        Some(&self.settings.model)
    }

    /// Finds a protocol that it does not speak. Whether the model answers is seen when it is asked.
    async fn check(&self, _: &Path, _: &Variant, _: &dyn Executor) -> Result<(), AgentError> {
        self.dialect().map(drop)
    }

    async fn implement(&self, task: Task<'_>, exec: &dyn Executor) -> Result<AgentReport, AgentError> {
        let dialect = self.dialect()?;
        let access = task.access.ok_or_else(|| AgentError::Material {
            what: self.describe(),
            why: format!(
                "it needs a way to its model and the run has none; name the address and the key of a provider that speaks `{}`",
                self.settings.wire
            ),
        })?;
        Session::new(&self.settings, dialect, access, &task, exec)?.carry_out().await
    }
}
