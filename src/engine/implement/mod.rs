//! Variants are written: one trial each, step by step, within the contract.

pub mod contract;
pub mod step;
pub mod trial;
