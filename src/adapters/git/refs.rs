//! Refs, by the git program: it knows every format that it makes them in.

use super::program::{Program, zero_ended};
use super::{CommitId, GitError, Head};
use crate::adapters::process::{Command, Exit, Finished, Stop};

impl Program {
    /// A question that git may answer with no.
    async fn ask(&self, args: &[&str]) -> Result<Option<String>, GitError> {
        let done = self.run(self.command(self.root(), args, &[]), &Stop::new()).await?;
        match done.exit {
            Exit::Code(0) => Ok(Some(done.text().trim_end_matches('\n').to_owned())),
            Exit::Code(1) => Ok(None),
            _ => Err(failed(args, &done)),
        }
    }

    /// What git says of paths, each ended by a zero byte, where the answer for none of them is no failure.
    pub(super) async fn told(&self, args: &[&str], paths: &[Vec<u8>]) -> Result<Vec<u8>, GitError> {
        let command =
            Command { stdin: Some(zero_ended(paths)), keep: usize::MAX, ..self.command(self.root(), args, &[]) };
        let done = self.run(command, &Stop::new()).await?;
        match done.exit {
            Exit::Code(0 | 1) => Ok(done.stdout),
            _ => Err(failed(args, &done)),
        }
    }

    /// Where `HEAD` is.
    pub(super) async fn head(&self) -> Result<Head, GitError> {
        let Some(target) = self.ask(&["symbolic-ref", "--quiet", "HEAD"]).await? else {
            let commit = self.must(self.root(), &["rev-parse", "--verify", "HEAD^{commit}"], &[]).await?;
            return Ok(Head::Detached(CommitId(commit.text().trim_end().to_owned())));
        };
        let name = target.strip_prefix("refs/heads/").unwrap_or(&target).to_owned();
        Ok(if self.at(&target).await?.is_some() { Head::Branch(name) } else { Head::Unborn(name) })
    }

    /// The commit that a ref points at; `None` where there is no such ref.
    pub(super) async fn at(&self, reference: &str) -> Result<Option<CommitId>, GitError> {
        let wanted = format!("{reference}^{{commit}}");
        Ok(self.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]).await?.map(CommitId))
    }

    /// The tip of a branch.
    pub(super) async fn tip(&self, branch: &str) -> Result<CommitId, GitError> {
        let tip = self.at(&format!("refs/heads/{branch}")).await?;
        tip.ok_or_else(|| GitError::NoBranch(branch.to_owned()))
    }

    /// Points a ref at a commit.
    pub(super) async fn point(&self, reference: &str, commit: &CommitId) -> Result<(), GitError> {
        let args = ["update-ref", "-m", "blueprint: keep", reference, &commit.0];
        self.must(self.root(), &args, &[]).await.map(drop)
    }

    /// Moves a ref from one commit to another, and tells where it is instead if it is somewhere else.
    pub(super) async fn swap(
        &self,
        reference: &str,
        from: &CommitId,
        to: &CommitId,
    ) -> Result<Result<(), CommitId>, GitError> {
        let args = ["update-ref", "-m", "blueprint: land", reference, &to.0, &from.0];
        let moved = self.must(self.root(), &args, &[]).await;
        match (moved, self.at(reference).await?) {
            (Ok(_), Some(now)) if now == *to => Ok(Ok(())),
            (Err(error), Some(now)) if now == *from => Err(error),
            (_, Some(now)) => Ok(Err(now)),
            (_, None) => Err(GitError::NoBranch(reference.strip_prefix("refs/heads/").unwrap_or(reference).to_owned())),
        }
    }

    /// Deletes a ref, if it is there.
    pub(super) async fn drop_ref(&self, reference: &str) -> Result<(), GitError> {
        self.must(self.root(), &["update-ref", "-d", reference], &[]).await.map(drop)
    }

    /// Why refs of ours can't be made: a branch in the place of their folder.
    pub(super) async fn in_the_way(&self) -> Result<Option<String>, GitError> {
        for (reference, what) in [("refs/heads/blueprint", "a branch"), ("refs/blueprint", "a ref")] {
            if self.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", reference]).await?.is_some() {
                let name = reference.strip_prefix("refs/heads/").unwrap_or(reference);
                return Ok(Some(format!(
                    "{what} is called `{name}`, where the branches of variants are to be (`blueprint/…`)"
                )));
            }
        }
        Ok(None)
    }
}

fn failed(args: &[&str], done: &Finished) -> GitError {
    GitError::Failed { what: format!("git {}", args.join(" ")), why: done.tail(6) }
}
