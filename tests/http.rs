//! Load over HTTP, on real servers: one of this file's own, and Python's.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use blueprint::adapters::executor::local::Local;
use blueprint::adapters::http::{Client, RequestSettings, ServeSettings};
use blueprint::adapters::load::{Failure, Pace, Target, arrivals, burst, closed_loop, open_loop};
use blueprint::adapters::metric::http::{Http, Settings};
use blueprint::adapters::metric::load::{Metric, Shape, held, slice};
use blueprint::adapters::metric::{Meter, MetricError, MetricSource, Slot};
use blueprint::adapters::process::{
    Command, Environment, Executor, Exit, Finished, ProcessError, Program, Serving, Site, Stop, Usage,
};
use blueprint::adapters::suite::{HttpSettings, HttpSuite, Suite, SuiteError};
use blueprint::domain::cases::TestStatus;
use blueprint::domain::measurement::MetricName;

/// Says what a request gets, from its number; may wait.
type Answer = dyn Fn(u32) -> (u16, &'static str) + Send + Sync;

/// A server with a thread a connection, which keeps connections open.
struct Real {
    port: u16,
    connections: Arc<AtomicU32>,
}

impl Real {
    fn start(answer: impl Fn(u32) -> (u16, &'static str) + Send + Sync + 'static) -> Self {
        Self::at(0, Arc::new(answer))
    }

    fn at(port: u16, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let count = Arc::new(AtomicU32::new(0));
        let connections = Arc::new(AtomicU32::new(0));
        let accepted = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                accepted.fetch_add(1, Ordering::SeqCst);
                let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
                let thread = std::thread::Builder::new().stack_size(64 << 10);
                drop(thread.spawn(move || connection(stream, &*answer, &count)).unwrap());
            }
        });
        Self { port, connections }
    }

    fn client(&self, expect: Option<&str>) -> Arc<Client> {
        Arc::new(Client::new(Arc::new(Local), self.port, request("/", expect), 64))
    }
}

