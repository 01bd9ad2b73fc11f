//! A worktree for an agent, with a git directory of its own beside it: refs, index, stash, configuration and hooks are
//! apart from the repository's, whose objects are only read.
//!
//! So what an agent does with git is its own: it can't take the user's stash entries, move branches, change settings or
//! leave hooks, and two agents are not in each other's way. What it commits is brought over when its work is
//! harvested.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::program::{Program, remove};
use super::{CommitId, GitError, weight};
use crate::adapters::process::{Command, Stop};

/// The refs that an agent sees as they were when its worktree was made.
const SEEN: [&str; 3] = ["refs/heads", "refs/tags", "refs/remotes"];

/// The most that an agent's own commits may hold, in bytes.
const COMMITTED: usize = weight::MOST.0 as usize;

/// The git directory of a worktree.
fn git_dir_of(worktree: &Path) -> PathBuf {
    worktree.with_extension("git")
}

/// It, where nothing else was put in its place.
pub fn standing(worktree: &Path) -> Option<PathBuf> {
    let dir = git_dir_of(worktree);
    fs::symlink_metadata(&dir).is_ok_and(|found| found.is_dir()).then_some(dir)
}

impl Program {
    /// Makes a worktree at a new branch of its own git directory.
    pub async fn add_worktree(&self, path: &Path, branch: &str, base: &CommitId) -> Result<(), GitError> {
        // What trees are checked out and harvested with is settled before anybody works.
        let settings = self.private().await?.join("config");
        self.remove_worktree(path).await?;
        let dir = git_dir_of(path);
        let shown = dir.display().to_string();
        // Whatever the user's own repositories have, refs are files here.
        let files = [("GIT_DEFAULT_REF_FORMAT", Path::new("files"))];
        self.must(self.root(), &["init", "--quiet", "--bare", "--template=", &shown], &files).await?;
        let io = |what: &Path| {
            let what = what.display().to_string();
            |source| GitError::Io { what, source }
        };
        let own = fs::read(dir.join("config")).map_err(io(&dir))?;
        let usual = fs::read(settings).map_err(io(&dir))?;
        fs::write(dir.join("config"), [usual, own, b"[core]\n\tbare = false\n".to_vec()].concat()).map_err(io(&dir))?;
        let env = [("GIT_DIR", dir.as_path())];
        for (key, value) in self.settings().of_agents() {
            if key == "extensions.partialclone" {
                self.must(&dir, &["config", "core.repositoryformatversion", "1"], &env).await?;
            }
            self.must(&dir, &["config", "--add", key, value], &env).await?;
        }
        self.furnish(&dir).await?;
        self.copy_cone(&dir).await?;
        let refs = self.seen_refs(branch, base).await?;
        let place = || -> io::Result<()> {
            fs::create_dir_all(dir.join("objects/info"))?;
            fs::write(dir.join("objects/info/alternates"), format!("{}\n", self.common().join("objects").display()))?;
            fs::write(dir.join("packed-refs"), &refs)?;
            fs::write(dir.join("HEAD"), format!("ref: refs/heads/{branch}\n"))?;
            fs::create_dir_all(path)?;
            fs::write(path.join(".git"), format!("gitdir: {shown}\n"))
        };
        place().map_err(io(path))?;
        self.must(path, &["read-tree", "--reset", "-u", "HEAD"], &[]).await.map(drop)
    }

    /// Removes a worktree with its git directory, and what git itself knows of one there.
    pub async fn remove_worktree(&self, path: &Path) -> Result<(), GitError> {
        let lock = self.worktree_lock().await?;
        let removed = self.remove_locked(path).await;
        drop(lock);
        removed?;
        remove(&git_dir_of(path))
    }

    /// The user's branches, tags and remote branches as they are now, and the branch of the worktree.
    async fn seen_refs(&self, branch: &str, base: &CommitId) -> Result<Vec<u8>, GitError> {
        let own = format!("refs/heads/{branch}");
        let args: Vec<&str> = ["for-each-ref", "--format=%(objectname) %(refname)"].into_iter().chain(SEEN).collect();
        let command = || Command { keep: usize::MAX, ..self.command(self.root(), &args, &[]) };
        let listed = self.again(command, &args).await?.stdout;
        let ours = |line: &&[u8]| {
            let name = line.splitn(2, |byte| *byte == b' ').nth(1).unwrap_or_default();
            !name.starts_with(b"refs/heads/blueprint/") && name != own.as_bytes()
        };
        let mut lines: Vec<Vec<u8>> = listed
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .filter(ours)
            .map(<[u8]>::to_vec)
            .collect();
        lines.push(format!("{} {own}", base.0).into_bytes());
        Ok(lines.into_iter().flat_map(|line| line.into_iter().chain(*b"\n")).collect())
    }

    /// What is not checked out in the user's checkout is not here either.
    async fn copy_cone(&self, dir: &Path) -> Result<(), GitError> {
        let place = self.must(self.root(), &["rev-parse", "--git-path", "info/sparse-checkout"], &[]).await?;
        let place = self.root().join(place.text().trim_end_matches('\n'));
        match fs::read(place) {
            Ok(bytes) => {
                let into = dir.join("info/sparse-checkout");
                fs::write(&into, bytes).map_err(|source| GitError::Io { what: into.display().to_string(), source })
            }
            Err(_) => Ok(()),
        }
    }

    /// Brings a commit that an agent made, with all that it needs, into the repository.
    pub(super) async fn bring_over(&self, worktree: &Path, tip: &CommitId, base: &CommitId) -> Result<(), GitError> {
        let Some(dir) = standing(worktree) else { return Ok(()) };
        let git_dir = self.private().await?;
        let step = async |args: &[&str], input: Vec<u8>, objects: &Path| {
            let extra = [("GIT_DIR", git_dir), ("GIT_OBJECT_DIRECTORY", objects)];
            let command = self.command(self.root(), args, &extra);
            let done = self.run(Command { stdin: Some(input), keep: COMMITTED, ..command }, &Stop::new()).await?;
            if !done.exit.success() || done.stdout.len() >= COMMITTED {
                return Err(GitError::Failed { what: format!("git {}", args[0]), why: done.tail(3) });
            }
            Ok(done.stdout)
        };
        let wanted = format!("{}\n^{}\n", tip.0, base.0).into_bytes();
        let pack = step(&["pack-objects", "--revs", "--quiet", "--stdout"], wanted, &dir.join("objects")).await?;
        step(&["index-pack", "--strict", "--stdin"], pack, &self.common().join("objects")).await.map(drop)
    }
}

/// Where an agent left its branch, as far as that can be told.
pub(super) fn tip_of(worktree: &Path, branch: &str) -> Option<CommitId> {
    let repo = git2::Repository::open_bare(standing(worktree)?).ok()?;
    let tip = repo.refname_to_id(&format!("refs/heads/{branch}")).ok()?;
    repo.find_commit(tip).ok().map(|commit| CommitId(commit.id().to_string()))
}
