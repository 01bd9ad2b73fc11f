//! The port of services: what an application needs besides its code (a database, a cache), one of its own for each lease.
//!
//! An implementation is a file here and a line in the table below; `choose` takes one of them.

mod choose;
mod clone;
mod error;
pub mod fake;
mod place;
pub mod postgres;
pub mod redis;
mod seed;
mod shelf;
pub mod sqlite;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::process::{Address, Environment, Executor};
use crate::domain::service::Use;
pub use choose::choose;
pub use error::ServiceError;

/// The names that a lease's resources carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseName {
    /// The run's id, `yyyymmdd-hhmmss-<4 hex>`.
    pub run: String,
    /// The contender's slug.
    pub contender: String,
}

/// What a service will be, written to the journal before it exists and enough to remove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceResource {
    /// Its implementation's `kind` in the table.
    pub kind: String,
    /// Server, socket directory or file: where it is, without credentials.
    pub place: String,
    /// Database, schema, user or file: its name there.
    pub name: String,
    /// The lease's own role, where there is one besides.
    pub role: Option<String>,
    /// Drawn for this resource alone; part of the marker.
    pub nonce: String,
    /// The object's identity, known once it exists.
    pub oid: Option<u32>,
}

/// A service that is ready.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The resource, with what is known now that it exists.
    pub resource: ServiceResource,
    /// What the trial's processes get (`DATABASE_URL`, `REDIS_URL` and the like).
    pub env: Environment,
    /// Folders that its clients read, such as those of sockets.
    pub read: Vec<PathBuf>,
    /// Folders that its clients write, such as those of a database that is a file.
    pub write: Vec<PathBuf>,
    /// Where its clients reach it over the network.
    pub reach: Vec<Address>,
}

impl Ready {
    /// One whose clients need nothing besides their environment.
    pub fn new(resource: ServiceResource, env: Environment) -> Self {
        Self { resource, env, read: Vec::new(), write: Vec::new(), reach: Vec::new() }
    }

    /// The same, reached over the network.
    #[must_use]
    pub fn at(self, host: &str, port: u16) -> Self {
        Self { reach: Address::of(host, port).into_iter().collect(), ..self }
    }
}

/// How far apart leases are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// The first in the table that the machine and the role allow.
    #[default]
    Auto,
    /// A private server each.
    Server,
    /// A database each, on the configured server.
    Database,
    /// A schema each, in the configured database.
    Schema,
    /// A file each.
    File,
    /// A user of the configured server each, bound to a prefix of its keys.
    Acl,
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Server => "server",
            Self::Database => "database",
            Self::Schema => "schema",
            Self::File => "file",
            Self::Acl => "acl",
        })
    }
}

/// What the configuration asks for. Has no `Debug`: the URL holds credentials.
#[derive(Clone, Default)]
pub struct ServiceSettings {
    /// As what it is used.
    pub used_as: Use,
    /// With credentials; absent for a private server or a file.
    pub url: Option<String>,
    /// What the application speaks, by its name in the table, where no URL tells.
    pub engine: Option<String>,
    /// How far apart leases are to be kept.
    pub isolation: Isolation,
    /// Files that make the template, in order, absolute.
    pub seed: Vec<PathBuf>,
    /// Where templates and private servers may live; created with mode 0700.
    pub state: PathBuf,
    /// How many leases share what a server has.
    pub leases: u32,
}

/// One way of having a service.
pub struct Way {
    /// As what it can be used.
    pub used_as: Use,
    /// What it speaks, as the configuration names it. Of one use's, the first is meant where nothing tells.
    pub engine: &'static str,
    /// Of URLs that mean it, up to a `+`.
    pub schemes: &'static [&'static str],
    /// How far apart it keeps leases.
    pub isolation: Isolation,
    /// What its resources are called in the journal; no two lines have the same.
    pub kind: &'static str,
    /// Words by which a seed is known to be written for it, in lower case.
    pub words: &'static [&'static str],
    /// Opens it.
    pub open: fn(Ground) -> BoxFuture<'static, Result<Offer, ServiceError>>,
}

