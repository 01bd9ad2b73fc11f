//! The real repository: git2 reads and builds, the git program makes worktrees and checkouts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::discovery::{self, Found};
use super::names::oid;
use super::program::Program;
use super::store::Store;
use super::{
    Advance, CheckoutOrder, CommitId, CommitOrder, Customs, FileChange, Git, GitError, HarvestOrder, Head, Merge,
    ReplayOrder, Shared, Standing, Survey, apart, checkout, history, lfs, survey,
};
use crate::adapters::process::Executor;

/// A repository on this machine.
#[derive(Clone)]
pub struct Repository {
    root: PathBuf,
    pub(super) common: PathBuf,
    pub(super) program: Program,
    store: Arc<Store>,
}

impl Repository {
    /// Finds the repository around a directory. Its configuration and hooks as they are now are all that is
    /// obeyed of them from here on.
    pub async fn discover(from: &Path, exec: Arc<dyn Executor>) -> Result<Self, GitError> {
        let Found { root, common } = discovery::discover(from, Arc::clone(&exec)).await?;
        let program = Program::new(root.clone(), common.clone(), exec).settled_on().await?;
        let store = Arc::new(Store::of(&common.join("objects"), program.settings().is_shared())?);
        Ok(Self { root, common, program, store })
    }

    /// The same with a program that obeys other settings.
    pub(super) fn by(&self, program: Program) -> Self {
        Self { program, ..self.clone() }
    }

    fn open(&self) -> Result<git2::Repository, GitError> {
        self.store.open()
    }

    /// In whose name commits are made.
    fn who(&self) -> (String, String) {
        let (name, mail) = self.program.settings().who();
        (name.to_owned(), mail.to_owned())
    }

    /// Runs blocking git2 work off the runtime's threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&git2::Repository) -> Result<T, GitError> + Send + 'static,
    ) -> Result<T, GitError> {
        let this = self.clone();
        let worked = move || {
            let done = work(&this.open()?);
            this.store.share();
            done
        };
        let joined = tokio::task::spawn_blocking(worked).await;
        joined.unwrap_or_else(|error| Err(GitError::Failed { what: "git".to_owned(), why: error.to_string() }))
    }
}

#[async_trait]
impl Git for Repository {
    fn root(&self) -> &Path {
        &self.root
    }

    fn common_dir(&self) -> &Path {
        &self.common
    }

