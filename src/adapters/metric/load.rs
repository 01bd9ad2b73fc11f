//! One slice of load and the numbers it yields, whatever is loaded: latency out of an open loop,
//! throughput out of a closed one.
//!
//! A slice whose percentiles would rest on too few requests is lengthened, never reported.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::value::reading;
use super::{MetricError, Stat};
use crate::adapters::load::{
    Lagged, Pace, Steady, Tally, Target, arrivals, burst, closed_loop, open_loop, samples_for,
};
use crate::domain::measurement::{MetricName, Reading};
use crate::domain::quantity::Dimension;

/// Fewer clean answers make no latency, whatever the statistic.
const LEAST: u64 = 30;

/// One number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name in the document.
    pub name: MetricName,
    /// Which number.
    pub stat: LoadStat,
}

/// What load can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadStat {
    /// A statistic of latencies from the intended start, in seconds.
    Latency(Stat),
    /// Clean answers a second.
    Throughput,
    /// Failed requests of all, in per cent.
    ErrorRate,
}

impl LoadStat {
    /// What it is a quantity of.
    pub fn dimension(self) -> Dimension {
        match self {
            Self::Latency(_) => Dimension::Time,
            Self::Throughput => Dimension::Rate,
            Self::ErrorRate => Dimension::Percent,
        }
    }
}

impl FromStr for LoadStat {
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

impl fmt::Display for LoadStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(stat) => stat.fmt(f),
            Self::Throughput => f.write_str("throughput"),
            Self::ErrorRate => f.write_str("error_rate"),
        }
    }
}

/// What one slice does to its target.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a> {
    /// Requests that wake a target which idled while others were measured; at once, and not counted.
    pub wake: NonZeroU32,
    /// The open loop's mean rate a second; every contender has to bear it.
    pub rate: NonZeroU32,
    /// Requests in flight in the closed loop.
    pub in_flight: NonZeroU32,
    /// Answers that end the closed loop before its time.
    pub requests: Option<NonZeroU32>,
    /// How long each loop loads the target, at least.
    pub duration: Duration,
    /// What is to be told.
    pub metrics: &'a [Metric],
}

impl Shape<'_> {
    fn wants(&self, stat: LoadStat) -> bool {
        self.metrics.iter().any(|m| m.stat == stat)
    }

    /// Requests of the open loop: as many as its time holds, and as its rarest percentile needs.
    /// None where no metric needs it.
    pub fn arrivals(&self) -> u64 {
        let needed = self.metrics.iter().filter_map(|m| match m.stat {
            LoadStat::Latency(stat) => Some(stat.quantile().map_or(LEAST, |q| samples_for(q).max(LEAST))),
            // Failures are counted at the open loop's rate where nothing else loads the target.
            LoadStat::ErrorRate if !self.wants(LoadStat::Throughput) => Some(LEAST),
            LoadStat::ErrorRate | LoadStat::Throughput => None,
        });
        let held = f64::from(self.rate.get()) * self.duration.as_secs_f64();
        needed.max().map_or(0, |needed| needed.max(held as u64))
    }
}

/// Why a slice has no readings.
pub enum Fault {
    /// What was loaded failed to answer; its side of the story may belong to the message.
    Target(String),
    /// Anything else.
    Other(MetricError),
}

/// Loads a target for one slice. A failed request is a fault, unless failures are to be counted.
pub async fn slice<T: Target>(shape: Shape<'_>, target: &Arc<T>, seed: u64) -> Result<Vec<Reading>, Fault> {
    let tolerant = shape.wants(LoadStat::ErrorRate);
    let check = |tally: &Tally| match (tally.machine(), tally.fault()) {
        (Some(why), _) => Err(Fault::Other(MetricError::Machine(why.to_owned()))),
        (None, Some(fault)) if !tolerant => Err(Fault::Target(fault)),
        _ => Ok(()),
    };
    let (mut opened, mut closed, mut steady) = (Tally::default(), Tally::default(), None);
    let count = shape.arrivals();
    if count > 0 {
        check(&burst(target, shape.wake, u64::from(shape.wake.get())).await)?;
        let lagged = |lagged: Lagged| Fault::Other(MetricError::Machine(lagged.to_string()));
        opened = open_loop(target, arrivals(seed, count, shape.rate)).await.map_err(lagged)?;
        check(&opened)?;
    }
    if shape.wants(LoadStat::Throughput) {
        let Shape { in_flight, duration, requests, .. } = shape;
        (closed, steady) = closed_loop(target, Pace { in_flight, duration, requests, tolerant }).await;
        check(&closed)?;
    }
    let seen = Seen { opened, closed, steady };
    shape.metrics.iter().map(|metric| seen.reading(metric)).collect()
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
            LoadStat::Latency(stat) => (self.latency(metric, stat)?, "s", self.opened.clean()),
            LoadStat::Throughput => {
                let steady = self.steady.filter(|s| s.clean > 0).ok_or_else(|| nothing(metric, &self.closed))?;
                (steady.rate(), "req/s", steady.clean)
            }
            LoadStat::ErrorRate => {
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
            return Err(nothing(metric, tally));
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
}

fn nothing(metric: &Metric, tally: &Tally) -> Fault {
    let why = tally.fault().unwrap_or_else(|| "there were no answers".to_owned());
    Fault::Target(format!("{}: too few clean answers for {}: {why}", metric.name, metric.stat))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals_of(rate: u32, milliseconds: u64, stats: &[&str]) -> u64 {
        let metric = |stat: &&str| Metric { name: MetricName::new(stat).unwrap(), stat: stat.parse().unwrap() };
        let metrics: Vec<_> = stats.iter().map(metric).collect();
        let one = NonZeroU32::new(1).unwrap();
        let shape = Shape {
            wake: one,
            rate: NonZeroU32::new(rate).unwrap(),
            in_flight: one,
            requests: None,
            duration: Duration::from_millis(milliseconds),
            metrics: &metrics,
        };
        shape.arrivals()
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
            assert_eq!(arrivals_of(100, 400, stats), expected, "{stats:?}");
        }
        assert_eq!(arrivals_of(1000, 400, &["p95"]), 400);
        assert_eq!(arrivals_of(1, 1, &["mean"]), LEAST);
    }

    #[test]
    fn a_statistic_reads_back_as_itself_and_an_unknown_one_is_refused() {
        for name in ["p50", "p99.9", "mean", "median", "min", "max", "stddev", "throughput", "error_rate"] {
            assert_eq!(name.parse::<LoadStat>().unwrap().to_string(), name);
        }
        assert!("ops".parse::<LoadStat>().unwrap_err().contains("`throughput`"));
        assert!("errors".parse::<LoadStat>().unwrap_err().contains("error_rate"));
    }
}
