//! The format of `go test -bench`: lines of text on standard output, also inside `go test -json`.
//!
//! A line is `BenchmarkQuery-8  1000  1234 ns/op  56 B/op`: a name with the processors used, how
//! many iterations there were, and pairs of a figure and its unit. With `-count` a benchmark has as
//! many lines, and each is an observation.

use serde::Deserialize;

use super::super::value::clip;
use super::{Benchmark, Beside, Document, Format, Place, Series};

/// The format.
pub const FORMAT: Format = Format {
    name: "go-bench",
    units: true,
    place: Place::Output,
    beside: Beside::Trials,
    unit: |_| Some(USUAL),
    parse,
    expects: "`run` has to be a `go test -bench` command whose benchmarks print nothing themselves",
};

/// One line of `go test -json`; most of its keys do not matter here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    action: String,
    #[serde(default)]
    package: String,
    #[serde(default)]
    output: String,
}

fn parse(documents: &[Document]) -> Result<Vec<Benchmark>, String> {
    let mut lines = Lines::default();
    for document in documents {
        let text = std::str::from_utf8(&document.bytes)
            .map_err(|why| format!("the benchmark report is malformed: {} is not UTF-8: {why}", document.path))?;
        for (package, text) in packages(text)? {
            lines.package = package;
            text.lines().try_for_each(|line| lines.read(line))?;
            lines.complete()?;
        }
    }
    Ok(lines.found)
}

/// The text of each package in the order of the first words of each. Text that is not wrapped in
/// JSON is of the package without a name until its own lines tell.
fn packages(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut all: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let event = line.starts_with('{') && line.contains("\"Action\"");
        let (package, output) = if event {
            let Event { action, package, output } = serde_json::from_str(line)
                .map_err(|why| format!("the benchmark report is malformed or cut off: {why} (`{}`)", clip(line)))?;
            if action == "fail" {
                return Err(format!("`go test` says that {package} failed"));
            }
            (package, output)
        } else {
            (String::new(), format!("{line}\n"))
        };
        match all.iter_mut().find(|(known, _)| *known == package) {
            Some((_, text)) => text.push_str(&output),
            None => all.push((package, output)),
        }
    }
    Ok(all)
}

/// What was read so far.
#[derive(Default)]
struct Lines {
    found: Vec<Benchmark>,
    package: String,
    /// A benchmark after which its package has not passed yet.
    open: Option<String>,
}

impl Lines {
    fn read(&mut self, line: &str) -> Result<(), String> {
        if let Some(package) = line.strip_prefix("pkg: ") {
            self.complete()?;
            self.package = package.trim().to_owned();
        } else if line == "PASS" {
            self.open = None;
        } else if line == "FAIL" || line.starts_with("FAIL\t") || line.starts_with("--- FAIL") {
            return Err(format!("`go test` says `{}`", clip(line)));
        } else if is_result(line) {
            self.result(line).map_err(|why| format!("the benchmark report is malformed: {why} (`{}`)", clip(line)))?;
        }
        Ok(())
    }

    /// `go test` ends a package's benchmarks with a line of its own.
    fn complete(&self) -> Result<(), String> {
        match &self.open {
            None => Ok(()),
            Some(name) => Err(format!("the benchmark report is cut off: no `PASS` follows {name}")),
        }
    }

    fn result(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_ascii_whitespace();
        let name = words.next().unwrap_or_default();
        let iterations = words.next().unwrap_or_default();
        let count = iterations.parse::<u64>().ok().filter(|count| *count > 0);
        let count = count.ok_or_else(|| format!("`{iterations}` is no number of iterations"))? as f64;
        let mut figures = Vec::new();
        while let Some(figure) = words.next() {
            let value: f64 = figure.parse().map_err(|_| format!("`{figure}` is no number"))?;
            figures.push((value, words.next().ok_or_else(|| format!("`{figure}` has no unit"))?));
        }
        if figures.is_empty() {
            return Err("there is no figure".to_owned());
        }
        let benchmark = self.benchmark(name);
        for (value, unit) in figures {
            add(benchmark, value, unit, count);
        }
        self.open = Some(name.to_owned());
        Ok(())
    }

    /// The benchmark of this name in the current package, made at its first line.
    fn benchmark(&mut self, name: &str) -> &mut Benchmark {
        let full = if self.package.is_empty() { name.to_owned() } else { format!("{}.{name}", self.package) };
        let at = self.found.iter().position(|known| known.names[0] == full).unwrap_or_else(|| {
            let bare = without_processors(name);
            let names = vec![full, name.to_owned(), bare.to_owned()];
            self.found.push(Benchmark { names, series: Vec::new() });
            self.found.len() - 1
        });
        &mut self.found[at]
    }
}

