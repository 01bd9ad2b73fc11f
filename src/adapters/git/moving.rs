//! Moves a branch that is checked out, together with the checkout, by plumbing alone: no setting of the
//! user's git has a say in it, and what is staged, changed or untracked beside it stays as it is to the byte.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::program::Program;
use super::{Advance, CommitId, GitError};
use crate::adapters::process::{Command, Environment, Finished, Stop};

/// How long a checkout may be in the middle of a change before it counts as left there.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// Takes the git directory, both commits, the branch, the private git directory, the objects, and whether the index
/// is split. The index is locked as git locks it, for the whole of it, so that nobody commits between the files and
/// the branch; the new index is made beside it. Files are compared and written through the private directory alone,
/// so that no configuration which somebody wrote during the run has a say in it.
const MOVE: &str = r#"
trap '' HUP INT TERM
dir=$1 from=$2 to=$3 branch=$4 private=$5 objects=$6 split=$7
lock=$dir/index.lock new=$dir/index.blueprint
git() { command git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 -c submodule.recurse=false "$@"; }
desk() (
    export GIT_DIR="$private" GIT_WORK_TREE="$PWD" GIT_OBJECT_DIRECTORY="$objects"
    export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
    git "$@"
)
( set -C; : > "$lock" ) 2>/dev/null || exit 75
: > "$private/moving"
trap 'rm -f "$new" "$new.lock" "$lock" "$private/moving"' EXIT
rm -f "$new" "$new.lock"
if [ -e "$dir/index" ]; then cp -p "$dir/index" "$new" || exit 72; fi
export GIT_INDEX_FILE="$new"
desk update-index -q --refresh > /dev/null 2>&1
# Either git refuses before it writes a file, or a file could not be written (a filter failed, the disk is full) and those
# before it were: nobody had changed any of them, and all are put back.
said=$(desk read-tree -m -u "$from" "$to" 2>&1) || {
    printf '%s\n' "$said" >&2
    case $said in
        *"error: Entry '"* | *"error: Untracked working tree file '"* | *"error: Updating '"*) exit 73 ;;
    esac
    cp -p "$dir/index" "$new" || exit 72
    desk diff-tree -r -z --name-only --no-renames --diff-filter=A "$from" "$to" |
        xargs -0 sh -c 'rm -f -- "$@"; for path; do while path=$(dirname "$path") && rmdir "$path" 2>/dev/null; do :; done; done' sh
    desk diff-tree -r -z --name-only --no-renames --diff-filter=a "$from" "$to" | desk checkout-index -f -z --stdin
    exit 71
}
if git update-ref -m "blueprint: land" "refs/heads/$branch" "$to" "$from"; then
    if [ "$split" = split ]; then git update-index --split-index || true; fi
    mv -f "$new" "$lock" || exit 72
    trap 'rm -f "$private/moving"' EXIT
    mv -f "$lock" "$dir/index" || exit 72
    exit 0
