//! Everything a run touches the world through.

use std::sync::Arc;

use crate::adapters::agent::Agent;
use crate::adapters::git::Git;
use crate::adapters::machine::Machine;
use crate::adapters::metric::MetricSource;
use crate::adapters::process::{Executor, Sandbox};
use crate::adapters::proxy::Proxy;
use crate::adapters::service::Service;
use crate::adapters::suite::Suite;
use crate::adapters::workspace::Workspace;
use crate::domain::event::Sink;

/// Everything a run touches the world through.
#[derive(Clone)]
pub struct Ports {
    /// The repository.
    pub git: Arc<dyn Git>,
    /// Where programs run.
    pub exec: Arc<dyn Executor>,
    /// What keeps those of a lease in, where something does.
    pub sandbox: Option<Arc<dyn Sandbox>>,
    /// What its cores do.
    pub machine: Arc<dyn Machine>,
    /// Directories, carried files, free ports.
    pub workspace: Arc<dyn Workspace>,
    /// What implements variants.
    pub agent: Arc<dyn Agent>,
    /// How it reaches its models, where its requests are to be counted and capped one by one.
    pub proxy: Option<Arc<dyn Proxy>>,
    /// What each lease has of its own besides, as the configuration asks for it.
    pub services: Vec<Arc<dyn Service>>,
    /// The plan's tests, in its order.
    pub suites: Vec<Arc<dyn Suite>>,
    /// Where the plan's metrics come from.
    pub sources: Vec<Arc<dyn MetricSource>>,
    /// What is counted of variants that can't be told apart, where the configuration asks for it.
    pub tie_breaker: Option<Arc<dyn MetricSource>>,
    /// Who watches.
    pub events: Arc<dyn Sink>,
}
