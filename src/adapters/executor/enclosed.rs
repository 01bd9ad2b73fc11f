//! Programs within the walls of a lease.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use rustix::net::{AddressFamily, SocketType};
use tokio::runtime::Handle;

use super::local::{self, Local};
use super::names::Names;
use super::outward::Outward;
use super::passages::{Hosts, Open};
use super::places::{HOSTS, HOSTS_FILE};
use super::relay::relay;
use super::walls::Walls;
use super::warden::{Running, watch};
use super::{ordinary, orphans};
use crate::adapters::process::{
    Address, Command, Enclosure, Executor, Exit, Finished, Network, Order, ProcessError, Sandbox, SandboxError,
    Serving, Stop, Stray, Usage, Ways,
};
use crate::domain::measurement::Priority;

/// Walls by bubblewrap.
#[derive(Debug, Clone)]
pub struct Bubblewrap {
    program: PathBuf,
    binary: PathBuf,
}

impl Bubblewrap {
    /// The installed one, where there is one; `binary` is ours.
    pub fn installed(binary: PathBuf) -> Option<Self> {
        Some(Self { program: ordinary::bubblewrap()?, binary })
    }
}

#[async_trait]
impl Sandbox for Bubblewrap {
    async fn open(&self, order: &Order) -> Result<Arc<dyn Enclosure>, SandboxError> {
        let (own, order) = (self.clone(), order.clone());
        let open = move || {
            let hosts = Hosts::of(&order.network);
            fs::create_dir_all(&order.private)?;
            let file = hosts.file(&fs::read_to_string(HOSTS_FILE).unwrap_or_default());
            fs::write(order.private.join(HOSTS), file)?;
            let walls = Arc::new(Walls::open(&own.program, &own.binary, &order)?);
            Ok((walls, hosts, order.network))
        };
        let joined = tokio::task::spawn_blocking(open).await.map_err(io::Error::other);
        let (walls, hosts, network) = joined.and_then(|opened| opened).map_err(told)?;
        let exits = Exits::of(&walls, hosts, network).map_err(told)?;
        watch(&walls);
        Ok(Arc::new(Enclosed { walls, exits }))
    }
}

fn told(error: io::Error) -> SandboxError {
    SandboxError(error.to_string())
}

/// What leads out of a lease's network, where it has one of its own.
struct Exits {
    hosts: Hosts,
    outward: Outward,
    sometimes: Vec<Address>,
    names: Names,
    _always: Open,
}

impl Exits {
    fn of(walls: &Walls, hosts: Hosts, network: Network) -> io::Result<Option<Self>> {
        let Network::Own { always, sometimes, proxies } = network else { return Ok(None) };
        let Some(inside) = walls.network() else { return Ok(None) };
        let resolver = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let names = Names::answer(inside, &hosts, &resolver)?;
        let open = Open::to(&relay()?, inside, &hosts, &Outward::default(), &always)?;
        Ok(Some(Self { hosts, outward: Outward::by(&proxies), sometimes, names, _always: open }))
    }
}

/// The walls of a lease.
struct Enclosed {
    walls: Arc<Walls>,
    exits: Option<Exits>,
}

#[async_trait]
impl Enclosure for Enclosed {
    fn executor(&self) -> Arc<dyn Executor> {
        Arc::new(Within(Arc::clone(&self.walls)))
    }

    async fn reach(&self) -> Result<Box<dyn Ways>, SandboxError> {
        let opened = match (&self.exits, self.walls.network()) {
            (Some(Exits { hosts, outward, sometimes, .. }), Some(network)) => {
                Open::to(&Handle::current(), network, hosts, outward, sometimes).map_err(told)?
            }
            _ => Open::default(),
        };
        Ok(Box::new(opened))
    }

    fn missed(&self) -> Vec<String> {
        self.exits.as_ref().map(|exits| exits.names.missed()).unwrap_or_default()
    }

    async fn close(&self) {
        self.walls.end().await;
    }
}

/// A program that stays, within walls.
struct Served {
    service: Box<dyn Serving>,
    _running: Running,
    walls: Arc<Walls>,
}

#[async_trait]
impl Serving for Served {
    fn pid(&self) -> u32 {
        self.service.pid()
    }

    fn usage(&self) -> Usage {
        self.service.usage()
    }

    fn ended(&mut self) -> Option<Exit> {
        let ended = self.service.ended()?;
        Some(self.walls.ration().excess().map_or(ended, Exit::Beyond))
    }

    fn tail(&self, lines: usize) -> String {
        self.service.tail(lines)
    }

    async fn stop(&mut self) -> Exit {
        self.service.stop().await
    }
}

/// Runs programs within walls.
struct Within(Arc<Walls>);

#[async_trait]
impl Executor for Within {
    async fn run(&self, command: Command, stop: &Stop) -> Result<Finished, ProcessError> {
        let _running = Running::of(&self.0, &command);
        if let Some(excess) = self.0.ration().excess() {
            return Ok(Finished::of(Exit::Beyond(excess), Vec::new(), Vec::new()));
        }
        let done = local::run(command, stop, Some(&self.0)).await;
        match (self.0.ration().excess(), done) {
            (Some(excess), Ok(done)) if !done.exit.success() => Ok(Finished { exit: Exit::Beyond(excess), ..done }),
            (Some(excess), Err(_)) => Ok(Finished::of(Exit::Beyond(excess), Vec::new(), Vec::new())),
            (_, done) => done,
        }
    }

    async fn serve(&self, command: Command) -> Result<Box<dyn Serving>, ProcessError> {
        let running = Running::of(&self.0, &command);
        let service = local::serve(command, Some(&self.0)).await?;
        Ok(Box::new(Served { service, _running: running, walls: Arc::clone(&self.0) }))
    }

    async fn sweep(&self, variable: &str, value: &str) -> usize {
        Local.sweep(variable, value).await
    }

    async fn settle(&self, _lease: &str) -> Vec<Stray> {
        orphans::settle_in(&self.0, None).await.left
    }

    fn sockets(&self, count: usize) -> io::Result<Vec<OwnedFd>> {
        match self.0.network() {
            Some(network) => network.sockets(AddressFamily::INET, SocketType::STREAM, count),
            None => Local.sockets(count),
        }
    }

    fn priority(&self) -> Priority {
        Local.priority()
    }
}
