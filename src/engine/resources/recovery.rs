//! After a crash: what a run left is removed by what its journal says it meant to make.

use crate::adapters::service::use_of;
use crate::engine::ports::Ports;
use crate::engine::resources::giving_back;
use crate::engine::state::{Facts, Log, Record};
use crate::engine::trouble::machine;
use crate::error::Error;

/// What `gc` did, or would do, for one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// The run.
    pub run: String,
    /// Resources, as a reader would name them.
    pub resources: Vec<String>,
    /// Processes killed.
    pub processes: usize,
}

/// Ends the processes of a run and removes its journaled resources, last made first. The run's
/// lock must be held by the caller.
pub async fn clean(ports: &Ports, log: &Log, facts: &Facts) -> Result<Cleaned, Error> {
    let run = facts.seen.started.run.clone();
    let processes = ports.exec.sweep("BLUEPRINT_RUN", &run).await;
    ports.git.tidy(Some(&run)).await?;
    let means = giving_back::Means { workspace: &*ports.workspace, git: &*ports.git, services: &ports.services };
    let mut resources = Vec::new();
    for (_, resource) in facts.live.iter().rev() {
        resources.push(describe(resource));
        giving_back::remove(&means, &facts.seen.started.state, resource).await?;
        log.write(&Record::Removed { resource: resource.clone() }).await?;
    }
    for service in &ports.services {
        service.tidy().await?;
    }
    ports.workspace.remove(&facts.seen.started.state).await.map_err(machine)?;
    Ok(Cleaned { run, resources, processes })
}

/// What `clean` would remove.
pub fn would_clean(facts: &Facts) -> Cleaned {
    let resources = facts.live.iter().rev().map(|(_, resource)| describe(resource)).collect();
    Cleaned { run: facts.seen.started.run.clone(), resources, processes: 0 }
}

fn describe(resource: &crate::engine::state::Resource) -> String {
    use crate::engine::state::Resource;
    match resource {
        Resource::Worktree { path, branch, .. } => format!("worktree {} (branch {branch})", path.display()),
        Resource::Directory { path } => format!("directory {}", path.display()),
        Resource::Service { service } => {
            let what = use_of(&service.kind).map_or_else(|| "service".to_owned(), |what| what.to_string());
            format!("{what} {} ({})", service.name, service.kind)
        }
    }
}

#[cfg(test)]
mod tests;
