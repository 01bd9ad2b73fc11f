//! The worktree as the tools may see it: paths inside of it and nothing else.
//!
//! Every part of a path is opened by itself, from the directory before it and without following a
//! link, so that nothing that is swapped in the meantime leads out. A file is written beside itself
//! and then put in its place: what another name of it holds stays as it was.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, fstat, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

/// A directory on the way.
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A file, which may turn out to be a pipe.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
/// A file that is not there yet.
const DRAFT: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A longer file is left to programs.
const LONGEST: u64 = 64 << 20;

/// A path below the tree's root without `.`, `..` and empty parts; empty for the root itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(String);

impl Place {
    /// As the plan spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For messages.
    pub fn shown(&self) -> &str {
        if self.0.is_empty() { "." } else { &self.0 }
    }
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A file's content.
    File(Vec<u8>),
    /// What a directory holds, sorted; directories end with a slash and links with `@`.
    Folder(Vec<String>),
}

/// A worktree.
pub struct Tree {
    path: PathBuf,
    real: PathBuf,
    root: OwnedFd,
}

impl Tree {
    /// Opens it.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let root = rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { path: path.to_owned(), real: path.canonicalize()?, root })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a path as a model writes it. One that starts at the root of the machine must lead here.
    pub fn place(&self, text: &str) -> Result<Place, String> {
        let outside =
            || format!("`{text}` is outside of the working directory; paths are relative to it, such as `src/main.rs`");
        let whole = Path::new(text);
        let inside = match whole.is_absolute() {
            true => {
                whole.strip_prefix(&self.path).or_else(|_| whole.strip_prefix(&self.real)).map_err(|_| outside())?
            }
            false => whole,
        };
        let inside = inside.to_str().ok_or_else(outside)?;
        let mut parts = Vec::new();
        for part in inside.split('/') {
            match part {
                "" | "." => {}
                ".." => return Err(outside()),
                _ if part.eq_ignore_ascii_case(".git") => return Err("`.git` is not part of the work".to_owned()),
                _ if part.contains('\0') => return Err("a path holds no zero byte".to_owned()),
                _ => parts.push(part),
            }
        }
        Ok(Place(parts.join("/")))
    }

    /// What is there; `None` where nothing is.
    pub fn read(&self, place: &Place) -> Result<Option<Found>, String> {
        if place.0.is_empty() {
            let root = openat(&self.root, ".", FOLDER, Mode::empty()).map_err(|errno| words(place, errno))?;
            return entries(&root).map(Found::Folder).map(Some).map_err(|errno| words(place, errno));
        }
        let Some((folder, name)) = self.parent(place, false)? else { return Ok(None) };
        let opened = match openat(&folder, name, FILE, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(refusal(place, &folder, name, errno)),
        };
        let found = fstat(&opened).map_err(|errno| words(place, errno))?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => entries(&opened).map(Found::Folder).map(Some).map_err(|errno| words(place, errno)),
            FileType::RegularFile => content(place, File::from(opened)).map(Found::File).map(Some),
            _ => Err(format!("`{}` is not a regular file", place.0)),
        }
    }

    /// Writes a file, whole or not at all; folders on the way are made. Its mode stays.
    pub fn write(&self, place: &Place, bytes: &[u8]) -> Result<(), String> {
        let parent = self.parent(place, true)?;
        let (folder, name) = parent.ok_or_else(|| format!("`{}` can't be made", place.shown()))?;
        let mode = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile => {
                Some(Mode::from_raw_mode(found.st_mode))
            }
            Ok(_) => return Err(refusal(place, &folder, name, Errno::INVAL)),
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(words(place, errno)),
        };
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let draft = format!(".blueprint-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let opened = openat(&folder, &draft, DRAFT, Mode::from_raw_mode(0o666)).map_err(|errno| words(place, errno))?;
        let mut file = File::from(opened);
        let moved = file
            .write_all(bytes)
            .and_then(|()| mode.map_or(Ok(()), |mode| Ok(fchmod(&file, mode)?)))
            .and_then(|()| Ok(renameat(&folder, &draft, &folder, name)?));
        moved.map_err(|error| {
            let _ = unlinkat(&folder, &draft, AtFlags::empty());
            format!("`{}` could not be written: {error}", place.0)
        })
    }

    /// Takes a file away, if it is there.
    pub fn remove(&self, place: &Place) -> Result<(), String> {
        let Some((folder, name)) = self.parent(place, false)? else { return Ok(()) };
        match unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(words(place, errno)),
        }
    }

    /// The directory that holds the last part of a path, and that part.
    fn parent<'p>(&self, place: &'p Place, make: bool) -> Result<Option<(OwnedFd, &'p str)>, String> {
        let (way, name) = place.0.rsplit_once('/').unwrap_or(("", &place.0));
        if name.is_empty() {
            return Err("this is the working directory itself; name a file in it".to_owned());
        }
        let mut at = self.root.try_clone().map_err(|error| error.to_string())?;
        for part in way.split('/').filter(|part| !part.is_empty()) {
            let mut next = openat(&at, part, FOLDER, Mode::empty());
            if make && next.as_ref().is_err_and(|errno| *errno == Errno::NOENT) {
                // Somebody may have made it in the meantime; what it is now is seen when it is opened.
                let _ = mkdirat(&at, part, Mode::from_raw_mode(0o777));
                next = openat(&at, part, FOLDER, Mode::empty());
            }
            at = match next {
                Ok(next) => next,
                Err(Errno::NOENT) => return Ok(None),
                Err(errno) => return Err(refusal(place, &at, part, errno)),
            };
        }
        Ok(Some((at, name)))
    }
}

