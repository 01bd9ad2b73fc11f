//! What touches the world: a folder a port, a file an implementation, a table of them.
//!
//! Adapters import `domain` and `error`, and of each other only `process` (which alone starts
//! programs and owns how results are read back), `sql` (which alone builds SQL text) and `http` (which
//! loads a server for a metric and for a suite).

pub mod agent;
pub mod cache;
pub mod database;
pub mod executor;
pub mod git;
pub mod http;
pub mod journal;
pub mod metric;
pub mod process;
pub mod recorder;
pub mod sql;
pub mod suite;
pub mod workspace;
