//! The metric port: where a metric's value comes from, a slice at a time.
//!
//! A source is one file here and one line in the table below; what reads the report of a benchmark
//! program is one file and one line in `report`. Values are checked at this edge:
//! what leaves a source is finite, not negative, and above zero where zero is impossible.

mod asked;
pub mod command;
pub mod fake;
pub mod file;
pub mod http;
pub mod instructions;
pub mod load;
pub mod params;
pub mod report;
mod slice;
pub mod sql;
pub mod sql_load;
mod stat;
pub mod time;
mod value;

use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;

pub use super::process::Site;
use super::process::{Environment, Executor, ProcessError, Program, Stay};
use crate::domain::measurement::{MetricName, Reading, Timing};
use crate::domain::quantity::Dimension;
use crate::error::Error;
use asked::Binding;
pub use asked::{Asked, AskedLoad};
pub use params::ParamsFrom;
pub use stat::Stat;

/// Makes the settings' enum, the table and the constructor out of one line a source. Reports are one
/// source of many names, which have a table of their own.
macro_rules! sources {
    ($($(#[$doc:meta])* $variant:ident, $name:literal => $module:ident::$source:ident;)+) => {
        /// What the configuration says about a source.
        #[derive(Debug, Clone, PartialEq)]
        pub enum SourceSettings {
            /// The report of a benchmark program.
            Report(report::Settings),
            $($(#[$doc])* $variant($module::Settings),)+
        }

        impl SourceSettings {
            /// The name in the table.
            pub fn kind(&self) -> &'static str {
                match self {
                    Self::Report(settings) => settings.format.name,
                    $(Self::$variant(_) => $name,)+
                }
            }
        }

        impl SourceSettings {
            /// What a configuration says of one metric, as settings for it alone; `from` names the kind of source.
            pub fn read(from: Option<&str>, asked: &Asked) -> Result<Self, Error> {
                let told_by = [$(<$module::Settings as Binding>::TOLD_BY.map(|key| ($name, key))),+];
                let told_by: Vec<_> = told_by.into_iter().flatten().collect();
                let kind = asked.kind(from, &told_by, &SOURCES)?;
                $(if kind == $name {
                    asked.only($name, <$module::Settings as Binding>::KEYS)?;
                    return Binding::read(asked).map(Self::$variant);
                })+
                // What is known and in no line is a report.
                let format = report::find(kind).ok_or_else(|| Error::usage(format!("`{kind}` is not a source")))?;
                report::Settings::read(format, asked).map(Self::Report)
            }

            /// Takes the metrics of settings that are the same but for them; whether it did.
            fn join(&mut self, other: &Self) -> bool {
                match (self, other) {
                    (Self::Report(one), Self::Report(two)) => one.join(two),
                    $((Self::$variant(one), Self::$variant(two)) => one.join(two),)+
                    _ => false,
                }
            }

            /// Refuses what does not go together in one slice.
            fn check(&self) -> Result<(), Error> {
                match self {
                    Self::Report(_) => Ok(()),
                    $(Self::$variant(settings) => settings.check(),)+
                }
            }

            /// The programs that it starts.
            pub fn programs(&self) -> Vec<&Program> {
                match self {
                    Self::Report(settings) => vec![&settings.command],
                    $(Self::$variant(settings) => settings.programs(),)+
                }
            }
        }

        /// The name of every source, as `blueprint.yaml` has it.
        pub static SOURCES: LazyLock<Vec<&'static str>> =
            LazyLock::new(|| report::FORMATS.iter().map(|format| format.name).chain([$($name),+]).collect());

        /// The source that these settings describe.
        pub fn build(settings: SourceSettings) -> Box<dyn MetricSource> {
            match settings {
                SourceSettings::Report(settings) => Box::new(report::Report::new(settings)),
                $(SourceSettings::$variant(settings) => Box::new($module::$source::new(settings)),)+
            }
        }
    };
}

sources! {
    /// A file of JSON lines that a command writes.
    File, "file" => file::File;
    /// A command's standard output as JSON.
    Command, "command" => command::Command;
    /// Load on a server over HTTP.
    Http, "http" => http::Http;
    /// A query of the contender's database.
    Sql, "sql" => sql::Sql;
    /// The time that a command takes.
    Time, "time" => time::Time;
    /// Load on the contender's database.
    SqlLoad, "sql-load" => sql_load::SqlLoad;
    /// The instructions that a command executes.
    Instructions, "instructions" => instructions::Instructions;
}

/// One source for all metrics that come out of the same slice of the same program.
pub fn build_all(settings: impl IntoIterator<Item = SourceSettings>) -> Result<Vec<Box<dyn MetricSource>>, Error> {
    let mut joined: Vec<SourceSettings> = Vec::new();
    for new in settings {
        if !joined.iter_mut().any(|known| known.join(&new)) {
            joined.push(new);
        }
    }
    joined.iter().try_for_each(SourceSettings::check)?;
    Ok(joined.into_iter().map(build).collect())
}

/// What is the same for every contender in one block, so that inputs are fresh and shared.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// The block's index.
    pub block: u32,
    /// Drawn per block from the run's seed; handed to programs as `BLUEPRINT_SEED`.
    pub seed: u64,
    /// The slice must have ended by then.
    pub limit: Option<Duration>,
    /// For how long a program that times itself is to do its work, where it is to do less of it than usual and can be
    /// asked to.
    pub brief: Option<Duration>,
}

/// Whatever is tried before or beside the race has a number among these in the place of a block's.
const TRIED: u32 = u32::MAX - 16;

impl Slot {
    /// What a slice leaves. What was built, and caches of tools, are made by the first that are tried and by the warm-up,
    /// and are there for all that count; those leave nothing.
    pub fn stay(&self) -> Stay {
        if self.block == 0 || self.block > TRIED { Stay::Lasting } else { Stay::Fleeting }
    }
}

/// What one slice yielded.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// One reading for each metric that the source provides.
    pub readings: Vec<Reading>,
    /// What the slice cost, taken outside the measured process.
    pub timing: Timing,
    /// The metric whose value is the slice's own elapsed time, where there is one: others may
    /// choose another clock for it.
    pub own: Option<MetricName>,
    /// What the measured work answered, where the source tells: one line, or a digest of it. The
    /// engine compares it with the baseline's in the same block.
    pub output: Option<String>,
}

/// How often a source has to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// Once for each contender: the answer does not vary (a size).
    Once,
    /// In every block.
    EachBlock,
}

