//! What a run writes into its document.

use super::document::Regions;
use super::plan::Plan;
use super::verdict::Scoreboard;

/// The regions of a document whose winner lands. `at` is in seconds since 1970.
pub fn landed(_plan: &Plan, _scoreboard: &Scoreboard, _run: &str, _at: i64) -> Regions {
    todo!()
}
