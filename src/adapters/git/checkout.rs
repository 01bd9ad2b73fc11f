//! Which tree is judged: the variant's, with protected paths as they are at the base.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::names::{named, oid};
use super::{CommitId, GitError, survey};
use crate::domain::plan::with_below;

/// The gitlink's file mode.
const GITLINK: i32 = 0o160_000;

/// Globs where `*` stays within a folder and a plain folder name covers what is below it.
pub fn globs(patterns: &[String]) -> Result<GlobSet, GitError> {
    let mut set = GlobSetBuilder::new();
    for pattern in with_below(patterns) {
        let bad = |error: globset::Error| GitError::Unsupported(format!("`{pattern}` is not a glob: {error}"));
        set.add(GlobBuilder::new(&pattern).literal_separator(true).build().map_err(bad)?);
    }
    // Two patterns that are both valid make a valid set.
    set.build().map_err(|error| GitError::Unsupported(error.to_string()))
}

/// Writes the judged tree as an object and returns its name.
pub(super) fn judged_tree(
    repo: &git2::Repository,
    judged: &str,
    base: &CommitId,
    restored: &[String],
) -> Result<String, GitError> {
    let tree = repo.find_object(git2::Oid::from_str(judged)?, None)?.peel_to_tree()?;
    let protected = globs(restored)?;
    let original = repo.find_commit(oid(base)?)?.tree()?;
    let mut index = git2::Index::new()?;
    index.read_tree(&tree)?;
    // Only what differs is touched: a large repository has many protected files.
    let diff = repo.diff_tree_to_tree(Some(&original), Some(&tree), None)?;
    let differs = || {
        let paths = diff.deltas().map(|delta| (delta.old_file(), delta.new_file(), delta.status()));
        paths.filter(|(old, new, _)| {
            protected.is_match(named(new.path_bytes().or(old.path_bytes()).unwrap_or_default()))
        })
    };
    // What goes first makes room for a file in the place of a folder.
    for (_, new, _) in differs().filter(|(_, _, status)| *status == git2::Delta::Added) {
        index.remove(named(new.path_bytes().unwrap_or_default()), 0)?;
    }
    for (old, _, _) in differs().filter(|(_, _, status)| *status != git2::Delta::Added) {
        index.add(&survey::entry(old.path_bytes().unwrap_or_default(), old.id(), u32::from(old.mode())))?;
    }
    Ok(index.write_tree_to(repo)?.to_string())
}

/// A nested repository that was not there before would be merged as a link to nowhere.
pub(super) fn refuse_new_gitlinks(
    repo: &git2::Repository,
    before: &git2::Tree<'_>,
    after: &git2::Tree<'_>,
) -> Result<(), GitError> {
    let diff = repo.diff_tree_to_tree(Some(before), Some(after), None)?;
    for delta in diff.deltas() {
        let new = delta.new_file();
        let is_link = i32::from(new.mode()) == GITLINK;
        if is_link {
            let path = String::from_utf8_lossy(new.path_bytes().unwrap_or_default()).into_owned();
            return Err(GitError::Harvest(match i32::from(delta.old_file().mode()) == GITLINK {
                true => format!(
                    "`{path}` is a submodule, and what is judged has none, so another commit of it can't be tested"
                ),
                false => format!("`{path}` is a nested git repository"),
            }));
        }
    }
    Ok(())
}
