//! An agent without a program or a model: it writes one file and says how it ended.

use std::path::Path;

use async_trait::async_trait;

use super::{Agent, AgentEnd, AgentError, AgentReport, Task};
use crate::adapters::process::Executor;
use crate::domain::plan::Variant;
use crate::domain::trial::Usage;

/// Writes `content` to `path` in every step, unless it was asked to stop.
#[derive(Debug, Clone)]
pub struct Fake {
    /// Relative to the worktree.
    pub path: String,
    /// What the file then holds.
    pub content: String,
    /// What each step is said to have cost.
    pub usage: Usage,
}

#[async_trait]
impl Agent for Fake {
    fn describe(&self) -> String {
        format!("fake {}", self.path)
    }

    fn whole_variant(&self) -> bool {
        false
    }

    async fn check(&self, _: &Path, _: &Variant, _: &dyn Executor) -> Result<(), AgentError> {
        Ok(())
    }

    async fn implement(&self, task: Task<'_>, _: &dyn Executor) -> Result<AgentReport, AgentError> {
        let end = if task.stop.is_cancelled() {
            AgentEnd::Failed { message: "stopped on request".to_owned() }
        } else {
            let path = task.worktree.join(&self.path);
            std::fs::write(&path, &self.content)
                .map_err(|source| AgentError::Io { what: path.display().to_string(), source })?;
            AgentEnd::Finished
        };
        let over = task.tokens.is_some_and(|cap| self.usage.total() > cap);
        let end = if over { AgentEnd::OverTokens } else { end };
        Ok(AgentReport { usage: self.usage, end, summary: String::new() })
    }
}
