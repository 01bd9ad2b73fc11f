//! The format of hyperfine's `--export-json`.

use serde::Deserialize;

use super::{Benchmark, Beside, Document, Format, Place, Series, Stat};

/// The format.
pub const FORMAT: Format = Format {
    name: "hyperfine",
    units: false,
    place: Place::File { option: "--export-json=", name: "hyperfine.json" },
    beside: Beside::Anew,
    unit: |_| Some("s"),
    parse,
    expects: "`run` has to be a hyperfine command, of a version whose report holds `exit_codes`",
};

#[derive(Deserialize)]
struct Report {
    results: Vec<Entry>,
}

/// Times are in seconds, whatever unit hyperfine shows; `times` and `exit_codes` hold one a run.
#[derive(Deserialize)]
struct Entry {
    command: String,
    mean: f64,
    median: f64,
    min: f64,
    max: f64,
    /// Of one run there is none.
    stddev: Option<f64>,
    times: Vec<f64>,
    /// None where a signal ended the run.
    exit_codes: Vec<Option<i32>>,
}

fn parse(documents: &[Document]) -> Result<Vec<Benchmark>, String> {
    let mut found = Vec::new();
    for document in documents {
        let report: Report = document.json()?;
        for entry in report.results {
            found.push(benchmark(entry, &document.path)?);
        }
    }
    Ok(found)
}

/// With `--ignore-failure` hyperfine times runs that failed; how fast something fails is no figure.
fn benchmark(entry: Entry, path: &str) -> Result<Benchmark, String> {
    let Entry { command, mean, median, min, max, stddev, times, exit_codes } = entry;
    let (runs, codes) = (times.len(), exit_codes.len());
    if runs != codes {
        return Err(format!("{path}: `{command}` has {runs} times and {codes} exit codes"));
    }
    let failed = exit_codes.iter().filter(|code| **code != Some(0)).count();
    if failed > 0 {
        return Err(format!(
            "{path}: {failed} of {runs} runs of `{command}` failed, and a failed run's time is no figure"
        ));
    }
    let mut stated = vec![(Stat::Mean, mean), (Stat::Median, median), (Stat::Min, min), (Stat::Max, max)];
    stated.extend(stddev.map(|value| (Stat::StdDev, value)));
    let (iterations, spent) = (times.len() as f64, times.iter().sum());
    let series = Series { unit: Some("s".to_owned()), observations: times, count: 0, stated, iterations, spent };
    Ok(Benchmark { names: vec![command], series: vec![series] })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read, refused};
    use super::*;

    /// Two commands, 12 runs each, as hyperfine 1.20 writes them.
    const REPORT: &str = include_str!("../../../../tests/fixtures/metric/hyperfine.json");

    #[test]
    fn statistics_are_those_of_the_report_and_percentiles_come_from_its_times() {
        let cases = [
            ("mean", "3.873 ms"),
            ("median", "1.678 ms"),
            ("min", "1.54 ms"),
            ("max", "14.91 ms"),
            ("stddev", "4.193 ms"),
            ("p50", "1.667 ms"),
            ("p95", "14.91 ms"),
            ("ops", "258.2/s"),
        ];
        for (stat, shown) in cases {
            let reading = read(&FORMAT, REPORT, Some("list"), stat, None).unwrap();
            assert_eq!((reading.value.to_string().as_str(), reading.observations), (shown, 12), "{stat}");
        }
    }

    #[test]
    fn the_standard_deviation_of_one_run_is_refused() {
        let one = r#"{"results": [{"command": "true", "mean": 0.1, "stddev": null, "median": 0.1, "min": 0.1, "max": 0.1,
            "times": [0.1], "exit_codes": [0]}]}"#;
        assert_eq!(read(&FORMAT, one, None, "p50", None).unwrap().value.to_string(), "100 ms");
        let error = refused(&FORMAT, one, None, "stddev", None);
        assert!(error.contains("needs two observations, and the hyperfine report holds one of true"), "{error}");
    }

    #[test]
    fn runs_that_failed_are_never_times() {
        for code in ["1", "null", "-1"] {
            let report = REPORT.replacen("\n        0,", &format!("\n        {code},"), 1);
            let error = refused(&FORMAT, &report, Some("true"), "p50", None);
            assert!(error.starts_with("hyperfine.json: 1 of 12 runs of `list` failed"), "{error}");
        }
    }

    #[test]
    fn a_report_without_exit_codes_is_of_a_version_that_is_not_read() {
        let error = refused(&FORMAT, &REPORT.replace("exit_codes", "codes"), Some("true"), "p50", None);
        assert!(
            error.contains("missing field `exit_codes`") && error.contains("`run` has to be a hyperfine"),
            "{error}"
        );
        let fewer = REPORT.replacen("\n        0,", "", 1);
        let error = refused(&FORMAT, &fewer, Some("true"), "p50", None);
        assert!(error.contains("`list` has 12 times and 11 exit codes"), "{error}");
    }

    #[test]
    fn what_can_not_be_a_time_is_refused() {
        let cases = [
            ("        0.005220682,", "        NaN,", "malformed or cut off: hyperfine.json"),
            ("        0.005220682,", "        Infinity,", "malformed or cut off: hyperfine.json"),
            ("        0.005220682,", "        1e999,", "number out of range"),
            ("        0.005220682,", "        0,12,", "`true` has 13 times and 12 exit codes"),
            ("        0.005220682,", "        \"0,12\",", "invalid type: string \"0,12\", expected f64"),
            ("        0.005220682,", "        -0.5,", "observation 1 of true): the value -500 ms is negative"),
            (
                "        0.005220682,",
                "        0.0,",
                "observation 1 of true): the value is zero, which a time can't be",
            ),
            ("\"min\": 0.00065078", "\"min\": 0", "(min of true, hyperfine report): the value is zero"),
        ];
        for (from, to, expected) in cases {
            let report = REPORT.replace(from, to);
            let stat = if from.contains("min") { "min" } else { "p50" };
            let error = refused(&FORMAT, &report, Some("true"), stat, None);
            assert!(error.contains(expected), "{to}: {error}");
        }
    }

    #[test]
    fn a_command_that_was_timed_twice_is_never_guessed_at() {
        let twice = REPORT.replace("\"command\": \"list\"", "\"command\": \"true\"");
        let error = refused(&FORMAT, &twice, Some("true"), "p50", None);
        assert!(error.contains("the report holds 2 benchmarks called `true` (true, true)"), "{error}");
        let error = refused(&FORMAT, REPORT, Some("lost"), "p50", None);
        assert!(
            error.contains("holds no benchmark called `lost`; `test` can be one of list, true (hyperfine)"),
            "{error}"
        );
    }
}
