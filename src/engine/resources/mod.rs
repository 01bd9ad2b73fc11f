//! What a run holds outside, and how it is given back.

pub mod giving_back;
pub mod lease;
pub mod recovery;
pub mod walls;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use crate::adapters::git::Git;
use crate::adapters::process::{Address, Executor, Sandbox};
use crate::adapters::service::{Choice, Service};
use crate::adapters::workspace::Workspace;
use crate::engine::holding::Forgotten;
use crate::engine::ports::Ports;
use crate::engine::removals::Removals;
use crate::engine::run::Run;
use crate::engine::settings;
use crate::engine::trouble::machine;
use crate::error::Error;

/// Opens leases and gives them back.
pub struct Leases {
    run: Arc<Run>,
    git: Arc<dyn Git>,
    exec: Arc<dyn Executor>,
    sandbox: Option<Arc<dyn Sandbox>>,
    workspace: Arc<dyn Workspace>,
    services: Vec<Arc<dyn Service>>,
    /// Where models are reached, where agents need them.
    models: Option<Address>,
    pub(in crate::engine) settings: settings::Leasing,
    /// Leases that were given back and whose files are still being removed.
    removals: Removals,
    /// What leases held that were dropped on the way, and is still to be given back.
    forgotten: Arc<Forgotten>,
    /// Hosts of which was told that nothing reaches them.
    missed_told: Mutex<BTreeSet<String>>,
    /// What the base commit has; read once, where it is needed.
    tracked: OnceCell<Vec<PathBuf>>,
}

impl Leases {
    pub(in crate::engine) fn new(run: &Arc<Run>, ports: &Ports, settings: settings::Leasing) -> Self {
        Self {
            run: Arc::clone(run),
            git: Arc::clone(&ports.git),
            exec: Arc::clone(&ports.exec),
            sandbox: ports.sandbox.clone(),
            workspace: Arc::clone(&ports.workspace),
            services: ports.services.clone(),
            models: ports.proxy.as_ref().and_then(|proxy| proxy.address()),
            settings,
            removals: Removals::default(),
            forgotten: Arc::default(),
            missed_told: Mutex::default(),
            tracked: OnceCell::new(),
        }
    }

    /// Makes ready what leases are given.
    pub(in crate::engine) async fn prepare(&self) -> Result<(), Error> {
        for service in &self.services {
            service.prepare().await?;
        }
        Ok(())
    }

    /// Which services leases have, and why these.
    pub(in crate::engine) fn choices(&self) -> impl Iterator<Item = Choice> {
        self.services.iter().map(|service| service.choice())
    }

    /// Removes the place of all leases, which were given back.
    pub(in crate::engine) async fn remove_place(&self) -> Result<(), Error> {
        self.workspace.remove(&self.run.started.state).await.map_err(machine)
    }
}
