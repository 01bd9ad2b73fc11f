//! Metrics out of a pytest-benchmark report (the format of its `--benchmark-json`).

use async_trait::async_trait;
use serde::Deserialize;

use super::slice::{self, no_scratch};
use super::stat::nearest_rank;
use super::value::reading;
use super::{Cadence, Meter, MetricError, MetricSource, Sample, Site, Slot, Stat};
use crate::adapters::process::{Exchange, Program};
use crate::domain::measurement::{MetricName, Reading};
use crate::domain::quantity::Dimension;

/// One run of the command serves all of the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The pytest command; `--benchmark-json=…` is added to it.
    pub command: Program,
    /// At least one.
    pub metrics: Vec<Metric>,
}

/// One metric out of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name in the document.
    pub name: MetricName,
    /// A benchmark's name, full name, or name without its parameters; may be left out where the
    /// report holds one benchmark.
    pub test: Option<String>,
    /// Which statistic of it.
    pub stat: Stat,
}

/// The source.
pub struct PytestBenchmark {
    name: String,
    settings: Settings,
}

impl PytestBenchmark {
    /// From its settings.
    pub fn new(settings: Settings) -> Self {
        Self { name: format!("pytest-benchmark: {}", settings.command), settings }
    }
}

#[async_trait]
impl MetricSource for PytestBenchmark {
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> Vec<MetricName> {
        self.settings.metrics.iter().map(|m| m.name.clone()).collect()
    }

    fn dimension(&self, metric: &MetricName) -> Option<Dimension> {
        let metric = self.settings.metrics.iter().find(|m| m.name == *metric)?;
        Some(if metric.stat == Stat::Ops { Dimension::Rate } else { Dimension::Time })
    }

    fn cadence(&self) -> Cadence {
        Cadence::EachBlock
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
        let command = &self.settings.command;
        let exchange = Exchange::new(&self.site.scratch, "benchmark.json").map_err(no_scratch)?;
        let extra = [format!("--benchmark-json={}", exchange.shown())];
        let finished = slice::run(&self.site, slot, command, &extra, &[]).await?;
        let bytes = slice::report(&exchange, command, &finished)?;
        let readings = readings(&bytes, &self.settings.metrics)?;
        Ok(slice::sample(readings, &finished))
    }

    async fn close(&mut self) {}
}

#[derive(Deserialize)]
struct Report {
    benchmarks: Vec<Benchmark>,
}

#[derive(Deserialize)]
struct Benchmark {
    name: String,
    fullname: String,
    stats: Stats,
}

/// Times are in seconds; `data` holds one time a round.
#[derive(Deserialize)]
struct Stats {
    min: f64,
    max: f64,
    mean: f64,
    stddev: f64,
    median: f64,
    ops: f64,
    rounds: u64,
    #[serde(default)]
    data: Vec<f64>,
}

/// Every metric out of one report.
fn readings(bytes: &[u8], metrics: &[Metric]) -> Result<Vec<Reading>, MetricError> {
    let report: Report = serde_json::from_slice(bytes)
        .map_err(|why| MetricError::Variant(format!("the benchmark report is malformed or cut off: {why}")))?;
    metrics.iter().map(|metric| one(&report, metric)).collect()
}

fn one(report: &Report, metric: &Metric) -> Result<Reading, MetricError> {
    let benchmark = find(report, metric)?;
    let stats = &benchmark.stats;
    let (value, unit) = match metric.stat {
        Stat::Percentile(thousandths) => (percentile(benchmark, metric, thousandths)?, "s"),
        Stat::Mean => (stats.mean, "s"),
        Stat::Median => (stats.median, "s"),
        Stat::Min => (stats.min, "s"),
        Stat::Max => (stats.max, "s"),
        Stat::StdDev => (stats.stddev, "s"),
        Stat::Ops => (stats.ops, "/s"),
    };
    let observations = if stats.data.is_empty() { stats.rounds } else { stats.data.len() as u64 };
    let place = format!("{} of {}", metric.stat, benchmark.fullname);
    reading(&metric.name, value, unit, observations, &place)
}

