//! Files through which programs hand results to us: private when made, read without trust.
//!
//! The program on the other side may be a candidate's code. What it leaves may be a link, a
//! pipe or far too large; none of that may reach another file, hang us or fill the memory.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use tempfile::TempDir;

use super::secret::secret;

/// A report longer than this is refused.
pub(crate) const REPORT_LIMIT: u64 = 64 << 20;

/// How its directories are called, before a random number in hexadecimal digits.
pub const PREFIX: &str = "x-";
const NAME_BITS: usize = 64;
/// Paths of sockets, which are made in directories for temporary files, are short.
const SHORT_BITS: usize = 32;

/// One file in a directory of its own, both gone when this is dropped.
#[derive(Debug)]
pub struct Exchange {
    dir: TempDir,
    file: PathBuf,
}

impl Exchange {
    /// A directory under `scratch` with mode 0700; the file is not there yet, its writer makes it.
    pub fn new(scratch: &Path, name: &str) -> io::Result<Self> {
        let dir = private(scratch, NAME_BITS)?;
        let file = dir.path().join(name);
        Ok(Self { dir, file })
    }

    /// As `new`, with the file made and empty.
    pub fn empty(scratch: &Path, name: &str) -> io::Result<Self> {
        let made = Self::new(scratch, name)?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&made.file)?;
        let owner = std::fs::metadata(made.dir.path())?;
        if std::fs::metadata(&made.file)?.uid() != owner.uid() {
            std::os::unix::fs::chown(&made.file, Some(owner.uid()), Some(owner.gid()))?;
        }
        Ok(made)
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// The file's path as an argument or a variable.
    pub fn shown(&self) -> String {
        self.file.display().to_string()
    }

    /// The file's content, or `None` where it was never made.
    pub fn read(&self) -> io::Result<Option<Vec<u8>>> {
        self.read_from(0)
    }

    /// The file's content from a byte on.
    pub(crate) fn read_from(&self, start: u64) -> io::Result<Option<Vec<u8>>> {
        read_untrusted(&self.file, start)
    }
}

/// A directory for temporary files beside the one that is there for them, both in a folder of their own: empty, and
/// gone with all that is in it when this is dropped.
pub(crate) fn temporary_beside(usual: &Path) -> io::Result<TempDir> {
    let folder = usual.parent().ok_or_else(|| io::Error::other("it is in no folder"))?;
    private(folder, SHORT_BITS)
}

/// A directory in this one that nobody else can look into, with a random name.
fn private(parent: &Path, bits: usize) -> io::Result<TempDir> {
    // As the umask has it, others could look in.
    let private = Permissions::from_mode(0o700);
    // Nobody who was there before can know the name.
    let name = format!("{PREFIX}{}", secret(bits)?);
    let dir = tempfile::Builder::new().prefix(&name).rand_bytes(0).permissions(private).tempdir_in(parent)?;
    // The trial's programs may run as another user than we do: who owns the directory must be able to write here.
    let (owner, ours) = (std::fs::metadata(parent)?, std::fs::metadata(dir.path())?);
    if (owner.uid(), owner.gid()) != (ours.uid(), ours.gid()) {
        std::os::unix::fs::chown(dir.path(), Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(dir)
}

/// Reads a file that somebody else wrote, from a byte on; `None` where there is none. Anything
/// but a regular file is refused, and so is more than [`REPORT_LIMIT`].
pub(crate) fn read_untrusted(path: &Path, start: u64) -> io::Result<Option<Vec<u8>>> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    file.seek(SeekFrom::Start(start))?;
    read_limited(file).map(Some)
}

/// Reads a file of somebody else's tree by its path in there, as [`read_untrusted`] does; a link on the
/// way is refused, so that nothing outside of the tree is read.
pub(crate) fn read_inside(tree: &Path, path: &str) -> io::Result<Option<Vec<u8>>> {
    let mut at = tree.to_owned();
    for part in Path::new(path).components() {
        let Component::Normal(part) = part else {
            return Err(io::Error::other("the path leads out of the tree"));
        };
        at.push(part);
        match at.symlink_metadata() {
            Ok(found) if found.is_symlink() => return Err(io::Error::other("a link is on the way to it")),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    read_untrusted(&at, 0)
}

fn read_limited(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(REPORT_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > REPORT_LIMIT {
        return Err(io::Error::other("longer than 64 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_may_look_into_its_directory() {
        let scratch = tempfile::tempdir().unwrap();
        let exchange = Exchange::empty(scratch.path(), "report").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(exchange.path().parent().unwrap()), mode(exchange.path())), (0o700, 0o600));
    }

    #[test]
    fn a_file_that_was_never_written_is_nothing_and_an_empty_one_is_empty() {
        let scratch = tempfile::tempdir().unwrap();
        assert_eq!(Exchange::new(scratch.path(), "r").unwrap().read().unwrap(), None);
        assert_eq!(Exchange::empty(scratch.path(), "r").unwrap().read().unwrap(), Some(vec![]));
    }

    #[test]
    fn a_link_or_a_pipe_in_the_place_of_a_report_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let link = Exchange::new(scratch.path(), "r").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", link.path()).unwrap();
        link.read().unwrap_err();
        let pipe = Exchange::new(scratch.path(), "r").unwrap();
        let made = std::process::Command::new("mkfifo").arg(pipe.path()).status().unwrap();
        assert!(made.success());
        assert_eq!(pipe.read().unwrap_err().to_string(), "not a regular file");
    }

    #[test]
    fn nothing_outside_of_a_tree_is_read_by_a_path_inside() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("a")).unwrap();
        std::fs::write(tree.path().join("a/b"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", tree.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("a/b", tree.path().join("link")).unwrap();
        assert_eq!(read_inside(tree.path(), "a/b").unwrap(), Some(b"x".to_vec()));
        assert_eq!(read_inside(tree.path(), "a/c/d").unwrap(), None);
        for path in ["etc/hostname", "link", "../x", "/etc/hostname", "a"] {
            read_inside(tree.path(), path).unwrap_err();
        }
    }

    #[test]
    fn no_name_is_used_twice() {
        let scratch = tempfile::tempdir().unwrap();
        let made: Vec<_> = (0..20).map(|_| Exchange::new(scratch.path(), "r").unwrap()).collect();
        let mut names: Vec<_> = made.iter().map(Exchange::shown).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 20);
        let folder = made[0].path().parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        assert!(folder.starts_with(PREFIX) && folder.len() == PREFIX.len() + 16, "{folder}");
    }

    #[test]
    fn nothing_is_left_in_the_scratch_directory() {
        let scratch = tempfile::tempdir().unwrap();
        drop(Exchange::empty(scratch.path(), "r").unwrap());
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}
