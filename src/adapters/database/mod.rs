//! The database port: one isolated database a contender, cloned from a template.
//!
//! An implementation is one file here and one line in [`TABLE`]; `choose` takes one of them.

mod admin;
mod choose;
mod clone;
mod cluster;
#[expect(clippy::module_inception, reason = "one database a lease is what this level is called")]
pub mod database;
mod error;
pub mod fake;
mod place;
mod programs;
pub mod schema;
mod seed;
pub mod server;
mod shelf;
pub mod sqlite;
mod template;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::process::{Environment, Executor};
pub use super::sql::url::Engine;
pub use choose::choose;
pub use error::DatabaseError;
pub use programs::Programs;

/// The names that a lease's resources carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseName {
    /// The run's id, `yyyymmdd-hhmmss-<4 hex>`.
    pub run: String,
    /// The contender's slug.
    pub contender: String,
}

/// What a database will be, written to the journal before it exists and enough to remove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseResource {
    /// The implementation's name in the table.
    pub kind: String,
    /// Server, socket directory or file: where it is, without credentials.
    pub place: String,
    /// Database, schema or file name.
    pub name: String,
    /// The lease's own role, where there is one.
    pub role: Option<String>,
    /// Drawn for this resource alone; part of the marker.
    pub nonce: String,
    /// The object's identity, known once it exists.
    pub oid: Option<u32>,
}

/// A database that is ready.
#[derive(Debug, Clone)]
pub struct Connected {
    /// The resource, with what is known now that it exists.
    pub resource: DatabaseResource,
    /// What the trial's processes get (`DATABASE_URL` and the engine's own variables).
    pub env: Environment,
}

impl Connected {
    /// Folders that its clients read: those of sockets.
    pub fn read(&self) -> Option<PathBuf> {
        self.env.get("PGHOST").map(PathBuf::from).filter(|host| host.is_absolute())
    }

    /// Folders that its clients write: those of a database that is a file.
    pub fn write(&self) -> Option<PathBuf> {
        self.env.get("BLUEPRINT_DATABASE_FILE").and_then(|file| PathBuf::from(file).parent().map(PathBuf::from))
    }
}

/// How far apart leases are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// The first of the others that the machine and the role allow.
    #[default]
    Auto,
    /// A private PostgreSQL server each.
    Server,
    /// A database each, on the configured server.
    Database,
    /// A schema each, in the configured database.
    Schema,
    /// A SQLite file each.
    Sqlite,
}

/// What an implementation is opened with.
pub struct Ground {
    /// What the configuration asks for.
    pub settings: DatabaseSettings,
    /// Why this level was chosen, in one clause.
    pub why: String,
    /// The PostgreSQL that is installed here, where one is and the level may need it.
    pub programs: Option<Programs>,
    /// Starts programs.
    pub exec: Arc<dyn Executor>,
}

/// Opens an implementation; connects to nothing.
type Open = fn(Ground) -> Result<Arc<dyn Database>, DatabaseError>;

/// Every implementation, by what asks for it.
pub const TABLE: &[(Isolation, Open)] = &[
    (Isolation::Server, server::Server::open),
    (Isolation::Database, database::Databases::open),
    (Isolation::Schema, schema::Schemas::open),
    (Isolation::Sqlite, sqlite::Sqlite::open),
];

/// What the configuration asks for. Has no `Debug`: the URL holds credentials.
#[derive(Clone, Default)]
pub struct DatabaseSettings {
    /// With credentials; absent for a private server or SQLite.
    pub url: Option<String>,
    /// What the application speaks, where no URL tells.
    pub engine: Option<Engine>,
    /// SQL files that make the template, in order, absolute.
    pub seed: Vec<PathBuf>,
    /// Where templates and private servers may live; created with mode 0700.
    pub state: PathBuf,
    /// `max_connections` to be shared between leases.
    pub leases: u32,
}

/// Which level was chosen and why, for the plan and the first lines of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Such as `postgresql server` or `sqlite file`.
    pub level: String,
    /// One clause.
    pub why: String,
}

/// One way of giving each contender a database of its own.
#[async_trait]
pub trait Database: Send + Sync {
    /// The level and the reason it was chosen.
    fn choice(&self) -> Choice;

    /// Finds out, before anything is spent, whether leases can be had: that the seed can be read,
    /// the server reached, and that the role may do what the level needs.
    async fn reach(&self) -> Result<(), DatabaseError>;

    /// Builds the template, or finds it by its digest. Idempotent; takes a lock against a
    /// second orchestrator.
    async fn prepare(&self) -> Result<(), DatabaseError>;

    /// Removes what killed builders of templates left, and nothing of one who is at work.
    async fn tidy(&self) -> Result<(), DatabaseError>;

    /// Removes finished templates that no lease or orchestrator uses, and on a configured server the
    /// role that owned what was in them. Says what it removed. Whoever needs one builds it anew.
    async fn forget(&self) -> Result<Vec<String>, DatabaseError>;

    /// What `create` would make; pure, so that the journal can hold it first.
    fn intend(&self, lease: &LeaseName) -> DatabaseResource;

    /// Makes it: a fresh clone of the template with a role of its own.
    async fn create(&self, resource: &DatabaseResource) -> Result<Connected, DatabaseError>;

    /// Removes it, whole or half-made, if it carries our marker or the intent's identity; says
    /// nothing when it is already gone.
    async fn remove(&self, resource: &DatabaseResource) -> Result<(), DatabaseError>;
}

/// How long a connection attempt may take. A server that is not there refuses at once; one on a machine that is busy
/// with something else was seen to take more than five seconds.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(20);
