//! The workspace on this machine.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use async_trait::async_trait;

use super::{Footing, Workspace, WorkspaceError};

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

    async fn footing(&self, path: &Path) -> Result<Footing, WorkspaceError> {
        named(|| format!("looking at {}", path.display()), stand(path))
    }

    async fn replaced(&self, path: &Path, known: &Footing) -> Option<&'static str> {
        let gone = || Some("was removed");
        match (stand(path), fs::symlink_metadata(path)) {
            (Ok(now), _) if now == *known => None,
            (Ok(now), _) if (now.device, now.inode) != (known.device, known.inode) => {
                Some("was replaced by another directory")
            }
            (Ok(_), _) => Some("has another `.git` than it had"),
            (Err(_), Ok(found)) if found.is_symlink() => Some("was replaced by a link"),
            (Err(_), Ok(_)) => Some("was replaced by a file"),
            (Err(_), Err(_)) => gone(),
        }
    }

    async fn unlink_detours(&self, root: &Path, path: &Path) -> Result<(), WorkspaceError> {
        let Ok(below) = path.strip_prefix(root) else { return Ok(()) };
        let mut at = root.to_owned();
        for part in std::iter::once(None).chain(below.iter().map(Some)) {
            at.extend(part);
            if fs::symlink_metadata(&at).is_ok_and(|found| found.is_symlink()) {
                return named(|| format!("removing the link {}", at.display()), fs::remove_file(&at));
            }
        }
        Ok(())
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

/// What a directory is known by; an error where there is none, or a link to one.
fn stand(path: &Path) -> io::Result<Footing> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let git = path.join(".git");
    // A file of its own: one that a link leads to says nothing, and a repository of one's own is no worktree.
    let gitfile = match fs::symlink_metadata(&git) {
        Ok(file) if file.is_file() && file.len() < GITFILE_LIMIT => fs::read(&git).ok(),
        _ => None,
    };
    Ok(Footing { device: found.dev(), inode: found.ino(), gitfile })
}

/// The longest `.git` file that is one: a path and a few letters.
const GITFILE_LIMIT: u64 = 1 << 16;

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
    async fn a_directory_is_not_taken_for_what_stands_in_its_place_later() {
        let place = tempfile::tempdir().unwrap();
        let (work, aside) = (place.path().join("work"), place.path().join("aside"));
        fs::create_dir(&work).unwrap();
        fs::write(work.join(".git"), "gitdir: /a\n").unwrap();
        let known = LocalWorkspace.footing(&work).await.unwrap();
        assert_eq!(LocalWorkspace.replaced(&work, &known).await, None);
        fs::write(work.join(".git"), "gitdir: /b\n").unwrap();
        assert_eq!(LocalWorkspace.replaced(&work, &known).await, Some("has another `.git` than it had"));
        fs::rename(&work, &aside).unwrap();
        assert_eq!(LocalWorkspace.replaced(&work, &known).await, Some("was removed"));
        fs::create_dir(&work).unwrap();
        assert_eq!(LocalWorkspace.replaced(&work, &known).await, Some("was replaced by another directory"));
        fs::remove_dir(&work).unwrap();
        std::os::unix::fs::symlink(&aside, &work).unwrap();
        assert_eq!(LocalWorkspace.replaced(&work, &known).await, Some("was replaced by a link"));
        assert!(LocalWorkspace.footing(&work).await.is_err());
    }

    #[tokio::test]
    async fn nothing_behind_a_link_is_removed_wherever_the_link_stands() {
        for replaced in ["run", "run/a", "run/a/work"] {
            let place = tempfile::tempdir().unwrap();
            let root = place.path().join("run");
            let precious = place.path().join("precious");
            for folder in ["a/work", "work", "sub"] {
                fs::create_dir_all(precious.join(folder)).unwrap();
                fs::write(precious.join(folder).join("file"), "x").unwrap();
            }
            let target = root.join("a/work");
            fs::create_dir_all(&target).unwrap();
            let link = place.path().join(replaced);
            fs::remove_dir_all(&link).unwrap();
            std::os::unix::fs::symlink(&precious, &link).unwrap();
            LocalWorkspace.unlink_detours(&root, &target).await.unwrap();
            LocalWorkspace.remove(&target).await.unwrap();
            assert!(!link.is_symlink(), "{replaced}");
            for folder in ["a/work", "work", "sub"] {
                assert!(precious.join(folder).join("file").exists(), "{replaced}: {folder}");
            }
        }
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
