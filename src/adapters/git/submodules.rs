//! Submodules in a worktree: an agent's tree has none of their files, and what is judged has none, so nothing that an
//! agent does to one can be tested. What its own index says of them, and files in their place, are seen all the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::apart;
use super::names::named;
use super::program::{Desk, Program};
use super::{GitError, HarvestOrder};

/// How a line of `ls-files --stage` begins that is about a submodule.
const LINK: &[u8] = b"160000 ";

/// Commits of submodules by their paths.
type Links = BTreeMap<Vec<u8>, Vec<u8>>;

impl Program {
    /// The submodules of an index, as far as they are in no conflict.
    async fn links(&self, worktree: &Path, extra: &[(&str, &Path)]) -> Result<Links, GitError> {
        let listed = self.list(worktree, &["ls-files", "--stage", "-z"], extra).await?;
        let link = |entry: &Vec<u8>| {
            let rest = entry.strip_prefix(LINK)?;
            let at = rest.iter().position(|byte| *byte == b'\t')?;
            let commit = rest[..at].strip_suffix(b" 0")?;
            Some((rest[at + 1..].to_vec(), commit.to_vec()))
        };
        Ok(listed.iter().filter_map(link).collect())
    }

    /// Those of the worktree's own index, which its agent can write: read by our settings, and not at all where it is
    /// none.
    async fn own_links(&self, worktree: &Path, desk: &Desk) -> Option<Links> {
        let index = apart::standing(worktree)?.join("index");
        fs::symlink_metadata(&index).ok().filter(fs::Metadata::is_file)?;
        let mut extra = desk.environment(worktree);
        for (name, path) in &mut extra {
            if *name == "GIT_INDEX_FILE" {
                *path = &index;
            }
        }
        self.links(worktree, &extra).await.ok()
    }

    /// Submodules in whose place there are files, by an index of ours.
    pub(super) async fn filled(&self, worktree: &Path, desk: &Desk) -> Result<Vec<Vec<u8>>, GitError> {
        let links = self.links(worktree, &desk.environment(worktree)).await?;
        Ok(links.into_keys().filter(|path| has_files(&worktree.join(named(path)))).collect())
    }

    /// Refuses what an agent did to a submodule that its files do not tell: another commit in its index, a new one
    /// there, and files in the place of one that it did not check out.
    pub(super) async fn refuse_unseen_links(&self, order: &HarvestOrder<'_>, desk: &Desk) -> Result<(), GitError> {
        let worktree = order.worktree;
        let seen = self.links(worktree, &desk.environment(worktree)).await?;
        let refuse = |path: &[u8], why: &str| {
            let path = String::from_utf8_lossy(path);
            Err(GitError::Harvest(format!("`{path}` is a submodule, and what is judged has none, so {why}")))
        };
        for (path, commit) in self.own_links(worktree, desk).await.unwrap_or_default() {
            let place = worktree.join(named(&path));
            let gone = fs::symlink_metadata(&place).is_err();
            match seen.get(&path) {
                // What was removed from the disk is removed.
                None if gone => {}
                None => return refuse(&path, "a new one can't be tested"),
                Some(known) if *known != commit => return refuse(&path, "another commit of it can't be tested"),
                Some(_) => {}
            }
        }
        for path in seen.keys().filter(|path| !order.before.filled.contains(path)) {
            let place = worktree.join(named(path));
            if has_files(&place) && fs::symlink_metadata(place.join(".git")).is_err() {
                return refuse(path, "files in its place can't be taken over");
            }
        }
        Ok(())
    }
}

fn has_files(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
