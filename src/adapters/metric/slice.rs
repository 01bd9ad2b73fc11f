//! One slice that is one run of a program: how it runs, what it cost, who is to blame.

use std::path::Path;
use std::time::Duration;

use crate::adapters::process::{
    Command, Exchange, Exit, Finished, Program, REPORT_LIMIT, Site, Stray, Usage, temporary_beside,
};
use crate::adapters::sql::digest;
use crate::domain::measurement::{Reading, Timing};

use super::value::output;
use super::{MetricError, Sample, Slot};

/// The directory for temporary files.
const TEMPORARY: &str = "TMPDIR";

/// Runs a slice's program with `BLUEPRINT_SEED` and these variables; anything but status 0 is
/// the variant's doing.
pub async fn run(
    site: &Site,
    slot: Slot,
    program: &Program,
    extra: &[String],
    vars: &[(&str, String)],
) -> Result<Finished, MetricError> {
    let command = command(site, slot, program, extra, vars);
    finish(site, program, command).await
}

/// As [`run`], of a program whose standard output is what it computed: as one short line.
pub async fn answer(site: &Site, slot: Slot, program: &Program) -> Result<(Finished, String), MetricError> {
    let keep = REPORT_LIMIT as usize + 1;
    let command = Command { keep, ..command(site, slot, program, &[], &[]) };
    let finished = finish(site, program, command).await?;
    if finished.stdout.len() >= keep {
        return Err(MetricError::Variant(format!("`{program}` printed more than 64 MiB, too much to be compared")));
    }
    let said = match std::str::from_utf8(&finished.stdout) {
        Ok(text) => output(text),
        Err(_) => format!("{} bytes ({})", finished.stdout.len(), digest([finished.stdout.as_slice()], 16)),
    };
    Ok((finished, said))
}

fn command(site: &Site, slot: Slot, program: &Program, extra: &[String], vars: &[(&str, String)]) -> Command {
    let mut all = vec![("BLUEPRINT_SEED", slot.seed.to_string())];
    all.extend_from_slice(vars);
    let command = site.command(program, extra, &all, slot.limit, Some("metrics.log"));
    Command { metered: true, stay: slot.stay(), ..command }
}

/// Runs the command that stands for a slice's program; anything but status 0 is the variant's doing.
pub async fn finish(site: &Site, program: &Program, mut command: Command) -> Result<Finished, MetricError> {
    // What it keeps there is not there in the next slice.
    let temporary = command.env.get(TEMPORARY).map(|usual| temporary_beside(Path::new(usual))).transpose();
    let temporary = temporary.map_err(no_scratch)?;
    if let Some(own) = &temporary {
        command.env.insert(TEMPORARY.to_owned(), own.path().display().to_string());
    }
    let finished = site.exec.run(command, &site.stop).await?;
    match finished.exit {
        Exit::Code(0) if !finished.left.is_empty() => Err(MetricError::Left(left(program, &finished.left))),
        Exit::Code(0) => Ok(finished),
        Exit::Stopped => Err(MetricError::Stopped),
        exit => Err(MetricError::Variant(format!("`{program}`: {exit}{}", said(&finished)))),
    }
}

/// What a program left running: it could work for later slices, or disturb them.
fn left(program: &Program, strays: &[Stray]) -> String {
    let each: Vec<_> = strays.iter().take(3).map(ToString::to_string).collect();
    let more = strays.len().checked_sub(4).map_or_else(String::new, |more| format!(", and {} more", more + 1));
    format!("left {}{more} running after `{program}`; it was killed", each.join(", "))
}

/// The last lines a program printed, as the end of a message.
pub fn said(finished: &Finished) -> String {
    let tail = finished.tail(8);
    if tail.is_empty() { String::new() } else { format!("\n{tail}") }
}

/// The slice's result, with the cost that was seen from outside.
pub fn sample(readings: Vec<Reading>, site: &Site, finished: &Finished) -> Sample {
    Sample { readings, timing: timing(site, finished.wall, finished.usage), own: None, output: None }
}

/// What something cost that was metered in this place.
pub fn timing(site: &Site, wall: Duration, usage: Usage) -> Timing {
    let Usage { cpu, told, .. } = usage;
    Timing { wall, cpu, delay: usage.delay(wall), told, ..Timing::default() }.at(site.exec.priority())
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
pub(super) fn no_scratch(why: std::io::Error) -> MetricError {
    MetricError::Machine(format!("no place for a report in the scratch directory: {why}"))
}
