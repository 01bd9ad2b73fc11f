//! Finds the repository around a directory, as the git program sees it, and refuses what can't be worked with in one
//! sentence with a way out.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::GitError;
use super::program::Program;
use crate::adapters::process::{Environment, Executor, Finished, Stop};
use std::sync::Arc;

/// Where a repository's parts are.
pub(super) struct Found {
    /// The checkout.
    pub root: PathBuf,
    /// The git directory that all worktrees share.
    pub common: PathBuf,
}

/// Looks at the repository around a directory.
pub(super) async fn discover(from: &Path, exec: Arc<dyn Executor>) -> Result<Found, GitError> {
    let program = Program::new(from.to_owned(), from.to_owned(), exec);
    let ask = async |args: &[&str]| {
        let all: Vec<_> = ["rev-parse", "--path-format=absolute"].iter().chain(args).copied().collect();
        program.run(program.plain(from, &all, Environment::new()), &Stop::new()).await
    };
    let flags = ["--is-bare-repository", "--is-inside-work-tree", "--is-shallow-repository", "--show-object-format"];
    let told = ask(&[&flags[..], &["--git-common-dir"]].concat()).await?;
    if !told.exit.success() {
        return Err(refusal(from, &told));
    }
    // The path is last: it may be of several lines.
    let text = told.stdout;
    let mut parts = text.splitn(flags.len() + 1, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let (bare, inside, shallow, format) = (next(), next(), next(), next());
    let common = path(next())?;
    if bare == b"true" {
        return Err(unsupported(format!("{} is a bare repository; run in a checkout of it", common.display())));
    }
    if inside != b"true" {
        return Err(unsupported(format!("{} is inside of a git directory; run in the checkout", from.display())));
    }
    if shallow == b"true" {
        return Err(unsupported(
            "this is a shallow clone, in which merges can't be judged; fetch the whole history first (`git fetch --unshallow`)",
        ));
    }
    if format != b"sha1" {
        return Err(unsupported(format!(
            "this repository names its objects by {}, and only SHA-1 can be worked with; make a copy that has it and run \
             there: git init -q -b \"$(git branch --show-current)\" ../copy && git fast-export --all | git -C ../copy \
             fast-import --quiet && git -C ../copy reset -q --hard",
            String::from_utf8_lossy(format).to_uppercase().replace("SHA", "SHA-")
        )));
    }
    let told = ask(&["--show-toplevel"]).await?;
    if !told.exit.success() {
        return Err(refusal(from, &told));
    }
    Ok(Found { root: path(&told.stdout)?, common })
}

fn unsupported(what: impl Into<String>) -> GitError {
    GitError::Unsupported(what.into())
}

/// A path that git printed, without links on the way.
fn path(line: &[u8]) -> Result<PathBuf, GitError> {
    let path = PathBuf::from(OsString::from_vec(line.strip_suffix(b"\n").unwrap_or(line).to_vec()));
    let path = path.canonicalize().map_err(|source| GitError::Io { what: path.display().to_string(), source })?;
    match path.to_str() {
        Some(_) => Ok(path),
        None => Err(unsupported(format!(
            "the path {} is no UTF-8, so programs can't be told of it; move it",
            path.display()
        ))),
    }
}

/// What git's refusal means.
fn refusal(from: &Path, told: &Finished) -> GitError {
    let why = String::from_utf8_lossy(&told.stderr).into_owned();
    if why.contains("not a git repository") {
        return GitError::NotARepository(from.to_owned());
    }
    if let Some((_, place)) = why.split_once("--add safe.directory ") {
        let place = place.lines().next().unwrap_or_default();
        return unsupported(format!(
            "the repository belongs to another user, and git does nothing in it for you before you trust it: git config \
             --global --add safe.directory {place}"
        ));
    }
    let line = why.lines().find_map(|line| line.strip_prefix("fatal: ")).unwrap_or(why.trim()).to_owned();
    if line.contains("unknown repository extension") || line.contains("git repo version") {
        return unsupported(format!(
            "the git program here is too old for this repository ({line}); install a newer one"
        ));
    }
    GitError::Failed { what: format!("git can't work in {}", from.display()), why: line }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::process::Exit;

    fn meaning(words: &str) -> String {
        let told = Finished::of(Exit::Code(128), Vec::new(), words.as_bytes().to_vec());
        refusal(Path::new("/p"), &told).to_string()
    }

    #[test]
    fn what_git_refuses_is_told_in_one_sentence_with_a_way_out() {
        let foreign = "fatal: detected dubious ownership in repository at '/p'\nTo add an exception for this directory, \
            call:\n\n\tgit config --global --add safe.directory '/p q'\n";
        assert!(meaning(foreign).ends_with("git config --global --add safe.directory '/p q'"), "{}", meaning(foreign));
        let newer = "fatal: unknown repository extension found:\n\trefstorage\n";
        assert!(meaning(newer).contains("install a newer one"), "{}", meaning(newer));
        assert_eq!(
            meaning("fatal: not a git repository (or any of the parent directories): .git\n"),
            "/p is not inside a git repository"
        );
        assert_eq!(
            meaning("fatal: bad config line 1 in file .git/config\n"),
            "git can't work in /p: bad config line 1 in file .git/config"
        );
    }
}