/// The usual figure: the time of an iteration by the clock on the wall.
const USUAL: &str = "ns/op";

fn add(benchmark: &mut Benchmark, value: f64, unit: &str, iterations: f64) {
    let known = benchmark.series.iter().position(|series| series.unit.as_deref() == Some(unit));
    let at = known.unwrap_or_else(|| {
        benchmark.series.push(Series { unit: Some(unit.to_owned()), ..Series::default() });
        benchmark.series.len() - 1
    });
    let series = &mut benchmark.series[at];
    series.observations.push(value);
    series.iterations += iterations;
    // A benchmark's own figures may be times of something else.
    series.spent += if unit == USUAL { value * iterations } else { 0.0 };
}

/// `BenchmarkName` and something behind it. With `-v` the name also stands alone, and a word such
/// as `Benchmarking` begins no result.
fn is_result(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("Benchmark") else { return false };
    !rest.starts_with(|c: char| c.is_lowercase()) && rest.split_ascii_whitespace().nth(1).is_some()
}

/// `BenchmarkQuery` for `BenchmarkQuery-8`.
fn without_processors(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((bare, count)) if !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit()) => bare,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read, refused};
    use super::*;

    /// Two packages, `-count 5`, as go 1.19 prints them.
    const REPORT: &str = include_str!("../../../../tests/fixtures/metric/go-bench.txt");
    /// One benchmark of each, `-count 3`, from `go test -json`.
    const EVENTS: &str = include_str!("../../../../tests/fixtures/metric/go-bench.jsonl");

    const QUERY: Option<&str> = Some("example.com/users.BenchmarkQuery-2");

    #[test]
    fn every_repetition_is_an_observation() {
        let cases = [
            ("median", "14.57 ns"),
            ("p95", "24.3 ns"),
            ("min", "12.55 ns"),
            ("mean", "16.14 ns"),
            ("stddev", "4.664 ns"),
        ];
        for (stat, shown) in cases {
            let reading = read(&FORMAT, REPORT, QUERY, stat, None).unwrap();
            assert_eq!((reading.value.to_string().as_str(), reading.observations), (shown, 5), "{stat}");
        }
        let ops = read(&FORMAT, REPORT, QUERY, "ops", None).unwrap().value.value();
        assert!((ops - 1e9 / 16.144).abs() < 1.0, "{ops}");
    }

    #[test]
    fn other_figures_are_found_by_their_unit() {
        let cases = [("B/op", "4 B"), ("allocs/op", "1"), ("rows/op", "3"), ("ns/op", "14.57 ns")];
        for (unit, shown) in cases {
            let reading = read(&FORMAT, REPORT, QUERY, "median", Some(unit)).unwrap();
            assert_eq!(reading.value.to_string(), shown, "{unit}");
        }
        let speed = read(&FORMAT, REPORT, Some("BenchmarkPage/size=10"), "max", Some("MB/s")).unwrap();
        assert_eq!(speed.value.to_string(), "670.7");
        let error = refused(&FORMAT, REPORT, QUERY, "p50", Some("ms/op"));
        assert!(
            error.contains("has no `ms/op` in the go-bench report; `unit` can be ns/op, rows/op, B/op, allocs/op"),
            "{error}"
        );
        let error = refused(&FORMAT, &REPORT.replace("ns/op", "ms/op"), QUERY, "p50", None);
        assert!(error.contains("has no `ns/op` in the go-bench report; `unit` can be ms/op, rows/op"), "{error}");
        let error = refused(&FORMAT, REPORT, QUERY, "ops", Some("B/op"));
        assert!(error.contains("ops is of times, and example.com/users.BenchmarkQuery-2 is in B/op"), "{error}");
    }

    #[test]
    fn a_benchmark_is_found_with_and_without_its_package_and_processors_where_one_has_the_name() {
        for test in ["example.com/users.BenchmarkPage/size=100-2", "BenchmarkPage/size=100-2", "BenchmarkPage/size=100"]
        {
            assert_eq!(
                read(&FORMAT, REPORT, Some(test), "median", None).unwrap().value.to_string(),
                "176.8 ns",
                "{test}"
            );
        }
        let error = refused(&FORMAT, REPORT, Some("BenchmarkQuery"), "median", None);
        assert!(
            error.contains("(example.com/users.BenchmarkQuery-2, example.com/users/store.BenchmarkQuery-2)"),
            "{error}"
        );
        let error = refused(&FORMAT, REPORT, Some("Query"), "median", None);
        assert!(
            error.contains("holds no benchmark called `Query`; `test` can be one of example.com/users.Bench"),
            "{error}"
        );
    }

    #[test]
    fn events_are_read_as_the_text_in_them() {
        let reading = read(&FORMAT, EVENTS, QUERY, "median", None).unwrap();
        assert_eq!((reading.value.to_string().as_str(), reading.observations), ("15.77 ns", 3));
        // As newer versions write them: a line in two events, those of two packages interleaved.
        let event = |package: &str, output: &str| {
            format!("{{\"Action\":\"output\",\"Package\":\"{package}\",\"Output\":\"{output}\"}}\n")
        };
        let split = [
            event("a", r"BenchmarkA\n"),
            event("a", r"BenchmarkA-2 \t"),
            event("b", r"BenchmarkA-2 \t 5\t 7 ns/op\n"),
            event("a", r" 5\t 9 ns/op\n"),
            event("b", r"PASS\n"),
            event("a", r"PASS\n"),
        ];
        let reading = read(&FORMAT, &split.concat(), Some("a.BenchmarkA-2"), "p50", None).unwrap();
        assert_eq!((reading.value.to_string().as_str(), reading.observations), ("9 ns", 1));
        let failed = format!("{EVENTS}{{\"Action\":\"fail\",\"Package\":\"example.com/users\"}}\n");
        assert!(refused(&FORMAT, &failed, QUERY, "p50", None).contains("`go test` says that example.com/users failed"));
    }

    #[test]
    fn a_report_that_is_cut_off_or_of_a_failure_is_refused() {
        let cut = REPORT.split_once("PASS").unwrap().0;
        let error = refused(&FORMAT, cut, QUERY, "p50", None);
        assert!(error.contains("cut off: no `PASS` follows BenchmarkPage/size=100-2"), "{error}");
        let error = refused(&FORMAT, &REPORT.replacen("PASS\n", "", 1), QUERY, "p50", None);
        assert!(error.contains("cut off: no `PASS` follows BenchmarkPage"), "{error}");
        for line in ["FAIL", "--- FAIL: BenchmarkQuery-2", "FAIL\texample.com/users\t0.1s"] {
            let error = refused(&FORMAT, &format!("{REPORT}{line}\n"), QUERY, "p50", None);
            assert!(error.contains("`go test` says `"), "{error}");
        }
        for text in ["", "PASS\nok  \texample.com/users\t0.002s\n", "Benchmarking is fun\n"] {
            assert!(refused(&FORMAT, text, QUERY, "p50", None).contains("nor any other (go-bench)"), "{text}");
        }
    }

    #[test]
    fn what_is_no_result_or_can_not_be_a_time_is_refused() {
        let cases = [
            ("24,30 ns/op", "malformed: `24,30` is no number (`BenchmarkQuery-2"),
            ("12,5 ns/op", "`12,5` is no number"),
            ("NaN ns/op", "observation 1 of example.com/users.BenchmarkQuery-2): the value is NaN"),
            ("+Inf ns/op", "the value is inf, not a finite number"),
            ("-24.30 ns/op", "the value -24.3 ns is negative"),
            ("0 ns/op", "the value is zero, which a time can't be"),
            ("fast ns/op", "`fast` is no number"),
            ("24.30 ns/op 7", "is no number"),
        ];
        for (figure, expected) in cases {
            let report = REPORT.replacen("24.30 ns/op", figure, 1);
            let error = refused(&FORMAT, &report, QUERY, "p50", None);
            assert!(error.contains(expected), "{figure}: {error}");
        }
        let lines = [
            ("BenchmarkX-2 12,5 3 ns/op", "`12,5` is no number of iterations"),
            ("BenchmarkX-2 0 3 ns/op", "`0` is no number of iterations"),
            ("BenchmarkX-2 hello from the benchmark", "`hello` is no number of iterations"),
            ("BenchmarkX-2 5 3", "`3` has no unit"),
            ("BenchmarkX-2 5", "there is no figure"),
        ];
        for (line, expected) in lines {
            let error = refused(&FORMAT, &format!("{REPORT}{line}\nPASS\n"), QUERY, "p50", None);
            assert!(error.contains(expected) && error.contains("print nothing themselves"), "{line}: {error}");
        }
    }
}
