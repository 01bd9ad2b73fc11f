//! The format of k6's `--summary-export`: statistics only, of times in milliseconds.
//!
//! A trend's percentiles are those that k6 was told to compute (`--summary-trend-stats`). The
//! report does not say which metrics are trends, counters, rates or gauges; their keys do.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::super::value::number;
use super::{Benchmark, Beside, Document, Format, Place, Series, Stat};

/// The format.
pub const FORMAT: Format = Format {
    name: "k6",
    units: true,
    place: Place::File { option: "--summary-export=", name: "k6.json" },
    beside: Beside::Unknown,
    unit: |test| test.and_then(unit),
    parse,
    expects: "`run` has to be a `k6 run` command without --no-summary and with --new-machine-readable-summary=false \
              where k6 knows that option",
};

/// k6's own trends of times, beside those that begin with `http_req_`.
const TIMES: &[&str] = &[
    "iteration_duration",
    "group_duration",
    "grpc_req_duration",
    "ws_connecting",
    "ws_ping",
    "ws_session_duration",
    "browser_http_req_duration",
    "browser_web_vital_fcp",
    "browser_web_vital_fid",
    "browser_web_vital_inp",
    "browser_web_vital_lcp",
    "browser_web_vital_ttfb",
];

/// What a metric of k6 is in. That of a script's own trend stands nowhere.
fn unit(name: &str) -> Option<&'static str> {
    let bare = name.split('{').next().unwrap_or(name);
    (bare.starts_with("http_req_") || TIMES.contains(&bare)).then_some("ms")
}

#[derive(Deserialize)]
struct Summary {
    metrics: Option<Entries>,
    /// Where the newer summary has its metrics.
    results: Option<IgnoredAny>,
}

/// Metrics in the report's order; one that is there twice is there twice.
struct Entries(Vec<(String, Map<String, Value>)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("metrics by their names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Entries(all))
            }
        }
        from.deserialize_map(Each)
    }
}

fn parse(documents: &[Document]) -> Result<Vec<Benchmark>, String> {
    let mut found = Vec::new();
    for document in documents {
        let path = &document.path;
        let entries = match document.json()? {
            Summary { metrics: Some(entries), .. } => entries.0,
            Summary { results: Some(_), .. } => {
                let end = "which can't be read; add --new-machine-readable-summary=false to `run`";
                return Err(format!("{path} is of k6's newer, machine-readable kind, {end}"));
            }
            Summary { .. } => return Err(format!("{path} has no `metrics`")),
        };
        let at = |why: String| format!("{path}: {why}");
        failures(&entries).map_err(at)?;
        for (name, entry) in &entries {
            found.extend(benchmark(name, entry, &entries).map_err(|why| format!("{path}: {name}: {why}"))?);
        }
    }
    Ok(found)
}

type Entry = (String, Map<String, Value>);

fn figure(entries: &[Entry], name: &str, key: &str) -> Result<Option<f64>, String> {
    let entry = entries.iter().find(|(known, _)| known == name);
    let value = entry.and_then(|(_, entry)| entry.get(key));
    value.map(|value| number(value).map_err(|why| format!("{name}.{key}: {why}"))).transpose()
}

/// A request that failed and a check that did not hold are answers to no question of speed. In
/// `http_req_failed`, k6 counts as passed what did fail.
fn failures(entries: &[Entry]) -> Result<(), String> {
    for (name, key, what) in [("http_req_failed", "passes", "requests"), ("checks", "fails", "checks")] {
        let count = |key: &str| figure(entries, name, key);
        if !entries.iter().any(|(known, _)| known == name) {
            continue;
        }
        let (Some(passes), Some(fails)) = (count("passes")?, count("fails")?) else {
            return Err(format!("{name} has no `passes` and `fails`"));
        };
        let failed = if key == "passes" { passes } else { fails };
        if failed != 0.0 {
            return Err(format!(
                "{failed} of {} {what} failed ({name}), and how fast they did is no figure",
                passes + fails
            ));
        }
    }
    Ok(())
}

