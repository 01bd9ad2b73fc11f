//! Reports of a run in the forms that people and programs ask for. `docs/report.md` describes them.
//! All are made from the journal's facts and the scoreboard that follows from them.

mod json;
mod junit;
mod markdown;

pub use json::json;
pub(super) use json::text as json_text;
pub use junit::junit;
pub use markdown::markdown;
