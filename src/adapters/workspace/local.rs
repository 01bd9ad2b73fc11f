//! The workspace on this machine.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::copying::{self, Copying};
use super::{Carry, Footing, Looked, Seal, Workspace, WorkspaceError, removing, sealing};
use crate::adapters::process::{self, Left, Redactor};

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
        blocking(format!("removing {}", path.display()), move || removing::remove(&owned)).await
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

    async fn put_aside(&self, path: &Path, aside: &Path) -> Result<(), WorkspaceError> {
        match fs::rename(path, aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => named(|| format!("putting {} aside", path.display()), other),
        }
    }

    async fn carry(&self, order: &Carry<'_>) -> Result<(), WorkspaceError> {
        let path = PathBuf::from(order.path.trim_end_matches('/'));
        let (from, into) = (order.from.to_owned(), order.into.to_owned());
        let without = order.without.iter().filter(|file| file.starts_with(&path)).cloned().collect();
        blocking(format!("carrying {} into {}", order.path, into.display()), move || {
            Copying { from: &from, into: &into, without }.run(&path)
        })
        .await
    }

    async fn same_times(&self, from: &Path, into: &Path, without: &[String]) -> Result<(), WorkspaceError> {
        let (from, into) = (from.to_owned(), into.to_owned());
        let without = without.iter().map(|path| PathBuf::from(path.trim_end_matches('/'))).collect();
        blocking(format!("comparing {}", into.display()), move || copying::same_times(&from, &into, &without)).await
    }

    async fn keep(&self, file: &Path, into: &Path, redactor: &Redactor) -> Result<bool, WorkspaceError> {
        let (file, into, redactor) = (file.to_owned(), into.to_owned(), redactor.clone());
        blocking(format!("keeping {}", file.display()), move || keep(&file, &into, &redactor)).await
    }

    async fn look(&self, tree: &Path, path: &str) -> Looked {
        let bytes = process::read_inside(tree, path).unwrap_or_else(|why| Some(why.to_string().into_bytes()));
        let changed = fs::symlink_metadata(tree.join(path)).ok().and_then(|found| {
            let (seconds, nanos) = (u64::try_from(found.ctime()).ok()?, u32::try_from(found.ctime_nsec()).ok()?);
            Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos))
        });
        Looked { bytes, changed }
    }

    async fn seal(&self, tree: &Path, paths: &[String]) -> Seal {
        let (tree, paths) = (tree.to_owned(), paths.to_vec());
        tokio::task::spawn_blocking(move || sealing::seal(&tree, &paths)).await.unwrap_or_default()
    }

    async fn broken(&self, tree: &Path, seal: &mut Seal) -> Vec<String> {
        sealing::broken(tree, seal)
    }

    async fn names(&self, tree: &Path, folder: &str) -> Vec<String> {
        sealing::names(tree, folder)
    }

    async fn put_back(&self, tree: &Path, path: &str, bytes: &[u8]) -> Result<(), WorkspaceError> {
        let write = || {
            // Every folder on the way, too, must be one: reading refuses what is behind a link.
            process::read_inside(tree, path)?;
            let mut options = fs::OpenOptions::new();
            let file = options.write(true).custom_flags(libc::O_NOFOLLOW).open(tree.join(path));
            let mut file = file?;
            file.set_len(0)?;
            file.write_all(bytes)
        };
        named(|| format!("putting {path} back"), write())
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

    fn full(&self, path: &Path, left: Left) -> Option<String> {
        process::full(path, left)
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

/// Adds what a program of a trial left in a file to one of ours; links and whatever is no file are not followed.
fn keep(file: &Path, into: &Path, redactor: &Redactor) -> io::Result<bool> {
    let Some(bytes) = process::read_untrusted(file, 0)?.filter(|bytes| !bytes.is_empty()) else { return Ok(false) };
    if let Some(folder) = into.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut kept = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(into)?;
    kept.write_all(&redactor.clean(&bytes, bytes.len()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::wire::Secret;

    #[tokio::test]
    async fn what_a_trial_left_is_kept_privately_and_a_link_in_its_place_is_not_followed() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let (log, kept) = (place.path().join("tests.log"), place.path().join("logs/r/a.log"));
        let redactor = Redactor::new([&Secret::new("dummy-key-0123")]);
        assert!(!LocalWorkspace.keep(&log, &kept, &redactor).await.unwrap());
        for _ in 0..2 {
            fs::write(&log, "one dummy-key-0123\n").unwrap();
            assert!(LocalWorkspace.keep(&log, &kept, &redactor).await.unwrap());
        }
        assert_eq!(fs::read_to_string(&kept).unwrap(), "one [redacted]\none [redacted]\n");
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(&log).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &log).unwrap();
        LocalWorkspace.keep(&log, &kept, &redactor).await.unwrap_err();
    }

    #[tokio::test]
    async fn what_is_put_aside_is_gone_from_its_place_at_once() {
        let place = tempfile::tempdir().unwrap();
        let (dir, aside) = (place.path().join("a"), place.path().join("aside"));
        fs::create_dir_all(dir.join("b")).unwrap();
        LocalWorkspace.put_aside(&dir, &aside).await.unwrap();
        assert!(!dir.exists() && aside.join("b").exists());
        LocalWorkspace.put_aside(&dir, &aside).await.unwrap();
        LocalWorkspace.remove(&aside).await.unwrap();
        LocalWorkspace.remove(&aside).await.unwrap();
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
    async fn what_stands_in_a_tree_is_seen_with_the_time_of_its_last_change_and_nothing_behind_a_link() {
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        fs::create_dir(&tree).unwrap();
        fs::write(place.path().join("secret"), "s").unwrap();
        fs::write(tree.join("a"), "x").unwrap();
        std::os::unix::fs::symlink(place.path().join("secret"), tree.join("b")).unwrap();
        let before = LocalWorkspace.look(&tree, "a").await;
        assert_eq!(before.bytes, Some(b"x".to_vec()));
        tokio::time::sleep(Duration::from_millis(30)).await;
        let between = SystemTime::now();
        tokio::time::sleep(Duration::from_millis(30)).await;
        fs::write(tree.join("a"), "y").unwrap();
        let old = fs::File::open(tree.join("a")).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let after = LocalWorkspace.look(&tree, "a").await;
        assert_eq!(after.bytes, Some(b"y".to_vec()));
        assert!(before.changed.unwrap() < between && between < after.changed.unwrap());
        assert_ne!(LocalWorkspace.look(&tree, "b").await.bytes, Some(b"s".to_vec()));
        assert_eq!(LocalWorkspace.look(&tree, "c").await, Looked { bytes: None, changed: None });
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