/// A trend or a counter; of rates and gauges there is nothing to compare.
fn benchmark(name: &str, entry: &Map<String, Value>, all: &[Entry]) -> Result<Option<Benchmark>, String> {
    if entry.contains_key("values") {
        return Err("it has `values`, as for handleSummary(), where --summary-export has the statistics".to_owned());
    }
    if entry.contains_key("passes") || entry.contains_key("value") {
        return Ok(None);
    }
    let get = |key: &str| entry.get(key).map(number).transpose().map_err(|why| format!("`{key}`: {why}"));
    let series = if entry.contains_key("rate") {
        // Bytes a second are no operations.
        if matches!(name, "data_received" | "data_sent") {
            return Ok(None);
        }
        let stated = get("rate")?.map(|rate| (Stat::Ops, rate)).into_iter().collect();
        Series { unit: Some(String::new()), count: whole(get("count")?), stated, ..Series::default() }
    } else {
        let mut stated = Vec::new();
        for (key, value) in entry {
            if let Some(stat) = statistic(key) {
                stated.push((stat, number(value).map_err(|why| format!("`{key}`: {why}"))?));
            }
        }
        let counted = match name {
            "iteration_duration" => figure(all, "iterations", "count")?,
            name if name.starts_with("http_req_") && !name.contains('{') => figure(all, "http_reqs", "count")?,
            _ => Some(1.0),
        };
        let count = whole(get("count")?.or(counted));
        Series { unit: unit(name).map(str::to_owned), count, stated, ..Series::default() }
    };
    Ok(Some(Benchmark { names: vec![name.to_owned()], series: vec![series] }))
}

/// `p(95)` and the like.
fn statistic(key: &str) -> Option<Stat> {
    match key {
        "avg" => Some(Stat::Mean),
        "med" => Some(Stat::Median),
        "min" => Some(Stat::Min),
        "max" => Some(Stat::Max),
        _ => key.strip_prefix("p(")?.strip_suffix(')').and_then(|number| format!("p{number}").parse().ok()),
    }
}

