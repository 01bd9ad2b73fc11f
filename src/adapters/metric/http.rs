//! Metrics of a server under load: latency out of an open loop, throughput out of a closed one.
//!
//! The server stays warm between slices. A slice whose percentiles would rest on too few requests
//! is lengthened, never reported. A failed request makes the slice invalid, unless the source is
//! asked for the rate of errors: then failures are counted, and are still no latencies.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::value::reading;
use super::{Cadence, Meter, MetricError, MetricSource, Sample, Site, Slot, Stat};
use crate::adapters::http::{
    Client, HttpError, Pace, RequestSettings, ServeSettings, Server, Steady, Tally, arrivals, burst, closed_loop,
    open_loop, samples_for,
};
use crate::domain::measurement::{MetricName, Reading, Timing};
use crate::domain::quantity::{Dimension, show_duration};

/// Requests that wake a server which idled while others were measured; at once, and not counted.
const WAKE: NonZeroU32 = NonZeroU32::new(4).expect("not zero");
/// Fewer clean answers make no latency, whatever the statistic.
const LEAST: u64 = 30;

/// One server and one kind of request serve all of the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The server.
    pub serve: ServeSettings,
    /// What it is asked.
    pub request: RequestSettings,
    /// The open loop's mean rate a second; every contender has to bear it.
    pub rate: NonZeroU32,
    /// Requests in flight in the closed loop.
    pub concurrency: NonZeroU32,
    /// Answers that end the closed loop before its time.
    pub requests: Option<NonZeroU32>,
    /// How long each loop loads the server in one slice, at least.
    pub duration: Duration,
    /// At least one.
    pub metrics: Vec<Metric>,
}

/// One number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name in the document.
    pub name: MetricName,
    /// Which number.
    pub stat: HttpStat,
}

/// What load can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpStat {
    /// A statistic of latencies from the intended start, in seconds.
    Latency(Stat),
    /// Clean answers a second.
    Throughput,
    /// Failed requests of all, in per cent.
    ErrorRate,
}

impl FromStr for HttpStat {
    type Err = String;

    /// Reads `throughput`, `error_rate` or a statistic of latencies such as `p95`.
    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("throughput", _) => Ok(Self::Throughput),
            ("error_rate", _) => Ok(Self::ErrorRate),
            (_, Ok(Stat::Ops)) => Err("`ops` can't be told from latencies; `throughput` measures it".to_owned()),
            (_, Ok(stat)) => Ok(Self::Latency(stat)),
            (_, Err(_)) => Err(format!(
                "`{text}` is nothing that load tells; known are p1 to p100, mean, median, min, max, stddev, \
                 throughput, error_rate"
            )),
        }
    }
}

impl fmt::Display for HttpStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(stat) => stat.fmt(f),
            Self::Throughput => f.write_str("throughput"),
            Self::ErrorRate => f.write_str("error_rate"),
        }
    }
}

impl Settings {
    fn wants(&self, stat: HttpStat) -> bool {
        self.metrics.iter().any(|m| m.stat == stat)
    }

    /// Requests of the open loop: as many as its time holds, and as its rarest percentile needs.
    /// None where no metric needs it.
    fn arrivals(&self) -> u64 {
        let needed = self.metrics.iter().filter_map(|m| match m.stat {
            HttpStat::Latency(stat) => Some(stat.quantile().map_or(LEAST, |q| samples_for(q).max(LEAST))),
            // Failures are counted at the open loop's rate where nothing else loads the server.
            HttpStat::ErrorRate if !self.wants(HttpStat::Throughput) => Some(LEAST),
            HttpStat::ErrorRate | HttpStat::Throughput => None,
        });
        let held = f64::from(self.rate.get()) * self.duration.as_secs_f64();
        needed.max().map_or(0, |needed| needed.max(held as u64))
    }
}

/// The source.
pub struct Http {
    name: String,
    settings: Settings,
}

impl Http {
    /// From its settings.
    pub fn new(settings: Settings) -> Self {
        Self { name: format!("http: {} of {}", settings.request.path, settings.serve.serve), settings }
    }
}

#[async_trait]
impl MetricSource for Http {
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> Vec<MetricName> {
        self.settings.metrics.iter().map(|m| m.name.clone()).collect()
    }

