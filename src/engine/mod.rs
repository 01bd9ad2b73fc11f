//! Decides, over the ports of `adapters`; prints nothing and touches nothing itself.

pub mod before;
pub mod budget;
pub mod clock;
pub mod implement;
pub mod judge;
pub mod land;
mod log;
pub mod measure;
pub mod pipeline;
pub mod rehearsal;
pub mod resources;
pub mod run;
pub mod state;
