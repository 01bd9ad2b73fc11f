//! The walls of leases: what their programs see and may write. Whoever runs something in a lease gets an executor here, and
//! no other is for it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::adapters::process::{Executor, Order};
use crate::engine::resources::Leases;
use crate::engine::resources::lease::Lease;
use crate::engine::trouble::machine;
use crate::error::Error;

/// The lease's place for what its programs leave in the home and among temporary files.
const PRIVATE: &str = "private";

impl Leases {
    /// Runs programs in a lease. Its walls are opened with the first, when its directories are there.
    pub async fn within(&self, lease: &Lease) -> Result<Arc<dyn Executor>, Error> {
        let Some(sandbox) = &self.sandbox else { return Ok(Arc::clone(&self.exec)) };
        let open = || async { sandbox.open(&self.order(lease).await).await.map_err(machine) };
        Ok(lease.walls.0.get_or_try_init(open).await?.executor())
    }

    /// Kills what set-up and tests of a lease left running, so that nothing of it works while anybody is measured.
    pub async fn settle(&self, lease: &Lease) {
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
        let state = self.run.started.state.parent().unwrap_or(&self.run.started.state).to_owned();
        let mut order = Order {
            private: lease.dir.join(PRIVATE),
            hidden: vec![git.root().to_owned(), git.common_dir().to_owned(), state],
            read: [settings.sandbox.read.clone(), lease.read.clone()].concat(),
            write: self.there([lease.scratch(), lease.dir.join("tmp"), tree.clone()]).await,
            reset: vec![tree, lease.dir.join("tmp")],
            bare: vec![lease.scratch()],
            env: lease.env.clone(),
        };
        order.write.extend(lease.write.iter().chain(&settings.sandbox.write).cloned());
        let own = work.with_extension("git");
        let works = self.there([work, own]).await;
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

#[cfg(test)]
mod tests;
