//! What a run holds outside, and how it is given back.

pub mod giving_back;
pub mod lease;
pub mod recovery;
pub mod walls;
