//! Who holds a program's output open when the program itself has ended: a daemon that it left, which kept the pipe.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use super::orphans::name;
use super::stat::processes;
use crate::adapters::process::Stray;

/// Write permission of the owner, by which `/proc` shows how a file was opened.
const WRITABLE: u32 = 0o200;

/// One end of a pipe, as `/proc` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pipe(PathBuf);

impl Pipe {
    /// Of an open end, where it is a pipe's.
    pub fn of(end: BorrowedFd<'_>) -> Option<Self> {
        let found = rustix::fs::fstat(end.as_fd()).ok()?;
        Some(Self(format!("pipe:[{}]", found.st_ino).into()))
    }
}

/// Processes that could still write into one of these, ourselves excepted.
pub(super) fn holders(pipes: &[Pipe]) -> Vec<Stray> {
    let own = std::process::id();
    let holding = processes().filter(|pid| *pid != own && holds(*pid, pipes));
    holding.map(|pid| Stray { pid, name: name(pid), cpu: Duration::ZERO }).collect()
}

fn holds(pid: u32, pipes: &[Pipe]) -> bool {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.into_iter().any(|entry| {
        let named = fs::read_link(entry.path()).is_ok_and(|target| pipes.iter().any(|pipe| pipe.0 == target));
        named && entry.path().symlink_metadata().is_ok_and(|found| found.permissions().mode() & WRITABLE != 0)
    })
}
