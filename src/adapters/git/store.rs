//! The repository's objects, as libgit2 reads and writes them: through a git directory of ours that has nothing but
//! them. Formats of indexes and refs that libgit2 does not know, and whatever else stands in the repository's
//! configuration, never reach it; refs, indexes and checkouts are the git program's.

use std::fs;
use std::path::Path;

use super::GitError;

/// Removed with it.
pub(super) struct Store {
    dir: tempfile::TempDir,
}

impl Store {
    /// Of the objects in this folder.
    pub fn of(objects: &Path) -> Result<Self, GitError> {
        let io = |what: &Path| {
            let what = what.display().to_string();
            move |source| GitError::Io { what, source }
        };
        let temporary = std::env::temp_dir();
        let dir = tempfile::Builder::new().prefix("blueprint-git-").tempdir().map_err(io(&temporary))?;
        let make = || {
            fs::create_dir_all(dir.path().join("refs"))?;
            fs::write(dir.path().join("HEAD"), "ref: refs/heads/none\n")?;
            fs::write(dir.path().join("config"), "[core]\n\trepositoryformatversion = 0\n\tbare = true\n")?;
            std::os::unix::fs::symlink(objects, dir.path().join("objects"))
        };
        make().map_err(io(dir.path()))?;
        Ok(Self { dir })
    }

    /// Opens it.
    pub fn open(&self) -> Result<git2::Repository, GitError> {
        Ok(git2::Repository::open_bare(self.dir.path())?)
    }
}