fi
desk read-tree -m -u "$to" "$from"
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
    pub(super) async fn checkout_of(&self, branch: &str) -> Result<Option<PathBuf>, GitError> {
        let listed = self.must(self.root(), &["worktree", "list", "--porcelain", "-z"], &[]).await?;
        let text = listed.text();
        let wanted = format!("branch refs/heads/{branch}");
        let (mut current, mut entries) = (None, 0);
        for line in text.split('\0') {
            if let Some(path) = line.strip_prefix("worktree ") {
                (current, entries) = (Some(PathBuf::from(path)), entries + 1);
            } else if line == wanted {
                // Of one that was deleted by hand only the entry is left.
                let Some(path) = current.filter(|path| path.exists()) else { return Ok(None) };
                return if entries == 1 { self.first_checkout(path, branch).await.map(Some) } else { Ok(Some(path)) };
            }
        }
        Ok(None)
    }

    /// Where the checkout is that is no linked one. Git takes it to be around the git directory, which it need not be
    /// where `.git` is a link or a file.
    async fn first_checkout(&self, listed: PathBuf, branch: &str) -> Result<PathBuf, GitError> {
        if self.git_dir(self.root()).await?.canonicalize().is_ok_and(|dir| dir == self.common()) {
            return Ok(self.root().to_owned());
        }
        let own = listed.join(".git").canonicalize().is_ok_and(|dir| dir == self.common());
        own.then_some(listed).ok_or_else(|| {
            GitError::Unsupported(format!(
                "`{branch}` is checked out somewhere with the git directory {}, and git does not tell where; run there",
                self.common().display()
            ))
        })
    }

    async fn git_dir(&self, checkout: &Path) -> Result<PathBuf, GitError> {
        let shown = self.must(checkout, &["rev-parse", "--absolute-git-dir"], &[]).await?;
        Ok(PathBuf::from(shown.text().trim_end_matches('\n')))
    }

    /// Why the checkout of a branch can't follow it now; `None` where it can, or nobody has it checked out.
    pub async fn busy(&self, branch: &str) -> Result<Option<String>, GitError> {
        if let Some(why) = self.rebased(branch) {
            return Ok(Some(why));
        }
        let Some(checkout) = self.checkout_of(branch).await? else { return Ok(None) };
        let dir = self.git_dir(&checkout).await?;
        if let Some(why) = self.unfinished(&checkout, &dir).await? {
            return Ok(Some(why));
        }
        let shown = checkout.display();
        let unmerged = self.must(&checkout, &["ls-files", "--unmerged", "-z"], &[]).await?;
        Ok((!unmerged.stdout.is_empty()).then(|| format!("{shown} has unmerged files; resolve them first")))
    }

    /// What a checkout is in the middle of.
    async fn unfinished(&self, checkout: &Path, dir: &Path) -> Result<Option<String>, GitError> {
        for (name, what, git) in MIDDLE {
            // Some of these are refs, which need not be files.
            let there = dir.join(name).exists()
                || (name.ends_with("K_HEAD") || name.starts_with("REVERT"))
                    && self
                        .run(self.command(checkout, &["rev-parse", "--verify", "--quiet", name], &[]), &Stop::new())
                        .await?
                        .exit
                        .success();
            if there {
                return Ok(Some(format!(
                    "{} is in the middle of {what}; conclude or abort it first (`{git} --continue`, `{git} --abort`)",
                    checkout.display()
                )));
            }
        }
        Ok(None)
    }

    /// What the user's own checkout is in the middle of.
    pub(super) async fn in_the_middle(&self) -> Result<Option<String>, GitError> {
        let dir = self.git_dir(self.root()).await?;
        self.unfinished(self.root(), &dir).await
    }

    /// Why a branch must stay where it is though nobody has it checked out: a rebase that is not concluded moves it
    /// at its end, and fails where it was moved meanwhile.
    fn rebased(&self, branch: &str) -> Option<String> {
        let wanted = format!("refs/heads/{branch}");
        let linked =
            fs::read_dir(self.common().join("worktrees")).into_iter().flatten().flatten().map(|entry| entry.path());
        for dir in [self.common().to_owned()].into_iter().chain(linked) {
            for file in ["rebase-merge/head-name", "rebase-apply/head-name", "rebase-merge/update-refs"] {
                let text = fs::read_to_string(dir.join(file)).unwrap_or_default();
                if text.lines().any(|line| line == wanted) {
                    return Some(format!(
                        "`{branch}` is being rebased; conclude or abort that first (`git rebase --continue`, `git rebase --abort`)"
                    ));
                }
            }
        }
        None
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
    pub(super) async fn move_checkout(
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
        let stand = self.stand_at(checkout, &dir).await?;
        let overlap = self.overlap(&stand, from, to).await?;
        if !overlap.is_empty() {
            return Ok(Advance::Overlap(overlap));
        }
        let text = |path: &Path| path.display().to_string();
        let (shown, private, objects) = (text(&dir), text(&stand.private), text(&self.common().join("objects")));
        let split = if stand.split { "split" } else { "whole" };
        let args = ["-c", MOVE, "sh", &shown, &from.0, &to.0, branch, &private, &objects, split];
        let mut plain = self.command(checkout, &[], &[]);
        plain.env.extend(stand.settings);
        let (name, mail) = self.settings().who();
        plain.env.insert("GIT_COMMITTER_NAME".to_owned(), name.to_owned());
        plain.env.insert("GIT_COMMITTER_EMAIL".to_owned(), mail.to_owned());
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

    /// Makes the private git directory fit for a checkout: with its sparse patterns and the shared parts of its index.
    async fn stand_at<'a>(&self, checkout: &'a Path, dir: &Path) -> Result<Stand<'a>, GitError> {
        let private = self.private().await?.to_owned();
        let io = |source| GitError::Io { what: dir.display().to_string(), source };
        let mut shared = false;
        for entry in fs::read_dir(dir).map_err(io)?.flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(b"sharedindex.") {
                shared = true;
                let link = private.join(entry.file_name());
                drop(fs::remove_file(&link));
                std::os::unix::fs::symlink(entry.path(), &link).map_err(io)?;
            }
        }
        let split = shared && !self.must(checkout, &["rev-parse", "--shared-index-path"], &[]).await?.stdout.is_empty();
        let patterns = private.join("info/sparse-checkout");
        match fs::read(dir.join("info/sparse-checkout")) {
            Ok(text) => fs::write(&patterns, text).map_err(io)?,
            Err(_) => drop(fs::remove_file(&patterns)),
        }
        let mut settings = Environment::new();
        let keys = ["core.sparsecheckout", "core.sparsecheckoutcone", "index.sparse"];
        for (index, key) in keys.into_iter().enumerate() {
            let value = self.is_set(checkout, key).await?;
            settings.insert(format!("GIT_CONFIG_KEY_{index}"), key.to_owned());
            settings.insert(format!("GIT_CONFIG_VALUE_{index}"), value.to_string());
        }
        // Written whole: a shared part would be put where nobody looks for it.
        settings.insert(format!("GIT_CONFIG_KEY_{}", keys.len()), "core.splitindex".to_owned());
        settings.insert(format!("GIT_CONFIG_VALUE_{}", keys.len()), "false".to_owned());
        settings.insert("GIT_CONFIG_COUNT".to_owned(), (keys.len() + 1).to_string());
        Ok(Stand { checkout, index: dir.join("index"), private, split, settings })
    }

    /// Whether a setting of a checkout is on. The user's own was read before anybody could change it; another worktree
    /// may have its own.
    async fn is_set(&self, checkout: &Path, key: &str) -> Result<bool, GitError> {
        if checkout == self.root() {
            return Ok(self.settings().is_true(key));
        }
        let asked = self.command(checkout, &["config", "--type=bool", "--get", key], &[]);
        Ok(self.run(asked, &Stop::new()).await?.text().trim() == "true")
    }

    /// Paths that differ between the commits and are staged, changed or untracked here.
    async fn overlap(&self, at: &Stand<'_>, from: &CommitId, to: &CommitId) -> Result<Vec<String>, GitError> {
        let objects = self.common().join("objects");
        let extra = [
            ("GIT_DIR", at.private.as_path()),
            ("GIT_WORK_TREE", at.checkout),
            ("GIT_INDEX_FILE", &at.index),
            ("GIT_OBJECT_DIRECTORY", &objects),
            ("GIT_CONFIG_NOSYSTEM", Path::new("1")),
            ("GIT_CONFIG_GLOBAL", Path::new("/dev/null")),
        ];
        let list = async |args: &[&str]| {
            let command = || {
                let mut command = Command { keep: usize::MAX, ..self.command(at.checkout, args, &extra) };
                command.env.extend(at.settings.clone());
                command
            };
            let listed = self.again(command, args).await?.stdout;
            let entries = listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
            Ok::<_, GitError>(entries.map(<[u8]>::to_vec).collect::<Vec<_>>())
        };
        let diff = ["diff", "--name-only", "-z", "--no-renames", "--no-ext-diff"];
        let between = |more: &[&'static str]| diff.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>();
        let (from, to) = (from.0.as_str(), to.0.as_str());
        let incoming = list(&[&diff[..], &[from, to]].concat()).await?;
        let mut dirty = list(&[&diff[..], &[from]].concat()).await?;
        dirty.extend(list(&[&between(&["--cached"])[..], &[from]].concat()).await?);
        dirty.extend(list(&["ls-files", "--others", "-z"]).await?);
        Ok(meeting(&incoming, dirty))
    }
}

