//! What any report comes down to, and one statistic out of it.

use std::time::Duration;

use super::super::{MetricError, Stat, value};
use super::format::{Benchmark, Beside, Format, Metric, Series};
use crate::domain::measurement::{Account, Reading};
use crate::domain::quantity::{Dimension, Quantity};

/// The unit that a report's unit stands for: `ns` for `ns/op`, `B` for `B/op`, and `ns` for a
/// custom `p95-ns/op`. What stands for none of ours (`allocs/op`, `MB/s`) is a plain number.
pub fn measure(unit: &str) -> &str {
    let bare = unit.strip_suffix("/op").unwrap_or(unit);
    let last = bare.rsplit('-').next().unwrap_or(bare);
    if Quantity::in_unit(1.0, last).is_ok() { last } else { "" }
}

/// The metric's value out of the benchmarks of one report.
pub fn reading(benchmarks: &[Benchmark], metric: &Metric, format: &Format) -> Result<Reading, MetricError> {
    let refuse = |why: String| MetricError::Variant(format!("{}: {why}", metric.name));
    let benchmark = find(benchmarks, metric, format).map_err(refuse)?;
    let place = format!("{} of {}, {format} report", metric.stat, benchmark.names[0]);
    let series = series(benchmark, metric, format).map_err(refuse)?;
    let label = series.unit.as_deref().or(metric.unit.as_deref()).ok_or_else(|| {
        refuse(format!("the {format} report does not say what {} is in; say it with `unit`", benchmark.names[0]))
    })?;
    let unit = measure(label);
    check(series, unit, metric, &benchmark.names[0])?;
    let count = if series.observations.is_empty() { series.count } else { series.observations.len() as u64 };
    let value = match (metric.stat, series.statistic(metric.stat)) {
        (Stat::Ops, None) => ops(series, unit, metric)?,
        (_, found) => found,
    };
    let value = value.ok_or_else(|| refuse(missing(benchmark, series, metric, format)))?;
    let unit = if metric.stat == Stat::Ops { "/s" } else { unit };
    // A mean of many iterations may be less than a clock tells, all of them together may not.
    let timed = count.max(series.iterations as u64);
    value::reading(&metric.name, value, unit, timed, &place).map(|reading| Reading { observations: count, ..reading })
}

/// A benchmark that times itself can't have taken longer than the slice that it ran in. `elapsed` is
/// what was seen from outside.
pub(super) fn check_elapsed(
    benchmarks: &[Benchmark],
    metric: &Metric,
    format: &Format,
    elapsed: Duration,
) -> Result<(), MetricError> {
    let refuse = |why: String| MetricError::Variant(format!("{}: {why}", metric.name));
    let benchmark = find(benchmarks, metric, format).map_err(refuse)?;
    let series = series(benchmark, metric, format).map_err(refuse)?;
    let seconds = |value: f64| seconds(value, series, metric);
    let longest = series.statistic(Stat::Max).or_else(|| series.statistic(Stat::Mean)).unwrap_or(0.0);
    let (told, what) = match (seconds(series.spent), seconds(longest)) {
        (spent, longest) if spent > longest => (spent, format!("{} runs of the work", series.iterations)),
        (_, longest) => (longest, "one observation".to_owned()),
    };
    if told > elapsed.as_secs_f64() * ROUNDING {
        let (told, elapsed, name) = (shown(told), shown(elapsed.as_secs_f64()), &benchmark.names[0]);
        return Err(refuse(format!(
            "the {format} report says that {what} of {name} took {told}, and its program ended after {elapsed}"
        )));
    }
    Ok(())
}

/// What the report says of the work behind a metric, where that is a time of work that was done one time after another.
pub fn account(benchmarks: &[Benchmark], metric: &Metric, format: &Format) -> Option<Account> {
    let series = series(find(benchmarks, metric, format).ok()?, metric, format).ok()?;
    let (times, spent) = (series.iterations, seconds(series.spent, series, metric));
    let told = benchmarks.iter().flat_map(|b| &b.series).map(|series| seconds(series.spent, series, metric)).sum();
    let account = Account { times, spent, told, ..Account::default() };
    let account = match format.beside {
        Beside::Anew => Account { anew: true, ..account },
        Beside::Start { .. } => Account { shortens: true, ..account },
        Beside::Trials => Account { apart: told, ..account },
        Beside::Unknown => return None,
    };
    (times > 0.0 && spent > 0.0).then_some(account)
}

/// A figure of a series in seconds; 0 where it is no time.
fn seconds(value: f64, series: &Series, metric: &Metric) -> f64 {
    let unit = series.unit.as_deref().or(metric.unit.as_deref()).map_or("", measure);
    let time = Quantity::in_unit(value, unit).ok().filter(|time| time.dimension() == Dimension::Time);
    time.map_or(0.0, Quantity::value)
}

