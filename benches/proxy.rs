//! What the proxy for models costs: the latency it adds, what it can carry, whether its memory
//! stays flat, and the same for LiteLLM's proxy on the same machine in the same run.
//!
//! The scripted model, the proxy and LiteLLM are processes of their own, all on loopback; the client is this
//! one. Latencies are taken in turns, a request straight to the model and one through each proxy, over one
//! kept connection each: what is added is the median of the differences within a turn; at the 99th
//! percentile it is the difference of the percentiles. Requests have 4 KB, answers two words. The proxy's
//! accounts are a run's own, on disk before a request leaves; a second proxy whose accounts are in memory tells how
//! much of it all is the disk's.
//!
//! `--quick` takes fewer of everything, and LiteLLM only with two workers; `--no-litellm` leaves it out.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod accounts;
#[path = "../tests/common/mod.rs"]
mod common;
mod gateway;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blueprint::adapters::journal::{Journal, Memory, Sqlite};
use blueprint::adapters::proxy::Purse;
use blueprint::domain::plan::VariantKey;
use blueprint::engine::budget::accounts::StepPurse;
use gateway::client::{Target, Times, Until, in_turns, load};
use gateway::servers::{Server, litellm, serve};
use serde_json::json;

/// Connections under load.
const CONNECTIONS: usize = 16;
/// Tokens that no benchmark uses up.
const CAP: u64 = 1 << 50;

/// How much is measured.
struct Effort {
    turns: usize,
    streams: usize,
    seconds: u64,
    memory: usize,
    rounds: usize,
    /// How many workers LiteLLM has, one after another.
    workers: &'static [usize],
}

