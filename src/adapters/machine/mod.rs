//! The machine that this runs on: what it is, and how long the same work takes on it over and over.

mod counters;
mod recorder;

pub use counters::Facts;
pub use recorder::record;
