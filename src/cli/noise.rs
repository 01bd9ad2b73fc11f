//! `noise`: records what a machine does to the same work, and decides on such a recording.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Subcommand, ValueEnum};

use super::signals::Signals;
use super::{Context, Outcome};
use crate::adapters::recorder::{self, Facts};
use crate::domain::noise::{CAP, Header, Question, Replay, Summary, Tally, Timed, Trace};
use crate::domain::quantity::parse_duration;
use crate::error::{Error, ExitCode, Result};
use crate::project;
use crate::ui::{self, Waiting};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint noise record ci.noise")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Record this machine's noise. It keeps one CPU busy for the whole time.
    Record(RecordArgs),
    /// Decide on a recorded machine, to see which differences it lets through and how soon.
    Replay(ReplayArgs),
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

#[derive(Debug, clap::Args)]
struct ReplayArgs {
    /// A trace that `noise record` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How many variants compete: the best, one that is off by twice the difference, all others by once.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=20))]
    variants: u8,
    /// By how much they differ; several after one another or with commas between them.
    #[arg(long, default_value = "5%", value_name = "PERCENT", value_delimiter = ',', value_parser = difference)]
    difference: Vec<f64>,
    /// How often each contest is decided, each time from another moment of the trace on.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    decisions: u64,
    /// What the moments and orders are drawn from.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// How the figures are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON document.
    Json,
}

/// A day of ticks takes most of a gigabyte of memory, and more tells nothing new.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

fn length(text: &str) -> std::result::Result<Duration, String> {
    let length = parse_duration(text).map_err(|why| why.to_string())?;
    if length.is_zero() || length > LONGEST { Err("more than nothing and at most 24h".to_owned()) } else { Ok(length) }
}

/// A percentage as a share, above 0 and at most 10.
fn difference(text: &str) -> std::result::Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    let share = number.parse::<f64>().map_err(|_| "a percentage is wanted, such as 5%".to_owned())? / 100.0;
    let fits = share > 0.0 && share <= 10.0;
    if fits { Ok(share) } else { Err("above 0% and at most 1000%; identical variants are always shown".to_owned()) }
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    match &args.command {
        Command::Record(args) => record(args, context).await,
        Command::Replay(args) => replay(args, context),
    }
}

async fn record(args: &RecordArgs, context: &Context) -> Outcome {
    let path = context.directory.join(&args.file);
    if path.exists() {
        return Err(Error::usage(format!("{} already exists", path.display()))
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
    let made = tokio::task::spawn_blocking(move || recorder::record(length, &stop)).await;
    waiting.finish();
    let made = made.map_err(|why| Error::new(ExitCode::Bug, "the recorder broke off").because(why))?;
    let header = Header { recorded, version, cores, cpu, kernel, note: args.note.clone(), tick: made.tick };
    Ok(Trace { header, ticks: made.ticks, samples: made.samples })
}

fn replay(args: &ReplayArgs, context: &Context) -> Outcome {
    let trace = read(&context.directory.join(&args.file))?;
    let replay = Replay::of(&trace);
    if trace.length().as_secs_f64() < CAP {
        context.out.note("the trace is shorter than a contest may be, and is repeated; 30 minutes are better");
    }
    let mut tallies = Vec::new();
    for difference in std::iter::once(0.0).chain(args.difference.iter().copied()) {
        for timed in Timed::ALL {
            let question = Question { variants: usize::from(args.variants), difference, timed, cap: CAP, own: 0.0 };
            tallies.push(Tally::of(&replay, question, args.decisions, args.seed));
        }
    }
    let summary = Summary::of(&trace, &replay);
    match args.format {
        Format::Human => context.out.print(&ui::replayed(&trace, &summary, &tallies, context.out.style())),
        Format::Json => context.out.print_document(&ui::replayed_json(&trace, &summary, &tallies)),
    }
    Ok(ExitCode::Done)
}

fn read(path: &Path) -> Result<Trace> {
    let bytes = std::fs::read(path).map_err(|why| {
        let error = Error::usage(format!("{} can't be read", path.display())).because(why);
        error.hint(format!("record one: blueprint noise record {}", path.display()))
    })?;
    Trace::decode(&bytes).map_err(|why| Error::usage(format!("{} is no trace", path.display())).because(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_percentages_with_or_without_their_sign() {
        assert_eq!((difference("5%"), difference("0.5"), difference("100 %")), (Ok(0.05), Ok(0.005), Ok(1.0)));
        for text in ["0%", "-1%", "1001%", "NaN", "inf", "", "%", "5x"] {
            difference(text).unwrap_err();
        }
    }

    #[test]
    fn recordings_last_from_a_moment_to_a_day() {
        assert_eq!(length("30m"), Ok(Duration::from_secs(1800)));
        for text in ["0s", "25h", "5", "soon"] {
            length(text).unwrap_err();
        }
    }
}
