//! The diff contract: what a variant changed against what its work items allow.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::domain::change::{ChangeKind, FileChange};
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

/// Globs in which `*` stays within a folder; a pattern that is no glob matches nothing but itself.
pub fn globs(patterns: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        if let Ok(glob) = glob.or_else(|_| GlobBuilder::new(&globset::escape(pattern)).build()) {
            set.add(glob);
        }
    }
    set.build().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_its_folder_and_two_stars_do_not() {
        let set = globs(&["src/*.rs".to_owned(), "db/**".to_owned()]);
        assert!(set.is_match("src/a.rs") && set.is_match("db/x/y.sql"));
        assert!(!set.is_match("src/deep/a.rs") && !set.is_match("database/x"));
    }
}
