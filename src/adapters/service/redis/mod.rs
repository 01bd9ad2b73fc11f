//! Redis: a private server for each lease, or a user of a shared one bound to a key prefix. Logical database numbers are no
//! level: `FLUSHALL` reaches all.

pub mod acl;
mod address;
mod link;
mod password;
mod program;
mod rules;
pub mod server;

pub use program::found;

/// How the configuration names it.
const ENGINE: &str = "redis";

/// Of URLs that mean it.
const SCHEMES: &[&str] = &["redis", "rediss"];
