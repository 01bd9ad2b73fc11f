//! Leases: what a trial holds. Each resource is journaled before it exists and after it is gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::adapters::git::CommitId;
use crate::adapters::process::{Address, Environment, PREFIX};
use crate::adapters::service::{LeaseName, Service};
use crate::adapters::workspace::{Carry, Footing};
use crate::domain::measurement::Contender;
use crate::domain::race;
use crate::engine::holding::{Forgotten, Holding, Walls};
use crate::engine::resources::Leases;
use crate::engine::state::{Record, Resource};
use crate::engine::trouble::machine;
use crate::error::{Error, followed_by};

/// Ports that each lease gets.
const PORTS: usize = 4;

/// The judged tree's folder in its lease.
pub(in crate::engine) const TREE: &str = "tree";

/// The folder for reports, logs and prompts.
pub(crate) const SCRATCH: &str = "scratch";
/// The block whose seed everything is told that is no slice: no block has its number.
const SET_UP: u32 = u32::MAX - 1;
/// Variables that name places for results, each with the file's name.
const PLACES: &[(&str, &str)] =
    &[("BLUEPRINT_METRICS", "metrics.jsonl"), ("BLUEPRINT_JUNIT", "junit.xml"), ("CRITERION_HOME", "criterion")];

/// What a trial holds while it is worked on or judged. Who opens one gives it back with `Run::close_lease`, or works within
/// `Run::with_lease`; one that is dropped, because something failed on the way, is given back before anything is measured and at the
/// end of the run at the latest.
#[derive(Debug)]
pub struct Lease {
    /// Whose.
    pub contender: Contender,
    /// Private to the lease; everything below is removed with it.
    pub dir: PathBuf,
    /// The environment of the lease's processes, whole.
    pub env: Environment,
    held: Vec<Resource>,
    forgotten: Arc<Forgotten>,
    /// What its programs read besides, such as folders of sockets.
    pub(in crate::engine) read: Vec<PathBuf>,
    /// What they write besides, such as a database that is a file.
    pub(in crate::engine) write: Vec<PathBuf>,
    /// What they reach over the network: its services.
    pub(in crate::engine) reach: Vec<Address>,
    /// What keeps its programs in.
    pub(in crate::engine) walls: Walls,
    /// Its directories, as they were made.
    grounds: Vec<Ground>,
}

/// A directory of a lease, and what it is known by.
#[derive(Debug)]
struct Ground {
    name: &'static str,
    path: PathBuf,
    footing: Footing,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(holding) = self.release() {
            self.forgotten.add(holding);
        }
    }
}

impl Lease {
    /// What there is to be given back: nothing, the second time.
    pub(super) fn release(&mut self) -> Option<Holding> {
        let resources = std::mem::take(&mut self.held);
        let (contender, dir, walls) = (self.contender.clone(), self.dir.clone(), std::mem::take(&mut self.walls));
        (!resources.is_empty()).then_some(Holding { contender, dir, resources, walls })
    }

    /// Reports, logs and prompts.
    pub fn scratch(&self) -> PathBuf {
        self.dir.join(SCRATCH)
    }

    /// The judged tree.
    pub fn tree(&self) -> PathBuf {
        self.dir.join(TREE)
    }

    /// The agent's worktree.
    pub fn worktree(&self) -> PathBuf {
        self.dir.join("work")
    }
}

/// The name of the lease that a contender is judged in. A slug has no `_`, so that this is no other
/// variant's: `A` is not judged where `A-judge` works.
pub(crate) fn judging(slug: &str) -> String {
    format!("{slug}_judge")
}

/// What a lease is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Directories, database, cache and ports: tests and measuring, or an agent at work.
    Services,
    /// Directories only: recorded work that connects to nothing.
    Directories,
}

impl Leases {
    /// Opens a lease. `name` tells leases of one contender apart (`a`, `a_judge`).
    pub(crate) async fn open_lease(&self, contender: &Contender, name: &str, purpose: Purpose) -> Result<Lease, Error> {
        let dir = self.run.place(name);
        let mut lease = Lease {
            contender: contender.clone(),
            dir,
            env: self.environment(),
            held: Vec::new(),
            forgotten: Arc::clone(&self.forgotten),
            read: Vec::new(),
            write: Vec::new(),
            reach: Vec::new(),
            walls: Walls::default(),
            grounds: Vec::new(),
        };
        self.fill_lease(&mut lease, name, purpose).await?;
        Ok(lease)
    }

