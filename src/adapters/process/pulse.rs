//! Signs of life of a running program: what it printed and what it computed so far.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What a program and all that it started did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vital {
    /// Bytes printed on both streams.
    pub output: u64,
    /// CPU time of the processes that are there now.
    pub cpu: Duration,
}

/// A handle that an executor connects to the program once it runs. Before that there is no life in it.
#[derive(Clone, Default)]
pub struct Pulse {
    probe: Arc<OnceLock<Probe>>,
}

type Probe = Box<dyn Fn() -> Vital + Send + Sync>;

impl Pulse {
    /// What is known now.
    pub fn read(&self) -> Vital {
        self.probe.get().map_or_else(Vital::default, |probe| probe())
    }

    /// For executors: how to find out. Only the first time counts.
    pub fn connect(&self, probe: impl Fn() -> Vital + Send + Sync + 'static) {
        drop(self.probe.set(Box::new(probe)));
    }
}

impl std::fmt::Debug for Pulse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pulse").field(&self.read()).finish()
    }
}
