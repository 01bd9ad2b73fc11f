//! The git port: what the engine needs of a repository, and nothing of the user's checkout but one step
//! forward at the very end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

pub use crate::domain::change::{ChangeKind, FileChange};

mod apart;
mod checkout;
mod customs;
mod discovery;
mod error;
pub mod fake;
mod given;
mod history;
mod lfs;
mod moving;
mod names;
mod obeyed;
mod program;
mod refs;
mod rejoining;
mod repository;
mod settings;
mod store;
mod stored;
mod submodules;
mod survey;
mod uncommitted;
mod weight;

pub use crate::domain::commit::CommitId;
pub use error::GitError;
pub use repository::Repository;
pub use survey::Survey;

/// Where `HEAD` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// On a branch with commits.
    Branch(String),
    /// On a branch without commits.
    Unborn(String),
    /// On a commit.
    Detached(CommitId),
}

/// How a file of the user's checkout differs from a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The commit has another content, or the checkout has none.
    Changed,
    /// The commit has no such file.
    Untracked,
    /// The commit has no such file, and git ignores it.
    Ignored,
}

/// A merge that was made in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// The merged tree's object name.
    Clean(String),
    /// Paths in conflict, sorted.
    Conflict(Vec<String>),
}

/// What moving the target branch came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advance {
    /// It moved, and a checkout of it followed.
    Moved,
    /// It is somewhere else now.
    TargetMoved(CommitId),
    /// Uncommitted changes of the user stand in the way.
    Overlap(Vec<String>),
    /// The checkout is in the middle of something else, for this reason.
    Busy(String),
}

/// What the user's git does when it commits, beside committing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Customs {
    /// Hooks that may refuse a commit, by name.
    pub hooks: Vec<String>,
    /// The format of signatures, where commits are to be signed.
    pub signs: Option<String>,
}

/// What git directories of agents share with the repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// Directories of objects, which they only read.
    pub objects: Vec<PathBuf>,
    /// Where Git LFS keeps contents, which they add to.
    pub contents: Option<PathBuf>,
}

/// A repository.
#[async_trait]
pub trait Git: Send + Sync {
    /// The user's checkout.
    fn root(&self) -> &Path;

    /// The git directory that all worktrees share; state of ours lives below it.
    fn common_dir(&self) -> &Path;

    /// What worktrees of agents need of the repository.
    fn shared(&self) -> Shared;

    /// Where `HEAD` is.
    async fn head(&self) -> Result<Head, GitError>;

    /// The tip of a local branch.
    async fn tip(&self, branch: &str) -> Result<CommitId, GitError>;

