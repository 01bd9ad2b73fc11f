//! The pure heart: what a blueprint means, what a measurement says, who wins.
//!
//! Nothing here does I/O, awaits, reads a clock or draws randomness that was not handed in.

pub mod bounds;
pub mod budget;
pub mod calls;
pub mod cases;
pub mod change;
pub mod claimed;
pub mod commands;
pub mod commit;
pub mod control;
pub mod decision;
pub mod detect;
pub mod diagnostic;
pub mod disturbance;
pub mod document;
pub mod ending;
pub mod estimate;
pub mod event;
pub mod excerpt;
pub mod fresh;
pub mod gate;
pub mod instructions;
pub mod key;
pub mod landing;
pub mod lanes;
pub mod load;
pub mod measurement;
pub mod noise;
pub mod plan;
pub mod price;
pub mod quantity;
pub mod race;
pub mod reckoning;
pub mod results;
pub mod score;
pub mod scoreboard;
pub mod service;
pub mod started;
pub mod statistics;
pub mod steady;
pub mod timed;
pub mod trial;
pub mod verdict;
pub mod weights;
pub mod wire;
