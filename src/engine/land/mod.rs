//! The end: a verified merge, or a commit of the document alone.

pub(super) mod customs;
mod document;
pub mod ending;
pub mod merge;

use std::sync::Arc;

use crate::adapters::git::Git;
use crate::engine::judge::Judging;
use crate::engine::measure::Measuring;
use crate::engine::ports::Ports;
use crate::engine::resources::Leases;
use crate::engine::run::Run;
use crate::engine::settings;

/// Lands a winner, or the document alone.
pub struct Landing {
    run: Arc<Run>,
    leases: Arc<Leases>,
    /// Tests what is merged.
    judging: Arc<Judging>,
    /// Measures its bounds again, where the target moved.
    measuring: Arc<Measuring>,
    git: Arc<dyn Git>,
    settings: settings::Landing,
}

impl Landing {
    pub(in crate::engine) fn new(
        (run, leases): (&Arc<Run>, &Arc<Leases>),
        (judging, measuring): (&Arc<Judging>, &Arc<Measuring>),
        ports: &Ports,
        settings: settings::Landing,
    ) -> Self {
        Self {
            run: Arc::clone(run),
            leases: Arc::clone(leases),
            judging: Arc::clone(judging),
            measuring: Arc::clone(measuring),
            git: Arc::clone(&ports.git),
            settings,
        }
    }
}
