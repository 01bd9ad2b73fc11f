//! The only place that prints: results, progress, errors, reports.
//!
//! What is printed is made by pure functions from what they are handed; `terminal` alone writes.

mod error;
mod style;
mod table;
mod terminal;
mod words;

pub use error::error;
pub use style::{Style, Tone};
pub use terminal::{Colour, Surroundings, Terminal};
