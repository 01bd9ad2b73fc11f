//! Decides, over the ports of `adapters`; prints nothing and touches nothing itself.

pub mod accounts;
pub mod approval;
pub mod calls;
pub mod clock;
pub mod competition;
pub mod context;
pub mod contract;
pub mod controls;
pub mod doctor;
pub mod ending;
pub mod estimate;
#[cfg(test)]
mod fixtures;
mod gates;
pub mod journal;
pub mod judging;
pub mod landing;
pub mod lanes;
pub mod lease;
pub mod measuring;
pub mod opening;
pub mod outline;
mod outputs;
mod pace;
pub mod rates;
pub mod recheck;
pub mod recovery;
pub mod rehearsal;
pub mod removal;
pub mod replay;
mod retry;
mod smoke;
pub mod spending;
pub mod step;
pub mod ties;
pub mod trial;
mod vetting;
