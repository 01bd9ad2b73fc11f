//! The format of pytest-benchmark's `--benchmark-json`.

use serde::Deserialize;

use super::{Benchmark, Beside, Document, Format, Place, Series, Stat};

/// The format.
pub const FORMAT: Format = Format {
    name: "pytest-benchmark",
    units: false,
    place: Place::File { option: "--benchmark-json=", name: "benchmark.json" },
    beside: Beside::Start { brief: seconds_of_rounds },
    unit: |_| Some("s"),
    parse,
    expects: "`run` has to be a pytest command whose benchmarks use pytest-benchmark 3 or newer",
};

/// Two rounds at the least; what a benchmark's own marker says stays.
fn seconds_of_rounds(seconds: f64) -> Vec<String> {
    vec![format!("--benchmark-max-time={seconds:.6}"), "--benchmark-min-rounds=2".to_owned()]
}

#[derive(Deserialize)]
struct Report {
    benchmarks: Vec<Entry>,
}

/// What tells a report of another version from one that is no report at all.
#[derive(Deserialize)]
struct Version {
    version: String,
}

#[derive(Deserialize)]
struct Entry {
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
    /// How often each round does the work.
    #[serde(default)]
    iterations: u64,
    #[serde(default)]
    data: Vec<f64>,
}

fn parse(documents: &[Document]) -> Result<Vec<Benchmark>, String> {
    let mut found = Vec::new();
    for document in documents {
        let report: Report = document.json().map_err(|why| match document.json::<Version>() {
            Ok(Version { version }) => format!("{why}; pytest-benchmark {version} wrote it"),
            Err(_) => why,
        })?;
        found.extend(report.benchmarks.into_iter().map(benchmark));
    }
    Ok(found)
}

fn benchmark(entry: Entry) -> Benchmark {
    let Entry { name, fullname, stats } = entry;
    let bare = name.split('[').next().unwrap_or_default().to_owned();
    let stated = vec![
        (Stat::Mean, stats.mean),
        (Stat::Median, stats.median),
        (Stat::Min, stats.min),
        (Stat::Max, stats.max),
        (Stat::StdDev, stats.stddev),
        (Stat::Ops, stats.ops),
    ];
    let iterations = stats.iterations.max(1) as f64;
    let spent = stats.mean * stats.rounds as f64 * iterations;
    let iterations = stats.rounds as f64 * iterations;
    let (observations, count) = (stats.data, stats.rounds);
    let series = Series { unit: Some("s".to_owned()), observations, count, stated, iterations, spent };
    Benchmark { names: vec![fullname, name, bare], series: vec![series] }
}

#[cfg(test)]
mod tests {
    use super::super::tests as report;
    use super::*;
    use crate::domain::measurement::Reading;

    /// Two benchmarks of one file as pytest-benchmark 5 writes them, with 20 rounds of 1 to 20 ms in the first.
    const REPORT: &str = include_str!("../../../../tests/fixtures/metric/pytest-benchmark.json");

    fn read(test: Option<&str>, stat: &str) -> Result<Reading, String> {
        report::read(&FORMAT, REPORT, test, stat, None)
    }

    fn refused(text: &str, stat: &str) -> String {
        report::refused(&FORMAT, text, Some("test_query_speed"), stat, None)
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
        let error = read(Some("query"), "p50").unwrap_err();
        assert!(
            error.starts_with("query_latency: the report holds no benchmark called `query`; `test` can be"),
            "{error}"
        );
        let twice = REPORT.replace("test_page[2]", "test_query_speed");
        assert!(refused(&twice, "p50").contains("the report holds 2 benchmarks called `test_query_speed`"));
    }

    #[test]
    fn a_report_that_is_cut_off_or_holds_nan_is_refused() {
        let error = refused(&REPORT[..REPORT.len() / 2], "p50");
        assert!(error.starts_with("the benchmark report is malformed or cut off"), "{error}");
        assert!(!error.contains(" wrote it"), "{error}");
        refused(&REPORT.replacen("0.0105", "NaN", 1), "mean");
    }

    #[test]
    fn a_report_of_another_version_is_named_by_it() {
        let other = REPORT.replace("\"median\"", "\"middle\"");
        let error = refused(&other, "p50");
        assert!(error.contains("missing field `median`") && error.contains("; pytest-benchmark 5."), "{error}");
        let none = REPORT.replacen("\"data\"", "\"rounds_data\"", 1);
        let error = refused(&none, "p95");
        assert!(
            error.contains("the pytest-benchmark report holds none; what it states is mean, median, min"),
            "{error}"
        );
    }

    #[test]
    fn what_can_not_be_a_time_is_refused() {
        let cases = [
            ("Infinity", "malformed or cut off"),
            ("1e999", "number out of range"),
            ("\"0,0105\"", "invalid type: string"),
            ("0,0105", "malformed or cut off"),
            ("-0.0105", "the value -10.5 ms is negative"),
            ("0", "the value is zero, which a time can't be"),
        ];
        for (value, expected) in cases {
            let report = REPORT.replacen("\"mean\": 0.0105", &format!("\"mean\": {value}"), 1);
            assert_ne!(report, REPORT);
            let error = refused(&report, "mean");
            assert!(error.contains(expected), "{value}: {error}");
        }
    }
}