fn whole(count: Option<f64>) -> u64 {
    count.map_or(0, |count| count as u64)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read, refused};
    use super::*;

    /// In the shape that k6 documents for `--summary-export`.
    const REPORT: &str = include_str!("../../../../tests/fixtures/metric/k6.json");
    const NEWER: &str = include_str!("../../../../tests/fixtures/metric/k6-machine-readable.json");

    const DURATION: Option<&str> = Some("http_req_duration");

    #[test]
    fn times_and_rates_are_those_of_the_report() {
        let cases = [
            ("http_req_duration", "p95", "25.5 ms"),
            ("http_req_duration", "median", "12.25 ms"),
            ("http_req_duration{expected_response:true}", "mean", "14.62 ms"),
            ("iteration_duration", "max", "164.1 ms"),
            ("http_reqs", "ops", "20/s"),
        ];
        for (test, stat, shown) in cases {
            let reading = read(&FORMAT, REPORT, Some(test), stat, None).unwrap();
            assert_eq!(reading.value.to_string(), shown, "{test} {stat}");
            assert_eq!(reading.observations, if test.contains('{') { 1 } else { 600 }, "{test}");
        }
    }

    #[test]
    fn a_percentile_that_k6_did_not_compute_is_refused_with_what_there_is() {
        let error = refused(&FORMAT, REPORT, DURATION, "p99", None);
        assert!(
            error.contains("p99 needs the observations of http_req_duration, and the k6 report holds none"),
            "{error}"
        );
        assert!(error.contains("what it states is mean, max, median, min, p90, p95"), "{error}");
        let error = refused(&FORMAT, REPORT, Some("http_reqs"), "p95", None);
        assert!(error.contains("what it states is ops"), "{error}");
    }

    #[test]
    fn a_trend_of_the_script_needs_its_unit_and_k6s_own_keep_theirs() {
        let error = refused(&FORMAT, REPORT, Some("render_time"), "p95", None);
        assert!(error.contains("does not say what render_time is in; say it with `unit`"), "{error}");
        let reading = read(&FORMAT, REPORT, Some("render_time"), "p95", Some("ms")).unwrap();
        assert_eq!(reading.value.to_string(), "7 ms");
        let error = refused(&FORMAT, REPORT, DURATION, "p95", Some("s"));
        assert!(error.contains("http_req_duration has no `s` in the k6 report; `unit` can be ms"), "{error}");
    }

    #[test]
    fn a_request_or_a_check_that_failed_is_never_a_time() {
        let failed =
            REPORT.replace("\"passes\": 0,\n            \"fails\": 600", "\"passes\": 3,\n            \"fails\": 597");
        let error = refused(&FORMAT, &failed, DURATION, "p95", None);
        assert!(error.starts_with("k6.json: 3 of 600 requests failed (http_req_failed)"), "{error}");
        let failed =
            REPORT.replace("\"fails\": 0,\n            \"value\": 1", "\"fails\": 1,\n            \"value\": 0.99");
        let error = refused(&FORMAT, &failed, DURATION, "p95", None);
        assert!(error.starts_with("k6.json: 1 of 601 checks failed (checks)"), "{error}");
        let unknown = REPORT.replace("\"passes\": 0,\n", "");
        let error = refused(&FORMAT, &unknown, DURATION, "p95", None);
        assert!(error.contains("http_req_failed has no `passes` and `fails`"), "{error}");
    }

    #[test]
    fn summaries_of_other_shapes_are_refused_with_what_to_do() {
        let error = refused(&FORMAT, NEWER, DURATION, "p95", None);
        assert!(
            error.contains("newer, machine-readable kind")
                && error.contains("add --new-machine-readable-summary=false")
        );
        let handled =
            r#"{"metrics": {"http_req_duration": {"type": "trend", "contains": "time", "values": {"p(95)": 25.5}}}}"#;
        let error = refused(&FORMAT, handled, DURATION, "p95", None);
        assert!(error.contains("http_req_duration: it has `values`, as for handleSummary()"), "{error}");
        assert!(refused(&FORMAT, "{}", DURATION, "p95", None).contains("k6.json has no `metrics`"));
        let none = refused(&FORMAT, r#"{"metrics": {}}"#, DURATION, "p95", None);
        assert!(none.contains("holds no benchmark called `http_req_duration`, nor any other (k6)"), "{none}");
    }

    #[test]
    fn what_can_not_be_a_time_is_refused() {
        let cases = [
            ("NaN", "malformed or cut off: k6.json"),
            ("Infinity", "malformed or cut off: k6.json"),
            ("1e999", "number out of range"),
            ("null", "`p(95)`: a number is expected, and null stands there"),
            ("\"25,5\"", "the text \"25,5\" stands there"),
            ("25,5", "malformed or cut off: k6.json"),
            ("-25.5", "the value -25.5 ms is negative"),
            ("0", "the value is zero, which a time can't be"),
        ];
        for (value, expected) in cases {
            let report = REPORT.replacen("\"p(95)\": 25.5,", &format!("\"p(95)\": {value},"), 1);
            assert_ne!(report, REPORT);
            let error = refused(&FORMAT, &report, DURATION, "p95", None);
            assert!(error.contains(expected), "{value}: {error}");
        }
    }

    #[test]
    fn a_metric_that_is_missing_or_there_twice_is_never_guessed_at() {
        let error = refused(&FORMAT, REPORT, Some("duration"), "p95", None);
        assert!(
            error.contains("holds no benchmark called `duration`; `test` can be one of http_req_blocked"),
            "{error}"
        );
        let twice = REPORT.replace("\"http_req_waiting\"", "\"http_req_duration\"");
        let error = refused(&FORMAT, &twice, DURATION, "p95", None);
        assert!(error.contains("holds 2 benchmarks called `http_req_duration`"), "{error}");
        assert!(refused(&FORMAT, REPORT, None, "p95", None).contains("name one of them with `test`"));
    }
}