    /// Does something with a lease, and gives it back however that ends.
    pub(in crate::engine) async fn with_lease<T>(
        &self,
        contender: &Contender,
        name: &str,
        purpose: Purpose,
        work: impl AsyncFnOnce(&mut Lease) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut lease = self.open_lease(contender, name, purpose).await?;
        let done = work(&mut lease).await;
        followed_by(done, self.close_lease(lease).await)
    }

    async fn fill_lease(&self, lease: &mut Lease, name: &str, purpose: Purpose) -> Result<(), Error> {
        let directory = Resource::Directory { path: lease.dir.clone() };
        self.intend(lease, directory.clone()).await?;
        self.workspace.remove(&lease.dir).await.map_err(machine)?;
        for part in [lease.scratch(), lease.dir.join("tmp")] {
            self.workspace.make_private(&part).await.map_err(machine)?;
        }
        self.made(lease, directory).await?;
        let (whole, scratch) = (lease.dir.clone(), lease.scratch());
        self.stand_on(lease, "directory", whole).await?;
        self.stand_on(lease, "scratch directory", scratch).await?;
        self.identify(lease).await?;
        if purpose == Purpose::Services {
            for service in &self.services {
                self.lease_service(lease, name, &**service).await?;
            }
        }
        Ok(())
    }

    /// Notes what a directory of a lease is known by, so that nothing is ever done in what stands in its place.
    pub(in crate::engine) async fn stand_on(
        &self,
        lease: &mut Lease,
        name: &'static str,
        path: PathBuf,
    ) -> Result<(), Error> {
        let footing = self.workspace.footing(&path).await.map_err(machine)?;
        lease.grounds.push(Ground { name, path, footing });
        Ok(())
    }

    /// Which directory of a lease is not what it was, in words; `None` where all are. Whoever works in them can
    /// move them away and put others in their place, a link to anywhere above all.
    pub async fn replaced(&self, lease: &Lease) -> Option<String> {
        for Ground { name, path, footing } in &lease.grounds {
            if let Some(how) = self.workspace.replaced(path, footing).await {
                return Some(format!("its {name} {how}: {}", path.display()));
            }
        }
        None
    }

    async fn identify(&self, lease: &mut Lease) -> Result<(), Error> {
        let ports = self.workspace.ports(PORTS).await.map_err(machine)?;
        for (index, port) in ports.iter().enumerate() {
            lease.env.insert(format!("BLUEPRINT_PORT_{index}"), port.to_string());
        }
        if let Some(first) = ports.first() {
            lease.env.insert("PORT".to_owned(), first.to_string());
        }
        // A slice of measuring has one of its own beside it.
        let temporary = lease.dir.join("tmp").join(format!("{PREFIX}{:08x}", self.workspace.random() & 0xffff_ffff));
        self.workspace.make_private(&temporary).await.map_err(machine)?;
        lease.env.insert("TMPDIR".to_owned(), temporary.display().to_string());
        lease.env.insert("BLUEPRINT_RUN".to_owned(), self.run.started.run.clone());
        lease.env.insert("BLUEPRINT_VARIANT".to_owned(), lease.contender.told());
        lease.env.insert("BLUEPRINT_LEASE".to_owned(), self.marker(&lease.dir));
        self.look_alike(lease).await
    }

    /// What a slice of measuring is told, everything else of the lease is told too, in the same form: no program
    /// can know by them that it is measured. What is written there is read by nobody.
    async fn look_alike(&self, lease: &mut Lease) -> Result<(), Error> {
        let seed = race::block_seed(self.run.started.seed, SET_UP);
        lease.env.insert("BLUEPRINT_SEED".to_owned(), seed.to_string());
        for (variable, name) in PLACES {
            let place = lease.scratch().join(format!("{PREFIX}{:016x}", self.workspace.random()));
            self.workspace.make_private(&place).await.map_err(machine)?;
            lease.env.insert((*variable).to_owned(), place.join(name).display().to_string());
        }
        Ok(())
    }

