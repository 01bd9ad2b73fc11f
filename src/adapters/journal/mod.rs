//! The journal port.