    fn dimension(&self, metric: &MetricName) -> Option<Dimension> {
        let metric = self.settings.metrics.iter().find(|m| m.name == *metric)?;
        Some(match metric.stat {
            HttpStat::Latency(_) => Dimension::Time,
            HttpStat::Throughput => Dimension::Rate,
            HttpStat::ErrorRate => Dimension::Percent,
        })
    }

    fn cadence(&self) -> Cadence {
        Cadence::EachBlock
    }

    async fn open(&self, site: &Site) -> Result<Box<dyn Meter>, MetricError> {
        let settings = self.settings.clone();
        // A server that answers slower than it is asked has every request of a slice open at once.
        let connections = u64::from(settings.concurrency.get()).max(settings.arrivals());
        let server = Server::start(&settings.serve, site, connections).await?;
        let client = server.client(&settings.request, usize::try_from(connections).unwrap_or(usize::MAX))?;
        Ok(Box::new(Load { settings, site: site.clone(), client: Some(Arc::new(client)), server }))
    }
}

/// A server that is up, and a client whose connections to it stay open.
struct Load {
    settings: Settings,
    site: Site,
    client: Option<Arc<Client>>,
    server: Server,
}

#[async_trait]
impl Meter for Load {
    async fn sample(&mut self, slot: Slot) -> Result<Sample, MetricError> {
        let (started, before) = (Instant::now(), self.server.cpu());
        let client = self.client.clone().ok_or_else(|| MetricError::Machine("the server was stopped".to_owned()))?;
        let limit = slot.limit.unwrap_or(Duration::MAX);
        let taken = tokio::select! {
            biased;
            () = self.site.stop.cancelled() => return Err(MetricError::Stopped),
            taken = tokio::time::timeout(limit, slice(&self.settings, &client, slot.seed)) => taken,
        };
        let late = || Fault::Server(format!("the slice did not end within {}", show_duration(limit)));
        match taken.unwrap_or_else(|_| Err(late())) {
            Ok(readings) => {
                let cpu = self.server.cpu().zip(before).map(|(after, before)| after.saturating_sub(before));
                let timing = Timing { wall: started.elapsed(), cpu, ..Timing::default() };
                Ok(Sample { readings, timing, own: None })
            }
            Err(Fault::Server(failure)) => Err(MetricError::Variant(self.server.explain(&failure).await)),
            Err(Fault::Other(error)) => Err(error),
        }
    }

    async fn close(&mut self) {
        // Without open connections a server that waits for its clients ends at once.
        self.client = None;
        self.server.stop().await;
    }
}

/// Why a slice has no readings.
enum Fault {
    /// The server failed to answer; what it printed belongs to the message.
    Server(String),
    Other(MetricError),
}

async fn slice(settings: &Settings, client: &Arc<Client>, seed: u64) -> Result<Vec<Reading>, Fault> {
    let tolerant = settings.wants(HttpStat::ErrorRate);
    let check = |tally: &Tally| match (tally.exhausted(), tally.fault()) {
        (Some(why), _) => Err(Fault::Other(MetricError::Machine(why))),
        (None, Some(fault)) if !tolerant => Err(Fault::Server(fault)),
        _ => Ok(()),
    };
    let (mut opened, mut closed, mut steady) = (Tally::default(), Tally::default(), None);
    let count = settings.arrivals();
    if count > 0 {
        check(&burst(client, WAKE, u64::from(WAKE.get())).await)?;
        let lagged = |lagged: crate::adapters::http::Lagged| Fault::Other(MetricError::Machine(lagged.to_string()));
        opened = open_loop(client, arrivals(seed, count, settings.rate)).await.map_err(lagged)?;
        check(&opened)?;
    }
    if settings.wants(HttpStat::Throughput) {
        let Settings { concurrency: in_flight, duration, requests, .. } = *settings;
        (closed, steady) = closed_loop(client, Pace { in_flight, duration, requests, tolerant }).await;
        check(&closed)?;
    }
    let seen = Seen { opened, closed, steady };
    settings.metrics.iter().map(|metric| seen.reading(metric)).collect()
}

