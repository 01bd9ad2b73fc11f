//! A disk: this machine's, or the one in memory that fakes share.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use blueprint::adapters::fake::{Disk, Entry};

/// Where files are.
pub enum World {
    /// A directory of this machine.
    Real(tempfile::TempDir),
    /// In memory.
    Fake(Disk),
}

impl World {
    pub fn real() -> Self {
        Self::Real(tempfile::tempdir().unwrap())
    }

    pub fn fake() -> Self {
        Self::Fake(Disk::default())
    }

    /// For messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Real(_) => "real",
            Self::Fake(_) => "fake",
        }
    }

    /// A folder of its own, that is there.
    pub fn root(&self) -> PathBuf {
        match self {
            Self::Real(dir) => dir.path().canonicalize().unwrap(),
            Self::Fake(disk) => {
                disk.folder("/world").unwrap();
                PathBuf::from("/world")
            }
        }
    }

    pub fn write(&self, path: &Path, text: &str) {
        match self {
            Self::Real(_) => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Self::Fake(disk) => disk.write(path, text).unwrap(),
        }
    }

    pub fn folder(&self, path: &Path) {
        match self {
            Self::Real(_) => std::fs::create_dir_all(path).unwrap(),
            Self::Fake(disk) => disk.folder(path).unwrap(),
        }
    }

    pub fn link(&self, path: &Path, to: &Path) {
        match self {
            Self::Real(_) => std::os::unix::fs::symlink(to, path).unwrap(),
            Self::Fake(disk) => disk.link(path, to).unwrap(),
        }
    }

    /// Removes a file, a link or a folder with all below it.
    pub fn remove(&self, path: &Path) {
        match self {
            Self::Real(_) if path.is_dir() && !path.is_symlink() => std::fs::remove_dir_all(path).unwrap(),
            Self::Real(_) => std::fs::remove_file(path).unwrap(),
            Self::Fake(disk) => disk.remove(path),
        }
    }

    pub fn read(&self, path: &Path) -> Option<String> {
        match self {
            Self::Real(_) => std::fs::read_to_string(path).ok(),
            Self::Fake(disk) => disk.read(path).map(|bytes| String::from_utf8(bytes).unwrap()),
        }
    }

    /// Whether anything stands there, a link that leads nowhere included.
    pub fn has(&self, path: &Path) -> bool {
        match self {
            Self::Real(_) => path.symlink_metadata().is_ok(),
            Self::Fake(disk) => disk.has(path),
        }
    }

    pub fn is_link(&self, path: &Path) -> bool {
        match self {
            Self::Real(_) => path.is_symlink(),
            Self::Fake(disk) => matches!(disk.node(path).map(|node| node.entry), Some(Entry::Link(_))),
        }
    }

    pub fn modified(&self, path: &Path) -> SystemTime {
        match self {
            Self::Real(_) => path.metadata().unwrap().modified().unwrap(),
            Self::Fake(disk) => disk.node(path).unwrap().modified,
        }
    }

    pub fn set_modified(&self, path: &Path, time: SystemTime) {
        match self {
            Self::Real(_) => std::fs::File::open(path).unwrap().set_modified(time).unwrap(),
            Self::Fake(disk) => disk.set_modified(path, time),
        }
    }
}
