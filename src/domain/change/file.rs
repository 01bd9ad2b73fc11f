//! What happens to a file from one commit to another.

use serde::{Deserialize, Serialize};

/// What happened to one path between two commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Relative to the root, with `/`.
    pub path: String,
    /// Added, modified or deleted; a rename is a deletion and an addition.
    pub kind: ChangeKind,
    /// Numbers of the added lines in `after`, from 1; empty where the file is binary.
    pub added: Vec<u32>,
    /// Numbers of the deleted lines in `before`, from 1; empty where the file is binary.
    pub deleted: Vec<u32>,
    /// The file before, where it is text and was there.
    pub before: Option<String>,
    /// The file after, where it is text and is there.
    pub after: Option<String>,
}

/// The three things that can happen to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

impl FileChange {
    /// Whether a side that is there is no text.
    pub(super) fn is_binary(&self) -> bool {
        (self.kind != ChangeKind::Added && self.before.is_none())
            || (self.kind != ChangeKind::Deleted && self.after.is_none())
    }
}
