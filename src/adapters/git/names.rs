//! What git has names for, as the library is given them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{CommitId, GitError};

/// A path as git has it: bytes, whatever they mean.
pub(super) fn named(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

pub(super) fn oid(commit: &CommitId) -> Result<git2::Oid, GitError> {
    Ok(git2::Oid::from_str(&commit.0)?)
}
