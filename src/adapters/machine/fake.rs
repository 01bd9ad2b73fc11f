//! The fake: a machine that says what a test wants it to.

use std::sync::{Mutex, PoisonError};

use super::{Load, Machine};
use crate::domain::lanes::Topology;

/// Says each of these in turn, and the last one for ever.
pub struct FakeMachine {
    loads: Mutex<Vec<Load>>,
    topology: Topology,
}

impl FakeMachine {
    /// In this order; on a machine that tells nothing of its cores.
    pub fn new(mut loads: Vec<Load>) -> Self {
        loads.reverse();
        Self { loads: Mutex::new(loads), topology: Topology::default() }
    }

    /// With these cores.
    #[must_use]
    pub fn with(self, topology: Topology) -> Self {
        Self { topology, ..self }
    }
}

impl Machine for FakeMachine {
    fn load(&self, _cpus: &[usize]) -> Load {
        let mut left = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        if left.len() > 1 { left.pop().unwrap_or_default() } else { left.last().copied().unwrap_or_default() }
    }

    fn topology(&self) -> Topology {
        self.topology.clone()
    }
}
