//! The diff contract: what a variant changed against what its work items allow.

use crate::domain::change::{ChangeKind, FileChange};
pub use crate::domain::plan::globs;
use crate::domain::plan::{ContractKind, Plan, VariantKey};

/// Paths that a variant changed and may not, sorted; empty where it kept the contract.
pub fn broken(plan: &Plan, key: &VariantKey, changes: &[FileChange]) -> Vec<String> {
    let mut patch = Vec::new();
    let mut new = Vec::new();
    for item in plan.items_of(key) {
        let files = item.files.iter().map(|f| f.as_str().to_owned());
        match item.contract.kind {
            ContractKind::Patch => patch.extend(files),
            ContractKind::NewFile => new.extend(files),
        }
    }
    let (patch, new) = (globs(&patch), globs(&new));
    let allowed = |change: &FileChange| {
        patch.is_match(&change.path) || (change.kind == ChangeKind::Added && new.is_match(&change.path))
    };
    let mut paths: Vec<_> = changes.iter().filter(|c| !allowed(c)).map(|c| c.path.clone()).collect();
    paths.sort();
    paths
}

/// What an agent is told whose step broke the contract.
pub fn reason(paths: &[String]) -> String {
    let list: String = paths.iter().map(|path| format!("- {path}\n")).collect();
    format!(
        "The step changed files that no work item of this variant allows to change:\n\n{list}\nPut them back exactly as \
         they were before (or remove them, where they are new), keep what the work item asks for, and change nothing \
         else. This is said once: if any of them still differs afterwards, the variant is out.\n"
    )
}
