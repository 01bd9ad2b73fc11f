//! What is left of the file system that a path is on: programs that could not write often do not say why.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::command::Environment;

/// How little of a file system makes it full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Where something says that it could not write: less than a file of some size needs.
    Little,
    /// Where nothing says so: what is no room for anything.
    Nothing,
}

impl Left {
    /// In bytes and in files.
    const fn below(self) -> (u64, u64) {
        match self {
            Self::Little => (64 << 20, 64),
            Self::Nothing => (1 << 20, 8),
        }
    }
}

/// That the file system of a path is full, in the system's words and with its place, where no more than that is left
/// of it. A path that is not there counts as where it would be. One that nobody can write to is not full.
pub fn full(path: &Path, left: Left) -> Option<String> {
    let there = path.ancestors().find(|path| path.exists())?.canonicalize().ok()?;
    let of = rustix::fs::statvfs(&there).ok()?;
    if of.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return None;
    }
    let (bytes, files) = left.below();
    // Some keep a part for the superuser.
    let root = rustix::process::geteuid().is_root();
    let (blocks, free_files) = if root { (of.f_bfree, of.f_ffree) } else { (of.f_bavail, of.f_favail) };
    let (free, size) = (blocks.saturating_mul(of.f_frsize), of.f_blocks.saturating_mul(of.f_frsize));
    let place = mounted_at(&there);
    // Some tell no sizes at all.
    if size > 0 && free < bytes {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let place = place.display();
        return Some(format!(
            "No space left on device: the file system at {place} has {:.1} of {:.1} MB left",
            mb(free),
            mb(size)
        ));
    }
    (of.f_files > 0 && free_files < files).then(|| {
        format!("No space left on device: the file system at {} has room for {free_files} more files", place.display())
    })
}

/// Where a program of a lease that did not end well had no room: it is looked at at once, since what a program wrote is
/// often taken away with it.
pub(crate) fn lacked(env: &Environment, dir: &Path) -> Option<String> {
    env.get("BLUEPRINT_LEASE")?;
    let temporary = env.get("TMPDIR").map(Path::new);
    [Some(dir), temporary].into_iter().flatten().find_map(|place| full(place, Left::Nothing))
}

/// The topmost directory of the same file system.
fn mounted_at(path: &Path) -> PathBuf {
    let device = |path: &Path| path.metadata().map(|found| found.dev()).ok();
    let own = device(path);
    path.ancestors().take_while(|above| device(above) == own).last().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_with_room_is_not_full_and_a_path_that_is_not_there_is_on_one() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(full(&here.join("no/such/folder"), Left::Little), None);
        assert_eq!(full(Path::new("/proc"), Left::Little), None, "it tells no sizes");
        assert!(here.starts_with(mounted_at(here)));
    }
}
