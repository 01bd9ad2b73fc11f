//! What every suite and every metric source has to keep, the fakes included: one walk through their tables.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use blueprint::adapters::executor::local::Local;
use blueprint::adapters::http::{RequestSettings, ServeSettings};
use blueprint::adapters::metric::fake::FakeSource;
use blueprint::adapters::metric::{
    self, Cadence, MetricError, MetricSource, Sample, Slot, SourceSettings, command, file, pytest_benchmark, sql,
    sql_load,
};
use blueprint::adapters::process::{Environment, Program, Site, Stop};
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
    let report = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/metric/pytest-benchmark.json");
    let script = format!("cp {report} \"${{1#--benchmark-json=}}\"\n");
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
    Site { tree: root.join("tree"), env, scratch: root.join("scratch"), exec: Arc::new(Local), stop: Stop::new() }
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

/// One source of each kind in the table, each of the one metric `m`.
fn sources() -> Vec<(&'static str, Box<dyn MetricSource>)> {
    let of = |kind: &'static str| {
        let settings = match kind {
            "pytest-benchmark" => SourceSettings::PytestBenchmark(pytest_benchmark::Settings {
                command: shell("sh bench.sh"),
                metrics: vec![pytest_benchmark::Metric {
                    name: name(),
                    test: Some("test_query_speed".to_owned()),
                    stat: "p95".parse().unwrap(),
                }],
            }),
            "file" => SourceSettings::File(file::Settings {
                command: shell("echo '{\"metric\": \"m\", \"value\": 3, \"unit\": \"ms\"}' > \"$BLUEPRINT_METRICS\""),
                metrics: vec![file::Metric { name: name(), dimension: None }],
            }),
            "command" => SourceSettings::Command(command::Settings {
                command: shell("echo '{\"p95\": 3}'"),
                metrics: vec![command::Metric { name: name(), path: "p95".to_owned(), unit: "ms".to_owned() }],
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
                    metrics: vec![metric::load::Metric { name: name(), stat: "throughput".parse().unwrap() }],
                })
            }
            "sql" => {
                let (query, unit) = ("select sum(x) from t".to_owned(), "B".to_owned());
                SourceSettings::Sql(sql::Settings { name: name(), query, unit })
            }
            "sql-load" => SourceSettings::SqlLoad(sql_load::Settings {
                file: "lookup.sql".to_owned(),
                params: sql_load::ParamsFrom::Range(1, 9),
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

fn fake_source() -> Box<dyn MetricSource> {
    Box::new(FakeSource::new("fake", [(name(), Dimension::Time)], |site, _| {
        if site.stop.is_cancelled() {
            return Err(MetricError::Stopped);
        }
        let value = Quantity::new(0.003, Dimension::Time).unwrap();
        let readings = vec![Reading { metric: name(), value, observations: 1 }];
        Ok(Sample { readings, timing: Timing::default(), output: None })
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
            let slot = Slot { block, seed: 1, limit: Some(Duration::from_secs(30)) };
            let sample = meter.sample(slot).await.unwrap_or_else(|why| panic!("{kind}: {why}"));
            let read: Vec<_> = sample.readings.iter().map(|r| &r.metric).collect();
            assert_eq!(read, [&name()], "{kind}");
            let reading = &sample.readings[0];
            assert!(reading.value.value() > 0.0 && reading.observations > 0, "{kind}: {reading:?}");
            let promised = source.dimension(&name());
            assert!(promised.is_none_or(|d| d == reading.value.dimension()), "{kind}: {reading:?}");
        }
        site.stop.cancel();
        let slot = Slot { block: 9, seed: 1, limit: Some(Duration::from_secs(30)) };
        let stopped = meter.sample(slot).await;
        assert!(matches!(stopped, Err(MetricError::Stopped)), "{kind}: {stopped:?}");
        meter.close().await;
        assert_eq!(Local.sweep_none(&site).await, 0, "{kind} left something running");
    }
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
