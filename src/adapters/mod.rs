//! What touches the world: a folder a port, a file an implementation, a table of them.
//!
//! Adapters import `domain` and `error`, and of each other only `process` (which alone starts
//! programs, and owns what they are handed and how results are read back), `sql` (which alone
//! builds SQL text), `http` (where every HTTP client begins, and which starts and asks a server for
//! a metric and for a suite) and `load` (which says when a target is asked, and counts its answers). Their fakes share `fake`,
//! a disk in memory.

pub mod agent;
pub mod executor;
pub mod fake;
pub mod git;
pub mod http;
pub mod journal;
pub mod load;
pub mod machine;
pub mod metric;
pub mod process;
pub mod proxy;
pub mod recorder;
pub mod service;
pub mod sql;
pub mod suite;
pub mod workspace;