    /// What marks every process of a lease.
    pub(super) fn marker(&self, dir: &Path) -> String {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        format!("{}/{name}", self.run.started.run)
    }

    async fn lease_service(&self, lease: &mut Lease, name: &str, service: &dyn Service) -> Result<(), Error> {
        let intent = service.intend(&LeaseName { run: self.run.started.run.clone(), contender: name.to_owned() });
        self.intend(lease, Resource::Service { service: intent.clone() }).await?;
        let ready = service.create(&intent).await?;
        self.made(lease, Resource::Service { service: ready.resource }).await?;
        lease.read.extend(ready.read);
        lease.write.extend(ready.write);
        lease.reach.extend(ready.reach);
        lease.env.extend(ready.env);
        Ok(())
    }

    /// Adds the variant's worktree to a lease.
    pub(crate) async fn lease_worktree(&self, lease: &mut Lease, slug: &str, base: &CommitId) -> Result<(), Error> {
        let (path, branch, kept) = (lease.worktree(), self.run.branch(slug), self.run.kept_ref(slug));
        let worktree = Resource::Worktree { path: path.clone(), branch: branch.clone(), kept };
        self.intend(lease, worktree.clone()).await?;
        self.git.add_worktree(&path, &branch, base).await?;
        self.made(lease, worktree).await?;
        self.stand_on(lease, "worktree", path.clone()).await
    }

    /// Copies what is to be carried from the user's checkout into a tree. What git has is as the tree has it.
    pub async fn carry(&self, into: &Path) -> Result<(), Error> {
        if self.settings.carry.is_empty() {
            return Ok(());
        }
        let known = || async { Ok::<_, Error>(self.git.paths_at(&self.run.started.base).await?) };
        let without = self.tracked.get_or_try_init(known).await?;
        for path in &self.settings.carry {
            let order = Carry { path, from: self.git.root(), into, without };
            self.workspace.carry(&order).await.map_err(machine)?;
        }
        Ok(())
    }

    /// Gives a tree what was built in the baseline's judged one: copies of its folders, which nobody else sees, and to
    /// files that are the same the times that they have there.
    pub(crate) async fn build_on_baseline(&self, into: &Path) -> Result<(), Error> {
        let baseline = self.run.place(&judging(&Contender::Baseline.slug())).join(TREE);
        if baseline == into || self.settings.built.is_empty() {
            return Ok(());
        }
        let others: Vec<_> = self.settings.built.iter().chain(&self.settings.carry).cloned().collect();
        self.workspace.same_times(&baseline, into, &others).await.map_err(machine)?;
        for path in &self.settings.built {
            let order = Carry { path, from: &baseline, into, without: &[] };
            self.workspace.carry(&order).await.map_err(machine)?;
        }
        Ok(())
    }

    /// Writes down the worktree that hooks are about to be run in; where it is to be.
    pub(in crate::engine) async fn intend_hooks(&self, lease: &mut Lease) -> Result<PathBuf, Error> {
        let (path, slug) = (lease.worktree(), "hooks");
        let worktree =
            Resource::Worktree { path: path.clone(), branch: self.run.branch(slug), kept: self.run.kept_ref(slug) };
        self.intend(lease, worktree).await?;
        Ok(path)
    }

    async fn intend(&self, lease: &mut Lease, resource: Resource) -> Result<(), Error> {
        let record = Record::Intended { contender: lease.contender.clone(), resource: resource.clone() };
        self.run.log.write(&record).await?;
        lease.held.push(resource);
        Ok(())
    }

    async fn made(&self, lease: &mut Lease, resource: Resource) -> Result<(), Error> {
        if let Some(held) = lease.held.iter_mut().find(|held| held.same_as(&resource)) {
            held.clone_from(&resource);
        }
        self.run.log.write(&Record::Made { contender: lease.contender.clone(), resource }).await
    }
}

#[cfg(test)]
mod tests;
