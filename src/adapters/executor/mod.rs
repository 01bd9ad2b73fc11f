//! Executors: where a trial's programs run. One file an executor.

pub mod local;

mod capture;
mod control;
mod group;
mod pulse;
mod stat;
mod stopwatch;
