//! Variants are written: one trial each, step by step, within the contract.

pub mod contract;
mod reuse;
pub mod step;
pub mod trial;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::adapters::agent::Agent;
use crate::adapters::git::Git;
use crate::adapters::process::Executor;
use crate::adapters::proxy::Proxy;
use crate::engine::budget::accounts::Accounts;
use crate::engine::judge::Judging;
use crate::engine::ports::Ports;
use crate::engine::resources::Leases;
use crate::engine::run::Run;
use crate::engine::settings;

/// Lets agents implement variants.
pub struct Implementing {
    run: Arc<Run>,
    leases: Arc<Leases>,
    /// Sets worktrees up as judged trees are.
    judging: Arc<Judging>,
    git: Arc<dyn Git>,
    exec: Arc<dyn Executor>,
    agent: Arc<dyn Agent>,
    proxy: Option<Arc<dyn Proxy>>,
    settings: settings::Implementing,
    /// Who may use how many tokens, and what was used.
    accounts: Arc<Accounts>,
    /// Limits agents at a time.
    agents: Semaphore,
}

impl Implementing {
    pub(in crate::engine) fn new(
        (run, leases, judging): (&Arc<Run>, &Arc<Leases>, &Arc<Judging>),
        ports: &Ports,
        settings: settings::Implementing,
        accounts: Arc<Accounts>,
        at_once: usize,
    ) -> Self {
        Self {
            run: Arc::clone(run),
            leases: Arc::clone(leases),
            judging: Arc::clone(judging),
            git: Arc::clone(&ports.git),
            exec: Arc::clone(&ports.exec),
            agent: Arc::clone(&ports.agent),
            proxy: ports.proxy.clone(),
            settings,
            accounts,
            agents: Semaphore::new(at_once),
        }
    }
}
