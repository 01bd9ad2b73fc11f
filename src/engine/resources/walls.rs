//! The walls of leases: what their programs see and may write. Whoever runs something in a lease gets an executor here, and
//! no other is for it.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use crate::adapters::process::{Address, Egress, Enclosure, Environment, Executor, Network, Order, Ways};
use crate::engine::resources::Leases;
use crate::engine::resources::lease::Lease;
use crate::engine::trouble::machine;
use crate::error::Error;

/// The lease's place for what its programs leave in the home and among temporary files.
const PRIVATE: &str = "private";

impl Leases {
    /// Runs programs in a lease. Its walls are opened with the first, when its directories are there.
    pub async fn within(&self, lease: &Lease) -> Result<Arc<dyn Executor>, Error> {
        Ok(self.walls(lease).await?.map_or_else(|| Arc::clone(&self.exec), |walls| walls.executor()))
    }

    /// The walls of a lease, where it has some.
    async fn walls(&self, lease: &Lease) -> Result<Option<Arc<dyn Enclosure>>, Error> {
        let Some(sandbox) = &self.sandbox else { return Ok(None) };
        let open = || async { sandbox.open(&self.order(lease).await).await.map_err(machine) };
        Ok(Some(Arc::clone(lease.walls.0.get_or_try_init(open).await?)))
    }

    /// Lets the programs of a lease reach what set-up may, until what comes back is dropped.
    pub async fn reach(&self, lease: &Lease) -> Result<Option<Box<dyn Ways>>, Error> {
        match self.walls(lease).await? {
            Some(walls) => Ok(Some(walls.reach().await.map_err(machine)?)),
            None => Ok(None),
        }
    }

    /// What programs of a lease asked for in vain since the last time, in a sentence.
    pub fn missed(&self, lease: &Lease) -> Option<String> {
        let missed = lease.walls.0.get()?.missed();
        (!missed.is_empty()).then(|| format!("it asked for {}, which nothing in its sandbox reaches", quoted(&missed)))
    }

    /// The environment that a lease begins with. In a network of its own no proxy is reached: what is reached is reached straight.
    pub(in crate::engine) fn environment(&self) -> Environment {
        let mut env = self.settings.env.clone();
        let Egress::SetUp(named) = &self.settings.sandbox.network else { return env };
        let proxied =
            env.iter().any(|(name, value)| is_proxy(name) && !STRAIGHT.contains(&name.as_str()) && !value.is_empty());
        if self.sandbox.is_none() || !proxied {
            return env;
        }
        // Some tools know no star.
        let hosts: Vec<&str> = ["*"].into_iter().chain(named.iter().map(Address::host)).collect();
        for name in STRAIGHT {
            let known = env.get(*name).filter(|known| !known.is_empty()).map(|known| format!("{known},"));
            env.insert((*name).to_owned(), format!("{}{}", known.unwrap_or_default(), hosts.join(",")));
        }
        env
    }

    /// What programs of a lease reach over the network: its services, models where an agent works in it, and what set-up may.
    fn network(&self, lease: &Lease, works: bool) -> Network {
        let Egress::SetUp(sometimes) = &self.settings.sandbox.network else { return Network::Shared };
        let models = self.models.iter().filter(|_| works);
        let proxies = self.settings.env.iter().filter(|(name, _)| is_proxy(name));
        Network::Own {
            always: lease.reach.iter().chain(models).cloned().collect(),
            sometimes: sometimes.clone(),
            proxies: proxies.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }

    /// Says what programs of a lease asked for in vain; each name once a run.
    pub(crate) fn tell_missed(&self, lease: &Lease, who: &str) {
        let missed = lease.walls.0.get().map(|walls| walls.missed()).unwrap_or_default();
        let mut told = self.missed_told.lock().unwrap_or_else(PoisonError::into_inner);
        let news: Vec<_> = missed.into_iter().filter(|name| told.insert(name.clone())).collect();
        if !news.is_empty() {
            let names = quoted(&news);
            self.run.warn(format!("{}: {who} asked for {names}, which nothing in a sandbox reaches", lease.contender));
        }
    }

    /// Kills what set-up and tests of a lease left running, so that nothing of it works while anybody is measured.
    pub async fn settle(&self, lease: &Lease) {
        self.tell_missed(lease, "set-up or tests");
        let left = match self.within(lease).await {
            Ok(exec) => exec.settle(&self.marker(&lease.dir)).await,
            // Nothing ever ran where no walls could be had.
            Err(_) => Vec::new(),
        };
        if let Some(first) = left.first() {
            let more = if left.len() > 1 { format!(" and {} more", left.len() - 1) } else { String::new() };
            self.run.warn(format!(
                "{}: set-up or tests left {first}{more} running, which was killed before anything is measured; what \
                 metrics need is started by `http`, `database` and `cache`, or outside of the run",
                lease.contender
            ));
        }
    }

    /// Those of these directories that are there. A link to one is none.
    async fn there(&self, paths: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
        let mut there = Vec::new();
        for path in paths {
            if self.workspace.footing(&path).await.is_ok() {
                there.push(path);
            }
        }
        there
    }

    async fn order(&self, lease: &Lease) -> Order {
        let (git, settings) = (&self.git, &self.settings);
        let (tree, work) = (lease.tree(), lease.worktree());
        let own = work.with_extension("git");
        let works = self.there([work, own]).await;
        let state = self.run.started.state.parent().unwrap_or(&self.run.started.state).to_owned();
        let mut order = Order {
            private: lease.dir.join(PRIVATE),
            hidden: vec![git.root().to_owned(), git.common_dir().to_owned(), state],
            read: [settings.sandbox.read.clone(), lease.read.clone()].concat(),
            write: self.there([lease.scratch(), lease.dir.join("tmp"), tree.clone()]).await,
            reset: vec![tree, lease.dir.join("tmp")],
            bare: vec![lease.scratch()],
            env: lease.env.clone(),
            network: self.network(lease, !works.is_empty()),
            limits: settings.sandbox.limits,
        };
        order.write.extend(lease.write.iter().chain(&settings.sandbox.write).cloned());
        if !works.is_empty() {
            // The repository's objects are read through its alternates; what Git LFS adds is kept where its commit is.
            let shared = git.shared();
            order.read.extend(shared.objects);
            order.write.extend(works);
            order.write.extend(shared.contents);
        }
        order
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What says which hosts are reached without a proxy.
const STRAIGHT: &[&str] = &["NO_PROXY", "no_proxy"];

/// Whether a variable says by which proxy the network is reached, or what is reached without.
fn is_proxy(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("_proxy")
}

#[cfg(test)]
mod tests;
