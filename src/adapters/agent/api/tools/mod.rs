//! The tools, each one file: what the model is told of it, and what it does. What goes wrong in a
//! tool is the model's to put right, and is told to it; only what ends the step is an error here.

mod arguments;
mod edit;
mod outcome;
mod output;
mod patch;
mod read;
mod run;
mod search;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use arguments::{Arguments, Field, Kind, Tool};
pub use outcome::Outcome;
pub use output::{ends, tail};

use super::super::{AgentError, Task};
use super::Halt;
use super::contract::Contract;
use super::conversation::{Call, Ending};
use super::tree::Tree;
use crate::adapters::process::Executor;

/// Every tool, in the order in which the model is told of them.
pub const TOOLS: [&Tool; 6] = [&read::TOOL, &search::TOOL, &edit::TOOL, &patch::TOOL, &run::TOOL, &FINISH];

/// Ends the step; the loop knows what it means.
const FINISH: Tool = Tool {
    name: "finish",
    about: "Ends the work. The plan's tests are run; where they fail you are told how, and go on.",
    fields: &[Field {
        name: "summary",
        kind: Kind::Text,
        required: true,
        about: "What was done, in a sentence or two.",
    }],
};

/// What the tools work with.
pub struct Hands<'a> {
    task: &'a Task<'a>,
    exec: &'a dyn Executor,
    tree: Arc<Tree>,
    contract: Contract,
    /// When the step is over.
    deadline: Option<Instant>,
}

impl<'a> Hands<'a> {
    /// For one step.
    pub async fn new(
        task: &'a Task<'a>,
        exec: &'a dyn Executor,
        deadline: Option<Instant>,
    ) -> Result<Self, AgentError> {
        let io = |source| AgentError::Io { what: task.worktree.display().to_string(), source };
        let tree = Arc::new(Tree::open(task.worktree).map_err(io)?);
        Ok(Self { task, exec, tree, contract: Contract::of(task).await, deadline })
    }

    /// How long something may take that is stopped after `most` and with the step.
    pub fn time(&self, most: Duration) -> Duration {
        self.deadline.map_or(most, |deadline| most.min(deadline.saturating_duration_since(Instant::now())))
    }

    /// The worktree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Whether the work item lets a file be changed.
    pub fn may_change(&self, path: &str) -> bool {
        self.contract.allows(path).is_ok()
    }

    /// Carries out a call of the model's, which is the last thing of an answer that ended like this.
    pub async fn carry_out(&self, call: &Call, ending: Ending) -> Result<Outcome, Halt> {
        let Some(tool) = TOOLS.iter().find(|tool| tool.name == call.name) else {
            let known = TOOLS.map(|tool| format!("`{}`", tool.name)).join(", ");
            return Ok(Outcome::failed(format!("there is no tool `{}`; there are {known}", call.name)));
        };
        let arguments = match tool.accept(call, ending) {
            Ok(arguments) => arguments,
            Err(why) => return Ok(Outcome::failed(why)),
        };
        Ok(match tool.name {
            "read" => read::read(&self.tree, &arguments).into(),
            "search" => search::search(&self.tree, &arguments).await.into(),
            "edit" => edit::edit(&self.tree, &self.contract, &arguments).into(),
            "patch" => self.patch(&arguments).await?,
            "run" => self.run(&arguments).await?,
            _ => Outcome { finish: Some(arguments.text("summary").to_owned()), ..Outcome::default() },
        })
    }
}
