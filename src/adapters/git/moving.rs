//! Moves a branch that is checked out, together with the checkout, by plumbing alone: no setting of the
//! user's git has a say in it, and what is staged, changed or untracked beside it stays as it is to the byte.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::program::Program;
use super::{Advance, CommitId, GitError};
use crate::adapters::process::{Command, Finished, Stop};

/// How long a checkout may be in the middle of a change before it counts as left there.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// Takes the git directory, both commits and the branch. The index is locked as git locks it, for the
/// whole of it, so that nobody commits between the files and the branch; the new index is made beside it.
const MOVE: &str = r#"
trap '' HUP INT TERM
git() { command git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 -c submodule.recurse=false "$@"; }
lock=$1/index.lock new=$1/index.blueprint
( set -C; : > "$lock" ) 2>/dev/null || exit 75
trap 'rm -f "$new" "$new.lock" "$lock"' EXIT
rm -f "$new" "$new.lock"
if [ -e "$1/index" ]; then cp -p "$1/index" "$new" || exit 72; fi
export GIT_INDEX_FILE="$new"
git update-index -q --refresh > /dev/null 2>&1
# Either git refuses before it writes a file, or a file could not be written (a filter failed, the disk is full) and those
# before it were: nobody had changed any of them, and all are put back.
said=$(git read-tree -m -u "$2" "$3" 2>&1) || {
    printf '%s\n' "$said" >&2
    case $said in
        *"error: Entry '"* | *"error: Untracked working tree file '"* | *"error: Updating '"*) exit 73 ;;
    esac
    cp -p "$1/index" "$new" || exit 72
    git diff-tree -r -z --name-only --no-renames --diff-filter=A "$2" "$3" |
        xargs -0 sh -c 'rm -f -- "$@"; for path; do while path=$(dirname "$path") && rmdir "$path" 2>/dev/null; do :; done; done' sh
    git diff-tree -r -z --name-only --no-renames --diff-filter=a "$2" "$3" | git checkout-index -f -z --stdin
    exit 71
}
if git update-ref -m "blueprint: land" "refs/heads/$4" "$3" "$2"; then
    mv -f "$new" "$lock" || exit 72
    trap - EXIT
    mv -f "$lock" "$1/index" || exit 72
    exit 0
fi
git read-tree -m -u "$3" "$2"
exit 74
"#;

const TARGET_MOVED: i32 = 74;
const REFUSED: i32 = 73;
const LOCKED: i32 = 75;

/// What git leaves in its directory in the middle of something, and what that is.
const MIDDLE: [(&str, &str, &str); 5] = [
    ("MERGE_HEAD", "a merge", "git merge"),
    ("CHERRY_PICK_HEAD", "a cherry-pick", "git cherry-pick"),
    ("REVERT_HEAD", "a revert", "git revert"),
    ("rebase-merge", "a rebase", "git rebase"),
    ("rebase-apply", "a rebase or `git am`", "git rebase"),
];

impl Program {
    /// The checkout that has a branch, if one has.
    pub async fn checkout_of(&self, branch: &str) -> Result<Option<PathBuf>, GitError> {
        let listed = self.must(self.root(), &["worktree", "list", "--porcelain", "-z"], &[]).await?;
        let text = listed.text();
        let wanted = format!("branch refs/heads/{branch}");
        let mut current = None;
        for line in text.split('\0') {
            if let Some(path) = line.strip_prefix("worktree ") {
                current = Some(PathBuf::from(path));
            } else if line == wanted {
                // Of one that was deleted by hand only the entry is left.
                return Ok(current.filter(|path| path.exists()));
            }
        }
        Ok(None)
    }

    async fn git_dir(&self, checkout: &Path) -> Result<PathBuf, GitError> {
        let shown = self.must(checkout, &["rev-parse", "--absolute-git-dir"], &[]).await?;
        Ok(PathBuf::from(shown.text().trim_end_matches('\n')))
    }

    /// Why the checkout of a branch can't follow it now; `None` where it can, or nobody has it checked out.
    pub async fn busy(&self, branch: &str) -> Result<Option<String>, GitError> {
        let Some(checkout) = self.checkout_of(branch).await? else { return Ok(None) };
        let dir = self.git_dir(&checkout).await?;
        let shown = checkout.display();
        if let Some((_, what, git)) = MIDDLE.iter().find(|(name, ..)| dir.join(name).exists()) {
            return Ok(Some(format!(
                "{shown} is in the middle of {what}; conclude or abort it first (`{git} --continue`, `{git} --abort`)"
            )));
        }
        let unmerged = self.must(&checkout, &["ls-files", "--unmerged", "-z"], &[]).await?;
        Ok((!unmerged.stdout.is_empty()).then(|| format!("{shown} has unmerged files; resolve them first")))
    }