/// Figures of reports are rounded, and clocks differ a little.
const ROUNDING: f64 = 1.01;

fn shown(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.3} ms", seconds * 1e3) } else { format!("{seconds:.1} s") }
}

/// Every observation has to be possible, whichever of them the statistic picks.
fn check(series: &Series, unit: &str, metric: &Metric, benchmark: &str) -> Result<(), MetricError> {
    let one = |(at, value): (usize, &f64)| {
        let place = format!("observation {} of {benchmark}", at + 1);
        value::reading(&metric.name, *value, unit, 1, &place).map(drop)
    };
    let time = Quantity::in_unit(1.0, unit).is_ok_and(|one| one.dimension() == Dimension::Time);
    let odd = |value: f64| !value.is_finite() || value < 0.0 || (time && value == 0.0);
    series.observations.iter().enumerate().filter(|(_, value)| odd(**value)).try_for_each(one)
}

/// Operations a second out of the mean time of one.
fn ops(series: &Series, unit: &str, metric: &Metric) -> Result<Option<f64>, MetricError> {
    let Some(mean) = series.statistic(Stat::Mean) else { return Ok(None) };
    let timed = series.iterations.max(1.0) as u64;
    let mean = value::reading(&metric.name, mean, unit, timed, "the mean")?.value;
    Ok((mean.dimension() == Dimension::Time).then(|| 1.0 / mean.value()))
}

fn missing(benchmark: &Benchmark, series: &Series, metric: &Metric, format: &Format) -> String {
    let (name, stat, unit) = (&benchmark.names[0], metric.stat, series.unit());
    let stated: Vec<String> = series.stated.iter().map(|(stat, _)| stat.to_string()).collect();
    match series.observations.len() {
        0 => format!(
            "{stat} needs the observations of {name}, and the {format} report holds none; what it states is {}",
            if stated.is_empty() { "nothing".to_owned() } else { stated.join(", ") }
        ),
        1 if stat == Stat::StdDev => {
            format!("stddev needs two observations, and the {format} report holds one of {name}")
        }
        _ => format!("{stat} is of times, and {name} is in {unit} in the {format} report"),
    }
}

/// The figures that are meant: of the unit that is asked for, or else of the one that the format
/// promised; what the report says of a unit is never overridden.
fn series<'a>(benchmark: &'a Benchmark, metric: &Metric, format: &Format) -> Result<&'a Series, String> {
    let wanted = metric.unit.as_deref().or_else(|| (format.unit)(metric.test.as_deref()));
    let fits = |series: &&Series| match (series.unit.as_deref(), wanted) {
        (Some(known), Some(wanted)) => known == wanted,
        _ => true,
    };
    benchmark.series.iter().find(fits).ok_or_else(|| {
        let has: Vec<&str> = benchmark.series.iter().map(Series::unit).collect();
        let (name, wanted) = (&benchmark.names[0], wanted.unwrap_or_default());
        format!("{name} has no `{wanted}` in the {format} report; `unit` can be {}", has.join(", "))
    })
}

/// The one benchmark that is meant. Two that fit are refused: which of them is the metric would
/// be a guess.
fn find<'a>(all: &'a [Benchmark], metric: &Metric, format: &Format) -> Result<&'a Benchmark, String> {
    let ways = all.iter().map(|b| b.names.len()).max().unwrap_or(0);
    let called = |way: usize, test: &str| -> Vec<&Benchmark> {
        all.iter().filter(|b| b.names.get(way).is_some_and(|name| name == test)).collect()
    };
    let found: Vec<&Benchmark> = match &metric.test {
        None => all.iter().collect(),
        Some(test) => (0..ways).map(|way| called(way, test)).find(|found| !found.is_empty()).unwrap_or_default(),
    };
    let wanted = metric.test.as_deref().map_or_else(String::new, |test| format!(" called `{test}`"));
    match found.as_slice() {
        [one] => Ok(one),
        [] if all.is_empty() => Err(format!("the report holds no benchmark{wanted}, nor any other ({format})")),
        [] => {
            Err(format!("the report holds no benchmark{wanted}; `test` can be one of {} ({format})", names(all.iter())))
        }
        many => Err(format!(
            "the report holds {} benchmarks{wanted} ({}); name one of them with `test` ({format})",
            many.len(),
            names(many.iter().copied()),
        )),
    }
}

fn names<'a>(benchmarks: impl Iterator<Item = &'a Benchmark>) -> String {
    let mut names: Vec<&str> = benchmarks.map(|b| b.names[0].as_str()).collect();
    if names.len() > 8 {
        names.truncate(8);
        names.push("…");
    }
    names.join(", ")
}
