//! Copying folders with many files: by several threads, with permissions and times, and never over
//! or through what is there already.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use super::crew::{self, Queue};

/// Entries of a folder that one thread takes at a time.
const BATCH: usize = 64;

/// What is copied where.
#[derive(Debug, Clone)]
pub(super) struct Copying<'a> {
    /// The tree that it is copied out of.
    pub from: &'a Path,
    /// The tree that it is copied into.
    pub into: &'a Path,
    /// Paths of files, relative to both trees, that are left out.
    pub without: BTreeSet<PathBuf>,
}

/// A folder whose entries are to be copied, or some entries of one; paths relative to both trees.
enum Job {
    Folder(PathBuf),
    Entries(Vec<PathBuf>),
}

/// A copied folder that gets its permissions once it is filled.
type Made = (PathBuf, Metadata);

impl Copying<'_> {
    /// Copies a file, link or folder by its path in the tree; nothing where there is none. What is in
    /// the other tree already stays, and nothing is written behind a link of that tree.
    pub fn run(&self, path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        if absent(&self.from.join(path))? || !self.make_way(parent)? {
            return Ok(());
        }
        let made = crew::work(vec![Job::Entries(vec![path.to_owned()])], |job, queue| self.job(job, queue))?;
        let mut made: Vec<Made> = made.into_iter().flatten().collect();
        // Deepest first: a folder may become one in which nothing can be changed any more.
        made.sort_by_key(|(path, _)| std::cmp::Reverse(path.components().count()));
        for (path, like) in made {
            let place = self.into.join(path);
            fs::set_permissions(&place, like.permissions())?;
            keep_times(&place, &like)?;
        }
        Ok(())
    }

    /// Makes the folders above; false where a link or a file of the tree is in the way.
    fn make_way(&self, parent: &Path) -> io::Result<bool> {
        let mut at = self.into.to_owned();
        fs::create_dir_all(&at)?;
        for part in parent.components() {
            at.push(part);
            match fs::symlink_metadata(&at) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == ErrorKind::NotFound => fs::create_dir(&at)?,
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn job(&self, job: Job, queue: &Queue<Job>) -> io::Result<Vec<Made>> {
        match job {
            Job::Folder(folder) => {
                let mut batch = Vec::new();
                for entry in fs::read_dir(self.from.join(&folder)).map_err(|e| named(e, &folder))? {
                    batch.push(folder.join(entry?.file_name()));
                    if batch.len() == BATCH {
                        queue.add(Job::Entries(std::mem::take(&mut batch)));
                    }
                }
                queue.add(Job::Entries(batch));
                Ok(Vec::new())
            }
            Job::Entries(entries) => {
                let mut made = Vec::new();
                for path in entries {
                    made.extend(self.entry(&path, queue).map_err(|error| named(error, &path))?);
                }
                Ok(made)
            }
        }
    }

    fn entry(&self, path: &Path, queue: &Queue<Job>) -> io::Result<Option<Made>> {
        let (from, into) = (self.from.join(path), self.into.join(path));
        // What went away meanwhile is not there, and pipes and sockets are not carried.
        let found = match fs::symlink_metadata(&from) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let there = fs::symlink_metadata(&into).ok();
        if found.is_dir() {
            return match there {
                Some(there) if !there.is_dir() => Ok(None),
                Some(_) => {
                    queue.add(Job::Folder(path.to_owned()));
                    Ok(None)
                }
                None => {
                    DirBuilder::new().mode(0o700).create(&into)?;
                    queue.add(Job::Folder(path.to_owned()));
                    Ok(Some((path.to_owned(), found)))
                }
            };
        }
        // A `.git` that is no folder leads to the user's own repository, such as a submodule's.
        let leads = path.file_name().is_some_and(|name| name == ".git");
        if there.is_some() || leads || self.without.contains(path) {
            return Ok(None);
        }
        if found.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &into)?;
        } else if found.is_file() {
            // Shares blocks where the filesystem can.
            match fs::copy(&from, &into) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                other => other?,
            };
        } else {
            return Ok(None);
        }
        keep_times(&into, &found)?;
        Ok(None)
    }
}

fn absent(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(true),
        other => other.map(|_| false),
    }
}

