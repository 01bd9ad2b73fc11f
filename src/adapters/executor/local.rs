//! This machine, without a sandbox.
