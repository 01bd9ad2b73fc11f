//! Which files the tools may change: those of the work item, as its contract says. What programs
//! change is found when the step is harvested.

use globset::GlobSet;

use super::super::Task;
use super::snapshot::Snapshot;
use crate::domain::plan::{ContractKind, globs};

/// A work item's contract.
pub struct Contract {
    globs: GlobSet,
    named: Vec<String>,
    /// Whether the step is carried out once more, to put something right.
    again: bool,
    /// What must stay as it is although it is named: there where the item may only add files.
    there: Snapshot,
}

impl Contract {
    /// The contract of a task's work item.
    pub async fn of(task: &Task<'_>) -> Self {
        let named: Vec<_> = task.item.files.iter().map(|file| file.as_str().to_owned()).collect();
        // In a later step, and where a step is carried out once more, files may be the variant's own.
        let again = task.correction.is_some();
        let first = task.step == 0 && !again;
        let there = match task.item.contract.kind {
            ContractKind::NewFile if first => Snapshot::of(task.worktree).await,
            ContractKind::NewFile | ContractKind::Patch => Snapshot::default(),
        };
        Self { globs: globs(&named), named, again, there }
    }

    /// Whether a file may be changed, or why not.
    pub(crate) fn allows(&self, path: &str) -> Result<(), String> {
        if !self.globs.is_match(path) {
            let named = self.named.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let back = if self.again { "; put it back with `run`, as git has it" } else { "" };
            return Err(format!("`{path}` may not be changed: this work item is about {named} and nothing else{back}"));
        }
        if self.there.holds(path) {
            return Err(format!(
                "`{path}` may not be changed: this work item may only add files, and it is there already"
            ));
        }
        Ok(())
    }
}
