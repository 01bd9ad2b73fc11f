//! PostgreSQL: a private server, a database or a schema for each lease. A file each, and what they share.

mod admin;
mod cluster;
pub mod database;
mod programs;
pub mod schema;
pub mod server;
mod template;

use std::time::Duration;

pub use programs::Programs;

/// How the configuration names it.
const ENGINE: &str = "postgres";

/// Of URLs that mean it.
const SCHEMES: &[&str] = &["postgresql", "postgres"];

/// What seeds for it hold and other databases do not know.
const WORDS: &[&str] =
    &["bigserial", "serial", "generate_series", "timestamptz", "jsonb", "plpgsql", "bytea", "pg_catalog"];

/// How long a connection attempt may take. A server that is not there refuses at once; one on a machine that is busy
/// with something else was seen to take more than five seconds.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
