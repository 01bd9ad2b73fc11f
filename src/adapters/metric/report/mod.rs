//! Metrics out of the reports of benchmark programs: one source, whatever the format.
//!
//! A format is one file here and one line in the table below: where its program leaves the report,
//! and a pure reader of it. What is asked of a report, and what is refused, is the same for all.

mod benchmark;
mod criterion;
mod folder;
mod go_bench;
mod hyperfine;
mod k6;
mod pytest_benchmark;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;

use super::slice::{self, no_scratch};
use super::{Cadence, Meter, MetricError, MetricSource, Sample, Site, Slot, Stat};
use crate::adapters::process::{Exchange, Finished, Program};
use crate::domain::measurement::{MetricName, Reading};
use crate::domain::quantity::{Dimension, Quantity};
use benchmark::{Benchmark, Series};

/// Every format that can be read.
pub const FORMATS: &[&Format] =
    &[&pytest_benchmark::FORMAT, &criterion::FORMAT, &hyperfine::FORMAT, &k6::FORMAT, &go_bench::FORMAT];

/// The format of this name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().copied().find(|format| format.name == name)
}

/// A format of reports.
#[derive(Debug)]
pub struct Format {
    /// As `blueprint.yaml` names it.
    pub name: &'static str,
    /// Whether `unit` means something: a benchmark has figures in several, or the report names none.
    pub units: bool,
    /// Where the program leaves the report.
    place: Place,
    /// What the program does beside the work that it reports.
    beside: Beside,
    /// What a benchmark's first figures are in, where its name (`test`) tells before anything ran.
    unit: fn(Option<&str>) -> Option<&'static str>,
    /// Reads a report; an error says what is wrong with it.
    parse: fn(&[Document]) -> Result<Vec<Benchmark>, String>,
    /// What `run` has to be: the end of every message about a report that can't be read.
    expects: &'static str,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Where a program leaves its report.
#[derive(Debug)]
enum Place {
    /// In a file: its path, behind this option, is the command's last word.
    File { option: &'static str, name: &'static str },
    /// In a folder that is named by a variable: the files in it whose paths end like this.
    Folder { variable: &'static str, files: &'static [&'static str] },
    /// On standard output.
    Output,
}

/// What a program does beside the work that it reports: by that it is told whether its clock is right
/// (`domain::claimed`).
#[derive(Debug)]
enum Beside {
    /// It starts what it measures anew for each observation.
    Anew,
    /// It starts once, and then hardly anything. These words ask it for so many seconds of observations.
    Start { brief: fn(f64) -> Vec<String> },
    /// It tries out how often the work has to be done, for as long as what it then reports at most.
    Trials,
    /// What it reports is not done one after another.
    Unknown,
}

/// One file of a report.
#[derive(Debug, Clone)]
struct Document {
    /// As messages name it; in a folder, below that folder.
    path: String,
    bytes: Vec<u8>,
}

impl Document {
    /// The document as JSON of this shape.
    fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        let path = &self.path;
        if self.bytes.trim_ascii().is_empty() {
            return Err(format!("the benchmark report is empty: {path}"));
        }
        serde_json::from_slice(&self.bytes)
            .map_err(|why| format!("the benchmark report is malformed or cut off: {path}: {why}"))
    }
}

/// One run of the command serves all of the metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How the report is read.
    pub format: &'static Format,
    /// Runs the benchmarks.
    pub command: Program,
    /// At least one.
    pub metrics: Vec<Metric>,
}

/// One metric out of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name in the document.
    pub name: MetricName,
    /// A benchmark's full name, name, or name without its parameters; may be left out where the
    /// report holds one benchmark.
    pub test: Option<String>,
    /// Which statistic of it.
    pub stat: Stat,
    /// Which of its figures, by their unit; the format's usual ones where absent.
    pub unit: Option<String>,
}

/// The source.
pub struct Report {
    name: String,
    settings: Settings,
}

impl Report {
    /// From its settings.
    pub fn new(settings: Settings) -> Self {
        Self { name: format!("{}: {}", settings.format, settings.command), settings }
    }
}

#[async_trait]
impl MetricSource for Report {
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> Vec<MetricName> {
        self.settings.metrics.iter().map(|m| m.name.clone()).collect()
    }

