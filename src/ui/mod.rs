//! The only place that prints: results, progress, errors, reports.
//!
//! What is printed is made by pure functions from what they are handed; `terminal` alone writes.

mod change;
pub mod diagnostics;
mod doctor;
mod error;
#[cfg(test)]
mod fixtures;
mod log;
mod noise;
mod notes;
mod outline;
mod progress;
mod rehearsal;
pub mod report;
mod runs;
mod scoreboard;
mod starting;
mod style;
mod table;
mod terminal;
mod verdict;
mod words;

pub use doctor::{doctor, doctor_json};
pub use error::error;
pub use log::{Log, LogSettings, VARIABLE as LOG_VARIABLE};
pub use noise::{Waiting, recorded, replayed, replayed_json};
pub use outline::{outline, outline_json, outlines_json};
pub use progress::{JsonLines, Progress, Sinks};
pub use runs::{DocumentLine, RunLine, RunState, cleaned, documents, runs, runs_json};
pub use scoreboard::scoreboard;
pub use starting::{Missing, found, started};
pub use style::{Style, Tone};
pub use terminal::{Colour, Surroundings, Terminal};
