//! What models are asked, what it costs, and what may still be used.

pub mod accounts;
pub mod cost;
pub mod raising;
