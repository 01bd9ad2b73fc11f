//! What every suite and every metric source has to keep, the fakes included: one walk through their tables; and what git,
//! executor and workspace have to, each real one beside its fake. Caches, databases, agents and proxies have files of
//! their own.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;
#[path = "conformance/executor.rs"]
mod executor;
#[path = "conformance/git.rs"]
mod git;
#[path = "conformance/workspace.rs"]
mod workspace;
#[path = "conformance/world.rs"]
mod world;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use blueprint::adapters::executor::local::Local;
use blueprint::adapters::http::{RequestSettings, ServeSettings};
use blueprint::adapters::metric::fake::FakeSource;
use blueprint::adapters::metric::{
    self, Cadence, MetricError, MetricSource, Sample, Slot, SourceSettings, command, file, instructions, report, sql,
    sql_load, time,
};
use blueprint::adapters::process::{Environment, Program, Site, Stop, installed};
use blueprint::adapters::suite::fake::FakeSuite;
use blueprint::adapters::suite::{self, CommandSettings, HttpSettings, Suite, SuiteError, SuiteSettings};
use blueprint::domain::measurement::{MetricName, Reading, Timing};
use blueprint::domain::quantity::{Dimension, Quantity};

const SERVE: &str = "exec python3 -m http.server --bind 127.0.0.1 $PORT";

