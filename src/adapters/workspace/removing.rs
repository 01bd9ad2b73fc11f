//! Removing trees: by several threads, without following links, also where folders were closed.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::crew;

/// So many folders are enough to keep all threads busy.
const ENOUGH: usize = 64;

/// Removes a file or a tree; says nothing when it is not there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return gone(fs::remove_file(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    // Whatever several threads can't remove is left to one, which opens what is closed.
    let parts = parts(path);
    drop(crew::work(parts, |part, _| {
        drop(fs::remove_dir_all(part));
        Ok(())
    }));
    match gone(fs::remove_dir_all(path)) {
        Ok(()) => Ok(()),
        Err(_) => {
            open_folders(path)?;
            gone(fs::remove_dir_all(path))
        }
    }
}

/// Folders below this one that can be removed side by side: those of the first level that has enough.
fn parts(path: &Path) -> Vec<PathBuf> {
    let mut level = vec![path.to_owned()];
    loop {
        let below: Vec<PathBuf> = level.iter().flat_map(|folder| folders(folder)).collect();
        if below.is_empty() {
            return Vec::new();
        }
        if below.len() >= ENOUGH {
            return below;
        }
        level = below;
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    // A link to a folder is none.
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn open_folders(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(path)? {
            open_folders(&entry?.path())?;
        }
    }
    Ok(())
}
