//! The fake: a repository whose commits, trees and refs are maps, and whose worktrees and checkouts are folders of a disk in
//! memory. Every path is a plain file, nothing is ignored, and two changes of one file conflict wherever in it they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::checkout::globs;
use super::survey::Content;
use super::{
    Advance, CheckoutOrder, CommitId, CommitOrder, Customs, FileChange, Git, GitError, HarvestOrder, Head, Merge,
    ReplayOrder, Shared, Standing, Survey,
};
use crate::adapters::fake::{Disk, Entry};

mod objects;

use objects::{Files, Objects, change, failed, merged};

/// What hooks of the repository make of a commit's message, or why they refuse it.
type Hooks = Box<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

#[derive(Default)]
struct State {
    objects: Objects,
    refs: BTreeMap<String, CommitId>,
    worktrees: BTreeSet<PathBuf>,
    hooks: Option<Hooks>,
    signs: Option<String>,
    strayed: Vec<String>,
    busy: Option<String>,
}

/// A repository in memory with one checkout, on a branch.
pub struct FakeGit {
    disk: Disk,
    root: PathBuf,
    common: PathBuf,
    head: String,
    state: Mutex<State>,
}

fn branch_ref(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

/// What identifies a file for a survey.
fn content(bytes: &[u8]) -> Result<Content, GitError> {
    Ok(Content::File(false, git2::Oid::hash_object(git2::ObjectType::Blob, bytes)?))
}

impl FakeGit {
    /// A repository at this place of a disk, with one commit of these files on the branch that is checked out.
    pub fn with(disk: &Disk, root: impl Into<PathBuf>, branch: &str, files: &[(&str, &str)]) -> Self {
        let root = root.into();
        let (common, state) = (root.join(".git"), Mutex::default());
        let git = Self { disk: disk.clone(), root, common, head: branch.to_owned(), state };
        let changes: Vec<_> = files.iter().map(|(path, text)| (*path, Some(*text))).collect();
        git.commit_on(branch, &changes);
        git
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits files, or their removal, on a branch, as somebody else does who works in the repository. A checkout of the
    /// branch follows.
    pub fn commit_on(&self, branch: &str, changes: &[(&str, Option<&str>)]) -> CommitId {
        let mut state = self.state();
        let parent = state.refs.get(&branch_ref(branch)).cloned();
        let mut files = parent.as_ref().and_then(|id| state.objects.files(&id.0).ok().cloned()).unwrap_or_default();
        for (path, text) in changes {
            match text {
                Some(text) => drop(files.insert((*path).to_owned(), text.as_bytes().to_vec())),
                None => drop(files.remove(*path)),
            }
            if branch == self.head {
                self.put(&self.root, path, text.map(str::as_bytes));
            }
        }
        let parents: Vec<&CommitId> = parent.iter().collect();
        let id = state.objects.add(files, &parents, "somebody's work", (0, false));
        state.refs.insert(branch_ref(branch), id.clone());
        id
    }

    /// Gives the repository hooks.
    pub fn set_hooks(&self, hooks: impl Fn(&str) -> Result<String, String> + Send + Sync + 'static) {
        self.state().hooks = Some(Box::new(hooks));
    }

    /// Lets commits be signed in this format.
    pub fn set_signs(&self, format: &str) {
        self.state().signs = Some(format.to_owned());
    }

    /// What of the configuration is not as it was.
    pub fn set_strayed(&self, names: &[&str]) {
        self.state().strayed = names.iter().map(|name| (*name).to_owned()).collect();
    }

    /// What keeps the checkout from following its branch.
    pub fn set_busy(&self, why: Option<&str>) {
        self.state().busy = why.map(str::to_owned);
    }

    /// Every ref with where it points.
    pub fn refs(&self) -> BTreeMap<String, CommitId> {
        self.state().refs.clone()
    }

    /// Worktrees that were added and not removed.
    pub fn worktrees(&self) -> Vec<PathBuf> {
        self.state().worktrees.iter().cloned().collect()
    }

    /// The message of a commit, and whether it is signed.
    pub fn message(&self, commit: &CommitId) -> Option<(String, bool)> {
        self.state().objects.commits.get(commit).map(|commit| (commit.message.clone(), commit.signed))
    }

    /// What a commit comes from.
    pub fn parents(&self, commit: &CommitId) -> Vec<CommitId> {
        self.state().objects.commits.get(commit).map(|commit| commit.parents.clone()).unwrap_or_default()
    }

    fn put(&self, tree: &Path, path: &str, bytes: Option<&[u8]>) {
        let place = tree.join(path);
        match bytes {
            // What stands in the way of a checkout goes.
            Some(bytes) => {
                if self.disk.write(&place, bytes).is_err() {
                    self.disk.remove(&place);
                    drop(self.disk.write(&place, bytes));
                }
            }
            None => self.disk.remove(&place),
        }
    }

    /// The files of a folder of the disk, but what leads to a git directory.
    fn on_disk(&self, folder: &Path) -> Files {
        let file = |(path, entry): (PathBuf, Entry)| match entry {
            Entry::File(bytes) if !path.starts_with(".git") => Some((path.to_str()?.to_owned(), bytes)),
            _ => None,
        };
        self.disk.below(folder).into_iter().filter_map(file).collect()
    }

    /// What the agent made of its worktree, over the commit that it began with.
    fn agents_part(
        &self,
        order: &HarvestOrder<'_>,
        start: &Files,
        surveyed: Option<&Files>,
    ) -> Result<Files, GitError> {
        let now = self.on_disk(order.worktree);
        let carried = |path: &str| {
            let below = |folder: &String| Path::new(path).starts_with(folder.trim_matches('/'));
            !start.contains_key(path) && order.before.carried.iter().any(below)
        };
        let tracked = surveyed.unwrap_or(start);
        let mut files = start.clone();
        for path in tracked.keys().filter(|path| !now.contains_key(*path)) {
            files.remove(path);
        }
        for (path, bytes) in &now {
            let as_left = match (tracked.get(path), order.before.untracked.get(path.as_bytes())) {
                (Some(known), _) => known == bytes,
                (None, Some(known)) => content(bytes)? == *known,
                (None, None) => false,
            };
            if !as_left && !carried(path) {
                files.insert(path.clone(), bytes.clone());
            }
        }
        Ok(files)
    }
}

#[async_trait]
impl Git for FakeGit {
    fn root(&self) -> &Path {
        &self.root
    }

    fn common_dir(&self) -> &Path {
        &self.common
    }

    fn shared(&self) -> Shared {
        Shared { objects: vec![self.common.join("objects")], contents: None }
    }

    async fn head(&self) -> Result<Head, GitError> {
        let name = self.head.clone();
        let born = self.state().refs.contains_key(&branch_ref(&name));
        Ok(if born { Head::Branch(name) } else { Head::Unborn(name) })
    }

    async fn tip(&self, branch: &str) -> Result<CommitId, GitError> {
        let tip = self.state().refs.get(&branch_ref(branch)).cloned();
        tip.ok_or_else(|| GitError::NoBranch(branch.to_owned()))
    }

    async fn file_at(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        let state = self.state();
        state.objects.found(commit)?;
        Ok(state.objects.files(&commit.0)?.get(path).cloned())
    }

    async fn versions(&self, commit: &CommitId, path: &str) -> Result<Vec<Vec<u8>>, GitError> {
        let state = self.state();
        state.objects.found(commit)?;
        let mut versions: Vec<Vec<u8>> = Vec::new();
        for id in state.objects.history(commit) {
            let found = state.objects.files(&id.0)?.get(path).filter(|bytes| !versions.contains(bytes)).cloned();
            versions.extend(found);
        }
        Ok(versions)
    }

    async fn paths_at(&self, commit: &CommitId) -> Result<Vec<PathBuf>, GitError> {
        Ok(self.state().objects.files(&commit.0)?.keys().map(PathBuf::from).collect())
    }

    async fn is_dirty(&self, path: &str) -> Result<bool, GitError> {
        let tip = self.tip(&self.head).await?;
        Ok(!self.uncommitted(&tip, &[path.to_owned()]).await?.is_empty())
    }

    async fn stored(&self, path: &str) -> Result<Vec<u8>, GitError> {
        self.disk.read(self.root.join(path)).ok_or_else(|| failed("git add", format!("{path} did not match any files")))
    }

    async fn written(&self, _: &str, bytes: &[u8]) -> Result<Vec<u8>, GitError> {
        Ok(bytes.to_vec())
    }

    async fn uncommitted(&self, commit: &CommitId, named: &[String]) -> Result<BTreeMap<String, Standing>, GitError> {
        let committed = self.state().objects.files(&commit.0)?.clone();
        let disk = self.on_disk(&self.root);
        let wanted = |path: &&String| named.iter().any(|name| Path::new(path).starts_with(name.trim_end_matches('/')));
        let standing = |path: &String| match (committed.get(path), disk.get(path)) {
            (None, _) => Some(Standing::Untracked),
            (known, found) => (known != found).then_some(Standing::Changed),
        };
        let paths: BTreeSet<&String> = committed.keys().chain(disk.keys()).filter(wanted).collect();
        Ok(paths.into_iter().filter_map(|path| Some((path.clone(), standing(path)?))).collect())
    }

    async fn add_worktree(&self, path: &Path, branch: &str, base: &CommitId) -> Result<(), GitError> {
        let mut state = self.state();
        if state.refs.get(&branch_ref(branch)).is_some_and(|tip| tip != base) {
            return Err(GitError::Unsupported(format!("the branch `{branch}` is already there and is not this run's")));
        }
        let files = state.objects.files(&base.0)?.clone();
        self.disk.remove(path);
        for (file, bytes) in &files {
            self.put(path, file, Some(bytes));
        }
        let name = branch.replace('/', "-");
        self.put(path, ".git", Some(format!("gitdir: {}/worktrees/{name}\n", self.common.display()).as_bytes()));
        state.refs.insert(branch_ref(branch), base.clone());
        state.worktrees.insert(path.to_owned());
        Ok(())
    }

    async fn remove_worktree(&self, path: &Path) -> Result<(), GitError> {
        self.disk.remove(path);
        self.state().worktrees.remove(path);
        Ok(())
    }

    async fn delete_branch(&self, branch: &str) -> Result<(), GitError> {
        self.state().refs.remove(&branch_ref(branch));
        Ok(())
    }

    async fn keep(&self, reference: &str, commit: &CommitId) -> Result<(), GitError> {
        let mut state = self.state();
        state.objects.found(commit)?;
        state.refs.insert(reference.to_owned(), commit.clone());
        Ok(())
    }

    async fn survey(&self, worktree: &Path, start: &CommitId, carried: &[String]) -> Result<Survey, GitError> {
        let mut state = self.state();
        let known = state.objects.files(&start.0)?.clone();
        let (tracked, others): (Files, Files) =
            self.on_disk(worktree).into_iter().partition(|(path, _)| known.contains_key(path));
        let mut survey = Survey::untouched(start);
        survey.tree = state.objects.store(tracked);
        survey.carried = carried.to_vec();
        for (path, bytes) in others {
            survey.untracked.insert(path.into_bytes(), content(&bytes)?);
        }
        Ok(survey)
    }

    async fn harvest(&self, order: &HarvestOrder<'_>) -> Result<Option<CommitId>, GitError> {
        let mut state = self.state();
        if !state.worktrees.contains(order.worktree) {
            return Err(failed("git add", format!("{} is not a worktree", order.worktree.display())));
        }
        let start = state.objects.files(&order.before.start.0)?.clone();
        let surveyed = state.objects.trees.get(&order.before.tree).cloned();
        let files = self.agents_part(order, &start, surveyed.as_ref())?;
        let same = files == *state.objects.files(&order.parent.0)?;
        let commit = (!same).then(|| state.objects.add(files, &[order.parent], order.message, (0, false)));
        let tip = commit.clone().unwrap_or_else(|| order.parent.clone());
        state.refs.insert(branch_ref(order.branch), tip);
        Ok(commit)
    }

    async fn check_out(&self, order: &CheckoutOrder<'_>) -> Result<(), GitError> {
        let protected = globs(order.restored)?;
        let (judged, base) = {
            let state = self.state();
            (state.objects.files(order.tree)?.clone(), state.objects.files(&order.base.0)?.clone())
        };
        if !self.disk.below(order.into).is_empty() {
            return Err(failed("git checkout", format!("{} is not empty", order.into.display())));
        }
        let named = |source: std::io::Error| GitError::Io { what: order.into.display().to_string(), source };
        self.disk.folder(order.into).map_err(named)?;
        let own = judged.iter().filter(|(path, _)| !protected.is_match(path));
        for (path, bytes) in own.chain(base.iter().filter(|(path, _)| protected.is_match(path))) {
            self.disk.write(order.into.join(path), bytes.clone()).map_err(named)?;
        }
        Ok(())
    }

    async fn changes(&self, base: &CommitId, commit: &CommitId) -> Result<Vec<FileChange>, GitError> {
        let state = self.state();
        let (old, new) = (state.objects.files(&base.0)?, state.objects.files(&commit.0)?);
        let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let changed = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
        changed.map(|path| change(path, old.get(path), new.get(path))).collect()
    }

    async fn merge(&self, target: &CommitId, winner: &CommitId) -> Result<Merge, GitError> {
        let mut state = self.state();
        let base = state.objects.base(target, winner)?;
        Ok(match merged(&base, state.objects.files(&target.0)?, state.objects.files(&winner.0)?) {
            Ok(files) => Merge::Clean(state.objects.store(files)),
            Err(paths) => Merge::Conflict(paths),
        })
    }

    async fn commit(&self, order: &CommitOrder<'_>) -> Result<CommitId, GitError> {
        let mut state = self.state();
        let mut files = state.objects.files(order.tree)?.clone();
        for parent in order.parents {
            state.objects.found(parent)?;
        }
        files.extend(order.replace.map(|(path, bytes)| (path.to_owned(), bytes.to_vec())));
        let signed = order.signed && state.signs.is_some();
        Ok(state.objects.add(files, order.parents, order.message, (order.time, signed)))
    }

    async fn replay(&self, order: &ReplayOrder<'_>) -> Result<Option<CommitId>, GitError> {
        let mut state = self.state();
        let of = |commit: &CommitId| state.objects.files(&commit.0);
        let files = merged(of(order.base)?, of(order.onto)?, of(order.work)?);
        Ok(files.ok().map(|files| state.objects.add(files, &[order.onto], order.message, (order.time, false))))
    }

    async fn vet(&self, commit: &CommitId, _: &Path) -> Result<Result<String, String>, GitError> {
        let state = self.state();
        if !state.strayed.is_empty() {
            return Err(GitError::ConfigurationChanged(state.strayed.join(", ")));
        }
        let message = state.objects.found(commit)?.message.clone();
        Ok(state.hooks.as_ref().map_or(Ok(message.clone()), |hooks| hooks(&message)))
    }

    async fn customs(&self) -> Result<Customs, GitError> {
        let state = self.state();
        let hooks = state.hooks.iter().map(|_| "commit-msg".to_owned()).collect();
        Ok(Customs { hooks, signs: state.signs.clone() })
    }

    async fn obstacle(&self) -> Result<Option<String>, GitError> {
        let there = self.state().refs.contains_key("refs/heads/blueprint");
        Ok(there.then(|| "a branch is called `blueprint`, where the branches of variants are to be".to_owned()))
    }

    async fn strayed(&self) -> Result<Vec<String>, GitError> {
        Ok(self.state().strayed.clone())
    }

    async fn busy(&self, branch: &str) -> Result<Option<String>, GitError> {
        Ok(self.state().busy.clone().filter(|_| branch == self.head))
    }

    async fn unfinished(&self) -> Result<Option<String>, GitError> {
        Ok(self.state().busy.clone())
    }

    async fn held_lock(&self, _: &str) -> Result<Option<PathBuf>, GitError> {
        Ok(None)
    }

    async fn advance(&self, branch: &str, from: &CommitId, to: &CommitId) -> Result<Advance, GitError> {
        let tip = self.tip(branch).await?;
        if tip == *to {
            return Ok(Advance::Moved);
        }
        if tip != *from {
            return Ok(Advance::TargetMoved(tip));
        }
        if let Some(why) = self.busy(branch).await? {
            return Ok(Advance::Busy(why));
        }
        let mut state = self.state();
        if branch == self.head {
            let (old, new) = (state.objects.files(&from.0)?.clone(), state.objects.files(&to.0)?.clone());
            let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            let moving: Vec<_> = paths.into_iter().filter(|path| old.get(*path) != new.get(*path)).collect();
            let edited = |path: &&&String| self.disk.read(self.root.join(path)).as_ref() != old.get(**path);
            let overlap: Vec<String> = moving.iter().filter(edited).map(|path| (*path).clone()).collect();
            if !overlap.is_empty() {
                return Ok(Advance::Overlap(overlap));
            }
            for path in moving {
                self.put(&self.root, path, new.get(path).map(Vec::as_slice));
            }
        }
        state.refs.insert(branch_ref(branch), to.clone());
        Ok(Advance::Moved)
    }

    async fn tidy(&self, _: Option<&str>) -> Result<(), GitError> {
        Ok(())
    }

    async fn is_ancestor(&self, ancestor: &CommitId, commit: &CommitId) -> Result<bool, GitError> {
        let state = self.state();
        state.objects.found(commit)?;
        state.objects.found(ancestor)?;
        Ok(state.objects.history(commit).contains(ancestor))
    }
}
