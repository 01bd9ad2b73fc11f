//! Copies of files and trees that share their blocks where the filesystem can.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::place::give;
use crate::adapters::process::User;

/// Copies one file into a new one: by reference where the filesystem can, else byte by byte.
pub fn file(from: &Path, into: &Path) -> io::Result<()> {
    let mut source = fs::File::open(from)?;
    let mode = source.metadata()?.mode() & 0o777;
    let mut made = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(into)?;
    if rustix::fs::ioctl_ficlone(&made, &source).is_err() {
        io::copy(&mut source, &mut made)?;
    }
    Ok(())
}

/// Copies a tree of plain files and directories, and gives it to a user. One file after the other:
/// most of the time goes into making files, which threads only wait for each other to do.
pub fn tree(from: &Path, into: &Path, owner: Option<User>) -> io::Result<()> {
    fs::DirBuilder::new().mode(fs::metadata(from)?.mode() & 0o777).create(into)?;
    give(into, owner)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = into.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            tree(&entry.path(), &target, owner)?;
        } else if kind.is_file() {
            file(&entry.path(), &target)?;
            give(&target, owner)?;
        } else {
            return Err(io::Error::other(format!("{} is neither file nor directory", entry.path().display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_tree_is_copied_with_its_modes_and_never_over_another() {
        let home = tempfile::tempdir().unwrap();
        let (from, into) = (home.path().join("from"), home.path().join("into"));
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::write(from.join("a/b/c"), vec![7; 100_000]).unwrap();
        fs::set_permissions(from.join("a/b/c"), fs::Permissions::from_mode(0o640)).unwrap();
        tree(&from, &into, None).unwrap();
        assert_eq!(fs::read(into.join("a/b/c")).unwrap(), vec![7; 100_000]);
        assert_eq!(fs::metadata(into.join("a/b/c")).unwrap().mode() & 0o777, 0o640);
        tree(&from, &into, None).unwrap_err();
    }

    #[test]
    fn a_link_in_a_tree_is_refused() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("from")).unwrap();
        std::os::unix::fs::symlink("/etc", home.path().join("from/link")).unwrap();
        tree(&home.path().join("from"), &home.path().join("into"), None).unwrap_err();
    }
}