/// Why a slice has no value.
#[derive(Debug, thiserror::Error)]
pub enum MetricError {
    /// The variant's doing: a crash, a wrong answer, an invalid or missing value.
    #[error("{0}")]
    Variant(String),
    /// The slice left something running, which was killed: a variant that does so is out. Where the baseline does,
    /// the harness is at fault.
    #[error("{0}")]
    Left(String),
    /// The machine's doing: the whole block is repeated.
    #[error("{0}")]
    Machine(String),
    /// A program was missing or failed to start.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The run is being stopped.
    #[error("stopped")]
    Stopped,
}

/// What a source measures with is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready {
    /// What is missing.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

/// A source of one or more metrics.
#[async_trait]
pub trait MetricSource: Send + Sync {
    /// Unique within a run, such as `pytest-benchmark: pytest tests/performance`.
    fn name(&self) -> &str;

    /// The metrics it provides.
    fn metrics(&self) -> Vec<MetricName>;

    /// What a metric will be a quantity of, where the settings tell: a bound of another
    /// dimension can then be refused before anything runs.
    fn dimension(&self, metric: &MetricName) -> Option<Dimension>;

    /// How often it has to be asked.
    fn cadence(&self) -> Cadence;

    /// Whether what it measures keeps running between slices, or runs elsewhere: its CPUs can't
    /// change from block to block then, and it can't be measured in parallel lanes.
    fn stays(&self) -> bool {
        false
    }

    /// Whether its values count work that is done, and say nothing of the time it takes.
    fn counts(&self) -> bool {
        false
    }

    /// What would let the answers of the measured work be compared with the baseline's, where nothing does; `None` where
    /// they are, or where nothing is measured in blocks.
    fn unchecked(&self) -> Option<&'static str> {
        None
    }

    /// Whether this machine has what it measures with, in this environment; told before anything is spent.
    async fn ready(&self, _: &dyn Executor, _: &Environment) -> Result<(), Unready> {
        Ok(())
    }

    /// Requests a second of its open loop, where it has one: what the configuration asks for, or what was
    /// fixed since.
    fn rate(&self) -> Option<NonZeroU32> {
        None
    }

    /// Fixes the rate for every contender, those that are ready included.
    fn fix_rate(&self, _: NonZeroU32) {}

    /// Makes a contender ready to be measured (starts its server and waits until it answers).
    async fn open(&self, site: &Site) -> Result<Box<dyn Meter>, MetricError>;
}

/// The rate of an open loop that this machine holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// Requests a second; never more than were asked for.
    pub rate: NonZeroU32,
    /// The share of a latency that is the generator's lateness at this rate; at most a half where it is on time.
    pub late: f64,
    /// Whether requests are sent on time.
    pub on_time: bool,
}

/// A contender, ready to be measured by one source.
#[async_trait]
pub trait Meter: Send + Sync {
    /// Takes one slice.
    async fn sample(&mut self, slot: Slot) -> Result<Sample, MetricError>;

    /// Takes the first slice of a tree that nothing was measured in before. Who repeats its work within a slice does
    /// it once here, so that what is done the first time alone does not hide behind the repetitions.
    async fn first(&mut self, slot: Slot) -> Result<Sample, MetricError> {
        self.sample(slot).await
    }

    /// The rate of its source that this machine holds; `None` where the source has none.
    async fn held(&mut self, _: Slot) -> Result<Option<Held>, MetricError> {
        Ok(None)
    }

    /// Stops what `open` started.
    async fn close(&mut self);
}
