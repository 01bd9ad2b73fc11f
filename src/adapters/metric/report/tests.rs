//! What holds for every format, on real reports and on anything else.

use std::path::Path;

use proptest::prelude::*;

use super::*;

/// What one metric is in a report that is one file.
pub fn read(
    format: &Format,
    text: &str,
    test: Option<&str>,
    stat: &str,
    unit: Option<&str>,
) -> Result<Reading, String> {
    let path = if let Place::File { name, .. } = format.place { name } else { "standard output" };
    let document = Document { path: path.to_owned(), bytes: text.as_bytes().to_vec() };
    read_documents(format, &[document], test, stat, unit)
}

/// Why there is none.
pub fn refused(format: &Format, text: &str, test: Option<&str>, stat: &str, unit: Option<&str>) -> String {
    read(format, text, test, stat, unit).unwrap_err()
}

/// What one metric is in a report.
pub(super) fn read_documents(
    format: &Format,
    documents: &[Document],
    test: Option<&str>,
    stat: &str,
    unit: Option<&str>,
) -> Result<Reading, String> {
    let name = MetricName::new("query_latency").unwrap();
    let (test, unit) = (test.map(str::to_owned), unit.map(str::to_owned));
    let metric = Metric { name, test, stat: stat.parse().unwrap(), unit };
    match readings(format, documents, &[metric], Duration::MAX) {
        Ok(mut readings) => Ok(readings.remove(0)),
        Err(MetricError::Variant(why)) => Err(why),
        Err(other) => panic!("{other:?} is not the variant's doing"),
    }
}

#[test]
fn a_report_of_more_time_than_its_program_took_is_refused_with_both() {
    for (format, report) in reports().into_iter().filter(|(format, _)| format.name != "go-bench") {
        let test = parse(format, &report).unwrap()[0].names[0].clone();
        let name = MetricName::new("m").unwrap();
        let metric = Metric { name, test: Some(test), stat: Stat::Mean, unit: None };
        let within = |elapsed| readings(format, &report, std::slice::from_ref(&metric), elapsed);
        within(Duration::from_secs(10)).unwrap_or_else(|why| panic!("{}: {why}", format.name));
        let why = within(Duration::from_micros(300)).unwrap_err().to_string();
        assert!(why.contains("took ") && why.ends_with("its program ended after 0.300 ms"), "{why}");
    }
}

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/metric")
}

/// The report that criterion 0.8 wrote of three benchmarks.
pub fn criterion() -> Vec<Document> {
    let Place::Folder { files, .. } = criterion::FORMAT.place else { panic!("it is a folder") };
    let documents = folder::read(&fixtures().join("criterion"), files).unwrap();
    assert_eq!(documents.len(), 9, "the files under `base` and what else lies there are no part of it");
    documents
}

/// A report of each format.
fn reports() -> Vec<(&'static Format, Vec<Document>)> {
    let file = |format: &Format, name: &str| {
        let path = if let Place::File { name, .. } = format.place { name } else { "standard output" };
        let bytes = std::fs::read(fixtures().join(name)).unwrap();
        vec![Document { path: path.to_owned(), bytes }]
    };
    let of = |format: &'static Format| match format.name {
        "pytest-benchmark" => vec![file(format, "pytest-benchmark.json")],
        "hyperfine" => vec![file(format, "hyperfine.json")],
        "k6" => vec![file(format, "k6.json")],
        "go-bench" => vec![file(format, "go-bench.txt"), file(format, "go-bench.jsonl")],
        "criterion" => vec![criterion()],
        other => panic!("`{other}` is in the table and has no report here"),
    };
    FORMATS.iter().flat_map(|format| of(format).into_iter().map(|report| (*format, report))).collect()
}

fn parse(format: &Format, documents: &[Document]) -> Result<Vec<Benchmark>, String> {
    (format.parse)(documents)
}

#[test]
fn every_benchmark_of_a_real_report_is_found_by_its_own_name() {
    for (format, report) in reports() {
        let benchmarks = parse(format, &report).unwrap();
        assert!(benchmarks.len() > 1, "{}", format.name);
        for benchmark in &benchmarks {
            let found = read_documents(format, &report, Some(&benchmark.names[0]), "max", Some("nonsense"));
            assert!(!found.is_err_and(|why| why.contains("the report holds")), "{}", benchmark.names[0]);
        }
    }
}

