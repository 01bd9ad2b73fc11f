//! The only place that prints.

pub mod diagnostics;
