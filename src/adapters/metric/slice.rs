//! One slice that is one run of a program: how it runs, what it cost, who is to blame.

use crate::adapters::process::{Command, Exchange, Exit, Finished, Program, Site, Usage};
use crate::domain::measurement::{Reading, Timing};

use super::{MetricError, Sample, Slot};

/// Runs a slice's program with `BLUEPRINT_SEED` and these variables; anything but status 0 is
/// the variant's doing.
pub async fn run(
    site: &Site,
    slot: Slot,
    program: &Program,
    extra: &[String],
    vars: &[(&str, String)],
) -> Result<Finished, MetricError> {
    let mut all = vec![("BLUEPRINT_SEED", slot.seed.to_string())];
    all.extend_from_slice(vars);
    let command = site.command(program, extra, &all, slot.limit, Some("metrics.log"));
    let finished = site.exec.run(Command { metered: true, ..command }, &site.stop).await?;
    match finished.exit {
        Exit::Code(0) => Ok(finished),
        Exit::Stopped => Err(MetricError::Stopped),
        exit => Err(MetricError::Variant(format!("`{program}`: {exit}{}", said(&finished)))),
    }
}

/// The last lines a program printed, as the end of a message.
pub fn said(finished: &Finished) -> String {
    let tail = finished.tail(8);
    if tail.is_empty() { String::new() } else { format!("\n{tail}") }
}

/// The slice's result, with the cost that was seen from outside.
pub fn sample(readings: Vec<Reading>, finished: &Finished) -> Sample {
    Sample { readings, timing: timing(finished), own: None, output: None }
}

/// What a run cost.
pub fn timing(finished: &Finished) -> Timing {
    let Usage { cpu, delay } = finished.usage;
    Timing { wall: finished.wall, cpu, delay, ..Timing::default() }
}

/// A report that the program had to write; a missing or strange one is the variant's doing.
pub fn report(exchange: &Exchange, program: &Program, finished: &Finished) -> Result<Vec<u8>, MetricError> {
    match exchange.read() {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(MetricError::Variant(format!("`{program}` wrote no report{}", said(finished)))),
        Err(why) => Err(MetricError::Variant(format!("the report of `{program}` can't be read: {why}"))),
    }
}

/// A private place could not be made: the machine's doing.
pub fn no_scratch(why: std::io::Error) -> MetricError {
    MetricError::Machine(format!("no place for a report in the scratch directory: {why}"))
}
