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
