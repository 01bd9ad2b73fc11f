//! Which files of the user's checkout are not as a commit has them, by the git program: it knows sparse and split
//! indexes, filters and line ends. Nothing is written.

use std::collections::{BTreeMap, BTreeSet};

use super::program::Program;
use super::{CommitId, GitError, Standing};

/// Folders that set-up and builds fill: what git ignores in them is made anew in each tree.
const MADE: &[&str] = &[".venv", "venv", "node_modules", "target", "build", "dist", "__pycache__", ".tox"];

impl Program {
    /// Whether the checkout has uncommitted changes at this path.
    pub(super) async fn is_dirty(&self, path: &str) -> Result<bool, GitError> {
        let args = ["--literal-pathspecs", "status", "--porcelain", "-z", "--untracked-files=all", "--", path];
        Ok(!self.list(self.root(), &args, &[]).await?.is_empty())
    }

    /// By path relative to the root. A named folder stands for its files that git does not ignore; `committed` are
    /// those of the names that the commit has.
    pub(super) async fn uncommitted(
        &self,
        commit: &CommitId,
        named: &[String],
        committed: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Standing>, GitError> {
        let (mut alone, mut compared) = (Vec::new(), Vec::new());
        for path in named {
            match self.root().join(path).symlink_metadata() {
                Ok(disk) if !disk.is_dir() && !committed.contains(path) => alone.push(path.clone()),
                Err(_) if !committed.contains(path) => {}
                _ => compared.push(path.as_str()),
            }
        }
        let mut found = BTreeMap::new();
        let ignored = self.ignored(&alone).await?;
        for path in alone {
            let made = path.split('/').any(|part| MADE.contains(&part));
            match ignored.contains(&path) {
                true if made => {}
                true => drop(found.insert(path, Standing::Ignored)),
                false => drop(found.insert(path, Standing::Untracked)),
            }
        }
        if !compared.is_empty() {
            self.compare(commit, &compared, &mut found).await?;
        }
        Ok(found)
    }

    /// Files and folders of the checkout against a commit.
    async fn compare(
        &self,
        commit: &CommitId,
        paths: &[&str],
        found: &mut BTreeMap<String, Standing>,
    ) -> Result<(), GitError> {
        let plain = ["diff", "--name-status", "-z", "--no-renames", "--no-ext-diff", "--no-relative"];
        let how =
            ["--literal-pathspecs"].into_iter().chain(plain).chain(["--ignore-submodules=dirty", &commit.0, "--"]);
        let args: Vec<_> = how.chain(paths.iter().copied()).collect();
        let listed = self.list(self.root(), &args, &[]).await?;
        for entry in listed.chunks_exact(2) {
            // In the index and not in the commit: staged, and nowhere else.
            let standing = if entry[0] == b"A" { Standing::Untracked } else { Standing::Changed };
            found.extend(std::str::from_utf8(&entry[1]).map(|path| (path.to_owned(), standing)));
        }
        let how = ["--literal-pathspecs", "ls-files", "--others", "--exclude-standard", "-z", "--"];
        let args: Vec<_> = how.into_iter().chain(paths.iter().copied()).collect();
        let listed = self.list(self.root(), &args, &[]).await?;
        found.extend(listed.into_iter().filter_map(|path| Some((String::from_utf8(path).ok()?, Standing::Untracked))));
        Ok(())
    }

    /// Those of these paths that git ignores, tracked or not.
    async fn ignored(&self, paths: &[String]) -> Result<BTreeSet<String>, GitError> {
        if paths.is_empty() {
            return Ok(BTreeSet::new());
        }
        // It ends with 1 where it ignores none; each line tells by which rule, or by none.
        let args = ["check-ignore", "--no-index", "--verbose", "--non-matching", "-z", "--stdin"];
        let bytes: Vec<_> = paths.iter().map(|path| path.clone().into_bytes()).collect();
        let told = self.told(&args, &bytes).await?;
        let fields: Vec<_> = told.split(|byte| *byte == 0).collect();
        let ignored = fields.chunks_exact(4).filter(|rule| !rule[2].is_empty() && !rule[2].starts_with(b"!"));
        Ok(ignored.map(|rule| String::from_utf8_lossy(rule[3]).into_owned()).collect())
    }
}
