//! Reading history and building commits with git2; nothing here touches a checkout.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::customs::Draft;
use super::names::{named, oid};
use super::{ChangeKind, CommitId, CommitOrder, FileChange, GitError, Merge, ReplayOrder};

/// How far back versions of a file are looked for.
const WALK_LIMIT: usize = 5_000;

/// Files larger than this are treated as binary when lines are counted.
const TEXT_LIMIT: usize = 4 << 20;

pub fn file_at(repo: &git2::Repository, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, GitError> {
    let tree = repo.find_commit(oid(commit)?)?.tree()?;
    match tree.get_path(Path::new(path)) {
        Ok(entry) if entry.kind() == Some(git2::ObjectType::Blob) => {
            Ok(Some(repo.find_blob(entry.id())?.content().to_vec()))
        }
        Ok(_) => Ok(None),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Those of these paths that a commit has, as files or as folders.
pub(super) fn which_are_there(
    repo: &git2::Repository,
    commit: &CommitId,
    named: &[String],
) -> Result<BTreeSet<String>, GitError> {
    let tree = repo.find_commit(oid(commit)?)?.tree()?;
    Ok(named.iter().filter(|path| tree.get_path(Path::new(path)).is_ok()).cloned().collect())
}

pub fn versions(repo: &git2::Repository, commit: &CommitId, path: &str) -> Result<Vec<Vec<u8>>, GitError> {
    let mut walk = repo.revwalk()?;
    walk.push(oid(commit)?)?;
    let mut seen = Vec::new();
    for id in walk.take(WALK_LIMIT) {
        let tree = repo.find_commit(id?)?.tree()?;
        let Ok(entry) = tree.get_path(Path::new(path)) else { continue };
        if !seen.contains(&entry.id()) {
            seen.push(entry.id());
        }
    }
    seen.into_iter().map(|id| Ok(repo.find_blob(id)?.content().to_vec())).collect()
}

pub fn paths_at(repo: &git2::Repository, commit: &CommitId) -> Result<Vec<PathBuf>, GitError> {
    let tree = repo.find_commit(oid(commit)?)?.tree()?;
    let mut index = git2::Index::new()?;
    index.read_tree(&tree)?;
    Ok(index.iter().map(|entry| named(&entry.path).to_owned()).collect())
}

pub fn changes(repo: &git2::Repository, base: &CommitId, commit: &CommitId) -> Result<Vec<FileChange>, GitError> {
    let before = repo.find_commit(oid(base)?)?.tree()?;
    let after = repo.find_commit(oid(commit)?)?.tree()?;
    let mut options = git2::DiffOptions::new();
    options.context_lines(0).indent_heuristic(true).include_typechange(true).max_size(TEXT_LIMIT as i64);
    let diff = repo.diff_tree_to_tree(Some(&before), Some(&after), Some(&mut options))?;
    let mut changes = Vec::new();
    for (index, delta) in diff.deltas().enumerate() {
        let kind = match delta.status() {
            git2::Delta::Added => ChangeKind::Added,
            git2::Delta::Deleted => ChangeKind::Deleted,
            _ => ChangeKind::Modified,
        };
        let file = if kind == ChangeKind::Deleted { delta.old_file() } else { delta.new_file() };
        let path = String::from_utf8_lossy(file.path_bytes().unwrap_or_default()).into_owned();
        let (added, deleted) = lines(&diff, index)?;
        let before = (kind != ChangeKind::Added).then(|| text(repo, delta.old_file().id())).flatten();
        let after = (kind != ChangeKind::Deleted).then(|| text(repo, delta.new_file().id())).flatten();
        changes.push(FileChange { path, kind, added, deleted, before, after });
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

/// Numbers of the added and the deleted lines of one file of a diff; none where it is binary.
fn lines(diff: &git2::Diff<'_>, index: usize) -> Result<(Vec<u32>, Vec<u32>), GitError> {
    match git2::Patch::from_diff(diff, index)? {
        Some(patch) => numbers(&patch),
        None => Ok((Vec::new(), Vec::new())),
    }
}

/// Numbers of the added and the deleted lines of one file.
pub(super) fn numbers(patch: &git2::Patch<'_>) -> Result<(Vec<u32>, Vec<u32>), GitError> {
    let (mut added, mut deleted) = (Vec::new(), Vec::new());
    for hunk in 0..patch.num_hunks() {
        for line in 0..patch.num_lines_in_hunk(hunk)? {
            let line = patch.line_in_hunk(hunk, line)?;
            match line.origin() {
                '+' => added.extend(line.new_lineno()),
                '-' => deleted.extend(line.old_lineno()),
                _ => {}
            }
        }
    }
    Ok((added, deleted))
}

fn text(repo: &git2::Repository, id: git2::Oid) -> Option<String> {
    let blob = repo.find_blob(id).ok()?;
    (!blob.is_binary() && blob.size() <= TEXT_LIMIT).then(|| String::from_utf8_lossy(blob.content()).into_owned())
}

pub fn merge(repo: &git2::Repository, target: &CommitId, winner: &CommitId) -> Result<Merge, GitError> {
    let (ours, theirs) = (repo.find_commit(oid(target)?)?, repo.find_commit(oid(winner)?)?);
    let mut index = repo.merge_commits(&ours, &theirs, None)?;
    if !index.has_conflicts() {
        return Ok(Merge::Clean(index.write_tree_to(repo)?.to_string()));
    }
    let mut paths = Vec::new();
    for conflict in index.conflicts()? {
        let conflict = conflict?;
        let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
        paths.extend(entry.map(|e| String::from_utf8_lossy(&e.path).into_owned()));
    }
    paths.sort();
    paths.dedup();
    Ok(Merge::Conflict(paths))
}

/// A name and an address.
type Who = (String, String);

pub fn commit(repo: &git2::Repository, order: &CommitOrder<'_>, who: &Who) -> Result<CommitId, GitError> {
    let mut tree = repo.find_object(git2::Oid::from_str(order.tree)?, None)?.peel_to_tree()?;
    if let Some((path, bytes)) = order.replace {
        let blob = repo.blob(bytes)?;
        let mode = tree.get_path(Path::new(path)).map_or(git2::FileMode::Blob, |entry| match entry.filemode() {
            0o100_755 => git2::FileMode::BlobExecutable,
            _ => git2::FileMode::Blob,
        });
        let mut update = git2::build::TreeUpdateBuilder::new();
        update.upsert(path, blob, mode);
        tree = repo.find_tree(update.create_updated(repo, &tree)?)?;
    }
    let who = git2::Signature::new(&who.0, &who.1, &git2::Time::new(order.time, 0))?;
    let parents =
        order.parents.iter().map(|id| Ok(repo.find_commit(oid(id)?)?)).collect::<Result<Vec<_>, GitError>>()?;
    let parents: Vec<_> = parents.iter().collect();
    Ok(CommitId(repo.commit(None, &who, &who, order.message, &tree, &parents)?.to_string()))
}

pub fn replay(repo: &git2::Repository, order: &ReplayOrder<'_>, who: &Who) -> Result<Option<CommitId>, GitError> {
    let tree = |commit: &CommitId| -> Result<git2::Tree<'_>, GitError> { Ok(repo.find_commit(oid(commit)?)?.tree()?) };
    let mut index = repo.merge_trees(&tree(order.base)?, &tree(order.onto)?, &tree(order.work)?, None)?;
    if index.has_conflicts() {
        return Ok(None);
    }
    let tree = index.write_tree_to(repo)?.to_string();
    let ReplayOrder { onto, message, time, .. } = *order;
    let order = CommitOrder { tree: &tree, replace: None, parents: &[onto], message, time, signed: false };
    commit(repo, &order, who).map(Some)
}

/// A commit's parts, for one that is like it.
pub fn draft(repo: &git2::Repository, commit: &CommitId) -> Result<Draft, GitError> {
    let found = repo.find_commit(oid(commit)?)?;
    let author = found.author();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Draft {
        tree: found.tree_id().to_string(),
        parents: found.parent_ids().map(|id| id.to_string()).collect(),
        message: text(found.message_raw_bytes()),
        who: (text(author.name_bytes()), text(author.email_bytes()), author.when().seconds()),
    })
}