fn connection(mut stream: TcpStream, answer: &Answer, count: &AtomicU32) {
    let mut buffer = [0; 2048];
    stream.set_nodelay(true).unwrap();
    // A client of ours sends a request in one piece.
    while stream.read(&mut buffer).is_ok_and(|length| length > 0) {
        let (status, body) = answer(count.fetch_add(1, Ordering::SeqCst));
        if status == 0 {
            return;
        }
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(path: &str, expect: Option<&str>) -> RequestSettings {
    RequestSettings { path: path.parse().unwrap(), expect: expect.map(str::to_owned), limit: Duration::from_secs(60) }
}

fn n(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

// ---- the loops ----

/// Stalls everything for 300 ms, once, 300 ms after its first request.
fn stalling() -> impl Fn(u32) -> (u16, &'static str) + Send + Sync {
    let first = Mutex::new(None);
    move |_| {
        let first = *first.lock().unwrap().get_or_insert_with(Instant::now);
        let since = first.elapsed();
        if (300..600).contains(&since.as_millis()) {
            std::thread::sleep(Duration::from_millis(600).saturating_sub(since));
        }
        (200, "ok")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_shows_in_the_tail_of_an_open_loop_and_hides_in_that_of_a_closed_one() {
    let tally = open_loop(&Real::start(stalling()).client(None), arrivals(1, 200, n(200))).await.due;
    assert_eq!((tally.clean(), tally.fault()), (200, None));
    let p95 = tally.quantile(0.95);
    assert!(p95 > 0.2, "p95 is {p95} s: three of ten requests were due in the stall");
    let pace = Pace { in_flight: n(1), duration: Duration::from_secs(1), requests: None, tolerant: false };
    let (closed, _) = closed_loop(&Real::start(stalling()).client(None), pace).await;
    let hidden = closed.quantile(0.95);
    assert!(hidden < p95 / 2.0, "p95 is {hidden} s: one request waited, and the others were not sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_generator_adds_little_to_what_it_measures() {
    let slow = |_| {
        std::thread::sleep(Duration::from_millis(10));
        (200, "ok")
    };
    let mut added = Vec::new();
    for seed in 0..5 {
        let opened = open_loop(&Real::start(slow).client(None), arrivals(seed, 100, n(200))).await;
        let (due, sent) = (opened.due.quantile(0.5), opened.sent.quantile(0.5));
        assert!(sent >= 0.010 && due >= sent * 0.99, "{due} s, {sent} s");
        added.push(due - sent);
    }
    // The best of five: the machine may be busy.
    let least = added.into_iter().fold(f64::MAX, f64::min);
    println!("added to the p50 of an answer that takes 10 ms: {:.2} ms", least * 1e3);
    assert!(least < 0.010, "{least} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_contenders_get_their_requests_at_the_same_times() {
    let mut offsets = Vec::new();
    for _ in 0..2 {
        let target = Arc::new(Slow::default());
        open_loop(&target, arrivals(42, 60, n(100))).await;
        let mut arrived = target.asked.lock().unwrap().clone();
        arrived.sort();
        offsets.push(arrived.iter().map(|at| at.duration_since(arrived[0])).collect::<Vec<_>>());
    }
    let seconds = |offset: &Duration| offset.as_secs_f64();
    let apart: Vec<_> = offsets[0].iter().zip(&offsets[1]).map(|(a, b)| seconds(a) - seconds(b)).collect();
    assert_eq!(apart.len(), 60);
    // This machine may be busy: the first of either may be late, and so may half of the others.
    let middle = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let shift = middle(apart.clone());
    let off = middle(apart.iter().map(|apart| (apart - shift).abs()).collect());
    assert!(off < 0.05, "{apart:?}");
}

/// Keeps a thread of the generator from everything else while it asks, and answers at once.
struct Busy(Duration);

#[async_trait]
impl Target for Busy {
    async fn ask(&self, _: u64) -> Result<(), Failure> {
        std::thread::sleep(self.0);
        Ok(())
    }
}

/// Answers after half a second, and notes when it was asked.
#[derive(Default)]
struct Slow {
    asked: Mutex<Vec<Instant>>,
}

#[async_trait]
impl Target for Slow {
    async fn ask(&self, _: u64) -> Result<(), Failure> {
        self.asked.lock().unwrap().push(Instant::now());
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(())
    }
}

fn shape(rate: u32, metrics: &[Metric]) -> Shape<'_> {
    let duration = Duration::from_millis(200);
    Shape { wake: n(1), rate: n(rate), in_flight: n(1), requests: None, duration, metrics }
}

#[tokio::test]
async fn a_rate_that_the_machine_can_not_hold_is_lowered_to_one_that_it_holds() {
    // At most two threads of 50 ms a request: 40/s.
    let metrics = metrics(&["p50"]);
    // What others do in one moment may look as if lateness did not come from the rate.
    let mut tries = Vec::new();
    for seed in 0..5 {
        let found = held(shape(200, &metrics), &Arc::new(Busy(Duration::from_millis(50))), seed).await;
        let Ok(found) = found else { panic!("nothing was wrong with the target") };
        if found.on_time && found.rate < n(60) {
            return;
        }
        tries.push(found);
    }
    panic!("{tries:?}");
}

#[tokio::test]
async fn a_rate_that_the_machine_holds_stays() {
    // Lateness is little of so slow an answer, however busy this machine is.
    let metrics = metrics(&["p50"]);
    let Ok(found) = held(shape(100, &metrics), &Arc::new(Slow::default()), 1).await else { panic!("it answers") };
    assert_eq!(found.rate, n(100), "{found:?}");
}

#[tokio::test]
async fn a_slice_that_was_sent_late_counts_and_says_how_much_of_it_is_that() {
    let metrics = metrics(&["p95"]);
    let taken = slice(shape(2000, &metrics), &Arc::new(Busy(Duration::from_millis(5))), 1).await;
    let Ok(taken) = taken else { panic!("lateness is nobody's fault") };
    let (p95, late) = (taken.readings[0].value.value(), taken.late.unwrap().as_secs_f64());
    assert!(late > p95 / 2.0 && late < p95, "{late} s of {p95} s");
}

#[tokio::test]
async fn a_machine_that_can_not_hold_the_rate_ends_no_slice() {
    let dir = tempfile::tempdir().unwrap();
    let site = site(dir.path(), answering(|_| (200, "ok")));
    let fast = Settings { rate: n(20_000), duration: Duration::from_millis(50), ..settings(&["serve"], &["p95"]) };
    let mut meter = opened(fast, &site).await;
    let held = meter.held(slot(0)).await.unwrap().unwrap();
    assert!(held.rate <= n(20_000));
    let sample = meter.sample(slot(0)).await.unwrap();
    assert!(sample.timing.late.is_some());
    meter.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_loop_keeps_its_number_in_flight_and_measures_the_rate() {
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (inside, highest) = (Arc::clone(&now), Arc::clone(&most));
    let server = Real::start(move |_| {
        highest.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        inside.fetch_sub(1, Ordering::SeqCst);
        (200, "ok")
    });
    let pace = Pace { in_flight: n(10), duration: Duration::from_millis(400), requests: None, tolerant: false };
    let (tally, steady) = closed_loop(&server.client(None), pace).await;
    let rate = steady.unwrap().rate();
    assert_eq!((tally.failed(), most.load(Ordering::SeqCst)), (0, 10));
    assert!((20.0..=505.0).contains(&rate), "ten at a time of 20 ms each are at most 500/s, not {rate}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_used_again_and_again() {
    let server = Real::start(|_| (200, "ok"));
    let tally = burst(&server.client(None), n(40), 2000).await;
    assert_eq!((tally.clean(), tally.fault()), (2000, None));
    let opened = server.connections.load(Ordering::SeqCst);
    assert!((40..=50).contains(&opened), "{opened} connections for 40 requests at a time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_the_expected_text_a_redirect_and_a_broken_connection_are_failures() {
    let server = Real::start(|number| match number % 4 {
        0 => (200, "[1, 2]"),
        1 => (200, "[]"),
        2 => (302, ""),
        _ => (0, ""),
    });
    let tally = burst(&server.client(Some("1,")), n(1), 8).await;
    assert_eq!((tally.clean(), tally.failed()), (2, 6));
    let fault = tally.fault().unwrap();
    let kinds = "6 of 8 requests failed (2 × connection broken, 2 × not the expected answer, 2 × status 302); \
                 the first: GET /: the answer does not hold `1,` (`[]`)";
    assert_eq!(fault, kinds);
}

// ---- the source and the suite ----

/// Starts a server of this file's in the place of a program.
struct InTest(Arc<Answer>);

struct Nothing;

#[async_trait]
impl Serving for Nothing {
    fn pid(&self) -> u32 {
        0
    }
    fn usage(&self) -> Usage {
        Usage::default()
    }
    fn ended(&mut self) -> Option<Exit> {
        None
    }
    fn tail(&self, _: usize) -> String {
        "its last line".to_owned()
    }
    async fn stop(&mut self) -> Exit {
        Exit::Stopped
    }
}

#[async_trait]
impl Executor for InTest {
    async fn run(&self, _: Command, _: &Stop) -> Result<Finished, ProcessError> {
        panic!("only a server is started here")
    }
    async fn serve(&self, command: Command) -> Result<Box<dyn Serving>, ProcessError> {
        Real::at(command.env["PORT"].parse().unwrap(), Arc::clone(&self.0));
        Ok(Box::new(Nothing))
    }
    async fn sweep(&self, _: &str, _: &str) -> usize {
        0
    }
}

fn site(dir: &Path, exec: Arc<dyn Executor>) -> Site {
    let ports: Vec<_> = (0..2).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    let port = |index: usize| ports[index].local_addr().unwrap().port().to_string();
    let env: Environment = [
        ("PATH".to_owned(), std::env::var("PATH").unwrap()),
        ("HOME".to_owned(), std::env::var("HOME").unwrap_or_default()),
        ("PORT".to_owned(), port(0)),
        ("BLUEPRINT_PORT_0".to_owned(), port(0)),
        ("BLUEPRINT_PORT_1".to_owned(), port(1)),
    ]
    .into();
    Site { tree: dir.to_owned(), env, scratch: dir.to_owned(), cpus: Vec::new(), exec, stop: Stop::new() }
}

fn answering(answer: impl Fn(u32) -> (u16, &'static str) + Send + Sync + 'static) -> Arc<dyn Executor> {
    Arc::new(InTest(Arc::new(answer)))
}

fn metrics(stats: &[&str]) -> Vec<Metric> {
    let metric = |stat: &&str| Metric { name: MetricName::new(stat).unwrap(), stat: stat.parse().unwrap() };
    stats.iter().map(metric).collect()
}

fn settings(serve: &[&str], stats: &[&str]) -> Settings {
    let serve = Program::Argv(serve.iter().map(|word| (*word).to_owned()).collect());
    Settings {
        serve: ServeSettings {
            ready_limit: Duration::from_secs(20),
            ..ServeSettings::new(serve, "/".parse().unwrap())
        },
        request: request("/", None),
        rate: n(200),
        concurrency: n(4),
        requests: None,
        duration: Duration::from_millis(200),
        output: false,
        metrics: metrics(stats),
    }
}

fn slot(seed: u64) -> Slot {
    Slot { block: 0, seed, limit: Some(Duration::from_secs(30)), brief: None }
}

async fn opened(settings: Settings, site: &Site) -> Box<dyn Meter> {
    Http::new(settings).open(site).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn refused(settings: Settings, site: &Site) -> String {
    match Http::new(settings).open(site).await {
        Ok(_) => panic!("it was ready"),
        Err(MetricError::Variant(message)) => message,
        Err(other) => panic!("not the variant's doing: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_warm_server_serves_every_metric_slice_after_slice() {
    let dir = tempfile::tempdir().unwrap();
    let site = site(dir.path(), answering(|_| (200, "ok")));
    let stats = ["p50", "p95", "mean", "max", "throughput", "error_rate"];
    let mut meter = opened(settings(&["serve"], &stats), &site).await;
    for seed in 0..2 {
        let sample = meter.sample(slot(seed)).await.unwrap();
        let read: Vec<_> =
            sample.readings.iter().map(|r| (r.metric.as_str(), r.value.value(), r.observations)).collect();
        assert_eq!(read.iter().map(|r| r.0).collect::<Vec<_>>(), stats);
        assert!(read[0].1 <= read[1].1 && read[1].1 <= read[3].1, "{read:?}");
        assert_eq!(read[1].2, 59, "p95 needs 59 requests, and 200 ms at 200/s would hold 40");
        assert!(read[4].1 > 50.0 && read[5].1 == 0.0, "{read:?}");
    }
    meter.close().await;
    meter.sample(slot(2)).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fast_errors_are_the_variants_doing_and_no_latency() {
    let dir = tempfile::tempdir().unwrap();
    let failing = |number| if number % 3 == 1 { (500, "no such table") } else { (200, "ok") };
    let site = site(dir.path(), answering(failing));
    let mut meter = opened(settings(&["serve"], &["p95"]), &site).await;
    let Err(MetricError::Variant(message)) = meter.sample(slot(0)).await else { panic!("errors were measured") };
    assert!(message.contains("× status 500") && message.contains("no such table"), "{message}");
    assert!(message.ends_with("its last line"), "{message}");
    // Asked for, the rate of errors is a metric of its own.
    let mut counting = opened(settings(&["serve"], &["p50", "error_rate", "throughput"]), &site).await;
    let sample = counting.sample(slot(0)).await.unwrap();
    let rate = sample.readings[1].value.value();
    assert!((25.0..42.0).contains(&rate), "{rate} % of every third");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_clean_answers_are_never_a_percentile() {
    let dir = tempfile::tempdir().unwrap();
    let site = site(dir.path(), answering(|number| if number % 3 == 0 { (200, "ok") } else { (503, "busy") }));
    let mut meter = opened(settings(&["serve"], &["p95", "error_rate"]), &site).await;
    let error = meter.sample(slot(0)).await.unwrap_err().to_string();
    assert!(error.contains("p95: too few clean answers for p95: "), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_a_slice_and_is_nobodys_doing() {
    let dir = tempfile::tempdir().unwrap();
    let site = site(dir.path(), answering(|_| (200, "ok")));
    let mut meter = opened(settings(&["serve"], &["p95"]), &site).await;
    site.stop.cancel();
    assert!(matches!(meter.sample(slot(0)).await, Err(MetricError::Stopped)));
}

const PYTHON: &str = r#"
import http.server, os, sys, time
mode = sys.argv[1]
if mode == "exits": sys.exit("no module named app")
count = 0
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        global count
        count += 1
        if mode == "dies" and count > 20:
            print("out of memory", flush=True)
            os._exit(3)
        body = b"ok"
        if mode.startswith("echo"):
            number = int(self.path.rpartition("=")[2]) if "=" in self.path else 0
            body = str(number * 2 + (mode == "echo-odd" and count > 30)).encode()
        self.send_response(503 if mode == "starting" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *rest): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// A site with Python's server in its tree, started by the real executor.
fn python(dir: &Path) -> Site {
    std::fs::write(dir.join("app.py"), PYTHON).unwrap();
    site(dir, Arc::new(Local))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_program_is_started_measured_and_gone() {
    let dir = tempfile::tempdir().unwrap();
    let site = python(dir.path());
    let serve = ["python3", "app.py", "well"];
    let mut meter = opened(settings(&serve, &["p95", "throughput"]), &site).await;
    // A second server of the same tree does not meet the first.
    let mut other = opened(settings(&serve, &["p50"]), &site).await;
    for seed in 0..3 {
        let sample = meter.sample(slot(seed)).await.unwrap();
        assert!(sample.readings.iter().all(|r| r.value.value() > 0.0));
    }
    meter.close().await;
    other.close().await;
    for port in ["PORT", "BLUEPRINT_PORT_1"].map(|name| site.env[name].parse::<u16>().unwrap()) {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    }
}

/// What a server that is asked for numbers says in a slice.
async fn output(mode: &str, path: &str, seed: u64) -> Result<String, MetricError> {
    let dir = tempfile::tempdir().unwrap();
    let site = python(dir.path());
    let settings = Settings {
        request: request(path, None),
        output: true,
        ..settings(&["python3", "app.py", mode], &["p50", "throughput"])
    };
    let mut meter = opened(settings, &site).await;
    let sample = meter.sample(slot(seed)).await;
    meter.close().await;
    sample.map(|sample| sample.output.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_answers_follows_from_the_blocks_seed_and_every_wrong_answer_shows() {
    let path = "/double?n={seed}";
    let right = output("echo", path, 7).await.unwrap();
    assert_eq!(right, output("echo", path, 7).await.unwrap());
    assert_ne!(right, output("echo", path, 8).await.unwrap());
    assert_ne!(right, output("echo-odd", path, 7).await.unwrap(), "only answers after the thirtieth are wrong");
    assert_ne!(right, output("well", path, 7).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_gets_ready_or_ends_first_is_the_variants_doing() {
    let dir = tempfile::tempdir().unwrap();
    let site = python(dir.path());
    let ended = refused(settings(&["python3", "app.py", "exits"], &["p95"]), &site).await;
    assert!(ended.contains("ended before it was ready (exit status 1)\nno module named app"), "{ended}");
    let mut late = settings(&["python3", "app.py", "starting"], &["p95"]);
    late.serve.ready_limit = Duration::from_secs(8);
    let late = refused(late, &site).await;
    assert!(late.contains("was not ready within 8.0 s") && late.contains("GET /: 503"), "{late}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_under_load_is_named_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let site = python(dir.path());
    let mut meter = opened(settings(&["python3", "app.py", "dies"], &["throughput"]), &site).await;
    let Err(MetricError::Variant(message)) = meter.sample(slot(0)).await else { panic!("a dead server was measured") };
    assert!(message.contains("ended under load (exit status 3)\nout of memory"), "{message}");
}

fn load_test(concurrency: u32, serve: &[&str]) -> HttpSuite {
    let Settings { serve, request, .. } = settings(serve, &[]);
    let name = format!("Load test with {concurrency} concurrent requests");
    let (concurrency, limit) = (n(concurrency), Some(Duration::from_secs(60)));
    HttpSuite::new(HttpSettings { name, serve, request, concurrency, requests: None, limit })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_at_once_are_one_case_of_the_documents_name() {
    let dir = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let report = load_test(1000, &["serve"]).run(&site(dir.path(), answering(|_| (200, "ok"))), &[]).await.unwrap();
    println!("2000 requests, 1000 at a time: {:?}", started.elapsed());
    assert_eq!(report.cases.len(), 1);
    assert_eq!(report.cases[0].name, "Load test with 1000 concurrent requests");
    assert_eq!(report.cases[0].status, TestStatus::Passed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_error_fails_the_load_test_and_the_log_says_which() {
    let dir = tempfile::tempdir().unwrap();
    let failing = |number| if number == 30 { (500, "deadlock detected") } else { (200, "ok") };
    let report = load_test(40, &["serve"]).run(&site(dir.path(), answering(failing)), &[]).await.unwrap();
    assert_eq!(report.failed(), ["Load test with 40 concurrent requests"]);
    let log = std::fs::read_to_string(dir.path().join("tests.log")).unwrap();
    assert!(log.contains("1 of 80 requests failed (1 × status 500)") && log.contains("deadlock detected"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_test_of_a_server_that_does_not_start_has_no_report() {
    let dir = tempfile::tempdir().unwrap();
    let suite = load_test(4, &["python3", "app.py", "exits"]);
    let error = suite.run(&python(dir.path()), &[]).await.unwrap_err();
    assert!(matches!(error, SuiteError::Variant(_)), "{error}");
    let selected = suite.run(&python(dir.path()), &["tests/x.py".to_owned()]).await.unwrap_err();
    assert!(matches!(selected, SuiteError::Refused(_)), "{selected}");
}
