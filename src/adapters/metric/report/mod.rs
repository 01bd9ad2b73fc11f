//! Metrics out of the reports of benchmark programs: one source, whatever the format.
//!
//! A format is one file here and one line in the table below: where its program leaves the report,
//! and a pure reader of it. What is asked of a report, and what is refused, is the same for all.

mod benchmark;
mod criterion;
mod folder;
mod format;
mod go_bench;
mod hyperfine;
mod k6;
mod pytest_benchmark;
#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use async_trait::async_trait;

use super::asked::{Asked, share};
use super::slice::{self, no_scratch};
use super::{Cadence, Meter, MetricError, MetricSource, Sample, Site, Slot, Stat};
use crate::adapters::process::{Exchange, Finished, Program};
use crate::domain::measurement::{MetricName, Reading};
use crate::domain::quantity::{Dimension, Quantity};
use crate::error::Error;
use format::{Benchmark, Beside, Document, Place, Series};
pub use format::{Format, Metric};

/// Every format that can be read.
pub const FORMATS: &[&Format] =
    &[&pytest_benchmark::FORMAT, &criterion::FORMAT, &hyperfine::FORMAT, &k6::FORMAT, &go_bench::FORMAT];

/// The format of this name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().copied().find(|format| format.name == name)
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

impl Settings {
    /// The settings of a report in this format for one metric alone.
    pub fn read(format: &'static Format, asked: &Asked) -> Result<Self, Error> {
        asked.only(
            format.name,
            if format.units { &["run", "test", "stat", "unit"] } else { &["run", "test", "stat"] },
        )?;
        let stat = asked.stat()?;
        let one = Metric { name: asked.name.clone(), test: asked.test.clone(), stat, unit: asked.unit.clone() };
        Ok(Self { format, command: asked.run()?, metrics: vec![one] })
    }

    /// Takes the metrics of settings that are the same but for them.
    pub fn join(&mut self, other: &Self) -> bool {
        let same = self.format == other.format && self.command == other.command;
        share(same, &mut self.metrics, &other.metrics)
    }
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
