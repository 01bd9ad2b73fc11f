//! Executors: where a trial's programs run. One table, one file each.

pub mod local;