fn main() {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    if serve(&args) {
        return;
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    let effort = if quick {
        Effort { turns: 1_000, streams: 40, seconds: 3, memory: 10_000, rounds: 1, workers: &[2] }
    } else {
        Effort { turns: 10_000, streams: 300, seconds: 10, memory: 100_000, rounds: 3, workers: &[1, 2] }
    };
    let with_litellm = !args.iter().any(|arg| arg == "--no-litellm");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let figures = runtime.block_on(measure(&effort, with_litellm)).expect("every request is answered");
    println!();
    for line in figures {
        println!("{line}");
    }
}

/// Everything, table by table; the figures' lines.
async fn measure(effort: &Effort, with_litellm: bool) -> std::io::Result<Vec<String>> {
    let model = Server::model();
    let (proxy, forgetful) = (Server::proxy(&model), Server::forgetful_proxy(&model));
    let (direct, ours, without_disk) = (targets(&model), targets(&proxy), targets(&forgetful));
    let mut figures = Vec::new();

    println!("{}", synced_write()?);
    println!("\none request at a time, {} turns\n", effort.turns);
    let three = [&direct.plain, &ours.plain, &without_disk.plain];
    in_turns(&three, 200).await?;
    let times = in_turns(&three, effort.turns).await?;
    heading();
    let whole = |times: &Times| times.whole.as_secs_f64() * 1e3;
    let (alone, through) = (sorted(&times[0], whole), sorted(&times[1], whole));
    row("straight to the model", &alone);
    row("through the proxy", &through);
    row("... accounts in memory", &sorted(&times[2], whole));
    figures.push(figure("added_p50_ms", added(&times[0], &times[1], whole), 3, "ms", 1));
    figures.push(figure("added_p99_ms", quantile(&through, 0.99) - quantile(&alone, 0.99), 3, "ms", 5));

    println!("\nfirst byte of a stream of 20 words, 2 ms apart, {} turns\n", effort.streams);
    let three = [&direct.stream, &ours.stream, &without_disk.stream];
    in_turns(&three, 5).await?;
    let times = in_turns(&three, effort.streams).await?;
    heading();
    let first = |times: &Times| times.first.as_secs_f64() * 1e3;
    row("straight to the model", &sorted(&times[0], first));
    row("through the proxy", &sorted(&times[1], first));
    row("... accounts in memory", &sorted(&times[2], first));
    // Between the words of a stream the processors go to sleep; to wake them costs each hop more than when
    // requests follow each other without a pause.
    figures.push(figure("added_first_byte_ms", added(&times[0], &times[1], first), 3, "ms", 5));

    println!("\n{CONNECTIONS} connections, {} s each\n", effort.seconds);
    let until = Until::Elapsed(Duration::from_secs(effort.seconds));
    load(&ours.plain, CONNECTIONS, Until::Requests(1_000)).await?;
    heading_of_loads();
    row_of_load("straight to the model", &mut load(&direct.plain, CONNECTIONS, until).await?);
    let mut carried = load(&ours.plain, CONNECTIONS, until).await?;
    row_of_load("through the proxy", &mut carried);
    row_of_load("... accounts in memory", &mut load(&without_disk.plain, CONNECTIONS, until).await?);
    drop(forgetful);
    figures.push(figure("requests_per_s", carried.per_second(), 0, "1/s", 2000));

    let before = proxy.resident_mb();
    load(&ours.plain, CONNECTIONS, Until::Requests(effort.memory)).await?;
    let after = proxy.resident_mb();
    println!("\nresident memory before and after {} more requests: {before:.1} MB, {after:.1} MB", effort.memory);
    figures.push(figure("rss_growth_mb", after - before, 2, "MB", 8));

    if with_litellm {
        figures.extend(against_litellm(effort, &model, &direct, &ours).await?);
    }
    Ok(figures)
}

/// The same client and the same model, ours and theirs by turns; with as many of their workers as
/// serve them best.
async fn against_litellm(
    effort: &Effort,
    model: &Server,
    direct: &Targets,
    ours: &Targets,
) -> std::io::Result<Option<String>> {
    let Some(venv) = litellm() else {
        println!("\nLiteLLM could not be installed: no figure against it");
        return Ok(None);
    };
    let dir = tempfile::tempdir()?;
    let mut best: Option<(f64, f64)> = None;
    for &workers in effort.workers {
        let theirs = Server::litellm(&venv, model, workers, dir.path());
        let theirs = (targets(&theirs), theirs);
        load(&theirs.0.plain, CONNECTIONS, Until::Requests(100)).await?;
        let turns = (effort.turns / 10).max(100);
        println!("\nbeside LiteLLM with {workers} worker(s), {turns} turns of one request at a time\n");
        let times = in_turns(&[&direct.plain, &ours.plain, &theirs.0.plain], turns).await?;
        heading();
        let whole = |times: &Times| times.whole.as_secs_f64() * 1e3;
        for (name, times) in ["straight to the model", "through the proxy", "through LiteLLM"].iter().zip(&times) {
            row(name, &sorted(times, whole));
        }
        println!("\n{CONNECTIONS} connections, {} s each, {} round(s) by turns\n", effort.seconds, effort.rounds);
        heading_of_loads();
        let (mut us, mut them) = (0.0, 0.0);
        for _ in 0..effort.rounds {
            let until = Until::Elapsed(Duration::from_secs(effort.seconds));
            let mut own = load(&ours.plain, CONNECTIONS, until).await?;
            let mut other = load(&theirs.0.plain, CONNECTIONS, until).await?;
            row_of_load("through the proxy", &mut own);
            row_of_load("through LiteLLM", &mut other);
            us += own.per_second();
            them += other.per_second();
        }
        if best.is_none_or(|(_, most)| them > most) {
            best = Some((us / them, them));
        }
    }
    Ok(best.map(|(times, _)| figure("times_litellm", times, 1, "x", 10)))
}

/// What the disk of the accounts takes for a small write that is to last.
fn synced_write() -> std::io::Result<String> {
    let mut file = tempfile::tempfile()?;
    let mut times = Vec::new();
    for _ in 0..200 {
        file.write_all(&[b'x'; 4096])?;
        let started = Instant::now();
        file.sync_data()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let [p50, p99] = [0.5, 0.99].map(|q| quantile(&times, q));
    Ok(format!("a write of 4 KB and its sync take this disk {p50:.3} ms, {p99:.3} ms at the 99th percentile"))
}

/// One server's two requests.
struct Targets {
    plain: Target,
    stream: Target,
}

fn targets(server: &Server) -> Targets {
    let rules = "Keep to the files that you were told of, and say in one sentence what you did. ".repeat(50);
    let body = |stream: bool| {
        json!({
            "model": "scripted", "max_tokens": 256, "stream": stream,
            "messages": [{"role": "system", "content": rules}, {"role": "user", "content": "What is left to do?"}],
        })
        .to_string()
    };
    let target = |stream| Target::new(&server.base, "/chat/completions", &server.key, &body(stream));
    Targets { plain: target(false), stream: target(true) }
}

/// Median of what one server takes longer than another within a turn.
fn added(direct: &[Times], through: &[Times], of: impl Fn(&Times) -> f64) -> f64 {
    let mut differences = direct.iter().zip(through).map(|(d, t)| of(t) - of(d)).collect::<Vec<_>>();
    differences.sort_by(f64::total_cmp);
    quantile(&differences, 0.5)
}

fn sorted(times: &[Times], of: impl Fn(&Times) -> f64) -> Vec<f64> {
    let mut values = times.iter().map(of).collect::<Vec<_>>();
    values.sort_by(f64::total_cmp);
    values
}

/// Of sorted values.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

fn heading() {
    println!("{:<24} {:>9} {:>9} {:>9}", "ms", "p50", "p90", "p99");
}

fn row(name: &str, sorted: &[f64]) {
    let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|q| quantile(sorted, q));
    println!("{name:<24} {p50:>9.3} {p90:>9.3} {p99:>9.3}");
}

fn heading_of_loads() {
    println!("{:<24} {:>9} {:>9} {:>9}", "", "1/s", "p50 ms", "p99 ms");
}

fn row_of_load(name: &str, load: &mut gateway::client::Load) {
    load.latencies.sort_by(f64::total_cmp);
    let [p50, p99] = [0.5, 0.99].map(|q| quantile(&load.latencies, q) * 1e3);
    println!("{name:<24} {:>9.0} {p50:>9.3} {p99:>9.3}", load.per_second());
}

/// A figure's line.
fn figure(name: &str, value: f64, digits: usize, unit: &str, limit: u32) -> String {
    format!("figure {name} {value:.digits$} {unit} limit {limit}")
}

/// Who admits the benchmark's requests: a run's own accounts, with their journal in `dir` or in
/// memory, and caps that nobody reaches.
async fn purse(dir: Option<&Path>) -> Arc<dyn Purse> {
    let journal: Arc<dyn Journal> = match dir {
        Some(dir) => Arc::new(Sqlite::open(dir).await.expect("a journal")),
        None => Arc::new(Memory::default()),
    };
    let (accounts, ..) = accounts::accounts(journal, [CAP; 3]).await;
    Arc::new(StepPurse::new(accounts, VariantKey::new("A").expect("a key"), 0))
}
