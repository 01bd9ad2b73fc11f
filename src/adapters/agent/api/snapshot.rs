//! What the worktree holds at a moment, as far as git does not ignore it: by this the agent knows
//! whether a program changed anything, and what a run of the tests left behind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ignore::{DirEntry, WalkBuilder};

/// More files than these are not looked at.
const MOST: usize = 20_000;

/// Files with what tells that they were changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

impl Snapshot {
    /// Of a tree as it is now.
    pub async fn of(root: &Path) -> Self {
        let root = root.to_owned();
        // A walk that panicked tells of no change.
        tokio::task::spawn_blocking(move || Self::look(&root)).await.unwrap_or_default()
    }

    fn look(root: &Path) -> Self {
        let known = |entry: DirEntry| {
            let metadata = entry.metadata().ok()?;
            let path = entry.path().strip_prefix(root).ok()?.to_owned();
            (!metadata.is_dir()).then(|| (path, (metadata.modified().ok(), metadata.len())))
        };
        Self(walk(root, root).filter_map(known).take(MOST).collect())
    }

    /// Whether there is a file of this name.
    pub fn holds(&self, path: &str) -> bool {
        self.0.contains_key(Path::new(path))
    }

    /// Files that were not there before.
    pub(super) fn new_since(&self, before: &Self) -> Vec<String> {
        let new = self.0.keys().filter(|path| !before.0.contains_key(*path));
        new.filter_map(|path| path.to_str().map(str::to_owned)).collect()
    }
}

/// Everything of a tree that git does not ignore, hidden files included, sorted; only what is below
/// `under`, and the folders on the way there. No link is followed.
pub fn walk(root: &Path, under: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    let under = under.to_owned();
    WalkBuilder::new(root)
        .hidden(false)
        .parents(false)
        .git_global(false)
        .require_git(false)
        .filter_entry(move |entry| {
            entry.file_name() != ".git" && (entry.path().starts_with(&under) || under.starts_with(entry.path()))
        })
        .sort_by_file_name(Ord::cmp)
        .build()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_and_what_git_ignores_is_not_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(".gitignore", "built/\n");
        write("a/x", "1");
        let before = Snapshot::look(dir.path());
        write("built/x", "1");
        write(".git/x", "1");
        assert_eq!(Snapshot::look(dir.path()), before);
        write("a/x", "12");
        write("a/.hidden", "1");
        let after = Snapshot::look(dir.path());
        assert_ne!(after, before);
        assert_eq!(after.new_since(&before), ["a/.hidden"]);
        assert!(after.holds("a/x") && !after.holds("a"));
    }
}
