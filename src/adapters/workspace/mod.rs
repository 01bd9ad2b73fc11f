//! The workspace port: a trial's private directories, carried files, ports and randomness.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use async_trait::async_trait;

use crate::adapters::process::{Left, Redactor};

mod copying;
mod crew;
pub mod fake;
mod local;
mod removing;
mod sealing;

pub use local::LocalWorkspace;

/// Why a workspace operation failed. Always the machine's fault.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct WorkspaceError {
    /// What was being done, to which path.
    pub what: String,
    /// What the system said.
    pub source: std::io::Error,
}

/// What a directory is known by, wherever its path leads later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footing {
    device: u64,
    inode: u64,
    /// What its `.git` says, where it is a worktree.
    gitfile: Option<Vec<u8>>,
}

/// The few things the engine needs of a disk and a machine beside git, databases and programs.
#[async_trait]
pub trait Workspace: Send + Sync {
    /// Makes a directory and those above it, readable by its owner only.
    async fn make_private(&self, path: &Path) -> Result<(), WorkspaceError>;

    /// Removes a directory and all below it; says nothing when it is not there.
    async fn remove(&self, path: &Path) -> Result<(), WorkspaceError>;

    /// What a directory is known by. A link to one is none.
    async fn footing(&self, path: &Path) -> Result<Footing, WorkspaceError>;

    /// What stands in the place of a directory that was there, such as `was replaced by a link`; `None`
    /// where it is still the same.
    async fn replaced(&self, path: &Path, known: &Footing) -> Option<&'static str>;

    /// Removes links that stand in the way from `root`, or in its place, to a path, without
    /// following them, so that nothing behind them is taken for what was there.
    async fn unlink_detours(&self, root: &Path, path: &Path) -> Result<(), WorkspaceError>;

    /// Moves a directory to another place of the same filesystem, at once; says nothing when it is not there.
    async fn put_aside(&self, path: &Path, aside: &Path) -> Result<(), WorkspaceError>;

    /// Copies a file or folder from one tree into another, sharing blocks where the filesystem can,
    /// with permissions and times. What is there already stays; says nothing when there is none.
    async fn carry(&self, order: &Carry<'_>) -> Result<(), WorkspaceError>;

    /// Gives every file of `into` that is the same in `from` the time that it has there, so that what was
    /// built from it counts as built. Folders `without` are left alone.
    async fn same_times(&self, from: &Path, into: &Path, without: &[String]) -> Result<(), WorkspaceError>;

    /// Adds what a program left in a file, without secrets, to a private one that outlives the trial; whether there
    /// was any.
    async fn keep(&self, file: &Path, into: &Path, redactor: &Redactor) -> Result<bool, WorkspaceError>;

    /// What stands at a path of somebody's tree, without following links.
    async fn look(&self, tree: &Path, path: &str) -> Looked;

    /// Seals files of somebody's tree, by their paths in it.
    async fn seal(&self, tree: &Path, paths: &[String]) -> Seal;

    /// Sealed files that hold something else now, are gone or are no files any more; sorted.
    async fn broken(&self, tree: &Path, seal: &mut Seal) -> Vec<String>;

    /// What stands in a folder of somebody's tree, by its paths in the tree; nothing where there is no such folder.
    async fn names(&self, tree: &Path, folder: &str) -> Vec<String>;

    /// Writes into a regular file of somebody's tree, which must be there; links are not followed.
    async fn put_back(&self, tree: &Path, path: &str, bytes: &[u8]) -> Result<(), WorkspaceError>;

    /// The bytes of a file; `None` where there is none.
    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, WorkspaceError>;

    /// Free loopback ports, all different from each other.
    async fn ports(&self, count: usize) -> Result<Vec<u16>, WorkspaceError>;

    /// That the file system of a path is full, in words with its place, where no more than that is left of it.
    fn full(&self, path: &Path, left: Left) -> Option<String>;

    /// Random bits from the system.
    fn random(&self) -> u64;
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Its bytes, or a word on what it is where it is no file; nothing where there is nothing.
    pub bytes: Option<Vec<u8>>,
    /// When it last changed in any way, which no program can set.
    pub changed: Option<SystemTime>,
}

/// Files as they were when they were sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seal {
    marks: BTreeMap<String, Mark>,
}

/// What a file is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    /// Whatever changes with it, which no program can set; absent where there is no such thing.
    stamp: Option<Stamp>,
    /// Of what it holds.
    digest: u64,
}

/// Device, number, and the time of the last change in seconds and nanoseconds.
type Stamp = (u64, u64, i64, i64);

/// What to carry.
#[derive(Debug)]
pub struct Carry<'a> {
    /// A file or folder, by its path in both trees.
    pub path: &'a str,
    /// The tree that has it.
    pub from: &'a Path,
    /// The tree that gets it.
    pub into: &'a Path,
    /// Files that are not carried, by their paths in both trees: those that git has.
    pub without: &'a [PathBuf],
}