    fn shared(&self) -> Shared {
        let own = self.common.join("objects");
        let listed = std::fs::read_to_string(own.join("info/alternates")).unwrap_or_default();
        let borrowed =
            listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| own.join(line));
        // Whoever adds the first content makes the place; within walls that can't be an agent.
        let contents = self.program.lfs_storage().filter(|place| std::fs::create_dir_all(place).is_ok());
        Shared { objects: std::iter::once(own.clone()).chain(borrowed).collect(), contents }
    }

    async fn head(&self) -> Result<Head, GitError> {
        self.program.head().await
    }

    async fn tip(&self, branch: &str) -> Result<CommitId, GitError> {
        self.program.tip(branch).await
    }

    async fn file_at(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        let (commit, path) = (commit.clone(), path.to_owned());
        self.blocking(move |repo| history::file_at(repo, &commit, &path)).await
    }

    async fn versions(&self, commit: &CommitId, path: &str) -> Result<Vec<Vec<u8>>, GitError> {
        let (commit, path) = (commit.clone(), path.to_owned());
        self.blocking(move |repo| history::versions(repo, &commit, &path)).await
    }

    async fn paths_at(&self, commit: &CommitId) -> Result<Vec<PathBuf>, GitError> {
        let commit = commit.clone();
        self.blocking(move |repo| history::paths_at(repo, &commit)).await
    }

    async fn is_dirty(&self, path: &str) -> Result<bool, GitError> {
        self.program.is_dirty(path).await
    }

    async fn stored(&self, path: &str) -> Result<Vec<u8>, GitError> {
        self.program.stored(path).await
    }

    async fn written(&self, path: &str, bytes: &[u8]) -> Result<Vec<u8>, GitError> {
        self.program.written(path, bytes).await
    }

    async fn uncommitted(&self, commit: &CommitId, named: &[String]) -> Result<BTreeMap<String, Standing>, GitError> {
        let committed = {
            let (commit, named) = (commit.clone(), named.to_vec());
            self.blocking(move |repo| history::which_are_there(repo, &commit, &named)).await?
        };
        self.program.uncommitted(commit, named, &committed).await
    }

    async fn add_worktree(&self, path: &Path, branch: &str, base: &CommitId) -> Result<(), GitError> {
        let tip = self.program.at(&format!("refs/heads/{branch}")).await?;
        if tip.is_some_and(|tip| tip != *base) {
            return Err(GitError::Unsupported(format!("the branch `{branch}` is already there and is not this run's")));
        }
        self.program.add_worktree(path, branch, base).await?;
        self.keep(&format!("refs/heads/{branch}"), base).await
    }

    async fn remove_worktree(&self, path: &Path) -> Result<(), GitError> {
        self.program.remove_worktree(path).await
    }

    async fn delete_branch(&self, branch: &str) -> Result<(), GitError> {
        self.program.drop_ref(&format!("refs/heads/{branch}")).await
    }

    async fn keep(&self, reference: &str, commit: &CommitId) -> Result<(), GitError> {
        self.program.point(reference, commit).await
    }

    async fn obstacle(&self) -> Result<Option<String>, GitError> {
        self.program.in_the_way().await
    }

    async fn strayed(&self) -> Result<Vec<String>, GitError> {
        self.program.strayed().await
    }

    async fn survey(&self, worktree: &Path, start: &CommitId, carried: &[String]) -> Result<Survey, GitError> {
        self.program.survey(worktree, start, carried).await
    }

    async fn harvest(&self, order: &HarvestOrder<'_>) -> Result<Option<CommitId>, GitError> {
        let reference = format!("refs/heads/{}", order.branch);
        let parent = order.parent.clone();
        let (worktree, branch) = (order.worktree.to_owned(), order.branch.to_owned());
        let tip = self.blocking(move |_| Ok(apart::tip_of(&worktree, &branch))).await?;
        if let Some(tip) = tip.filter(|tip| *tip != parent) {
            // What stands in the worktree counts, whatever became of the commits on the way there.
            if self.program.bring_over(order.worktree, &tip, &parent).await.is_ok() {
                self.keep(order.agent_ref, &tip).await?;
            }
        }
        let (tree, desk) = self.program.snapshot(order).await?;
        let (parent, message, time) = (order.parent.clone(), order.message.to_owned(), self.program.now());
        let who = self.who();
        let (before, start) = (order.before.clone(), parent.clone());
        let (tree, pointers) = self
            .blocking(move |repo| {
                let tree = survey::agents_part(repo, &before, &tree)?;
                let found = repo.find_tree(git2::Oid::from_str(&tree)?)?;
                let pointers = lfs::pointers(repo, &repo.find_commit(oid(&start)?)?.tree()?, &found)?;
                Ok((tree, pointers))
            })
            .await?;
        self.program.refuse_empty_pointers(order, &desk, pointers).await?;
        let commit = self
            .blocking(move |repo| {
                let last = repo.find_commit(oid(&parent)?)?;
                let tree = repo.find_tree(git2::Oid::from_str(&tree)?)?;
                checkout::refuse_new_gitlinks(repo, &last.tree()?, &tree)?;
                if last.tree_id() == tree.id() {
                    return Ok(None);
                }
                let order = CommitOrder {
                    tree: &tree.id().to_string(),
                    replace: None,
                    parents: &[&parent],
                    message: &message,
                    time,
                    signed: false,
                };
                history::commit(repo, &order, &who).map(Some)
            })
            .await?;
        let tip = commit.as_ref().unwrap_or(order.parent);
        self.keep(&reference, tip).await?;
        self.program.rejoin(order, &desk, tip).await?;
        Ok(commit)
    }

    async fn check_out(&self, order: &CheckoutOrder<'_>) -> Result<(), GitError> {
        let (tree, base, restored) = (order.tree.to_owned(), order.base.clone(), order.restored.to_vec());
        let judged = self.blocking(move |repo| checkout::judged_tree(repo, &tree, &base, &restored)).await?;
        self.program.check_out(&judged, order.into).await
    }

    async fn changes(&self, base: &CommitId, commit: &CommitId) -> Result<Vec<FileChange>, GitError> {
        let (base, commit) = (base.clone(), commit.clone());
        self.blocking(move |repo| history::changes(repo, &base, &commit)).await
    }

    async fn merge(&self, target: &CommitId, winner: &CommitId) -> Result<Merge, GitError> {
        let (target, winner) = (target.clone(), winner.clone());
        self.blocking(move |repo| history::merge(repo, &target, &winner)).await
    }

    async fn commit(&self, order: &CommitOrder<'_>) -> Result<CommitId, GitError> {
        // git2 work on one small tree; short enough to run in place.
        let commit = history::commit(&self.open()?, order, &self.who())?;
        self.store.share();
        if order.signed && self.program.signs().await? {
            // Signers are named by the configuration.
            self.program.obeyed_is_unchanged().await?;
            let draft = history::draft(&self.open()?, &commit)?;
            return self.program.sign(&draft).await;
        }
        Ok(commit)
    }

    async fn replay(&self, order: &ReplayOrder<'_>) -> Result<Option<CommitId>, GitError> {
        // As in `commit`: short enough to run in place.
        let replayed = history::replay(&self.open()?, order, &self.who());
        self.store.share();
        replayed
    }

    async fn vet(&self, commit: &CommitId, place: &Path) -> Result<Result<String, String>, GitError> {
        self.program.obeyed_is_unchanged().await?;
        let draft = history::draft(&self.open()?, commit)?;
        self.program.vet(&draft, place).await
    }

    async fn customs(&self) -> Result<Customs, GitError> {
        self.program.customs().await
    }

    async fn busy(&self, branch: &str) -> Result<Option<String>, GitError> {
        self.program.busy(branch).await
    }

    async fn unfinished(&self) -> Result<Option<String>, GitError> {
        self.program.in_the_middle().await
    }

    async fn held_lock(&self, branch: &str) -> Result<Option<PathBuf>, GitError> {
        self.program.held_lock(branch).await
    }

    async fn advance(&self, branch: &str, from: &CommitId, to: &CommitId) -> Result<Advance, GitError> {
        let _landing = self.program.landing_lock().await?;
        let checkout = self.program.checkout_of(branch).await?;
        if let Some(checkout) = &checkout {
            self.program.settled(checkout).await?;
        }
        let tip = self.tip(branch).await?;
        if tip == *to {
            return Ok(Advance::Moved);
        }
        if tip != *from {
            return Ok(Advance::TargetMoved(tip));
        }
        if let Some(why) = self.program.busy(branch).await? {
            return Ok(Advance::Busy(why));
        }
        if let Some(checkout) = checkout {
            let advanced = self.program.move_checkout(&checkout, branch, from, to).await;
            // Nothing is said to have moved before it was read back.
            let now = self.tip(branch).await?;
            return match advanced {
                Ok(Advance::Moved) if now == *to => Ok(Advance::Moved),
                Ok(Advance::Moved) => Err(GitError::Failed {
                    what: format!("moving `{branch}`"),
                    why: format!("it is at {now} and not at {to}"),
                }),
                // Somebody may have been faster between our look at the tip and git's.
                _ if now != *from => Ok(Advance::TargetMoved(now)),
                other => other,
            };
        }
        let moved = self.program.swap(&format!("refs/heads/{branch}"), from, to).await?;
        Ok(moved.map_or_else(Advance::TargetMoved, |()| Advance::Moved))
    }

    async fn tidy(&self, run: Option<&str>) -> Result<(), GitError> {
        if let Some(run) = run {
            self.program.unlock(run);
        }
        self.program.tidy().await
    }

    async fn is_ancestor(&self, ancestor: &CommitId, commit: &CommitId) -> Result<bool, GitError> {
        let (ancestor, commit) = (ancestor.clone(), commit.clone());
        self.blocking(move |repo| Ok(ancestor == commit || repo.graph_descendant_of(oid(&commit)?, oid(&ancestor)?)?))
            .await
    }
}
