//! Sealed files: known by their stamps, and read again only where those changed.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::LazyLock;

use super::{Mark, Seal, Stamp};
use crate::adapters::process;

/// Keyed by this process, so that nobody can find other bytes with the same digest.
static DIGESTS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The digest of bytes, or of why there are none.
pub fn digest(bytes: &Result<Option<Vec<u8>>, String>) -> u64 {
    DIGESTS.hash_one(bytes)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec()))
}

fn mark(tree: &Path, path: &str) -> Mark {
    // The stamp first: what changes in between is read again the next time.
    let stamp = stamp(&tree.join(path));
    let held = match fs::read_link(tree.join(path)) {
        Ok(to) => Ok(Some(to.into_os_string().into_encoded_bytes())),
        Err(_) => process::read_inside(tree, path).map_err(|why| why.to_string()),
    };
    Mark { stamp, digest: digest(&held) }
}

/// Seals these files.
pub fn seal(tree: &Path, paths: &[String]) -> Seal {
    Seal { marks: paths.iter().map(|path| (path.clone(), mark(tree, path))).collect() }
}

/// Those that are others now; who has only another stamp has that from now on.
pub fn broken(tree: &Path, seal: &mut Seal) -> Vec<String> {
    let mut found = Vec::new();
    for (path, known) in &mut seal.marks {
        if stamp(&tree.join(path)) == known.stamp {
            continue;
        }
        let now = mark(tree, path);
        if now.digest == known.digest {
            *known = now;
        } else {
            found.push(path.clone());
        }
    }
    found
}

/// What stands in a folder.
pub fn names(tree: &Path, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(tree.join(folder)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.map(|name| if folder.is_empty() { name } else { format!("{folder}/{name}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_is_broken_by_other_bytes_whatever_its_times_say_and_by_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let tree = place.path();
        for name in ["kept", "same", "other", "gone", "linked"] {
            fs::write(tree.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("kept", tree.join("link")).unwrap();
        let paths = ["kept", "same", "other", "gone", "linked", "link", "new"].map(str::to_owned);
        let mut seal = seal(tree, &paths);
        assert_eq!(broken(tree, &mut seal), [""; 0]);
        let before = fs::metadata(tree.join("other")).unwrap().modified().unwrap();
        fs::write(tree.join("same"), "same").unwrap();
        fs::write(tree.join("other"), "OTHER").unwrap();
        fs::File::options().write(true).open(tree.join("other")).unwrap().set_modified(before).unwrap();
        fs::remove_file(tree.join("gone")).unwrap();
        fs::remove_file(tree.join("linked")).unwrap();
        std::os::unix::fs::symlink("kept", tree.join("linked")).unwrap();
        fs::remove_file(tree.join("link")).unwrap();
        std::os::unix::fs::symlink("same", tree.join("link")).unwrap();
        fs::write(tree.join("new"), "x").unwrap();
        let found = ["gone", "link", "linked", "new", "other"];
        assert_eq!(broken(tree, &mut seal), found);
        assert_eq!(broken(tree, &mut seal), found, "it stays broken");
        assert_eq!(names(tree, "no-folder"), [""; 0]);
    }
}
