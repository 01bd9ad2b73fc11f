//! What measuring a gateway takes: servers and a client.

pub mod client;
pub mod servers;
