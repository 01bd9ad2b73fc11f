//! The workspace on this machine.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use async_trait::async_trait;

use super::{Workspace, WorkspaceError};

/// This machine's disk and loopback.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalWorkspace;

fn named<T>(what: impl FnOnce() -> String, result: io::Result<T>) -> Result<T, WorkspaceError> {
    result.map_err(|source| WorkspaceError { what: what(), source })
}

async fn blocking<T: Send + 'static>(
    what: String,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, WorkspaceError> {
    let joined = tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
    named(|| what, joined.and_then(|done| done))
}

#[async_trait]
impl Workspace for LocalWorkspace {
    async fn make_private(&self, path: &Path) -> Result<(), WorkspaceError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        named(|| format!("making {}", path.display()), made)
    }

    async fn remove(&self, path: &Path) -> Result<(), WorkspaceError> {
        let owned = path.to_owned();
        blocking(format!("removing {}", path.display()), move || remove_stubborn(&owned)).await
    }

    async fn carry(&self, path: &str, from: &Path, into: &Path) -> Result<(), WorkspaceError> {
        let (from, into) = (from.join(path), into.join(path));
        blocking(format!("carrying {}", from.display()), move || copy_all(&from, &into)).await
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, WorkspaceError> {
        match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => named(|| format!("reading {}", path.display()), other.map(Some)),
        }
    }

    async fn ports(&self, count: usize) -> Result<Vec<u16>, WorkspaceError> {
        // All are held until the last is found, so that no two are the same.
        let held: io::Result<Vec<_>> = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect();
        let held = named(|| "looking for free ports".to_owned(), held)?;
        let numbers: io::Result<Vec<_>> = held.iter().map(|l| l.local_addr().map(|a| a.port())).collect();
        named(|| "looking for free ports".to_owned(), numbers)
    }

    fn random(&self) -> u64 {
        // Keyed from the system's randomness at every construction.
        RandomState::new().build_hasher().finish()
    }
}

/// Removes a tree in which folders may have been made read-only.
fn remove_stubborn(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => {
            open_folders(path)?;
            fs::remove_dir_all(path)
        }
    }
}

fn open_folders(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if fs::symlink_metadata(path)?.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(path)? {
            open_folders(&entry?.path())?;
        }
    }
    Ok(())
}

/// Copies a file, link or folder with its permissions. `fs::copy` shares blocks where it can.
fn copy_all(from: &Path, into: &Path) -> io::Result<()> {
    let kind = match fs::symlink_metadata(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if let Some(parent) = into.parent() {
        fs::create_dir_all(parent)?;
    }
    if kind.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from)?, into)
    } else if kind.is_dir() {
        fs::create_dir_all(into)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_all(&entry.path(), &into.join(entry.file_name()))?;
        }
        fs::set_permissions(into, kind.permissions())
    } else {
        fs::copy(from, into).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn carried_folders_keep_links_and_modes_and_a_missing_one_is_nothing() {
        let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(from.path().join("lib/deep")).unwrap();
        fs::write(from.path().join("lib/deep/file"), "x").unwrap();
        std::os::unix::fs::symlink("deep/file", from.path().join("lib/link")).unwrap();
        LocalWorkspace.carry("lib", from.path(), into.path()).await.unwrap();
        assert_eq!(fs::read_to_string(into.path().join("lib/link")).unwrap(), "x");
        LocalWorkspace.carry("absent", from.path(), into.path()).await.unwrap();
    }

    #[tokio::test]
    async fn ports_differ_and_random_numbers_do_too() {
        let ports = LocalWorkspace.ports(8).await.unwrap();
        let unique: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(unique.len(), 8);
        assert_ne!(LocalWorkspace.random(), LocalWorkspace.random());
    }

    #[tokio::test]
    async fn a_tree_with_closed_folders_is_removed() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let closed = place.path().join("a/b");
        fs::create_dir_all(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
        LocalWorkspace.remove(&place.path().join("a")).await.unwrap();
        assert!(!place.path().join("a").exists());
    }
}
