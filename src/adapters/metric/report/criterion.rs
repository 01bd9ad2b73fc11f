//! The format of Criterion.rs: a folder for each benchmark, with three files under `new`.
//!
//! A sample's time is that of many iterations; an observation is their mean. The files do not name
//! their unit: nanoseconds are assumed, which is what Criterion measures unless it is told to
//! measure something else than time.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Benchmark, Beside, Document, Format, Place, Series, Stat};

const NAME: &str = "new/benchmark.json";
const ESTIMATES: &str = "new/estimates.json";
const SAMPLE: &str = "new/sample.json";

/// The format.
pub const FORMAT: Format = Format {
    name: "criterion",
    units: false,
    place: Place::Folder { variable: "CRITERION_HOME", files: &[NAME, ESTIMATES, SAMPLE] },
    beside: Beside::Trials,
    unit: |_| Some("ns"),
    parse,
    expects: "`run` has to be a `cargo bench` command whose benchmarks use criterion 0.4 or newer, not `cargo criterion`, \
              and leaves CRITERION_HOME as it is",
};

#[derive(Deserialize)]
struct Name {
    full_id: String,
    group_id: String,
    function_id: Option<String>,
}

#[derive(Deserialize)]
struct Estimates {
    mean: Estimate,
    median: Estimate,
    std_dev: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// One entry a sample.
#[derive(Deserialize)]
struct Samples {
    iters: Vec<f64>,
    times: Vec<f64>,
}

fn parse(documents: &[Document]) -> Result<Vec<Benchmark>, String> {
    let mut folders: BTreeMap<&str, Vec<&Document>> = BTreeMap::new();
    for document in documents {
        let folder = document.path.rsplit_once("new/").map_or("", |(folder, _)| folder);
        folders.entry(folder).or_default().push(document);
    }
    folders.into_iter().map(|(folder, files)| benchmark(folder, &files)).collect()
}

fn benchmark(folder: &str, files: &[&Document]) -> Result<Benchmark, String> {
    let file = |ending: &str| {
        let found = files.iter().find(|document| document.path.ends_with(ending));
        found.ok_or_else(|| format!("the benchmark report is cut off: {folder}{ending} is missing"))
    };
    let Name { full_id, group_id, function_id } = file(NAME)?.json()?;
    let estimates: Estimates = file(ESTIMATES)?.json()?;
    let Samples { iters, times } = file(SAMPLE)?.json()?;
    if times.is_empty() || iters.len() != times.len() || iters.iter().any(|count| *count < 1.0) {
        let (iters, times) = (iters.len(), times.len());
        return Err(format!("{folder}{SAMPLE} has {times} times for {iters} counts of iterations, each of at least 1"));
    }
    let observations = times.iter().zip(&iters).map(|(time, iters)| time / iters).collect();
    let stated = vec![
        (Stat::Mean, estimates.mean.point_estimate),
        (Stat::Median, estimates.median.point_estimate),
        (Stat::StdDev, estimates.std_dev.point_estimate),
    ];
    let bare = function_id.map_or_else(|| group_id.clone(), |function| format!("{group_id}/{function}"));
    let (iterations, spent) = (iters.iter().sum(), times.iter().sum());
    let series = Series { unit: Some("ns".to_owned()), observations, count: 0, stated, iterations, spent };
    Ok(Benchmark { names: vec![full_id, bare], series: vec![series] })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{criterion as report, read_documents};
    use super::*;

    fn read(test: Option<&str>, stat: &str) -> Result<(String, u64), String> {
        changed(test, stat, |_| ())
    }

    /// The report as criterion 0.8 writes it, after a change to each of its files.
    fn changed(test: Option<&str>, stat: &str, change: impl Fn(&mut Document)) -> Result<(String, u64), String> {
        let mut documents = report();
        documents.iter_mut().for_each(change);
        read_documents(&FORMAT, &documents, test, stat, None).map(|r| (r.value.to_string(), r.observations))
    }

    fn replaced(ending: &str, from: &str, to: &str) -> Result<(String, u64), String> {
        changed(Some("parse"), "p50", |document| {
            if document.path == format!("parse/new/{ending}") {
                let text = String::from_utf8(document.bytes.clone()).unwrap();
                assert!(text.contains(from), "{from}");
                document.bytes = text.replacen(from, to, 1).into_bytes();
            }
        })
    }

    #[test]
    fn estimates_are_those_of_the_report_and_percentiles_come_from_its_samples() {
        for (stat, shown) in [
            ("mean", "28.14 ns"),
            ("median", "27.02 ns"),
            ("stddev", "22.63 ns"),
            ("min", "3.2 ns"),
            ("p50", "25.22 ns"),
            ("max", "96.46 ns"),
        ] {
            assert_eq!(read(Some("parse"), stat).unwrap(), (shown.to_owned(), 20), "{stat}");
        }
    }

    #[test]
    fn a_benchmark_is_found_with_its_parameter_and_without_it_where_one_has_the_name() {
        read(Some("user query/by_id/10"), "p50").unwrap();
        let error = read(Some("user query/by_id"), "p50").unwrap_err();
        assert!(
            error.contains("2 benchmarks called `user query/by_id` (user query/by_id/10, user query/by_id/100)"),
            "{error}"
        );
        let error = read(Some("by_id"), "p50").unwrap_err();
        assert!(error.contains("holds no benchmark called `by_id`; `test` can be one of parse, user"), "{error}");
    }

    #[test]
    fn a_benchmark_that_lacks_a_file_or_a_field_is_refused() {
        for ending in [NAME, ESTIMATES, SAMPLE] {
            let mut documents = report();
            documents.retain(|document| document.path != format!("parse/{ending}"));
            let error = read_documents(&FORMAT, &documents, Some("parse"), "p50", None).unwrap_err();
            assert!(error.contains(&format!("cut off: parse/{ending} is missing")), "{error}");
        }
        let cases = [
            ("benchmark.json", "full_id", "missing field `full_id`"),
            ("estimates.json", "std_dev", "missing field `std_dev`"),
            ("sample.json", "iters", "missing field `iters`"),
        ];
        for (file, field, expected) in cases {
            let error = replaced(file, field, "other").unwrap_err();
            assert!(error.contains(expected) && error.contains("criterion 0.4 or newer"), "{error}");
        }
    }

    #[test]
    fn what_can_not_be_a_time_is_refused() {
        let first = "[342086.0,";
        let cases = [
            ("[NaN,", "malformed or cut off: parse/new/sample.json"),
            ("[1e999,", "number out of range"),
            ("[-342086.0,", "observation 1 of parse): the value -3.203 ns is negative"),
            ("[0.0,", "observation 1 of parse): the value is zero, which a time can't be"),
            ("[342086,0,", "has 21 times for 20 counts of iterations"),
            ("[\"342086,0\",", "invalid type: string \"342086,0\", expected f64"),
            ("[", "has 19 times for 20 counts of iterations"),
        ];
        for (to, expected) in cases {
            let error = replaced("sample.json", first, to).unwrap_err();
            assert!(error.contains(expected), "{to}: {error}");
        }
        for to in ["[0.0,", "[-1.0,"] {
            let error = replaced("sample.json", "[106786.0,", to).unwrap_err();
            assert!(error.contains("counts of iterations, each of at least 1"), "{error}");
        }
        let none = changed(Some("parse"), "p50", |document| {
            if document.path.ends_with(SAMPLE) {
                document.bytes = br#"{"iters": [], "times": []}"#.to_vec();
            }
        });
        assert!(none.unwrap_err().contains("has 0 times for 0 counts"));
    }

    #[test]
    fn two_benchmarks_of_one_name_are_never_guessed_at() {
        let error = changed(Some("parse"), "p50", |document| {
            if document.path.ends_with("10/new/benchmark.json") {
                document.bytes = br#"{"full_id": "parse", "group_id": "parse", "function_id": null}"#.to_vec();
            }
        });
        assert!(error.unwrap_err().contains("holds 2 benchmarks called `parse` (parse, parse)"));
    }
}