fn percentile(benchmark: &Benchmark, metric: &Metric, thousandths: u32) -> Result<f64, MetricError> {
    nearest_rank(&mut benchmark.stats.data.clone(), thousandths).ok_or_else(|| {
        let Metric { name, stat, .. } = metric;
        MetricError::Variant(format!("{name}: {stat} needs the rounds of {}, and the report has none", benchmark.name))
    })
}

/// The one benchmark that is meant. Two that fit are refused: which of them is the metric would
/// be a guess.
fn find<'a>(report: &'a Report, metric: &Metric) -> Result<&'a Benchmark, MetricError> {
    let ways: [fn(&Benchmark) -> &str; 3] =
        [|b| &b.fullname, |b| &b.name, |b| b.name.split('[').next().unwrap_or_default()];
    let all: Vec<&Benchmark> = match &metric.test {
        None => report.benchmarks.iter().collect(),
        Some(test) => ways
            .iter()
            .map(|called| report.benchmarks.iter().filter(|b| called(b) == test).collect::<Vec<_>>())
            .find(|found| !found.is_empty())
            .unwrap_or_default(),
    };
    let wanted = metric.test.as_deref().map_or_else(String::new, |test| format!(" called `{test}`"));
    match all.as_slice() {
        [one] => Ok(one),
        [] => Err(MetricError::Variant(format!("{}: the report holds no benchmark{wanted}", metric.name))),
        many => Err(MetricError::Variant(format!(
            "{}: the report holds {} benchmarks{wanted} ({}); name one of them with `test`",
            metric.name,
            many.len(),
            many.iter().take(5).map(|b| b.fullname.as_str()).collect::<Vec<_>>().join(", "),
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two benchmarks of one file as pytest-benchmark 5 writes them, with 20 rounds of 1 to 20 ms in the first.
    const REPORT: &str = include_str!("../../../tests/fixtures/metric/pytest-benchmark.json");

    fn metric(test: Option<&str>, stat: &str) -> Metric {
        let name = MetricName::new("query_latency").unwrap();
        Metric { name, test: test.map(str::to_owned), stat: stat.parse().unwrap() }
    }

    fn read(test: Option<&str>, stat: &str) -> Result<Reading, String> {
        readings(REPORT.as_bytes(), &[metric(test, stat)]).map(|mut r| r.remove(0)).map_err(|e| e.to_string())
    }

    #[test]
    fn percentiles_come_from_the_rounds_by_nearest_rank() {
        for (stat, shown) in [("p50", "10 ms"), ("p95", "19 ms"), ("p99", "20 ms"), ("p12.5", "3 ms")] {
            let reading = read(Some("test_query_speed"), stat).unwrap();
            assert_eq!((reading.value.to_string().as_str(), reading.observations), (shown, 20), "{stat}");
        }
    }

    #[test]
    fn the_other_statistics_are_those_of_the_report() {
        for (stat, shown) in [("median", "10.5 ms"), ("min", "1 ms"), ("max", "20 ms"), ("ops", "95.24/s")] {
            assert_eq!(read(Some("test_query_speed"), stat).unwrap().value.to_string(), shown, "{stat}");
        }
    }

    #[test]
    fn a_benchmark_is_found_by_full_name_name_and_name_without_parameters() {
        for test in ["tests/performance/test_user_query.py::test_query_speed", "test_query_speed", "test_page"] {
            read(Some(test), "p50").unwrap();
        }
    }

    #[test]
    fn an_ambiguous_or_missing_benchmark_is_never_guessed() {
        assert!(read(None, "p50").unwrap_err().contains("holds 2 benchmarks"));
        assert_eq!(
            read(Some("query"), "p50").unwrap_err(),
            "query_latency: the report holds no benchmark called `query`"
        );
    }

    #[test]
    fn a_report_that_is_cut_off_or_holds_nan_is_refused() {
        let cut = &REPORT.as_bytes()[..REPORT.len() / 2];
        let error = readings(cut, &[metric(None, "p50")]).unwrap_err();
        assert!(error.to_string().starts_with("the benchmark report is malformed or cut off"));
        let nan = REPORT.replacen("0.0105", "NaN", 1);
        readings(nan.as_bytes(), &[metric(Some("test_query_speed"), "mean")]).unwrap_err();
    }
}
