//! One slice of load and the numbers it yields, whatever is loaded: latency out of an open loop,
//! throughput out of a closed one.
//!
//! A slice whose percentiles would rest on too few requests is lengthened, never reported. One whose requests were
//! sent so late that a statistic shows it is taken again; what it counts as in the end never depends on luck.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::value::reading;
use super::{Held, MetricError, Stat};
use crate::adapters::load::{
    Opened, Pace, Steady, Tally, Target, arrivals, burst, closed_loop, open_loop, samples_for,
};
use crate::domain::measurement::{MetricName, Reading};
use crate::domain::quantity::Dimension;

/// Fewer clean answers make no latency, whatever the statistic.
const LEAST: u64 = 30;
/// The share of a statistic that may be the generator's own lateness before its slice is taken again: beyond it the
/// slice says more of this machine than of the target. A stricter rule costs slices and gains nothing: beside busy
/// loops, slices of less lateness agreed no better with each other (docs/measuring.md).
const LATE: f64 = 0.5;
/// Times that a slice is taken for the sake of its schedule; then the one of least lateness counts.
const TRIES: u32 = 3;
/// A generator that sends at this share of the rate keeps up with it.
const KEEPS_UP: f64 = 0.95;
/// Rates that are tried, the one that was asked among them.
const RATES: u32 = 8;
/// A rate is at most this share of the one that was tried before it.
const LOWER: f64 = 0.7;
/// Lateness comes from the rate where a lower one brings it to this share.
const HELPS: f64 = 0.9;

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

/// The rate of one source, which all of its meters look at: it may be lowered once, before anything counts.
#[derive(Debug, Clone)]
pub struct Rate(Arc<AtomicU32>);

impl Rate {
    /// As the configuration asks.
    pub fn asked(rate: NonZeroU32) -> Self {
        Self(Arc::new(AtomicU32::new(rate.get())))
    }

    /// As it is now.
    pub fn get(&self) -> NonZeroU32 {
        NonZeroU32::new(self.0.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN)
    }

    /// From now on.
    pub fn fix(&self, rate: NonZeroU32) {
        self.0.store(rate.get(), Ordering::Relaxed);
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

    fn tolerant(&self) -> bool {
        self.wants(LoadStat::ErrorRate)
    }

    /// What failed, unless failures are to be counted; what the machine failed to do is never counted.
    fn check(&self, tally: &Tally) -> Result<(), Fault> {
        match (tally.machine(), tally.fault()) {
            (Some(why), _) => Err(Fault::Other(MetricError::Machine(why.to_owned()))),
            (None, Some(fault)) if !self.tolerant() => Err(Fault::Target(fault)),
            _ => Ok(()),
        }
    }

    /// What lateness did to the latencies that are asked for; `None` where none is.
    fn late(&self, opened: &Opened) -> Option<Late> {
        let stats = self.metrics.iter().filter_map(|metric| match metric.stat {
            LoadStat::Latency(stat) => Some(stat),
            LoadStat::Throughput | LoadStat::ErrorRate => None,
        });
        stats.map(|stat| Late::of(statistic(&opened.due, stat), statistic(&opened.sent, stat))).reduce(Late::worse)
    }
}

/// Why a slice has no readings.
pub enum Fault {
    /// What was loaded failed to answer; its side of the story may belong to the message.
    Target(String),
    /// Anything else.
    Other(MetricError),
}

/// What one slice yielded.
#[derive(Debug)]
pub struct Taken {
    /// One reading for each metric.
    pub readings: Vec<Reading>,
    /// The most that the generator's lateness added to a latency among them; absent where there is none.
    pub late: Option<Duration>,
}

/// Loads a target for one slice. A failed request is a fault, unless failures are to be counted.
pub async fn slice<T: Target>(shape: Shape<'_>, target: &Arc<T>, seed: u64) -> Result<Taken, Fault> {
    let (mut opened, mut closed, mut steady) = (None, Tally::default(), None);
    if shape.arrivals() > 0 {
        opened = Some(least_late(shape, target, seed).await?);
    }
    if shape.wants(LoadStat::Throughput) {
        let Shape { in_flight, duration, requests, .. } = shape;
        let tolerant = shape.tolerant();
        (closed, steady) = closed_loop(target, Pace { in_flight, duration, requests, tolerant }).await;
        shape.check(&closed)?;
    }
    let late = opened.as_ref().and_then(|opened| shape.late(opened));
    let seen = Seen { opened: opened.map(|opened| opened.due).unwrap_or_default(), closed, steady };
    let readings = shape.metrics.iter().map(|metric| seen.reading(metric)).collect::<Result<_, _>>()?;
    Ok(Taken { readings, late: late.map(|late| late.added) })
}

/// The open loop of a slice, taken again while its requests are sent so late that a statistic shows it: the first that
/// was on time, or else the one of least lateness.
async fn least_late<T: Target>(shape: Shape<'_>, target: &Arc<T>, seed: u64) -> Result<Opened, Fault> {
    let mut best: Option<(Late, Opened)> = None;
    for _ in 0..TRIES {
        shape.check(&burst(target, shape.wake, u64::from(shape.wake.get())).await)?;
        let opened = open_loop(target, arrivals(seed, shape.arrivals(), shape.rate)).await;
        shape.check(&opened.due)?;
        let late = shape.late(&opened).unwrap_or_default();
        if best.as_ref().is_none_or(|(known, _)| late.added < known.added) {
            best = Some((late, opened));
        }
        if late.is_on_time() {
            break;
        }
    }
    best.map(|(_, opened)| opened).ok_or_else(|| Fault::Other(MetricError::Machine("nothing was asked".to_owned())))
}

/// What lateness did to the statistics that a slice is asked for.
#[derive(Debug, Clone, Copy, Default)]
struct Late {
    /// The most that it added to one of them.
    added: Duration,
    /// The largest share of one of them.
    share: f64,
}

impl Late {
    /// A statistic of latencies from the intended starts, and the same from the sending, in seconds.
    fn of(due: f64, sent: f64) -> Self {
        let added = (due - sent).abs();
        Self { added: Duration::from_secs_f64(added), share: if due > 0.0 { added / due } else { 0.0 } }
    }

