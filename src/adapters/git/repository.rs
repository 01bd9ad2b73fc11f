//! The real repository: git2 reads and builds, the git program makes worktrees and checkouts.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::program::Program;
use super::{
    Advance, CheckoutOrder, CommitId, CommitOrder, Customs, FileChange, Git, GitError, HarvestOrder, Head, Merge,
    ReplayOrder, Standing, Survey, apart, checkout, history, lfs, survey, uncommitted,
};
use crate::adapters::process::Executor;

/// A repository on this machine.
#[derive(Clone)]
pub struct Repository {
    root: PathBuf,
    common: PathBuf,
    program: Program,
    /// What configuration and hooks were when the repository was opened.
    fingerprint: String,
}

impl Repository {
    /// Finds the repository around a directory. `state` is where private git directories may live.
    pub fn discover(from: &Path, exec: Arc<dyn Executor>) -> Result<Self, GitError> {
        let repo = git2::Repository::discover(from).map_err(|error| match error.code() {
            git2::ErrorCode::NotFound => GitError::NotARepository(from.to_owned()),
            _ => error.into(),
        })?;
        let Some(root) = repo.workdir() else {
            return Err(GitError::Unsupported(format!(
                "{} is a bare repository; run in a checkout of it",
                repo.path().display()
            )));
        };
        if repo.is_shallow() {
            return Err(GitError::Unsupported(
                "this is a shallow clone, in which merges can't be judged; fetch the whole history first (`git fetch --unshallow`)"
                    .to_owned(),
            ));
        }
        let root = canonical(root)?;
        let common = canonical(repo.commondir())?;
        let program = Program::new(root.clone(), common.clone(), exec);
        let fingerprint = fingerprint(&common)?;
        Ok(Self { root, common, program, fingerprint })
    }

    fn open(&self) -> Result<git2::Repository, GitError> {
        Ok(git2::Repository::open(&self.root)?)
    }

    /// Runs blocking git2 work off the runtime's threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&git2::Repository) -> Result<T, GitError> + Send + 'static,
    ) -> Result<T, GitError> {
        let this = self.clone();
        let joined = tokio::task::spawn_blocking(move || work(&this.open()?)).await;
        joined.unwrap_or_else(|error| Err(GitError::Failed { what: "git".to_owned(), why: error.to_string() }))
    }

    /// An agent without a sandbox can plant configuration that runs programs; nothing is run in
    /// the user's checkout after that.
    fn unchanged(&self) -> Result<(), GitError> {
        if fingerprint(&self.common)? == self.fingerprint {
            return Ok(());
        }
        let path = self.common.join("config");
        Err(GitError::ConfigurationChanged(format!(
            "look at {} and {}",
            path.display(),
            self.common.join("hooks").display()
        )))
    }
}

fn canonical(path: &Path) -> Result<PathBuf, GitError> {
    path.canonicalize().map_err(|source| GitError::Io { what: path.display().to_string(), source })
}

