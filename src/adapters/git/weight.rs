//! How much an agent's work adds to the repository: what is once in its objects is in every clone.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::names::named;
use super::program::{Desk, Program};
use super::{CommitId, GitError};
use crate::domain::quantity::Bytes;

/// The most that is taken over: what hosts of repositories take in one file.
pub(super) const MOST: Bytes = Bytes(100 << 20);
/// Changed files of which the repository has one that are looked at: those that are longer.
const LONG: u64 = 8 << 20;

impl Program {
    /// Files of a commit that are long in a worktree, and of another length than they were.
    pub(super) async fn grown(&self, worktree: &Path, start: &CommitId) -> Result<Vec<Vec<u8>>, GitError> {
        let listed = self.list(self.root(), &["ls-tree", "-r", "-l", "-z", &start.0], &[]).await?;
        let has_grown = |entry: &Vec<u8>| {
            // Mode, kind, object and length, and behind a tab the path.
            let at = entry.iter().position(|byte| *byte == b'\t')?;
            let before = String::from_utf8_lossy(&entry[..at]).split_ascii_whitespace().nth(3)?.parse().ok();
            let path = &entry[at + 1..];
            let now = length(worktree, path)?;
            (now > LONG && before != Some(now)).then(|| path.to_vec())
        };
        Ok(listed.iter().filter_map(has_grown).collect())
    }

    /// Refuses work that would add too much. What a filter keeps elsewhere, as Git LFS does, is not counted.
    pub(super) async fn refuse_weight(
        &self,
        worktree: &Path,
        desk: &Desk,
        changed: &[Vec<u8>],
    ) -> Result<(), GitError> {
        let sized = changed.iter().filter_map(|path| Some((path.clone(), length(worktree, path)?)));
        let mut sized: Vec<_> = sized.collect();
        if sized.iter().map(|(_, length)| length).sum::<u64>() <= MOST.0 {
            return Ok(());
        }
        let paths: Vec<_> = sized.iter().map(|(path, _)| path.clone()).collect();
        let filters = self.filters(worktree, desk, &paths).await?;
        sized.retain(|(path, _)| !filters.contains_key(path));
        let all: u64 = sized.iter().map(|(_, length)| length).sum();
        let Some((longest, length)) = sized.into_iter().max_by_key(|(_, length)| *length).filter(|_| all > MOST.0)
        else {
            return Ok(());
        };
        Err(GitError::Harvest(format!(
            "it would add {} to the repository (`{}`: {}), and {MOST} is the most: large files belong into Git LFS",
            Bytes(all),
            String::from_utf8_lossy(&longest),
            Bytes(length)
        )))
    }
}

/// The length of a plain file.
fn length(worktree: &Path, path: &[u8]) -> Option<u64> {
    let found = worktree.join(named(path)).symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(found.size())
}