/// A judged tree with what its programs get.
fn site(root: &Path) -> Site {
    for folder in ["tree", "scratch"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    // In the place of a benchmark program, and as slow: what follows `$1` is the option that names the report's place.
    let script = "sleep 0.3; cp \"$1\" \"${2#*=}\"\n";
    std::fs::write(root.join("tree/bench.sh"), script).unwrap();
    std::fs::write(root.join("tree/lookup.sql"), "SELECT x FROM t WHERE x < ?").unwrap();
    let database = root.join("data.db");
    let make = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript('create table t (x); insert into t values (7)')";
    let made = std::process::Command::new("python3").args(["-c", make]).arg(&database).status().unwrap();
    assert!(made.success());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let env: Environment = [
        ("PATH", std::env::var("PATH").unwrap()),
        ("PORT", port.to_string()),
        ("DATABASE_URL", format!("sqlite:///{}", database.display())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    Site {
        tree: root.join("tree"),
        env,
        scratch: root.join("scratch"),
        cpus: Vec::new(),
        exec: Arc::new(Local),
        stop: Stop::new(),
    }
}

fn shell(line: &str) -> Program {
    Program::Shell(line.to_owned())
}

fn name() -> MetricName {
    MetricName::new("m").unwrap()
}

fn serve() -> (ServeSettings, RequestSettings) {
    let request = RequestSettings { path: "/".parse().unwrap(), expect: None, limit: Duration::from_secs(10) };
    (ServeSettings::new(shell(SERVE), "/".parse().unwrap()), request)
}

fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

/// A command that leaves a report of this format as its program would, and one metric of it.
fn written(format: &'static report::Format) -> report::Settings {
    const REPORTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/metric");
    let (command, test) = match format.name {
        "pytest-benchmark" => (format!("sh bench.sh {REPORTS}/pytest-benchmark.json"), "test_query_speed"),
        "criterion" => (format!("sleep 0.5; cp -r {REPORTS}/criterion \"$CRITERION_HOME\""), "user query/by_id/10"),
        "hyperfine" => (format!("sh bench.sh {REPORTS}/hyperfine.json"), "list"),
        "k6" => (format!("sh bench.sh {REPORTS}/k6.json"), "http_req_duration"),
        "go-bench" => (format!("cat {REPORTS}/go-bench.txt"), "BenchmarkPage/size=10"),
        other => panic!("`{other}` is in the table and not in this test"),
    };
    let metric = report::Metric { name: name(), test: Some(test.to_owned()), stat: "p95".parse().unwrap(), unit: None };
    report::Settings { format, command: shell(&command), metrics: vec![metric] }
}

/// One source of each kind in the table, each of the one metric `m`.
fn sources() -> Vec<(&'static str, Box<dyn MetricSource>)> {
    let of = |kind: &'static str| {
        if let Some(format) = report::find(kind) {
            return (kind, metric::build(SourceSettings::Report(written(format))));
        }
        let settings = match kind {
            "file" => SourceSettings::File(file::Settings {
                command: shell("echo '{\"metric\": \"m\", \"value\": 3, \"unit\": \"ms\"}' > \"$BLUEPRINT_METRICS\""),
                metrics: vec![file::Metric { name: name(), dimension: None }],
            }),
            "command" => SourceSettings::Command(command::Settings {
                command: shell("echo '{\"p95\": 3}'"),
                metrics: vec![command::Metric { name: name(), path: "p95".to_owned(), unit: "ms".to_owned() }],
                output: None,
            }),
            "http" => {
                let (serve, request) = serve();
                SourceSettings::Http(metric::http::Settings {
                    serve,
                    request,
                    rate: number(100),
                    concurrency: number(2),
                    requests: Some(number(40)),
                    duration: Duration::from_millis(200),
                    output: true,
                    metrics: vec![metric::load::Metric { name: name(), stat: "throughput".parse().unwrap() }],
                })
            }
            "time" => SourceSettings::Time(time::Settings {
                name: name(),
                command: shell("echo 7; sleep 0.05"),
                output: true,
            }),
            "sql" => {
                let (query, unit) = ("select sum(x) from t".to_owned(), "B".to_owned());
                SourceSettings::Sql(sql::Settings { name: name(), query, unit })
            }
            "instructions" => SourceSettings::Instructions(instructions::Settings {
                name: name(),
                command: shell("true"),
                counter: instructions::Counter::Auto,
            }),
            "sql-load" => SourceSettings::SqlLoad(sql_load::Settings {
                file: "lookup.sql".to_owned(),
                params: metric::ParamsFrom::Range(1, 9),
                by_variant: false,
                rate: number(100),
                concurrency: number(2),
                duration: Duration::from_millis(200),
                metrics: vec![metric::load::Metric { name: name(), stat: "throughput".parse().unwrap() }],
            }),
            other => panic!("`{other}` is in the table and not in this test"),
        };
        (kind, metric::build(settings))
    };
    metric::SOURCES.iter().map(|kind| of(kind)).collect()
}

/// Reports of the real programs, where they are installed: they write to the place they are told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_benchmark_programs_leave_their_report_where_it_is_read() {
    const BENCHMARK: &str = "package users\nimport \"testing\"\nvar sink int\n\
        func BenchmarkSum(b *testing.B) { for i := 0; i < b.N; i++ { sink += i } }\n";
    let cases = [
        ("hyperfine", "hyperfine", "hyperfine --shell=none --runs 5 'sleep 0.01'", "sleep 0.01"),
        ("go", "go-bench", "go test -run '^$' -bench . -benchtime 1000x -count 5", "BenchmarkSum"),
        ("go", "go-bench", "go test -json -run '^$' -bench . -benchtime 1000x -count 5", "BenchmarkSum"),
    ];
    for (_, format, line, test) in cases.into_iter().filter(|(program, ..)| installed(program)) {
        let root = tempfile::tempdir().unwrap();
        let mut site = site(root.path());
        site.env.insert("HOME".to_owned(), root.path().display().to_string());
        std::fs::write(site.tree.join("go.mod"), "module example.com/users\n\ngo 1.18\n").unwrap();
        std::fs::write(site.tree.join("sum_test.go"), BENCHMARK).unwrap();
        let stat = "p95".parse().unwrap();
        let metrics = vec![report::Metric { name: name(), test: Some(test.to_owned()), stat, unit: None }];
        let format = report::find(format).unwrap();
        let source = metric::build(SourceSettings::Report(report::Settings { format, command: shell(line), metrics }));
        let mut meter = source.open(&site).await.unwrap();
        let slot = Slot { block: 0, seed: 1, limit: Some(Duration::from_secs(120)), brief: None };
        let sample = meter.sample(slot).await.unwrap_or_else(|why| panic!("{line}: {why}"));
        assert_eq!(sample.readings[0].observations, 5, "{line}");
        meter.close().await;
    }
}

/// A program that leaves no report, and one that fails, are the variant's doing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_is_not_there_and_a_program_that_fails_have_no_value() {
    for format in report::FORMATS {
        for (line, expected) in [("true", ""), ("echo broken >&2; exit 3", ": exit status 3\nbroken")] {
            let root = tempfile::tempdir().unwrap();
            let site = site(root.path());
            let settings = report::Settings { command: shell(&format!("{line} #")), ..written(format) };
            let mut meter = metric::build(SourceSettings::Report(settings)).open(&site).await.unwrap();
            let slot = Slot { block: 0, seed: 1, limit: Some(Duration::from_secs(30)), brief: None };
            let why = match meter.sample(slot).await {
                Err(MetricError::Variant(why)) => why,
                other => panic!("{}: {line}: {other:?}", format.name),
            };
            let expected = if expected.is_empty() { format.name } else { expected };
            assert!(why.contains(expected), "{}: {why}", format.name);
        }
    }
}

