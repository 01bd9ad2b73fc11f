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

use std::sync::Arc;

use crate::adapters::git::Git;
use crate::adapters::machine::Machine;
use crate::adapters::metric::MetricSource;
use crate::adapters::workspace::Workspace;
use crate::engine::judge::Judging;
use crate::engine::ports::Ports;
use crate::engine::resources::Leases;
use crate::engine::run::Run;
use crate::engine::settings;

/// Measures judged trees.
pub struct Measuring {
    pub(in crate::engine) run: Arc<Run>,
    leases: Arc<Leases>,
    /// Makes fresh trees.
    pub(in crate::engine) judging: Arc<Judging>,
    git: Arc<dyn Git>,
    pub(in crate::engine) machine: Arc<dyn Machine>,
    workspace: Arc<dyn Workspace>,
    pub(in crate::engine) sources: Vec<Arc<dyn MetricSource>>,
    tie_breaker: Option<Arc<dyn MetricSource>>,
    pub(in crate::engine) settings: settings::Measuring,
}

impl Measuring {
    pub(in crate::engine) fn new(
        (run, leases, judging): (&Arc<Run>, &Arc<Leases>, &Arc<Judging>),
        ports: &Ports,
        settings: settings::Measuring,
    ) -> Self {
        Self {
            run: Arc::clone(run),
            leases: Arc::clone(leases),
            judging: Arc::clone(judging),
            git: Arc::clone(&ports.git),
            machine: Arc::clone(&ports.machine),
            workspace: Arc::clone(&ports.workspace),
            sources: ports.sources.clone(),
            tie_breaker: ports.tie_breaker.clone(),
            settings,
        }
    }
}
