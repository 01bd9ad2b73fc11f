//! Trees are judged: a clean checkout, set up, built and tested.

mod furnishing;
pub(in crate::engine) mod guards;
mod protected;
pub mod shadow;
pub mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::adapters::git::Git;
use crate::adapters::metric::MetricSource;
use crate::adapters::suite::Suite;
use crate::adapters::workspace::Workspace;
use crate::engine::judge::protected::Protected;
use crate::engine::ports::Ports;
use crate::engine::resources::Leases;
use crate::engine::run::Run;
use crate::engine::settings;
use crate::engine::turns::Turns;

/// Judges trees.
pub struct Judging {
    run: Arc<Run>,
    leases: Arc<Leases>,
    git: Arc<dyn Git>,
    workspace: Arc<dyn Workspace>,
    suites: Vec<Arc<dyn Suite>>,
    /// By which is told whether two trees of the base can be compared.
    sources: Vec<Arc<dyn MetricSource>>,
    pub(in crate::engine) settings: settings::Judging,
    /// Limits judged trees at a time.
    judges: Turns,
    /// What the slowest tree so far took to be checked out, set up and built.
    pub(in crate::engine) slowest_tree: Mutex<Duration>,
    /// What each suite took at the longest in a tree of the baseline, by its place in the plan.
    suite_times: Mutex<BTreeMap<usize, Duration>>,
    /// By what contenders are judged, once somebody asked.
    protected: OnceCell<Protected>,
    /// Files by which contenders are judged and which the baseline's own programs change.
    rewritten: Mutex<BTreeSet<String>>,
}

impl Judging {
    pub(in crate::engine) fn new(
        (run, leases): (&Arc<Run>, &Arc<Leases>),
        ports: &Ports,
        settings: settings::Judging,
        at_once: usize,
        rewritten: BTreeSet<String>,
    ) -> Self {
        Self {
            run: Arc::clone(run),
            leases: Arc::clone(leases),
            git: Arc::clone(&ports.git),
            workspace: Arc::clone(&ports.workspace),
            suites: ports.suites.clone(),
            sources: ports.sources.clone(),
            settings,
            judges: Turns::new(at_once),
            slowest_tree: Mutex::default(),
            suite_times: Mutex::default(),
            protected: OnceCell::new(),
            rewritten: Mutex::new(rewritten),
        }
    }
}
