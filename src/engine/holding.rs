//! What a lease holds outside, as it has to be given back.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::adapters::process::Enclosure;
use crate::domain::measurement::Contender;
use crate::engine::state::Resource;

/// What is to be given back of one lease.
#[derive(Debug)]
pub struct Holding {
    /// Whose it was.
    pub contender: Contender,
    /// The lease's directory.
    pub dir: PathBuf,
    /// In the order in which they were made.
    pub resources: Vec<Resource>,
    /// What keeps its programs in.
    pub walls: Walls,
}

/// What leases held that were dropped, because something failed on the way.
#[derive(Debug, Default)]
pub struct Forgotten(Mutex<Vec<Holding>>);

impl Forgotten {
    /// One more.
    pub(crate) fn add(&self, holding: Holding) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(holding);
    }

    /// All of them, the last dropped first.
    pub(crate) fn take(&self) -> Vec<Holding> {
        let mut all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        all.reverse();
        all
    }
}

/// The walls of a lease, once something runs in it.
#[derive(Default)]
pub struct Walls(pub(in crate::engine) OnceCell<Arc<dyn Enclosure>>);

impl std::fmt::Debug for Walls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Walls").field(&self.0.initialized()).finish()
    }
}

impl Walls {
    /// Kills everything within, if there was ever anything.
    pub(crate) async fn close(&mut self) {
        if let Some(walls) = self.0.take() {
            walls.close().await;
        }
    }
}
