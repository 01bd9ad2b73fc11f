//! Executors: where a trial's programs run. One file an executor.

pub mod local;

mod capture;
mod control;
mod group;
mod mark;
mod orphans;
mod pulse;
mod reaping;
mod stat;
mod stopwatch;
mod tasks;
