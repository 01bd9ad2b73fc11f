//! The fake: a machine that says what a test wants it to.

use std::sync::{Mutex, PoisonError};

use super::{Load, Machine};

/// Says each of these in turn, and the last one for ever.
pub struct Script(Mutex<Vec<Load>>);

impl Script {
    /// In this order.
    pub fn new(mut loads: Vec<Load>) -> Self {
        loads.reverse();
        Self(Mutex::new(loads))
    }
}

impl Machine for Script {
    fn load(&self) -> Load {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if left.len() > 1 { left.pop().unwrap_or_default() } else { left.last().copied().unwrap_or_default() }
    }
}