fn words(place: &Place, errno: Errno) -> String {
    format!("`{}`: {}", place.shown(), std::io::Error::from(errno))
}

/// Why a part of a path could not be opened.
fn refusal(place: &Place, folder: &OwnedFd, part: &str, errno: Errno) -> String {
    let found = statat(folder, part, AtFlags::SYMLINK_NOFOLLOW).map(|found| FileType::from_raw_mode(found.st_mode));
    match found {
        Ok(FileType::Symlink) => {
            format!("`{}`: `{part}` is a symbolic link, and links are not followed; name what it leads to", place.0)
        }
        Ok(FileType::Directory) => format!("`{}` is a directory", place.0),
        Ok(FileType::RegularFile) if errno == Errno::NOTDIR => format!("`{}`: `{part}` is not a directory", place.0),
        Ok(FileType::RegularFile) | Err(_) => words(place, errno),
        Ok(_) => format!("`{}` is not a regular file", place.0),
    }
}

fn content(place: &Place, file: File) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| format!("`{}`: {error}", place.0))?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("`{}` is longer than 64 MiB; use `run` to look at parts of it", place.0));
    }
    Ok(bytes)
}

fn entries(folder: &OwnedFd) -> rustix::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        let mark = match entry.file_type() {
            FileType::Directory => "/",
            FileType::Symlink => "@",
            _ => "",
        };
        if ![".", "..", ".git"].contains(&&*name) {
            names.push(format!("{name}{mark}"));
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn tree() -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("work/a/b")).unwrap();
        std::fs::write(dir.path().join("work/a/b/x"), "inside").unwrap();
        std::fs::write(dir.path().join("secret"), "outside").unwrap();
        symlink("..", dir.path().join("work/up")).unwrap();
        symlink("../secret", dir.path().join("work/leak")).unwrap();
        symlink("a", dir.path().join("work/within")).unwrap();
        let tree = Tree::open(&dir.path().join("work")).unwrap();
        (dir, tree)
    }

    fn read(tree: &Tree, path: &str) -> Result<Option<Found>, String> {
        tree.read(&tree.place(path)?)
    }

    fn write(tree: &Tree, path: &str) -> Result<(), String> {
        tree.write(&tree.place(path)?, b"new")
    }

    #[test]
    fn a_path_is_read_as_models_write_it() {
        let (dir, tree) = tree();
        let absolute = dir.path().join("work/a/b/x").display().to_string();
        for path in ["a/b/x", "./a//b/x", &absolute] {
            assert_eq!(read(&tree, path).unwrap(), Some(Found::File(b"inside".to_vec())), "{path}");
        }
        let root = ["a/", "leak@", "up@", "within@"].map(str::to_owned).to_vec();
        assert_eq!(read(&tree, ".").unwrap(), Some(Found::Folder(root)));
        assert_eq!(read(&tree, "a").unwrap(), Some(Found::Folder(vec!["b/".to_owned()])));
        assert_eq!(read(&tree, "a/none/x").unwrap(), None);
    }

    #[test]
    fn nothing_outside_is_read_written_or_removed() {
        let (dir, tree) = tree();
        let beside = dir.path().join("secret").display().to_string();
        for path in [
            "../secret",
            "a/../../secret",
            "/etc/hostname",
            &beside,
            "up/secret",
            "leak",
            "within/b/x",
            ".git",
            "a/.GIT/x",
            "x\0",
        ] {
            read(&tree, path).unwrap_err();
            write(&tree, path).unwrap_err();
            if let Ok(place) = tree.place(path)
                && path != "leak"
            {
                tree.remove(&place).unwrap_err();
            }
        }
        assert_eq!(std::fs::read_to_string(dir.path().join("secret")).unwrap(), "outside");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        tree.remove(&tree.place("leak").unwrap()).unwrap();
        assert!(dir.path().join("secret").exists(), "the link goes, what it leads to stays");
    }

    #[test]
    fn what_is_wrong_with_a_path_is_said() {
        let (_dir, tree) = tree();
        let said = |path: &str| read(&tree, path).and(write(&tree, path)).unwrap_err();
        insta::assert_snapshot!([said("../x"), said("/x"), said("up/x"), said("a/b/x/y"), said("a"), said("."), said(".git/x")].join("\n"), @r"
        `../x` is outside of the working directory; paths are relative to it, such as `src/main.rs`
        `/x` is outside of the working directory; paths are relative to it, such as `src/main.rs`
        `up/x`: `up` is a symbolic link, and links are not followed; name what it leads to
        `a/b/x/y`: `x` is not a directory
        `a` is a directory
        this is the working directory itself; name a file in it
        `.git` is not part of the work
        ");
    }

    #[test]
    fn a_file_is_replaced_with_its_mode_and_what_another_name_of_it_holds_stays() {
        let (dir, tree) = tree();
        let file = dir.path().join("work/a/b/x");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o751)).unwrap();
        std::fs::hard_link(&file, dir.path().join("other")).unwrap();
        write(&tree, "a/b/x").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o751);
        assert_eq!(std::fs::read_to_string(dir.path().join("other")).unwrap(), "inside");
        write(&tree, "deep/er/new").unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join("work/deep/er")).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_pipe_does_not_hang_us() {
        let (dir, tree) = tree();
        let pipe = dir.path().join("work/pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(read(&tree, "pipe").unwrap_err(), "`pipe` is not a regular file");
        assert_eq!(write(&tree, "pipe").unwrap_err(), "`pipe` is not a regular file");
    }
}
