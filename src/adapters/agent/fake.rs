//! The fake: an agent without a program or a model, whose work is a closure.

use std::path::Path;

use async_trait::async_trait;

use super::{Agent, AgentEnd, AgentError, AgentReport, Task};
use crate::adapters::process::Executor;
use crate::domain::plan::Variant;
use crate::domain::trial::Usage;

type Work = dyn Fn(&Task<'_>) -> AgentEnd + Send + Sync;

/// Does what the closure does, unless it was asked to stop.
pub struct FakeAgent {
    usage: Usage,
    whole: bool,
    work: Box<Work>,
}

impl FakeAgent {
    /// An agent that carries out one work item at a time, and says of each that it cost so much.
    pub fn new(usage: Usage, work: impl Fn(&Task<'_>) -> AgentEnd + Send + Sync + 'static) -> Self {
        Self { usage, whole: false, work: Box::new(work) }
    }

    /// One that carries out all of a variant at once, as recorded work is.
    #[must_use]
    pub fn whole(self) -> Self {
        Self { whole: true, ..self }
    }
}

#[async_trait]
impl Agent for FakeAgent {
    fn describe(&self) -> String {
        "fake".to_owned()
    }

    fn whole_variant(&self) -> bool {
        self.whole
    }

    async fn check(&self, _: &Path, _: &Variant, _: &dyn Executor) -> Result<(), AgentError> {
        Ok(())
    }

    async fn implement(&self, task: Task<'_>, _: &dyn Executor) -> Result<AgentReport, AgentError> {
        let end = match task.stop.is_cancelled() {
            true => AgentEnd::Failed { message: "stopped on request".to_owned() },
            false => (self.work)(&task),
        };
        let over = task.tokens.is_some_and(|cap| self.usage.total() > cap);
        let end = if over { AgentEnd::OverTokens } else { end };
        Ok(AgentReport { usage: self.usage, end, summary: String::new() })
    }
}