#[test]
fn a_report_that_is_cut_off_anywhere_is_refused_or_is_a_whole_one_of_fewer_benchmarks() {
    for (format, report) in reports() {
        let whole = parse(format, &report).unwrap();
        for (at, document) in report.iter().enumerate() {
            for end in 0..document.bytes.len() {
                let mut cut = report.clone();
                cut[at].bytes.truncate(end);
                // Some packages of `go test` may be there whole; a benchmark of less than all its lines may not.
                for benchmark in parse(format, &cut).unwrap_or_default() {
                    assert!(whole.contains(&benchmark), "{} cut off at {end}: {benchmark:?}", format.name);
                }
            }
        }
    }
}

#[test]
fn messages_name_the_format_and_say_what_is_expected() {
    for (format, mut report) in reports() {
        report[0].bytes = b"{\"Action\": 3".to_vec();
        let error = read_documents(format, &report, None, "p50", None).unwrap_err();
        assert!(error.ends_with(&format!("({}: {})", format.name, format.expects)), "{error}");
        assert!(error.starts_with("the benchmark report is malformed or cut off: "), "{error}");
        report[0].bytes.clear();
        let error = read_documents(format, &report, None, "p50", None).unwrap_err();
        assert!(error.contains("is empty") || error.contains("holds no benchmark"), "{error}");
    }
}

#[test]
fn the_dimension_is_known_before_anything_ran() {
    let dimension = |format: &str, test: Option<&str>, stat: &str, unit: Option<&str>| {
        let name = MetricName::new("m").unwrap();
        let (test, unit) = (test.map(str::to_owned), unit.map(str::to_owned));
        let metrics = vec![Metric { name: name.clone(), test, stat: stat.parse().unwrap(), unit }];
        let format = find(format).unwrap();
        Report::new(Settings { format, command: Program::Argv(Vec::new()), metrics }).dimension(&name)
    };
    for format in ["pytest-benchmark", "criterion", "hyperfine", "go-bench"] {
        assert_eq!(dimension(format, None, "p95", None), Some(Dimension::Time), "{format}");
        assert_eq!(dimension(format, None, "ops", None), Some(Dimension::Rate), "{format}");
    }
    assert_eq!(dimension("go-bench", None, "p95", Some("B/op")), Some(Dimension::Bytes));
    assert_eq!(dimension("go-bench", None, "p95", Some("allocs/op")), Some(Dimension::Count));
    assert_eq!(dimension("go-bench", None, "p95", Some("p99-ns/op")), Some(Dimension::Time));
    assert_eq!(dimension("k6", Some("http_req_duration"), "p95", None), Some(Dimension::Time));
    assert_eq!(dimension("k6", Some("render_time"), "p95", None), None);
    assert_eq!(dimension("k6", Some("render_time"), "p95", Some("ms")), Some(Dimension::Time));
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for (format, mut report) in reports() {
            let last = report.len() - 1;
            report[last].bytes.clone_from(&bytes);
            let _ = read_documents(format, &report, None, "p95", None);
        }
    }

    #[test]
    fn a_real_report_with_other_bytes_in_it_never_makes_a_reader_panic(
        at in any::<prop::sample::Index>(),
        file in any::<prop::sample::Index>(),
        put in "[-0-9a-z.,\"\\[\\]{}\n\t eNI]{0,6}",
        over in 0_usize..6,
    ) {
        for (format, mut report) in reports() {
            let file = file.index(report.len());
            let bytes = &mut report[file].bytes;
            let at = at.index(bytes.len());
            let end = (at + over).min(bytes.len());
            bytes.splice(at..end, put.bytes());
            for benchmark in parse(format, &report).unwrap_or_default() {
                for stat in ["p95", "median", "stddev", "ops"] {
                    if let Ok(reading) = read_documents(format, &report, Some(&benchmark.names[0]), stat, None) {
                        prop_assert!(reading.value.value() >= 0.0 && reading.observations > 0);
                    }
                }
            }
        }
    }
}
