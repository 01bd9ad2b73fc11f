//! Diagnostics with stable codes.

/// A finding in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {}
