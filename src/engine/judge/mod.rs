//! Trees are judged: a clean checkout, set up, built and tested.

pub mod shadow;
pub mod tree;
