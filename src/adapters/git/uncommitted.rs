//! Which files of the user's checkout are not as a commit has them. Nothing is written.

use std::collections::BTreeMap;
use std::path::Path;

use super::repository::oid;
use super::{CommitId, GitError, Standing};

/// Folders that set-up and builds fill: what git ignores in them is made anew in each tree.
const MADE: &[&str] = &[".venv", "venv", "node_modules", "target", "build", "dist", "__pycache__", ".tox"];

/// By path relative to the root. A named folder stands for its files that git does not ignore.
pub fn uncommitted(
    repo: &git2::Repository,
    root: &Path,
    commit: &CommitId,
    named: &[String],
) -> Result<BTreeMap<String, Standing>, GitError> {
    let tree = repo.find_commit(oid(commit)?)?.tree()?;
    let mut found = BTreeMap::new();
    let mut options = git2::DiffOptions::new();
    let mut any = false;
    for path in named {
        let on_disk = root.join(path).symlink_metadata();
        let committed = tree.get_path(Path::new(path)).is_ok();
        if on_disk.as_ref().is_ok_and(|disk| !disk.is_dir()) && !committed {
            let ignored = repo.is_path_ignored(path)?;
            let made = path.split('/').any(|part| MADE.contains(&part));
            if !(ignored && made) {
                found.insert(path.clone(), if ignored { Standing::Ignored } else { Standing::Untracked });
            }
        } else if on_disk.is_ok() || committed {
            options.pathspec(path);
            any = true;
        }
    }
    if !any {
        return Ok(found);
    }
    options.disable_pathspec_match(true).include_untracked(true).recurse_untracked_dirs(true);
    let index = repo.index()?;
    // What a sparse checkout leaves out is not missing.
    let sparse = |path: &Path| {
        let entry = index.get_path(path, 0);
        entry.is_some_and(|entry| entry.flags_extended & git2::IndexEntryExtendedFlag::SKIP_WORKTREE.bits() != 0)
    };
    let diff = repo.diff_tree_to_workdir_with_index(Some(&tree), Some(&mut options))?;
    for delta in diff.deltas() {
        let standing = match delta.status() {
            git2::Delta::Added | git2::Delta::Untracked => Standing::Untracked,
            git2::Delta::Unmodified | git2::Delta::Ignored => continue,
            _ => Standing::Changed,
        };
        let path = delta.new_file().path().or(delta.old_file().path());
        let path = path.filter(|path| !(delta.status() == git2::Delta::Deleted && sparse(path)));
        found.extend(path.and_then(Path::to_str).map(|path| (path.to_owned(), standing)));
    }
    Ok(found)
}