    /// The lock on the index of a branch's checkout, where somebody holds it now.
    pub async fn held_lock(&self, branch: &str) -> Result<Option<PathBuf>, GitError> {
        let Some(checkout) = self.checkout_of(branch).await? else { return Ok(None) };
        let lock = self.git_dir(&checkout).await?.join("index.lock");
        Ok(lock.exists().then_some(lock))
    }

    /// Waits, within a limit, until nobody changes a checkout: a move that a killed run began may still be
    /// at work, and half of it looks like the user's own changes.
    pub async fn settled(&self, checkout: &Path) -> Result<(), GitError> {
        let lock = self.git_dir(checkout).await?.join("index.lock");
        let until = Instant::now() + SETTLE_LIMIT;
        while lock.exists() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Moves a branch and its checkout from one commit to another.
    pub async fn move_checkout(
        &self,
        checkout: &Path,
        branch: &str,
        from: &CommitId,
        to: &CommitId,
    ) -> Result<Advance, GitError> {
        let dir = self.git_dir(checkout).await?;
        if dir.join("index.lock").exists() {
            return Ok(locked(&dir));
        }
        let overlap = self.overlap(checkout, from, to).await?;
        if !overlap.is_empty() {
            return Ok(Advance::Overlap(overlap));
        }
        let shown = dir.display().to_string();
        let args = ["-c", MOVE, "sh", &shown, &from.0, &to.0, branch];
        let plain = self.command(checkout, &[], &[]);
        // Half of it would leave the user's files and index between two commits: once begun it is
        // brought to its end, whatever becomes of us.
        let command = Command { outlives: true, ..Command::new("sh", args, checkout) };
        let command = command.env(&plain.env).limit(plain.time_limit);
        let done = self.run(command, &Stop::new()).await?;
        Ok(match code(&done) {
            Some(0) => Advance::Moved,
            Some(TARGET_MOVED) => Advance::TargetMoved(from.clone()),
            Some(LOCKED) => locked(&dir),
            Some(REFUSED) if !refused(&done.tail(100)).is_empty() => Advance::Overlap(refused(&done.tail(100))),
            _ => {
                let what = format!("moving `{branch}` and its checkout {}", checkout.display());
                return Err(GitError::Failed { what, why: done.tail(6) });
            }
        })
    }

    /// Paths that differ between the commits and are staged, changed or untracked here.
    async fn overlap(&self, checkout: &Path, from: &CommitId, to: &CommitId) -> Result<Vec<String>, GitError> {
        let split = |done: Finished| -> Vec<String> {
            done.text().split('\0').filter(|p| !p.is_empty()).map(str::to_owned).collect()
        };
        let diff = ["diff", "--name-only", "-z", "--no-renames", "--no-ext-diff"];
        let between = |more: &[&'static str]| diff.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>();
        let mut incoming = between(&[]);
        incoming.extend([from.0.as_str(), to.0.as_str()]);
        let incoming = split(self.must(checkout, &incoming, &[]).await?);
        let mut dirty = split(self.must(checkout, &between(&["HEAD"]), &[]).await?);
        dirty.extend(split(self.must(checkout, &between(&["--cached", "HEAD"]), &[]).await?));
        dirty.extend(split(self.must(checkout, &["ls-files", "--others", "-z"], &[]).await?));
        let below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        let mut both: Vec<_> = incoming
            .into_iter()
            .filter(|path| dirty.iter().any(|d| d == path || below(d, path) || below(path, d)))
            .collect();
        both.sort();
        Ok(both)
    }
}

fn code(done: &Finished) -> Option<i32> {
    match done.exit {
        crate::adapters::process::Exit::Code(code) => Some(code),
        _ => None,
    }
}

fn locked(dir: &Path) -> Advance {
    Advance::Busy(format!(
        "{} is there: another git is at work, or one that was killed left it (then remove it)",
        dir.join("index.lock").display()
    ))
}

/// How git begins to say that it would have to overwrite something.
const REFUSALS: [&str; 3] = ["error: Entry '", "error: Untracked working tree file '", "error: Updating '"];

/// The paths that git names where it refuses to overwrite something.
fn refused(message: &str) -> Vec<String> {
    let said =
        |line: &str| REFUSALS.iter().find_map(|start| Some(line.strip_prefix(start)?.rsplit_once('\'')?.0.to_owned()));
    let mut paths: Vec<_> = message.lines().filter_map(said).collect();
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_a_refusal_are_read_out_of_gits_words() {
        let message = "error: Entry 'it's mine.txt' not uptodate. Cannot merge.\n\
            error: Untracked working tree file 'b' would be overwritten by merge.\nfatal: no 'path'\n";
        assert_eq!(refused(message), ["b", "it's mine.txt"]);
        let failed = "error: external filter 'git-lfs filter-process' failed\nfatal: index file corrupt\n";
        assert_eq!(refused(failed), Vec::<String>::new());
    }
}
