//! Traces for the tests of whatever reads them.

use super::{Header, Tick, Trace};

/// A trace of an idle machine with two CPUs whose ticks take this many microseconds.
pub fn trace(walls: &[u64]) -> Trace {
    let header = Header {
        recorded: jiff::Timestamp::from_second(1_767_600_000).unwrap_or_default(),
        version: "0.1.0".to_owned(),
        cores: 2,
        cpu: Some("Some CPU @ 2.1 GHz".to_owned()),
        kernel: None,
        note: Some("idle".to_owned()),
        tick: 5_000,
    };
    let ticks = walls.iter().map(|wall| Tick { wall: *wall, cpu: *wall, run_delay: Some(0) }).collect();
    Trace { header, ticks, samples: Vec::new() }
}
