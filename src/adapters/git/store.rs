//! The repository's objects, as libgit2 reads and writes them: through a git directory of ours that has nothing but
//! them. Formats of indexes and refs that libgit2 does not know, and whatever else stands in the repository's
//! configuration, never reach it; refs, indexes and checkouts are the git program's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::GitError;

/// Removed with it.
pub(super) struct Store {
    dir: tempfile::TempDir,
    /// The folder of objects, where others of our group write into it too.
    shared: Option<PathBuf>,
}

impl Store {
    /// Of the objects in this folder, which may be shared with others of our group.
    pub fn of(objects: &Path, shared: bool) -> Result<Self, GitError> {
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
        Ok(Self { dir, shared: shared.then(|| objects.to_owned()) })
    }

    /// Lets the group into folders of objects that libgit2 made, as git itself makes them in a shared repository.
    pub fn share(&self) {
        let Some(objects) = &self.shared else { return };
        for entry in fs::read_dir(objects).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            let mode = found.permissions().mode() | 0o2070;
            if found.is_dir() && mode != found.permissions().mode() {
                // Those of others are theirs to open.
                drop(fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode)));
            }
        }
    }

    /// Opens it.
    pub fn open(&self) -> Result<git2::Repository, GitError> {
        Ok(git2::Repository::open_bare(self.dir.path())?)
    }
}
