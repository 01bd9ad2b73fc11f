//! What the fake's commits and trees hold, and what becomes of two sides of them.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::adapters::git::history::numbers;
use crate::adapters::git::{ChangeKind, CommitId, FileChange, GitError};

/// A tree: what every path holds.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A commit.
#[derive(Debug, Clone)]
pub struct Commit {
    pub tree: String,
    pub parents: Vec<CommitId>,
    pub message: String,
    pub signed: bool,
}

/// Every commit and tree.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    /// By name.
    pub trees: BTreeMap<String, Files>,
    /// By name.
    pub commits: BTreeMap<CommitId, Commit>,
}

pub fn failed(what: impl Into<String>, why: impl Into<String>) -> GitError {
    GitError::Failed { what: what.into(), why: why.into() }
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    // As long as git's names.
    hash.finalize()[..20].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Objects {
    pub fn store(&mut self, files: Files) -> String {
        let parts: Vec<&[u8]> = files.iter().flat_map(|(path, bytes)| [path.as_bytes(), bytes.as_slice()]).collect();
        let name = digest(&parts);
        self.trees.entry(name.clone()).or_insert(files);
        name
    }

    pub fn found(&self, id: &CommitId) -> Result<&Commit, GitError> {
        self.commits.get(id).ok_or_else(|| failed("git", format!("there is no commit {id}")))
    }

    /// The files of a commit or of a tree, by either's name.
    pub fn files(&self, name: &str) -> Result<&Files, GitError> {
        let tree = self.commits.get(&CommitId(name.to_owned())).map_or(name, |commit| commit.tree.as_str());
        self.trees.get(tree).ok_or_else(|| failed("git", format!("there is no tree {name}")))
    }

    pub fn add(&mut self, files: Files, parents: &[&CommitId], message: &str, (time, signed): (i64, bool)) -> CommitId {
        let tree = self.store(files);
        let mut parts: Vec<&[u8]> = vec![tree.as_bytes(), message.as_bytes()];
        let (at, signature) = (time.to_le_bytes(), [u8::from(signed)]);
        parts.extend([at.as_slice(), signature.as_slice()]);
        parts.extend(parents.iter().map(|parent| parent.0.as_bytes()));
        let id = CommitId(digest(&parts));
        let parents = parents.iter().map(|parent| (*parent).clone()).collect();
        self.commits.insert(id.clone(), Commit { tree, parents, message: message.to_owned(), signed });
        id
    }

    /// A commit and all before it, the nearest first.
    pub fn history(&self, id: &CommitId) -> Vec<CommitId> {
        let mut seen = vec![id.clone()];
        let mut at = 0;
        while let Some(commit) = seen.get(at).and_then(|id| self.commits.get(id)) {
            let new: Vec<_> = commit.parents.iter().filter(|parent| !seen.contains(parent)).cloned().collect();
            seen.extend(new);
            at += 1;
        }
        seen
    }

    /// Where two commits parted; nothing where they have nothing in common.
    pub fn base(&self, one: &CommitId, other: &CommitId) -> Result<Files, GitError> {
        let known = self.history(other);
        match self.history(one).into_iter().find(|id| known.contains(id)) {
            Some(id) => Ok(self.files(&id.0)?.clone()),
            None => Ok(Files::new()),
        }
    }
}

/// What both sides changed, path by path; the paths that they changed differently.
pub fn merged(base: &Files, ours: &Files, theirs: &Files) -> Result<Files, Vec<String>> {
    let paths: BTreeSet<&String> = base.keys().chain(ours.keys()).chain(theirs.keys()).collect();
    let (mut files, mut conflicts) = (Files::new(), Vec::new());
    for path in paths {
        let (old, our, their) = (base.get(path), ours.get(path), theirs.get(path));
        let kept = match () {
            () if our == their || their == old => our,
            () if our == old => their,
            () => {
                conflicts.push(path.clone());
                continue;
            }
        };
        files.extend(kept.map(|bytes| (path.clone(), bytes.clone())));
    }
    if conflicts.is_empty() { Ok(files) } else { Err(conflicts) }
}

/// A file as text, as far as it is any.
fn text(bytes: Option<&Vec<u8>>) -> Option<String> {
    String::from_utf8(bytes?.clone()).ok().filter(|text| !text.contains('\0'))
}

pub fn change(path: &str, old: Option<&Vec<u8>>, new: Option<&Vec<u8>>) -> Result<FileChange, GitError> {
    let kind = match (old, new) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Deleted,
        _ => ChangeKind::Modified,
    };
    let empty = Vec::new();
    let mut options = git2::DiffOptions::new();
    options.context_lines(0).indent_heuristic(true);
    let (before, after) = (old.unwrap_or(&empty), new.unwrap_or(&empty));
    let patch = git2::Patch::from_buffers(before, None, after, None, Some(&mut options))?;
    let (added, deleted) = numbers(&patch)?;
    Ok(FileChange { path: path.to_owned(), kind, added, deleted, before: text(old), after: text(new) })
}
