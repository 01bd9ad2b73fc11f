//! The git port.