    fn dimension(&self, metric: &MetricName) -> Option<Dimension> {
        let metric = self.settings.metrics.iter().find(|m| m.name == *metric)?;
        if metric.stat == Stat::Ops {
            return Some(Dimension::Rate);
        }
        let known = || (self.settings.format.unit)(metric.test.as_deref());
        let unit = metric.unit.as_deref().or_else(known)?;
        Quantity::in_unit(1.0, benchmark::measure(unit)).ok().map(Quantity::dimension)
    }

    fn cadence(&self) -> Cadence {
        Cadence::EachBlock
    }

    fn unchecked(&self) -> Option<&'static str> {
        Some("measure the same work by `time` with `output` beside it")
    }

    async fn open(&self, site: &Site) -> Result<Box<dyn Meter>, MetricError> {
        Ok(Box::new(Bench { settings: self.settings.clone(), site: site.clone() }))
    }
}

struct Bench {
    settings: Settings,
    site: Site,
}

#[async_trait]
impl Meter for Bench {
    async fn sample(&mut self, slot: Slot) -> Result<Sample, MetricError> {
        let Settings { format, command, metrics } = &self.settings;
        let name = if let Place::File { name, .. } = format.place { name } else { format.name };
        let exchange = Exchange::new(&self.site.scratch, name).map_err(no_scratch)?;
        let (mut extra, mut vars) = (Vec::new(), Vec::new());
        let brief = match format.beside {
            Beside::Start { brief } => slot.brief.map(|seconds| brief(seconds.as_secs_f64())),
            Beside::Anew | Beside::Trials | Beside::Unknown => None,
        };
        let is_brief = brief.is_some();
        extra.extend(brief.into_iter().flatten());
        match format.place {
            Place::File { option, .. } => extra.push(format!("{option}{}", exchange.shown())),
            Place::Folder { variable, .. } => vars.push((variable, exchange.shown())),
            Place::Output => {}
        }
        let finished = slice::run(&self.site, slot, command, &extra, &vars).await?;
        let documents = documents(format, &exchange, command, &finished)?;
        let mut readings = readings(format, &documents, metrics, finished.wall)?;
        readings.iter_mut().filter_map(|reading| reading.account.as_mut()).for_each(|account| account.brief = is_brief);
        Ok(slice::sample(readings, &self.site, &finished))
    }

    async fn close(&mut self) {}
}

/// Of a program's output, no more than this is kept, and then it is the end.
const OUTPUT_LIMIT: usize = 1 << 20;

/// What the program left.
fn documents(
    format: &Format,
    exchange: &Exchange,
    command: &Program,
    finished: &Finished,
) -> Result<Vec<Document>, MetricError> {
    let unreadable = |why: io::Error| format!("the report of `{command}` can't be read: {why}");
    let read = match format.place {
        Place::File { name, .. } => exchange
            .read()
            .map_err(unreadable)
            .map(|bytes| bytes.map(|bytes| Document { path: name.to_owned(), bytes }).into_iter().collect()),
        Place::Folder { files, .. } => folder::read(exchange.path(), files).map_err(unreadable),
        Place::Output if finished.stdout.len() >= OUTPUT_LIMIT => Err(format!(
            "`{command}` printed more than 1 MiB, and the start of it is lost; let it run fewer benchmarks"
        )),
        Place::Output => Ok(vec![Document { path: "standard output".to_owned(), bytes: finished.stdout.clone() }]),
    };
    match read {
        Ok(documents) if documents.is_empty() => {
            let why = format!("`{command}` wrote no {format} report; {}{}", format.expects, slice::said(finished));
            Err(MetricError::Variant(why))
        }
        Ok(documents) => Ok(documents),
        Err(why) => Err(MetricError::Variant(why)),
    }
}

/// Every metric out of one report of a program that took so long.
fn readings(
    format: &Format,
    documents: &[Document],
    metrics: &[Metric],
    elapsed: Duration,
) -> Result<Vec<Reading>, MetricError> {
    let benchmarks = (format.parse)(documents)
        .map_err(|why| MetricError::Variant(format!("{why} ({format}: {})", format.expects)))?;
    let one = |metric| {
        let reading = benchmark::reading(&benchmarks, metric, format)?;
        benchmark::check_elapsed(&benchmarks, metric, format, elapsed)?;
        Ok(Reading { account: benchmark::account(&benchmarks, metric, format), ..reading })
    };
    metrics.iter().map(one).collect()
}
