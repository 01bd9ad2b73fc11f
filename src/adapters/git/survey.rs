//! What stood in a worktree before its agent began: what was carried in and what set-up made is no
//! work of the agent's, and what the agent made of it afterwards is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::names::named;
use super::{CommitId, GitError};

/// A worktree as it was handed to its agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The commit that was checked out.
    pub(super) start: CommitId,
    /// The tracked files as set-up left them, as a tree object.
    pub(super) tree: String,
    /// Files that are neither tracked nor ignored, by path, with what identifies their content.
    pub(super) untracked: BTreeMap<Vec<u8>, Content>,
    /// Paths below which nothing untracked is the agent's.
    pub(super) carried: Vec<String>,
    /// Tracked files that are not there because git was told not to check them out.
    pub(super) absent: Vec<Vec<u8>>,
    /// Submodules in whose place there were files.
    pub(super) filled: Vec<Vec<u8>>,
    /// What git could not read, in its words.
    pub(super) closed: Vec<String>,
}

/// What identifies a file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// A file: whether it can be run, and the digest of its bytes.
    File(bool, git2::Oid),
    /// A link, by where it leads.
    Link(Vec<u8>),
    /// A repository of its own, or something that is no file.
    Other,
}

impl Content {
    /// Of what is there now; `None` where nothing is.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(if found.is_symlink() {
            Self::Link(fs::read_link(path)?.as_os_str().as_bytes().to_vec())
        } else if found.is_file() {
            match git2::Oid::hash_file(git2::ObjectType::Blob, path) {
                Ok(digest) => Self::File(found.permissions().mode() & 0o100 != 0, digest),
                // What can't be read is what it was as long as it can't.
                Err(_) => Self::Other,
            }
        } else {
            Self::Other
        }))
    }
}

impl Survey {
    /// Of a worktree in which nothing was set up.
    pub fn untouched(start: &CommitId) -> Self {
        Self {
            start: start.clone(),
            tree: String::new(),
            untracked: BTreeMap::new(),
            carried: Vec::new(),
            absent: Vec::new(),
            filled: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// Those of these untracked files that are not as set-up left them.
    pub(super) fn changed(&self, worktree: &Path, listed: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, GitError> {
        let mut changed = Vec::new();
        for path in listed {
            let as_left = match self.untracked.get(&path) {
                Some(known) => content(worktree, &path)?.as_ref() == Some(known),
                None => false,
            };
            if !as_left {
                changed.push(path);
            }
        }
        Ok(changed)
    }
}

/// What a worktree has at a path as git spells it.
pub(super) fn content(worktree: &Path, path: &[u8]) -> Result<Option<Content>, GitError> {
    let place = worktree.join(named(path));
    Content::of(&place).map_err(|source| GitError::Io { what: place.display().to_string(), source })
}

/// Lines of an exclude file for paths that were carried in: each as it is, from the root.
pub(super) fn excludes(carried: &[String]) -> String {
    let line = |path: &String| {
        let mut line = "/".to_owned();
        for c in path.trim_matches('/').chars() {
            if matches!(c, '*' | '?' | '[' | '\\' | ' ' | '!' | '#') {
                line.push('\\');
            }
            line.push(c);
        }
        line.push('\n');
        line
    };
    carried.iter().map(line).collect()
}

/// The agent's part of a tree: what it changed since the survey, over the commit that it began with.
pub(super) fn agents_part(repo: &git2::Repository, survey: &Survey, now: &str) -> Result<String, GitError> {
    let start = repo.find_commit(git2::Oid::from_str(&survey.start.0)?)?.tree()?;
    if survey.tree.is_empty() || survey.tree == start.id().to_string() {
        return Ok(now.to_owned());
    }
    let tree = |name: &str| Ok::<_, GitError>(repo.find_tree(git2::Oid::from_str(name)?)?);
    let diff = repo.diff_tree_to_tree(Some(&tree(&survey.tree)?), Some(&tree(now)?), None)?;
    let mut index = git2::Index::new()?;
    index.read_tree(&start)?;
    // What goes first makes room for a file in the place of a folder.
    for delta in diff.deltas().filter(|delta| delta.status() == git2::Delta::Deleted) {
        let path = delta.old_file().path_bytes().unwrap_or_default();
        // A file that set-up made and the agent removed is not in the index.
        drop(index.remove(named(path), 0));
    }
    for delta in diff.deltas().filter(|delta| delta.status() != git2::Delta::Deleted) {
        let new = delta.new_file();
        index.add(&entry(new.path_bytes().unwrap_or_default(), new.id(), u32::from(new.mode())))?;
    }
    Ok(index.write_tree_to(repo)?.to_string())
}

/// An entry of an index that is no more than a path, a content and a mode.
pub(super) fn entry(path: &[u8], id: git2::Oid, mode: u32) -> git2::IndexEntry {
    let never = git2::IndexTime::new(0, 0);
    git2::IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carried_path_is_excluded_as_it_is_and_nothing_like_it() {
        assert_eq!(excludes(&["node_modules/".to_owned(), "a b/[x]*".to_owned()]), "/node_modules\n/a\\ b/\\[x]\\*\n");
    }
}
