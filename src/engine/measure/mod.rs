//! Judged trees are measured, block after block.

pub mod blocks;
pub(super) mod doubts;
pub(super) mod fresh;
pub mod lanes;
pub(super) mod outputs;
pub(super) mod pace;
pub mod rates;
pub mod recheck;
pub mod ties;
pub(super) mod untouched;
