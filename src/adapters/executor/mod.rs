//! Executors: where a trial's programs run. One file an executor.

pub mod enclosed;
pub mod fake;
pub mod keeper;
pub mod local;
pub mod ordinary;

mod aside;
mod calls;
mod capture;
mod control;
mod drafts;
mod group;
mod holders;
mod joining;
mod mark;
mod names;
mod network;
mod orphans;
mod outward;
mod passages;
mod places;
mod pulse;
mod ration;
mod reaping;
mod relay;
mod spawner;
mod stat;
mod stopwatch;
mod tasks;
mod walls;
mod warden;
mod worker;