/// Every implementation. Of one engine's, the first comes first where the isolation is `auto`.
const TABLE: &[Way] = &[
    sqlite::WAY,
    postgres::server::WAY,
    postgres::database::WAY,
    postgres::schema::WAY,
    redis::server::WAY,
    redis::acl::WAY,
];

/// What an implementation is opened with.
pub struct Ground {
    /// What the configuration asks for.
    pub settings: ServiceSettings,
    /// Starts programs.
    pub exec: Arc<dyn Executor>,
    /// Where nobody asked for just this one.
    pub sought: Option<Sought>,
}

/// A way that is looked for.
#[derive(Debug, Clone, Default)]
pub struct Sought {
    /// By what its engine is known, in one clause.
    pub told: String,
    /// Why none of those before it can be had, a clause each.
    pub lacking: Vec<String>,
}

impl Ground {
    /// Why this one was chosen, with the implementation's own reason where it has one.
    pub fn because(&self, own: Option<String>) -> String {
        let Some(Sought { told, lacking }) = &self.sought else {
            return format!("`{}.isolation` asks for it", self.settings.used_as);
        };
        let clauses: Vec<_> = lacking.iter().cloned().chain(own).collect();
        if clauses.is_empty() { told.clone() } else { clauses.join(", and ") }
    }
}

/// What becomes of opening one.
pub enum Offer {
    /// It can be had.
    Had(Arc<dyn Service>),
    /// It can't be had here; another may do.
    Lacking {
        /// In one clause.
        why: String,
        /// What is told where no other will do.
        error: ServiceError,
    },
}

impl Offer {
    /// One that can be had.
    pub(crate) fn had(service: impl Service + 'static) -> Self {
        Self::Had(Arc::new(service))
    }
}

/// Which level was chosen and why, for the plan and the first lines of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// As what it is used.
    pub used_as: Use,
    /// Such as `postgresql server` or `sqlite file`.
    pub level: String,
    /// One clause.
    pub why: String,
}

/// One way of giving each lease a service of its own.
#[async_trait]
pub trait Service: Send + Sync {
    /// The level and the reason it was chosen.
    fn choice(&self) -> Choice;

    /// What its resources are called.
    fn kind(&self) -> &'static str;

    /// Finds out, before anything is spent, whether leases can be had: that the seed can be read,
    /// the server reached, and that the role may do what the level needs.
    async fn reach(&self) -> Result<(), ServiceError> {
        Ok(())
    }

    /// Builds the template, or finds it by its digest. Idempotent; takes a lock against a
    /// second orchestrator.
    async fn prepare(&self) -> Result<(), ServiceError> {
        Ok(())
    }

    /// Removes what killed builders of templates left, and nothing of one who is at work.
    async fn tidy(&self) -> Result<(), ServiceError> {
        Ok(())
    }

    /// Removes finished templates that no lease or orchestrator uses, and on a configured server the
    /// role that owned what was in them. Says what it removed. Whoever needs one builds it anew.
    async fn forget(&self) -> Result<Vec<String>, ServiceError> {
        Ok(Vec::new())
    }

    /// What `create` would make; pure, so that the journal can hold it first.
    fn intend(&self, lease: &LeaseName) -> ServiceResource;

    /// Makes it, fresh from the template where there is one, with credentials of its own.
    async fn create(&self, resource: &ServiceResource) -> Result<Ready, ServiceError>;

    /// Removes it, whole or half-made, if it carries our marker or the intent's identity; says
    /// nothing when it is already gone.
    async fn remove(&self, resource: &ServiceResource) -> Result<(), ServiceError>;
}

/// As what a resource of this kind was used, where an implementation in the table made it.
pub fn use_of(kind: &str) -> Option<Use> {
    TABLE.iter().find(|way| way.kind == kind).map(|way| way.used_as)
}

/// The service that made a resource, or the one that stands in its place now and can say so.
pub fn maker<'a>(services: &'a [Arc<dyn Service>], resource: &ServiceResource) -> Option<&'a Arc<dyn Service>> {
    let made = services.iter().find(|service| service.kind() == resource.kind);
    let used_as = use_of(&resource.kind);
    made.or_else(|| services.iter().find(|service| Some(service.choice().used_as) == used_as))
}
