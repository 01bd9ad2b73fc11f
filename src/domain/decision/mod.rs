//! From what was seen to who wins, and nothing else. The same functions decide while a run is measuring, when its journal is
//! read again, and on simulated machines.
//!
//! [`Seen`] is all that a decision is made from; [`standing()`] says what it settles so far, and [`conclude`] what it amounts
//! to when measuring is over.

mod advantage;
mod claims;
#[cfg(test)]
pub(crate) mod fixtures;
mod gates;
mod scoreboard;
mod seen;
mod shadow;
mod standing;
#[cfg(test)]
mod tests;
mod values;

use super::measurement::MetricName;
use super::quantity::QuantityError;

pub use advantage::{anyone, beyond, check, refuted, takes, unverified};
pub use scoreboard::conclude;
pub use seen::{Fresh, Seen};
pub use shadow::control;
pub use standing::{Standing, standing};
pub use values::{Scaled, block_time, counted, displayed, middle, scaled, totals};

/// By which rules this program decides. Runs that were decided by others can be reported and not replayed.
pub const RULES: u32 = 3;

/// A value that can't be held against its bound: they are of different dimensions.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{metric}: {error}")]
pub struct Incomparable {
    /// Whose.
    pub metric: MetricName,
    /// How they differ.
    pub error: QuantityError,
}
