//! The end: a verified merge, or a commit of the document alone.

pub(super) mod customs;
mod document;
pub mod ending;
pub mod merge;
