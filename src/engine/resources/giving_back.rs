//! How what leases hold is given back: programs are ended at once, files are out of the way at once and go while the run goes on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::adapters::git::Git;
use crate::adapters::service::{Service, ServiceResource, maker, use_of};
use crate::adapters::workspace::Workspace;
use crate::engine::holding::Holding;
use crate::engine::resources::Leases;
use crate::engine::resources::lease::Lease;
use crate::engine::state::{Record, Resource};
use crate::engine::trouble::machine;
use crate::error::Error;

impl Leases {
    /// Ends every process of a lease and removes what it holds, last made first. Its files are out of their
    /// place when this returns, and gone when `Run::removed` does. What can't be removed is told and stays in the
    /// journal, for `gc` to take.
    pub(crate) async fn close_lease(&self, mut lease: Lease) -> Result<(), Error> {
        match lease.release() {
            Some(holding) => self.give_back(holding).await,
            None => Ok(()),
        }
    }

    /// Gives back what leases held that were dropped. What can't be is told: what made somebody drop them is the error.
    pub(in crate::engine) async fn close_forgotten(&self) {
        for holding in self.forgotten.take() {
            if let Err(error) = self.give_back(holding).await {
                self.left(&error);
            }
        }
    }

    fn left(&self, error: &Error) {
        self.run.warn(format!("something of a trial is left, which `blueprint gc` removes: {}", error.message));
    }

    async fn give_back(&self, mut holding: Holding) -> Result<(), Error> {
        holding.walls.close().await;
        self.exec.sweep("BLUEPRINT_LEASE", &self.marker(&holding.dir)).await;
        let aside = self.put_aside(&holding.dir).await;
        let means = Means { workspace: &*self.workspace, git: &*self.git, services: &self.services };
        while let Some(resource) = holding.resources.pop() {
            match &resource {
                Resource::Directory { path } if *path == holding.dir => {
                    self.remove_in_background(aside.clone(), resource).await;
                }
                _ => match remove(&means, &self.run.started.state, &resource).await {
                    Ok(()) => self.run.log.write(&Record::Removed { resource }).await?,
                    Err(error) => self.run.warn(format!(
                        "something of {} is left, which `blueprint gc` removes: {}",
                        holding.contender, error.message
                    )),
                },
            }
        }
        Ok(())
    }

    /// Takes a lease's directory out of its place; where it is then. What can't be moved stays, and is
    /// removed from there.
    async fn put_aside(&self, dir: &Path) -> PathBuf {
        let number = self.removals.number();
        let aside = self.run.started.state.join(format!("removed-{number}"));
        match self.workspace.put_aside(dir, &aside).await {
            Ok(()) => aside,
            Err(_) => dir.to_owned(),
        }
    }

    /// Removes what was put aside, and then records that the lease's directory is gone.
    async fn remove_in_background(&self, aside: PathBuf, resource: Resource) {
        let (workspace, log) = (Arc::clone(&self.workspace), self.run.log.clone());
        let removal = async move {
            workspace.remove(&aside).await.map_err(machine)?;
            log.write(&Record::Removed { resource }).await
        };
        self.removals.begin(removal).await;
    }

    /// Waits until all that was put aside is gone: nothing else may run while a run measures, and nothing
    /// is left when it ends. What can't be removed is told and stays in the journal, for `gc` to take.
    pub(in crate::engine) async fn removed(&self) {
        self.close_forgotten().await;
        for error in self.removals.ended().await {
            self.left(&error);
        }
    }
}

/// What resources are removed by.
pub(super) struct Means<'a> {
    pub workspace: &'a dyn Workspace,
    pub git: &'a dyn Git,
    pub services: &'a [Arc<dyn Service>],
}

/// Removes one journaled resource, whole or half-made. Of what lies below the run's directory `state`
/// nothing is reached through a link.
pub(super) async fn remove(ports: &Means<'_>, state: &Path, resource: &Resource) -> Result<(), Error> {
    match resource {
        Resource::Directory { path } => {
            ports.workspace.unlink_detours(state, path).await.map_err(machine)?;
            ports.workspace.remove(path).await.map_err(machine)?;
        }
        Resource::Worktree { path, branch, kept } => {
            ports.workspace.unlink_detours(state, path).await.map_err(machine)?;
            if let Ok(tip) = ports.git.tip(branch).await {
                ports.git.keep(kept, &tip).await?;
            }
            ports.workspace.remove(path).await.map_err(machine)?;
            ports.git.remove_worktree(path).await?;
            ports.git.delete_branch(branch).await?;
        }
        Resource::Service { service } => match maker(ports.services, service) {
            Some(port) => port.remove(service).await?,
            None => return Err(unconfigured(service)),
        },
    }
    Ok(())
}

fn unconfigured(service: &ServiceResource) -> Error {
    let what =
        use_of(&service.kind).map_or_else(|| format!("service of the kind {}", service.kind), |what| what.to_string());
    let name = &service.name;
    Error::machine(format!("the {what} `{name}` of this run can't be removed: blueprint.yaml names no {what} any more"))
        .hint("restore the configuration that the run was started with, then run `blueprint gc` again")
}
