//! Bounds under uncertainty: pass, fail or not yet known, at 20:1 and valid at any stopping time.

use serde::{Deserialize, Serialize};

/// What is known of a bound so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Kept, at 20:1.
    Passed,
    /// Missed, at 20:1.
    Failed,
    /// Not known yet.
    Uncertain,
}

/// A sequential sign test of one bound on one contender: is a typical slice within it?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoundTest {
    // The implementation decides what it holds.
}

impl BoundTest {
    /// A test that has seen nothing.
    pub fn new() -> Self {
        todo!()
    }

    /// One slice's answer.
    pub fn record(&mut self, _held: bool) {
        todo!()
    }

    /// What is known now. Once it is known it stays.
    pub fn standing(&self) -> Standing {
        todo!()
    }
}

impl Standing {
    /// A value that does not vary settles its bound at once.
    pub fn of_exact(held: bool) -> Self {
        if held { Self::Passed } else { Self::Failed }
    }
}