    /// A file at a commit; `None` where it is not there.
    async fn file_at(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, GitError>;

    /// The different contents that a file had in the history of a commit, newest first.
    async fn versions(&self, commit: &CommitId, path: &str) -> Result<Vec<Vec<u8>>, GitError>;

    /// All paths at a commit.
    async fn paths_at(&self, commit: &CommitId) -> Result<Vec<PathBuf>, GitError>;

    /// Whether the user's checkout has uncommitted changes at this path.
    async fn is_dirty(&self, path: &str) -> Result<bool, GitError>;

    /// A file of the user's checkout as git would store it: without what line ends, encodings and filters of the
    /// checkout make of it.
    async fn stored(&self, path: &str) -> Result<Vec<u8>, GitError>;

    /// Content as git would write it into the user's checkout.
    async fn written(&self, path: &str, bytes: &[u8]) -> Result<Vec<u8>, GitError>;

    /// Which of these files and folders of the user's checkout are not as the commit has them, by path.
    async fn uncommitted(&self, commit: &CommitId, named: &[String]) -> Result<BTreeMap<String, Standing>, GitError>;

    /// Adds a worktree on a new branch. Converges where a half-made one is in the way; refuses
    /// where the branch is somebody else's.
    async fn add_worktree(&self, path: &Path, branch: &str, base: &CommitId) -> Result<(), GitError>;

    /// Removes a worktree, whole or half-made.
    async fn remove_worktree(&self, path: &Path) -> Result<(), GitError>;

    /// Deletes a branch of ours after its tip was kept.
    async fn delete_branch(&self, branch: &str) -> Result<(), GitError>;

    /// Points a ref at a commit.
    async fn keep(&self, reference: &str, commit: &CommitId) -> Result<(), GitError>;

    /// What stands in a worktree of `start` that is about to be handed to its agent: what set-up made of
    /// tracked files, untracked files, and the paths that were carried in.
    async fn survey(&self, worktree: &Path, start: &CommitId, carried: &[String]) -> Result<Survey, GitError>;

    /// Turns what the agent changed in a worktree into a commit on `parent`, without trusting anything in
    /// it but its content, and moves `branch` there, and the worktree's `HEAD` and index with it. `None` where
    /// nothing differs. What is as the survey saw it is no work of the agent's.
    async fn harvest(&self, order: &HarvestOrder<'_>) -> Result<Option<CommitId>, GitError>;

    /// Writes a commit's tree into an empty directory, with paths that match `restored` as they
    /// are in `base`.
    async fn check_out(&self, order: &CheckoutOrder<'_>) -> Result<(), GitError>;

    /// What changed between two commits, sorted by path.
    async fn changes(&self, base: &CommitId, commit: &CommitId) -> Result<Vec<FileChange>, GitError>;

    /// Merges two commits in memory.
    async fn merge(&self, target: &CommitId, winner: &CommitId) -> Result<Merge, GitError>;

    /// A commit of this tree with one file replaced. The same input gives the same commit.
    async fn commit(&self, order: &CommitOrder<'_>) -> Result<CommitId, GitError>;

    /// A commit on `onto` with what `work` changed since `base`; `None` where that conflicts.
    async fn replay(&self, order: &ReplayOrder<'_>) -> Result<Option<CommitId>, GitError>;

    /// The message that a commit is to have after the repository's hooks saw it in a worktree of its own
    /// at `place`, or the words in which one refused it.
    async fn vet(&self, commit: &CommitId, place: &Path) -> Result<Result<String, String>, GitError>;

    /// Hooks and signatures that the repository asks for.
    async fn customs(&self) -> Result<Customs, GitError>;

    /// Why branches and refs of ours can't be made here, such as a branch in the place of their folder.
    async fn obstacle(&self) -> Result<Option<String>, GitError>;

    /// What of configuration and hooks is not as it was when the repository was opened, by name. Nothing of it
    /// is obeyed, but by hooks and signers, which are not run then.
    async fn strayed(&self) -> Result<Vec<String>, GitError>;

    /// Why the checkout of a branch can't follow it now, such as a merge that is not concluded.
    async fn busy(&self, branch: &str) -> Result<Option<String>, GitError>;

    /// What the user's own checkout is in the middle of, such as a rebase; `HEAD` is on no branch then.
    async fn unfinished(&self) -> Result<Option<String>, GitError>;

    /// The lock on the index of a branch's checkout, where somebody holds it now.
    async fn held_lock(&self, branch: &str) -> Result<Option<PathBuf>, GitError>;

    /// Moves a branch from one commit to another, and the checkout that has it, if any.
    async fn advance(&self, branch: &str, from: &CommitId, to: &CommitId) -> Result<Advance, GitError>;

    /// Removes what killed orchestrators left: private git directories that nobody uses, and locks
    /// on the refs of this run, whose own lock the caller holds.
    async fn tidy(&self, run: Option<&str>) -> Result<(), GitError>;

    /// Whether `ancestor` is reachable from `commit`.
    async fn is_ancestor(&self, ancestor: &CommitId, commit: &CommitId) -> Result<bool, GitError>;
}

/// What to harvest.
#[derive(Debug)]
pub struct HarvestOrder<'a> {
    /// Where the agent worked.
    pub worktree: &'a Path,
    /// The branch that receives the commit.
    pub branch: &'a str,
    /// The commit the work started from.
    pub parent: &'a CommitId,
    /// The commit message.
    pub message: &'a str,
    /// What stood there before the agent's first step since the worktree was made.
    pub before: &'a Survey,
    /// Where a ref goes if the agent moved the branch itself.
    pub agent_ref: &'a str,
}

/// What to check out.
#[derive(Debug)]
pub struct CheckoutOrder<'a> {
    /// What is judged: a commit or a tree.
    pub tree: &'a str,
    /// Where protected files come from.
    pub base: &'a CommitId,
    /// Globs of protected files.
    pub restored: &'a [String],
    /// An empty or absent directory.
    pub into: &'a Path,
}

/// What to replay.
#[derive(Debug, Clone, Copy)]
pub struct ReplayOrder<'a> {
    /// The commit that holds the work.
    pub work: &'a CommitId,
    /// The commit that it started from.
    pub base: &'a CommitId,
    /// The commit that it is to stand on.
    pub onto: &'a CommitId,
    /// The message.
    pub message: &'a str,
    /// Seconds since 1970.
    pub time: i64,
}

/// What to commit.
#[derive(Debug, Clone, Copy)]
pub struct CommitOrder<'a> {
    /// The object name of the tree, or of a commit that has it.
    pub tree: &'a str,
    /// A file to replace in it.
    pub replace: Option<(&'a str, &'a [u8])>,
    /// In order; the first is what the branch was.
    pub parents: &'a [&'a CommitId],
    /// The message.
    pub message: &'a str,
    /// Seconds since 1970, fixed by the caller so that a repeated step makes the same commit.
    pub time: i64,
    /// Whether it is signed where the user's git is set to sign.
    pub signed: bool,
}
