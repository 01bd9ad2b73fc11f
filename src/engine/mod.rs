//! Decides, over the ports of `adapters`; prints nothing and touches nothing itself.

pub mod before;
pub mod budget;
pub mod clock;
pub mod competition;
#[cfg(test)]
mod fixtures;
mod holding;
pub mod implement;
pub mod judge;
pub mod land;
mod log;
pub mod measure;
mod patience;
pub mod pipeline;
pub mod ports;
pub mod rehearsal;
mod removals;
pub mod resources;
mod room;
pub mod run;
pub mod settings;
pub mod state;
pub mod trouble;
mod turns;
