//! After a harvest the worktree stands on the commit that was made of it: `HEAD`, index and files agree, so
//! that the next step's agent sees an unchanged checkout and what it takes back is what it did itself.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::apart;
use super::names::named;
use super::program::{Desk, Program};
use super::{CommitId, GitError, HarvestOrder};
use crate::adapters::process::Stop;

/// What git leaves in its directory in the middle of a merge and the like. What was begun stands in the commit.
const BEGUN: &[&str] = &[
    "MERGE_HEAD",
    "MERGE_MSG",
    "MERGE_MODE",
    "MERGE_RR",
    "AUTO_MERGE",
    "SQUASH_MSG",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "BISECT_LOG",
    "BISECT_START",
    "sequencer",
    "rebase-merge",
    "rebase-apply",
];

impl Program {
    /// Tracked files of a worktree that git was told not to check out, such as those outside a sparse cone.
    pub(super) async fn left_out(&self, worktree: &Path) -> Result<Vec<Vec<u8>>, GitError> {
        let listed = self.list(worktree, &["ls-files", "-t", "-z"], &[]).await?;
        Ok(listed.iter().filter_map(|entry| entry.strip_prefix(b"S ")).map(<[u8]>::to_vec).collect())
    }

    /// Puts a worktree on the tip of its branch, by the index that it was read into. Content is read through our
    /// own git directory: what the worktree's says of filters and the like, its agent can write.
    pub(super) async fn rejoin(&self, order: &HarvestOrder<'_>, desk: &Desk, tip: &CommitId) -> Result<(), GitError> {
        let worktree = order.worktree;
        // An agent that removed its own git directory goes on without one.
        let Some(entry) = &apart::standing(worktree) else { return Ok(()) };
        let extra = desk.environment(worktree);
        self.must(worktree, &["read-tree", "-m", &tip.0], &extra).await?;
        self.refresh(desk, worktree).await?;
        let known = self.list(worktree, &["ls-files", "-z"], &extra).await?;
        let absent = |path: &&Vec<u8>| {
            let place = worktree.join(named(path));
            known.binary_search(path).is_ok() && fs::symlink_metadata(place).is_err()
        };
        let absent: Vec<_> = order.before.absent.iter().filter(absent).cloned().collect();
        if !absent.is_empty() {
            self.feed(worktree, &["update-index", "--skip-worktree", "-z", "--stdin"], &extra, &absent).await?;
        }
        let stand = || -> io::Result<()> {
            for begun in BEGUN {
                let path = entry.join(begun);
                let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                gone.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
            }
            replace(entry, "index", &fs::read(&desk.file)?)?;
            replace(entry, "HEAD", format!("ref: refs/heads/{}\n", order.branch).as_bytes())?;
            let (folders, name) = order.branch.rsplit_once('/').unwrap_or(("", order.branch));
            let place = inside(entry, &format!("refs/heads/{folders}"))?;
            replace(&place, name, format!("{}\n", tip.0).as_bytes())
        };
        stand().map_err(|source| GitError::Io { what: entry.display().to_string(), source })
    }

    /// Notes times and sizes in an index of ours. Files that differ are no failure.
    async fn refresh(&self, desk: &Desk, worktree: &Path) -> Result<(), GitError> {
        let command = self.command(worktree, &["update-index", "-q", "--refresh"], &desk.environment(worktree));
        self.run(command, &Stop::new()).await.map(drop)
    }
}

/// A folder below another, made where it is missing; nothing on the way there may be a link.
fn inside(top: &Path, path: &str) -> io::Result<PathBuf> {
    let mut at = top.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        at.push(part);
        if fs::symlink_metadata(&at).is_ok_and(|found| !found.is_dir()) {
            fs::remove_file(&at)?;
        }
        fs::create_dir_all(&at)?;
    }
    Ok(at)
}

/// Puts a file in its place whole, and never through a link that stands there.
fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(folder.join(name)).map(drop).map_err(|error| error.error)
}