    fn worse(self, other: Self) -> Self {
        Self { added: self.added.max(other.added), share: self.share.max(other.share) }
    }

    fn is_on_time(self) -> bool {
        self.share <= LATE
    }
}

/// The highest of some rates, the asked one first, at which this machine sends requests on time. Where it keeps up
/// with a rate and was as late at a higher one, lateness does not come from the rate, and the asked one stays.
pub async fn held<T: Target>(shape: Shape<'_>, target: &Arc<T>, seed: u64) -> Result<Held, Fault> {
    let mut asked: Option<Held> = None;
    let (mut rate, mut before) = (shape.rate, f64::INFINITY);
    for _ in 0..RATES {
        let (late, kept) = match least_late(Shape { rate, ..shape }, target, seed).await {
            Ok(opened) => (shape.late(&opened).unwrap_or_default(), opened.kept),
            // It could not even connect so often.
            Err(Fault::Other(MetricError::Machine(_))) => (Late { share: 1.0, ..Late::default() }, 0.5),
            Err(fault) => return Err(fault),
        };
        let found = Held { rate, late: late.share, on_time: late.is_on_time() };
        if found.on_time {
            return Ok(found);
        }
        asked.get_or_insert(found);
        let added = late.added.as_secs_f64();
        let lower = slower(rate, kept).filter(|_| kept < KEEPS_UP || added < HELPS * before);
        let Some(lower) = lower else { break };
        (rate, before) = (lower, added);
    }
    Ok(asked.unwrap_or(Held { rate: shape.rate, late: 0.0, on_time: true }))
}

/// The next rate to try where this one was kept in part: a tenth below what was kept, in two digits. `None` below
/// one a second.
fn slower(rate: NonZeroU32, kept: f64) -> Option<NonZeroU32> {
    let next = f64::from(rate.get()) * (0.9 * kept).min(LOWER);
    let digit = 10_f64.powf((next.max(1.0).log10().floor() - 1.0).max(0.0));
    NonZeroU32::new(((next / digit).floor() * digit) as u32)
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
        Ok(statistic(tally, stat))
    }
}

/// A statistic of clean latencies in seconds.
fn statistic(tally: &Tally, stat: Stat) -> f64 {
    match stat {
        Stat::Percentile(_) => tally.quantile(stat.quantile().unwrap_or(1.0)),
        Stat::Median => tally.quantile(0.5),
        Stat::Mean => tally.mean(),
        Stat::Min => tally.min(),
        Stat::Max => tally.max(),
        Stat::StdDev => tally.deviation(),
        Stat::Ops => 1.0 / tally.mean(),
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
