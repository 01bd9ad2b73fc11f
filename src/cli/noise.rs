//! `noise`: records what a machine does to the same work, and decides on such a recording.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use super::signals::Signals;
use super::{Context, Outcome};
use crate::adapters::machine::{self, Facts};
use crate::domain::noise::{Header, Trace};
use crate::domain::quantity::parse_duration;
use crate::error::{Error, ExitCode, Result};
use crate::project;
use crate::ui::{self, Waiting};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Record this machine's noise. It keeps one CPU busy for the whole time.
    Record(RecordArgs),
}

#[derive(Debug, clap::Args)]
struct RecordArgs {
    /// The trace to write.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How long to record; Ctrl-C ends it sooner and keeps what there is.
    #[arg(long = "for", default_value = "30m", value_name = "TIME", value_parser = length)]
    length: Duration,
    /// What to remember about the machine, such as "idle" or "CI runner".
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// A day of ticks takes a gigabyte of memory, and more tells nothing new.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

fn length(text: &str) -> std::result::Result<Duration, String> {
    let length = parse_duration(text).map_err(|why| why.to_string())?;
    if length.is_zero() || length > LONGEST { Err("between 1s and 24h".to_owned()) } else { Ok(length) }
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    match &args.command {
        Command::Record(args) => record(args, context).await,
    }
}

async fn record(args: &RecordArgs, context: &Context) -> Outcome {
    let path = context.directory.join(&args.file);
    if path.exists() {
        return Err(Error::usage(format!("{} is there already", path.display()))
            .hint("a recording replaces nothing; name another file, or remove this one")
            .into());
    }
    // Half an hour must not be recorded for a place that can't be written to.
    project::write(&path, b"")?;
    std::fs::remove_file(&path)
        .map_err(|why| Error::machine(format!("{} can't be removed", path.display())).because(why))?;
    let trace = recorded(args, context).await?;
    let bytes = trace.encode();
    project::write(&path, &bytes)?;
    context.out.print(&ui::recorded(&args.file.display().to_string(), bytes.len(), &trace));
    Ok(ExitCode::Done)
}

async fn recorded(args: &RecordArgs, context: &Context) -> Result<Trace> {
    let Facts { cores, cpu, kernel } = Facts::read();
    let (recorded, version) = (jiff::Timestamp::now(), env!("CARGO_PKG_VERSION").to_owned());
    let signals = Signals::watch()?;
    let waiting = Waiting::new(&context.out, "recording", args.length);
    let (length, stop) = (args.length, signals.stop.clone());
    let made = tokio::task::spawn_blocking(move || machine::record(length, &stop)).await;
    waiting.finish();
    let made = made.map_err(|why| Error::new(ExitCode::Bug, "the recorder broke off").because(why))?;
    let header = Header { recorded, version, cores, cpu, kernel, note: args.note.clone(), tick: made.tick };
    Ok(Trace { header, ticks: made.ticks, samples: made.samples })
}
