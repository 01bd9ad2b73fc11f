//! Before anything is spent: where a run would land, whether it may, what it would do, and whether the baseline passes.

pub mod approval;
pub mod doctor;
pub mod estimate;
pub mod known;
pub mod preview;
pub(super) mod risks;
pub(super) mod smoke;
pub mod target;
pub mod uncommitted;