/// How a checkout is looked at and moved.
struct Stand<'a> {
    checkout: &'a Path,
    index: PathBuf,
    /// The git directory of ours.
    private: PathBuf,
    /// Whether the index is split.
    split: bool,
    /// Variables that set what the index needs.
    settings: Environment,
}

/// Those of the paths that are also among others, are below one of them or have one below them; for people.
fn meeting(incoming: &[Vec<u8>], dirty: Vec<Vec<u8>>) -> Vec<String> {
    let dirty: BTreeSet<Vec<u8>> = dirty.into_iter().collect();
    let above = |path: &[u8]| {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        ends.map(|end| path[..end].to_vec()).collect::<Vec<_>>()
    };
    let meets = |path: &&Vec<u8>| {
        let folder = [path.as_slice(), b"/"].concat();
        let below = dirty.range(folder.clone()..).next().is_some_and(|next| next.starts_with(&folder));
        below || dirty.contains(*path) || above(path).iter().any(|folder| dirty.contains(folder))
    };
    let both: BTreeSet<_> =
        incoming.iter().filter(meets).map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    both.into_iter().collect()
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
    fn paths_meet_that_are_the_same_or_of_which_one_is_a_folder_of_the_other() {
        let paths = |all: &[&str]| all.iter().map(|path| path.as_bytes().to_vec()).collect::<Vec<_>>();
        let incoming = paths(&["a", "b/c", "d", "e", "f-g"]);
        assert_eq!(meeting(&incoming, paths(&["a", "b", "d/x/y", "e-", "f"])), ["a", "b/c", "d"]);
    }

    #[test]
    fn the_paths_of_a_refusal_are_read_out_of_gits_words() {
        let message = "error: Entry 'it's mine.txt' not uptodate. Cannot merge.\n\
            error: Untracked working tree file 'b' would be overwritten by merge.\nfatal: no 'path'\n";
        assert_eq!(refused(message), ["b", "it's mine.txt"]);
        let failed = "error: external filter 'git-lfs filter-process' failed\nfatal: index file corrupt\n";
        assert_eq!(refused(failed), Vec::<String>::new());
    }
}
