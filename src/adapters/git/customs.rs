//! What the user's git does when it commits, beside committing: hooks that may refuse, and signatures.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::program::Program;
use super::{CommitId, Customs, GitError};
use crate::adapters::process::{Command, Environment, Finished, Stop};

/// Hooks that may refuse a commit, for a merge and for a plain one.
const MERGE_HOOK: &str = "pre-merge-commit";
const COMMIT_HOOK: &str = "pre-commit";
const MESSAGE_HOOK: &str = "commit-msg";
/// How long one hook may take.
const HOOK_LIMIT: Duration = Duration::from_secs(600);

/// A commit as its object has it.
#[derive(Debug, Clone)]
pub struct Draft {
    pub tree: String,
    pub parents: Vec<String>,
    pub message: String,
    /// Name, address and seconds since 1970.
    pub who: (String, String, i64),
}

impl Program {
    /// Hooks and signatures that the configuration asks for.
    pub async fn customs(&self) -> Result<Customs, GitError> {
        let folder = self.hooks().await?;
        let all = [MERGE_HOOK, COMMIT_HOOK, MESSAGE_HOOK];
        let hooks = all.iter().filter(|name| executable(&folder.join(name))).map(|name| (*name).to_owned());
        let format = self.setting(&["--get", "gpg.format"]).await?;
        let signs = self.signs().await?;
        Ok(Customs { hooks: hooks.collect(), signs: signs.then(|| format.unwrap_or_else(|| "openpgp".to_owned())) })
    }

    /// Whether the configuration asks for signed commits.
    pub async fn signs(&self) -> Result<bool, GitError> {
        Ok(self.setting(&["--type=bool", "--get", "commit.gpgSign"]).await?.as_deref() == Some("true"))
    }

    /// A setting as git reads it in the user's checkout, if it is there.
    pub(super) async fn setting(&self, args: &[&str]) -> Result<Option<String>, GitError> {
        let args: Vec<_> = ["config"].iter().chain(args).copied().collect();
        let done = self.run(self.plain(self.root(), &args, Environment::new()), &Stop::new()).await?;
        Ok(done.exit.success().then(|| done.text().trim_end_matches('\n').to_owned()))
    }

    /// The folder of the hooks. A relative one is the user's own checkout's, never that of a tree that a
    /// variant wrote.
    async fn hooks(&self) -> Result<PathBuf, GitError> {
        let set = self.setting(&["--type=path", "--get", "core.hooksPath"]).await?;
        Ok(set.map_or_else(|| self.common().join("hooks"), |path| self.root().join(path)))
    }

    /// Runs the hooks that git would run on this commit, in a worktree of its own at `place`: the message
    /// that it is to have, or the words of the hook that refused it.
    pub async fn vet(&self, draft: &Draft, place: &Path) -> Result<Result<String, String>, GitError> {
        let Some(parent) = draft.parents.first() else { return Ok(Ok(draft.message.clone())) };
        let shown = place.display().to_string();
        self.add_detached(&shown, parent).await?;
        self.must(place, &["read-tree", "--reset", "-u", &draft.tree], &[]).await?;
        let dir = self.must(place, &["rev-parse", "--absolute-git-dir"], &[]).await?;
        let dir = PathBuf::from(dir.text().trim_end_matches('\n'));
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).map_err(|source| GitError::Io { what: path.display().to_string(), source })
        };
        write("COMMIT_EDITMSG", &draft.message)?;
        let merged = draft.parents.get(1);
        if let Some(merged) = merged {
            write("MERGE_HEAD", &format!("{merged}\n"))?;
            write("MERGE_MSG", &draft.message)?;
        }
        let first = if merged.is_some() { MERGE_HOOK } else { COMMIT_HOOK };
        if let Err(refusal) = self.hook(first, &[], place, &dir).await? {
            return Ok(Err(refusal));
        }
        let now = self.must(place, &["write-tree"], &[]).await?;
        if now.text().trim() != draft.tree {
            return Ok(Err(format!("the hook {first} changed what is to be committed, which was tested as it was")));
        }
        let file = dir.join(if merged.is_some() { "MERGE_MSG" } else { "COMMIT_EDITMSG" });
        let shown = file.display().to_string();
        if let Err(refusal) = self.hook(MESSAGE_HOOK, &[&shown], place, &dir).await? {
            return Ok(Err(refusal));
        }
        let message = std::fs::read_to_string(&file);
        Ok(Ok(message.map_err(|source| GitError::Io { what: file.display().to_string(), source })?))
    }

    async fn add_detached(&self, place: &str, commit: &str) -> Result<(), GitError> {
        let _lock = self.worktree_lock().await?;
        let args = ["worktree", "add", "--quiet", "--detach", "--no-checkout", place, commit];
        self.must(self.root(), &args, &[]).await.map(drop)
    }

    async fn hook(&self, name: &str, args: &[&str], place: &Path, dir: &Path) -> Result<Result<(), String>, GitError> {
        let program = self.hooks().await?.join(name);
        if !executable(&program) {
            return Ok(Ok(()));
        }
        let mut env = own();
        env.insert("GIT_INDEX_FILE".to_owned(), dir.join("index").display().to_string());
        env.insert("GIT_DIR".to_owned(), dir.display().to_string());
        env.insert("GIT_WORK_TREE".to_owned(), place.display().to_string());
        env.insert("GIT_EDITOR".to_owned(), ":".to_owned());
        let command = Command::new(program, args.iter().copied(), place).env(&env).limit(HOOK_LIMIT);
        let done = self.run(command, &Stop::new()).await?;
        Ok(if done.exit.success() { Ok(()) } else { Err(said(&format!("the hook {name} refused it"), &done)) })
    }

    /// The same commit with a signature as the configuration says; an error in the signer's words.
    pub async fn sign(&self, draft: &Draft) -> Result<CommitId, GitError> {
        let mut args = vec!["commit-tree", "-S", &draft.tree];
        args.extend(draft.parents.iter().flat_map(|parent| ["-p", parent]));
        args.extend(["-F", "-"]);
        let (name, mail, time) = &draft.who;
        let mut env = own();
        for role in ["AUTHOR", "COMMITTER"] {
            env.insert(format!("GIT_{role}_NAME"), name.clone());
            env.insert(format!("GIT_{role}_EMAIL"), mail.clone());
            env.insert(format!("GIT_{role}_DATE"), format!("@{time} +0000"));
        }
        let mut command = self.plain(self.root(), &args, env);
        command.stdin = Some(draft.message.clone().into_bytes());
        let done = self.run(command, &Stop::new()).await?;
        if done.exit.success() {
            return Ok(CommitId(done.text().trim().to_owned()));
        }
        Err(GitError::Failed { what: "the commit could not be signed".to_owned(), why: done.tail(6) })
    }
}

/// Our own environment without what says which repository is meant: hooks and signers are the user's
/// programs and get what they would get from the user's git.
fn own() -> Environment {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os()
        .filter_map(text)
        .filter(|(name, _)| !name.starts_with("GIT_") || name.starts_with("GIT_CONFIG_"))
        .collect()
}

fn executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn said(what: &str, done: &Finished) -> String {
    let tail = done.tail(20);
    if tail.is_empty() { format!("{what} ({})", done.exit) } else { format!("{what} ({}):\n{tail}", done.exit) }
}