/// A digest of the configuration and hooks that git would obey in the user's checkout.
fn fingerprint(common: &Path) -> Result<String, GitError> {
    let mut digest = Sha256::new();
    let mut files = vec![common.join("config"), common.join("config.worktree"), common.join("info/attributes")];
    let mut hooks: Vec<_> =
        fs::read_dir(common.join("hooks")).into_iter().flatten().flatten().map(|e| e.path()).collect();
    hooks.sort();
    files.extend(hooks);
    for file in files {
        digest.update(file.as_os_str().as_encoded_bytes());
        match fs::read(&file) {
            Ok(bytes) => digest.update(&bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => digest.update([0]),
            Err(_) => digest.update([1]),
        }
        digest.update([0xff]);
    }
    Ok(digest.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// A path as git has it: bytes, whatever they mean.
pub(super) fn named(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

pub(super) fn oid(commit: &CommitId) -> Result<git2::Oid, GitError> {
    Ok(git2::Oid::from_str(&commit.0)?)
}

#[async_trait]
impl Git for Repository {
    fn root(&self) -> &Path {
        &self.root
    }

    fn common_dir(&self) -> &Path {
        &self.common
    }

    async fn head(&self) -> Result<Head, GitError> {
        self.blocking(history::head).await
    }

    async fn tip(&self, branch: &str) -> Result<CommitId, GitError> {
        let branch = branch.to_owned();
        self.blocking(move |repo| history::tip(repo, &branch)).await
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
        let path = path.to_owned();
        self.blocking(move |repo| {
            let status = repo.status_file(Path::new(&path));
            Ok(status.is_ok_and(|s| !s.is_empty() && s != git2::Status::IGNORED))
        })
        .await
    }

    async fn uncommitted(&self, commit: &CommitId, named: &[String]) -> Result<BTreeMap<String, Standing>, GitError> {
        let (root, commit, named) = (self.root.clone(), commit.clone(), named.to_vec());
        self.blocking(move |repo| uncommitted::uncommitted(repo, &root, &commit, &named)).await
    }

    async fn add_worktree(&self, path: &Path, branch: &str, base: &CommitId) -> Result<(), GitError> {
        let reference = format!("refs/heads/{branch}");
        let expected = base.clone();
        let taken = self
            .blocking(move |repo| {
                let tip = repo.refname_to_id(&reference).ok();
                Ok(tip.is_some_and(|tip| tip.to_string() != expected.0))
            })
            .await?;
        if taken {
            return Err(GitError::Unsupported(format!("the branch `{branch}` is already there and is not this run's")));
        }
        self.program.add_worktree(path, branch, base).await?;
        self.keep(&format!("refs/heads/{branch}"), base).await
    }

    async fn remove_worktree(&self, path: &Path) -> Result<(), GitError> {
        self.program.remove_worktree(path).await
    }

    async fn delete_branch(&self, branch: &str) -> Result<(), GitError> {
        let reference = format!("refs/heads/{branch}");
        self.blocking(move |repo| match repo.find_reference(&reference) {
            Ok(mut found) => Ok(found.delete()?),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        })
        .await
    }

    async fn keep(&self, reference: &str, commit: &CommitId) -> Result<(), GitError> {
        let (reference, commit) = (reference.to_owned(), commit.clone());
        self.blocking(move |repo| {
            repo.reference(&reference, oid(&commit)?, true, "blueprint: keep")?;
            Ok(())
        })
        .await
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
        let (before, start) = (order.before.clone(), parent.clone());
        let (tree, pointers) = self
            .blocking(move |repo| {
                let tree = survey::agents_part(repo, &before, &tree)?;
                let found = repo.find_tree(git2::Oid::from_str(&tree)?)?;
                let pointers = lfs::pointers(repo, &repo.find_commit(oid(&start)?)?.tree()?, &found)?;
                Ok((tree, pointers))
            })
            .await?;
        self.program.refuse_empty_pointers(order, pointers).await?;
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
                history::commit(repo, &order).map(Some)
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
        let commit = history::commit(&self.open()?, order)?;
        if order.signed && self.program.signs().await? {
            // Signers are named by the configuration.
            self.unchanged()?;
            let draft = history::draft(&self.open()?, &commit)?;
            return self.program.sign(&draft).await;
        }
        Ok(commit)
    }

    async fn replay(&self, order: &ReplayOrder<'_>) -> Result<Option<CommitId>, GitError> {
        // As in `commit`: short enough to run in place.
        history::replay(&self.open()?, order)
    }

    async fn vet(&self, commit: &CommitId, place: &Path) -> Result<Result<String, String>, GitError> {
        self.unchanged()?;
        let draft = history::draft(&self.open()?, commit)?;
        self.program.vet(&draft, place).await
    }

    async fn customs(&self) -> Result<Customs, GitError> {
        self.program.customs().await
    }

    async fn busy(&self, branch: &str) -> Result<Option<String>, GitError> {
        self.program.busy(branch).await
    }

    async fn held_lock(&self, branch: &str) -> Result<Option<PathBuf>, GitError> {
        self.program.held_lock(branch).await
    }

    async fn advance(&self, branch: &str, from: &CommitId, to: &CommitId) -> Result<Advance, GitError> {
        self.unchanged()?;
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
        if let Some(checkout) = checkout {
            if let Some(why) = self.program.busy(branch).await? {
                return Ok(Advance::Busy(why));
            }
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
        let (reference, from, to) = (format!("refs/heads/{branch}"), from.clone(), to.clone());
        self.blocking(move |repo| {
            let moved = repo.reference_matching(&reference, oid(&to)?, true, oid(&from)?, "blueprint: land");
            match moved {
                Ok(_) => Ok(Advance::Moved),
                Err(error) if error.code() == git2::ErrorCode::Modified => {
                    let now = repo.refname_to_id(&reference)?;
                    Ok(Advance::TargetMoved(CommitId(now.to_string())))
                }
                Err(error) => Err(error.into()),
            }
        })
        .await
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
