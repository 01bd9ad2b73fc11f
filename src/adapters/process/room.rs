//! What is left of the file system that a path is on: programs that could not write often do not say why.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// With less than this many bytes left, what could not be written is taken to have had no room.
const LITTLE: u64 = 64 << 20;
/// The same in files.
const FEW: u64 = 64;

/// That the file system of a path is full, in the system's words and with its place, where next to nothing is left of
/// it. A path that is not there counts as where it would be.
pub fn full(path: &Path) -> Option<String> {
    let there = path.ancestors().find(|path| path.exists())?.canonicalize().ok()?;
    let of = rustix::fs::statvfs(&there).ok()?;
    let (free, size) = (of.f_bavail.saturating_mul(of.f_frsize), of.f_blocks.saturating_mul(of.f_frsize));
    let place = mounted_at(&there);
    // Some tell no sizes at all.
    if size > 0 && free < LITTLE {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let place = place.display();
        return Some(format!(
            "No space left on device: the file system at {place} has {:.1} of {:.1} MB left",
            mb(free),
            mb(size)
        ));
    }
    (of.f_files > 0 && of.f_favail < FEW).then(|| {
        format!(
            "No space left on device: the file system at {} has room for {} more files",
            place.display(),
            of.f_favail
        )
    })
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
        assert_eq!(full(&here.join("no/such/folder")), None);
        assert!(here.starts_with(mounted_at(here)));
    }
}