/// Everything that one slice saw.
struct Seen {
    opened: Tally,
    closed: Tally,
    steady: Option<Steady>,
}

impl Seen {
    fn reading(&self, metric: &Metric) -> Result<Reading, Fault> {
        let (value, unit, observations) = match metric.stat {
            HttpStat::Latency(stat) => (self.latency(metric, stat)?, "s", self.opened.clean()),
            HttpStat::Throughput => {
                let steady = self.steady.filter(|s| s.clean > 0).ok_or_else(|| self.nothing(metric, &self.closed))?;
                (steady.rate(), "req/s", steady.clean)
            }
            HttpStat::ErrorRate => {
                let failed = self.opened.failed() + self.closed.failed();
                let all = failed + self.opened.clean() + self.closed.clean();
                (100.0 * failed as f64 / all as f64, "%", all)
            }
        };
        reading(&metric.name, value, unit, observations, &metric.stat.to_string()).map_err(Fault::Other)
    }

    fn latency(&self, metric: &Metric, stat: Stat) -> Result<f64, Fault> {
        let tally = &self.opened;
        let needed = stat.quantile().map_or(LEAST, samples_for);
        if tally.clean() < needed {
            return Err(self.nothing(metric, tally));
        }
        Ok(match stat {
            Stat::Percentile(_) => tally.quantile(stat.quantile().unwrap_or(1.0)),
            Stat::Median => tally.quantile(0.5),
            Stat::Mean => tally.mean(),
            Stat::Min => tally.min(),
            Stat::Max => tally.max(),
            Stat::StdDev => tally.deviation(),
            Stat::Ops => 1.0 / tally.mean(),
        })
    }

    fn nothing(&self, metric: &Metric, tally: &Tally) -> Fault {
        let why = tally.fault().unwrap_or_else(|| "the server gave no answers".to_owned());
        Fault::Server(format!("{}: too few clean answers for {}: {why}", metric.name, metric.stat))
    }
}

impl From<HttpError> for MetricError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Variant(message) => Self::Variant(message),
            HttpError::Machine(message) => Self::Machine(message),
            HttpError::Process(error) => Self::Process(error),
            HttpError::Stopped => Self::Stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::http::{CONCURRENCY, REQUEST_LIMIT};
    use crate::adapters::process::Program;

    fn settings(rate: u32, milliseconds: u64, stats: &[&str]) -> Settings {
        let path: crate::adapters::http::RequestPath = "/".parse().unwrap();
        let metrics =
            stats.iter().map(|stat| Metric { name: MetricName::new(stat).unwrap(), stat: stat.parse().unwrap() });
        Settings {
            serve: ServeSettings::new(Program::Argv(vec!["serve".to_owned()]), path.clone()),
            request: RequestSettings { path, expect: None, limit: REQUEST_LIMIT },
            rate: NonZeroU32::new(rate).unwrap(),
            concurrency: CONCURRENCY,
            requests: None,
            duration: Duration::from_millis(milliseconds),
            metrics: metrics.collect(),
        }
    }

    #[test]
    fn a_slice_is_as_long_as_its_rarest_percentile_needs() {
        for (stats, expected) in [
            (&["p50"][..], 40),
            (&["p50", "p95"], 59),
            (&["p95", "p99", "throughput"], 299),
            (&["mean", "error_rate"], 40),
            (&["throughput"], 0),
            (&["throughput", "error_rate"], 0),
            (&["error_rate"], 40),
        ] {
            assert_eq!(settings(100, 400, stats).arrivals(), expected, "{stats:?}");
        }
        assert_eq!(settings(1000, 400, &["p95"]).arrivals(), 400);
        assert_eq!(settings(1, 1, &["mean"]).arrivals(), LEAST);
    }

    #[test]
    fn a_statistic_reads_back_as_itself_and_an_unknown_one_is_refused() {
        for name in ["p50", "p99.9", "mean", "median", "min", "max", "stddev", "throughput", "error_rate"] {
            assert_eq!(name.parse::<HttpStat>().unwrap().to_string(), name);
        }
        assert!("ops".parse::<HttpStat>().unwrap_err().contains("`throughput`"));
        assert!("errors".parse::<HttpStat>().unwrap_err().contains("error_rate"));
    }
}