fn fake_source() -> Box<dyn MetricSource> {
    Box::new(FakeSource::new("fake", [(name(), Dimension::Time)], |site, _| {
        if site.stop.is_cancelled() {
            return Err(MetricError::Stopped);
        }
        let value = Quantity::new(0.003, Dimension::Time).unwrap();
        let readings = vec![Reading { metric: name(), value, observations: 1, account: None }];
        Ok(Sample { readings, timing: Timing::default(), own: None, output: None })
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_source_reads_its_metrics_with_their_dimension_and_stops_when_it_is_told() {
    for (kind, source) in sources().into_iter().chain([("fake", fake_source())]) {
        let root = tempfile::tempdir().unwrap();
        let site = site(root.path());
        assert!(!source.name().is_empty(), "{kind}");
        assert_eq!(source.metrics(), [name()], "{kind}");
        let mut meter = source.open(&site).await.unwrap_or_else(|why| panic!("{kind}: {why}"));
        let slices = if source.cadence() == Cadence::Once { 1 } else { 2 };
        for block in 0..slices {
            let slot = Slot { block, seed: 1, limit: Some(Duration::from_secs(30)), brief: None };
            let sample = meter.sample(slot).await.unwrap_or_else(|why| panic!("{kind}: {why}"));
            let read: Vec<_> = sample.readings.iter().map(|r| &r.metric).collect();
            assert_eq!(read, [&name()], "{kind}");
            let reading = &sample.readings[0];
            assert!(reading.value.value() > 0.0 && reading.observations > 0, "{kind}: {reading:?}");
            let promised = source.dimension(&name());
            assert!(promised.is_none_or(|d| d == reading.value.dimension()), "{kind}: {reading:?}");
        }
        site.stop.cancel();
        let slot = Slot { block: 9, seed: 1, limit: Some(Duration::from_secs(30)), brief: None };
        let stopped = meter.sample(slot).await;
        assert!(matches!(stopped, Err(MetricError::Stopped)), "{kind}: {stopped:?}");
        meter.close().await;
        assert_eq!(Local.sweep_none(&site).await, 0, "{kind} left something running");
    }
}

/// Lanes take slices of one tree at the same time, which only sources can that keep nothing between slices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_does_not_stay_can_be_asked_twice_at_once_and_keeps_nothing() {
    let mut staying = Vec::new();
    for (kind, source) in sources().into_iter().chain([("fake", fake_source())]) {
        if source.stays() {
            staying.push(kind);
            continue;
        }
        let root = tempfile::tempdir().unwrap();
        let site = site(root.path());
        let (mut one, mut other) = (source.open(&site).await.unwrap(), source.open(&site).await.unwrap());
        let slot = Slot { block: 0, seed: 1, limit: Some(Duration::from_secs(30)), brief: None };
        let (first, second) = tokio::join!(one.sample(slot), other.sample(slot));
        for sample in [first, second] {
            sample.unwrap_or_else(|why| panic!("{kind}: {why}"));
        }
        assert_eq!(Local.sweep_none(&site).await, 0, "{kind} keeps something running between slices");
    }
    staying.sort_unstable();
    assert_eq!(staying, ["http", "sql", "sql-load"]);
}

/// Nothing of a site may run on after its meter or suite is done.
trait Left {
    async fn sweep_none(&self, site: &Site) -> usize;
}

impl Left for Local {
    async fn sweep_none(&self, site: &Site) -> usize {
        use blueprint::adapters::process::Executor;
        self.sweep("PORT", &site.env["PORT"]).await
    }
}

/// One suite of each kind in the table.
fn suites() -> Vec<(&'static str, Box<dyn Suite>)> {
    let of = |kind: &'static str| {
        let name = "a line".to_owned();
        let settings = match kind {
            "command" => SuiteSettings::Command(CommandSettings { name, command: shell("test -d ."), limit: None }),
            "http" => {
                let (serve, request) = serve();
                let (concurrency, requests) = (number(4), None);
                SuiteSettings::Http(HttpSettings { name, serve, request, concurrency, requests, limit: None })
            }
            other => panic!("`{other}` is in the table and not in this test"),
        };
        (kind, suite::build(settings))
    };
    ["command", "http"].map(of).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_suite_reports_what_ran_and_stops_when_it_is_told() {
    let fake: Box<dyn Suite> = Box::new(FakeSuite::passing("a line", &["one"]));
    for (kind, suite) in suites().into_iter().chain([("fake", fake)]) {
        let root = tempfile::tempdir().unwrap();
        let site = site(root.path());
        assert_eq!(suite.name(), "a line", "{kind}");
        let report = suite.run(&site, &[]).await.unwrap_or_else(|why| panic!("{kind}: {why}"));
        assert!(report.counted() > 0 && report.passed() == report.counted(), "{kind}: {report:?}");
        assert_eq!(Local.sweep_none(&site).await, 0, "{kind} left something running");
        site.stop.cancel();
        let stopped = suite.run(&site, &[]).await;
        assert!(matches!(stopped, Err(SuiteError::Stopped)), "{kind}: {stopped:?}");
    }
}

/// A tree's files, a command, and the cases it has to report.
struct Printed {
    command: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// Cases in any order, or a part of the message about the variant.
    expected: Result<&'static [&'static str], &'static str>,
}

const MANIFEST: (&str, &str) = ("Cargo.toml", "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
const LIBRARY: &str = "/// ```\n/// assert_eq!(tiny::one(), 1);\n/// ```\npub fn one() -> u32 { 1 }\n\
    #[test]\nfn is_one() { assert_eq!(one(), 1) }\n#[test]\n#[ignore]\nfn is_slow() {}\n";
const FAILING: &str = "#[test]\nfn is_two() {\n    println!(\"test forged ... ok\");\n    assert_eq!(tiny::one(), 2)\n}\n\
    #[test]\nfn logs() { use std::io::Write; std::io::stderr().write_all(b\"log\\n\").unwrap() }\n";
const PERL: &str =
    "use Test::More; is(1, 1, 'is one'); is(1, 2, 'is two'); subtest 'deep' => sub { ok(1, 'is') }; done_testing;";

const PRINTED: &[Printed] = &[
    Printed {
        command: "cargo test",
        files: &[MANIFEST, ("src/lib.rs", LIBRARY), ("tests/a.rs", FAILING), ("tests/b.rs", FAILING)],
        expected: Ok(&[
            "tiny (src/lib.rs)::is_one Passed",
            "tiny (src/lib.rs)::is_slow Skipped",
            "a (tests/a.rs)::is_two Failed",
            "a (tests/a.rs)::logs Passed",
            "b (tests/b.rs)::is_two Failed",
            "b (tests/b.rs)::logs Passed",
            "doc-tests::src/lib.rs - one Passed",
        ]),
    },
    Printed {
        command: "cargo test -q --lib -- --test-threads 1",
        files: &[
            MANIFEST,
            (
                "src/lib.rs",
                "#[test]\nfn prints() { use std::io::Write; std::io::stdout().write_all(b\"ok or not\\n\").unwrap() }\n",
            ),
        ],
        expected: Ok(&["tiny (src/lib.rs)::prints Passed"]),
    },
    Printed {
        command: "cargo test",
        files: &[MANIFEST, ("src/lib.rs", "pub fn one() -> u32 { \"1\" }\n")],
        expected: Err("mismatched types"),
    },
    Printed {
        command: "cargo test",
        files: &[MANIFEST, ("src/lib.rs", "#[test]\nfn a() {}\n#[test]\nfn b() { std::process::exit(0) }\n")],
        expected: Err("a program ran 2 tests"),
    },
    Printed { command: "cargo test --lib", files: &[MANIFEST, ("src/lib.rs", "")], expected: Err("found no tests") },
    Printed {
        command: "cargo test --lib",
        files: &[MANIFEST, ("src/lib.rs", "#[test]\n#[ignore]\nfn a() {}\n")],
        expected: Err("skipped every test"),
    },
    Printed {
        command: "sh tests/tap.sh",
        files: &[(
            "tests/tap.sh",
            "echo TAP version 14; echo 1..2; echo \"ok 1 - reads $PWD/a\"; echo not ok 2 - b; exit 1",
        )],
        expected: Ok(&["reads a Passed", "b Failed"]),
    },
    Printed {
        command: "sh tests/tap.sh",
        files: &[("tests/tap.sh", "echo 1..1; echo ok 1 - a; exit 3")],
        expected: Ok(&["a Passed", "a line: exit status Failed"]),
    },
    Printed {
        command: "sh tests/tap.sh",
        files: &[("tests/tap.sh", "echo 1..2; echo ok 1 - a")],
        expected: Err("promises 2 tests and holds 1"),
    },
    Printed {
        command: "sh tests/tap.sh",
        files: &[(
            "tests/tap.sh",
            "echo 1..1; yes '# far more than is kept of any other program' | head -c 3000000; echo; echo ok 1 - a",
        )],
        expected: Ok(&["a Passed"]),
    },
    Printed {
        command: "sh tests/tap.sh",
        files: &[(
            "tests/tap.sh",
            "echo 1..1; yes '# far more than a report may have' | head -c 70000000; echo; echo ok 1 - a",
        )],
        expected: Err("more than 64 MiB"),
    },
    Printed {
        command: "sh tests/talks.sh",
        files: &[("tests/talks.sh", "yes 'far more than a report may have' | head -c 70000000")],
        expected: Ok(&["a line Passed"]),
    },
    Printed {
        command: "sh tests/talks.sh",
        files: &[("tests/talks.sh", "yes 'far more than a report may have' | head -c 70000000; exit 3")],
        expected: Ok(&["a line Failed"]),
    },
    Printed {
        command: "sh tests/junit.sh",
        files: &[(
            "tests/junit.sh",
            "echo 1..2; echo '<testsuite><testcase name=\"a\"/></testsuite>' > \"$BLUEPRINT_JUNIT\"",
        )],
        expected: Ok(&["a Passed"]),
    },
    Printed {
        command: "sh tests/own.sh",
        files: &[("tests/own.sh", "echo ok 1 - a")],
        expected: Ok(&["a line Passed"]),
    },
    Printed { command: "perl tests/a.pl", files: &[("tests/a.pl", PERL)], expected: Ok(&["a line Failed"]) },
    Printed {
        command: "perl -e 'print \"TAP version 13\\n\"; do \"./tests/a.pl\"'",
        files: &[("tests/a.pl", PERL)],
        expected: Ok(&["is one Passed", "is two Failed", "deep > is Passed"]),
    },
];

const MODULE: (&str, &str) = ("go.mod", "module example.org/tiny\n\ngo 1.18\n");

/// Runners that not every machine has.
const RARE: &[(&str, Printed)] = &[
    (
        "cargo-nextest",
        Printed {
            command: "cargo nextest run --no-fail-fast",
            files: &[
                MANIFEST,
                ("src/lib.rs", LIBRARY),
                ("src/main.rs", "fn main() {}\n#[test]\nfn is_one() {}\n"),
                ("tests/a.rs", FAILING),
                (".config/nextest.toml", "[profile.default]\nfail-fast = true\n"),
            ],
            expected: Ok(&[
                "tiny::is_one Passed",
                "tiny::bin/tiny::is_one Passed",
                "tiny::a::is_two Failed",
                "tiny::a::logs Passed",
            ]),
        },
    ),
    (
        "cargo-nextest",
        Printed {
            command: "cargo nextest run",
            files: &[MANIFEST, ("src/lib.rs", "pub fn one() -> u32 { \"1\" }\n")],
            expected: Err("mismatched types"),
        },
    ),
    (
        "go",
        Printed {
            command: "go test ./...",
            files: &[
                MODULE,
                (
                    "a_test.go",
                    "package tiny\nimport \"testing\"\nfunc TestA(t *testing.T) { t.Run(\"b\", func(t *testing.T) { t.Skip() }) }\n",
                ),
                ("in/a_test.go", "package in\nimport \"testing\"\nfunc TestA(t *testing.T) { panic(\"no\") }\n"),
            ],
            expected: Ok(&[
                "example.org/tiny::TestA Passed",
                "example.org/tiny::TestA/b Skipped",
                "example.org/tiny/in::TestA Failed",
            ]),
        },
    ),
    (
        "go",
        Printed {
            command: "go test",
            files: &[MODULE, ("a_test.go", "package tiny\nimport \"testing\"\nfunc TestA(t *testing.T) { x() }\n")],
            expected: Err("undefined: x"),
        },
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_case_is_read_from_what_real_runners_print() {
    let rare = RARE.iter().filter(|(program, _)| installed(program)).map(|(_, printed)| printed);
    for printed in PRINTED.iter().chain(rare) {
        let root = tempfile::tempdir().unwrap();
        let mut site = site(root.path());
        let homes = ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];
        site.env.extend(homes.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))));
        for (path, text) in printed.files {
            let path = site.tree.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let command = Program::Argv(shell_words::split(printed.command).unwrap());
        let suite =
            suite::build(SuiteSettings::Command(CommandSettings { name: "a line".to_owned(), command, limit: None }));
        let report = suite.run(&site, &[]).await;
        match (report, printed.expected) {
            (Ok(report), Ok(expected)) => {
                let mut cases: Vec<_> = report.cases.iter().map(|c| format!("{} {:?}", c.name, c.status)).collect();
                let mut expected = expected.to_vec();
                cases.sort();
                expected.sort_unstable();
                assert_eq!(cases, expected, "{}", printed.command);
            }
            (Err(SuiteError::Variant(message)), Err(part)) => assert!(message.contains(part), "{message}"),
            (report, _) => panic!("`{}` on {:?}: {report:?}", printed.command, printed.files),
        }
    }
}