fn named(error: io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Programs that build decide by times what is new.
fn keep_times(path: &Path, like: &Metadata) -> io::Result<()> {
    let time = |seconds: i64, nanos: i64| Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps {
        last_access: time(like.atime(), like.atime_nsec()),
        last_modification: time(like.mtime(), like.mtime_nsec()),
    };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Gives every file of `into` that is the same in `from` the time that it has there; not below the folders
/// `without`.
pub fn same_times(from: &Path, into: &Path, without: &BTreeSet<PathBuf>) -> io::Result<()> {
    let compare = |folder: PathBuf, queue: &Queue<PathBuf>| -> io::Result<()> {
        for entry in fs::read_dir(into.join(&folder))? {
            let path = folder.join(entry?.file_name());
            let (new, old) = (into.join(&path), from.join(&path));
            let found = fs::symlink_metadata(&new)?;
            if found.is_dir() && !without.contains(&path) {
                queue.add(path);
                continue;
            }
            let Ok(known) = fs::symlink_metadata(&old) else { continue };
            let alike = found.is_file() && known.is_file() && found.len() == known.len();
            if alike && fs::read(&new)? == fs::read(&old)? {
                keep_times(&new, &known)?;
            }
        }
        Ok(())
    };
    crew::work(vec![PathBuf::new()], compare).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn write(place: &Path, text: &str) {
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }

    fn copy(from: &Path, into: &Path, path: &str, without: &[&str]) {
        let without = without.iter().map(PathBuf::from).collect();
        Copying { from, into, without }.run(Path::new(path)).unwrap();
    }

    #[test]
    fn a_folder_is_copied_with_links_modes_and_times_and_without_pipes() {
        let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, into) = (from.path(), into.path());
        for n in 0..200 {
            write(&from.join(format!("lib/deep/{}/f{n}", n % 7)), &n.to_string());
        }
        symlink("deep/1/f1", from.join("lib/link")).unwrap();
        symlink("/nowhere", from.join("lib/dangling")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(from.join("lib/pipe")).status().unwrap();
        assert!(made.success());
        fs::set_permissions(from.join("lib/deep/0"), Permissions::from_mode(0o555)).unwrap();
        fs::set_permissions(from.join("lib/deep/1/f1"), Permissions::from_mode(0o750)).unwrap();
        copy(from, into, "lib/", &[]);
        let of = |place: &Path| fs::symlink_metadata(place).unwrap();
        for path in ["lib/deep/0", "lib/deep/1/f1", "lib/deep/6/f6"] {
            let (a, b) = (of(&from.join(path)), of(&into.join(path)));
            assert_eq!((a.mode(), a.mtime(), a.mtime_nsec()), (b.mode(), b.mtime(), b.mtime_nsec()), "{path}");
        }
        assert_eq!(fs::read_to_string(into.join("lib/link")).unwrap(), "1");
        assert_eq!(fs::read_link(into.join("lib/dangling")).unwrap(), Path::new("/nowhere"));
        assert!(!into.join("lib/pipe").exists());
        assert_eq!(fs::read_dir(into.join("lib/deep/3")).unwrap().count(), 200 / 7 + 1);
    }

    #[test]
    fn what_the_tree_has_stays_as_it_has_it_and_what_is_left_out_does_not_come() {
        let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, into) = (from.path(), into.path());
        write(&from.join("d/tracked"), "mine");
        write(&from.join("d/removed"), "mine");
        write(&from.join("d/own"), "mine");
        write(&into.join("d/tracked"), "theirs");
        copy(from, into, "d", &["d/tracked", "d/removed"]);
        assert_eq!(fs::read_to_string(into.join("d/tracked")).unwrap(), "theirs");
        assert_eq!(fs::read_to_string(into.join("d/own")).unwrap(), "mine");
        assert!(!into.join("d/removed").exists());
        copy(from, into, "absent", &[]);
        copy(from, into, "d/own/absent", &[]);
    }

    #[test]
    fn nothing_is_written_behind_a_link_of_the_tree() {
        let (from, into, other) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(&from.path().join("a/b/file"), "x");
        write(&from.path().join("c/file"), "x");
        symlink(other.path(), into.path().join("a")).unwrap();
        symlink(other.path(), into.path().join("c")).unwrap();
        copy(from.path(), into.path(), "a/b", &[]);
        copy(from.path(), into.path(), "c", &[]);
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_is_the_same_gets_its_time_and_a_changed_one_keeps_its_own() {
        let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let old = Timespec { tv_sec: 1_000_000_000, tv_nsec: 7 };
        let times = Timestamps { last_access: old, last_modification: old };
        for (path, text) in [("src/same", "a"), ("src/changed", "b"), ("target/out", "c")] {
            write(&from.path().join(path), text);
            write(&into.path().join(path), if path == "src/changed" { "B" } else { text });
            rustix::fs::utimensat(CWD, from.path().join(path), &times, AtFlags::empty()).unwrap();
        }
        same_times(from.path(), into.path(), &BTreeSet::from([PathBuf::from("target")])).unwrap();
        let time = |path: &str| fs::metadata(into.path().join(path)).unwrap().mtime();
        assert_eq!(time("src/same"), old.tv_sec);
        assert!(time("src/changed") > old.tv_sec && time("target/out") > old.tv_sec);
    }
}
