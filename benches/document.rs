//! Documents: how long reading and rewriting 50 MB takes, what it costs in memory, and how long
//! `check` of the seed takes as a whole process.
//!
//! Memory is measured in a process of its own, which reads a file as the program does, and is the
//! peak resident set by the file's size.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use blueprint::domain::document::{Document, Regions, ResultRow};
use blueprint::domain::plan::{Status, VariantKey};
use blueprint::domain::score::{Criteria, Points};

use common::Repo;

const SEED: &str = include_str!("../tests/fixtures/documents/seed.md");
const SIZE: usize = 50_000_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|a| a == "--child") {
        let path = &args[at + 1];
        println!("{}", rewrite(&std::fs::read(path).expect("read")).len());
        println!("{}", peak());
        return;
    }
    let quick = args.iter().any(|a| a == "--quick");
    let large = large();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("large.md");
    std::fs::write(&path, &large).expect("write");

    let (runs, checks) = if quick { (3, 20) } else { (7, 60) };
    let seconds = median((0..runs).map(|_| timed(|| rewrite(large.as_bytes()))).collect());
    println!(
        "{:.1} MB are read and rewritten in {:.3} s (median of {runs})",
        large.len() as f64 / 1e6,
        seconds.as_secs_f64()
    );
    let peak = child(&path);
    println!("peak of a process that does it: {:.1} MB", peak / 1e6);
    let check = median((0..checks).map(|_| check()).collect());
    println!("`blueprint check` of the seed: {:.2} ms (median of {checks})\n", check.as_secs_f64() * 1e3);

    println!("figure rewrite_50mb_s {:.3} s limit 1", seconds.as_secs_f64());
    println!("figure rewrite_50mb_mem_ratio {:.2} ratio limit 6", peak / large.len() as f64);
    println!("figure check_seed_ms {:.2} ms limit 10", check.as_secs_f64() * 1e3);
}

/// The seed, grown by what grows in practice: prose, logs in code blocks, tables, a long analysis.
fn large() -> String {
    let mut notes = String::from("## Measurements\n\n");
    let mut n = 0_u64;
    while notes.len() < SIZE * 6 / 10 {
        n += 1;
        write!(
            notes,
            "### Session {n}\n\nThe run of *session {n}* took {}.{} ms, see `bench_{n}.json` and [the log](logs/{n}.txt); it is \
             not what we **expected** after the last change, so that the cache was looked at again.\n\n\
             - first finding, with `code` and a number {n}\n- second finding\n  - and what follows from it\n\n",
            n % 997,
            n % 10
        )
        .expect("a string");
        if n.is_multiple_of(10) {
            notes.push_str("| stat | before | after |\n|------|-------:|------:|\n");
            (0..20).for_each(|i| writeln!(notes, "| p{i} | {}.2 ms | {}.1 ms |", n % 800, n % 100).expect("a string"));
            notes.push_str("\n```text\n");
            (0..20).for_each(|i| writeln!(notes, "## line {i} of a log | {n} | done").expect("a string"));
            notes.push_str("```\n\n");
        }
    }
    let mut analysis = String::new();
    while notes.len() + analysis.len() < SIZE {
        n += 1;
        writeln!(analysis, "- Variant A: block {n} took {} µs less than B – within what the noise explains", n % 1000)
            .expect("a string");
    }
    let text = SEED.replace("## Work Items", &format!("{notes}## Work Items"));
    text.replace("- Variant A: Best balance", &format!("{analysis}- Variant A: Best balance"))
}

fn rewrite(bytes: &[u8]) -> Vec<u8> {
    let document = Document::parse(bytes).expect("a valid document");
    let points = |value| Points::new(value).expect("finite");
    let row = |key: &str| ResultRow {
        variant: VariantKey::new(key).expect("a key"),
        criteria: Some(Criteria { tests: points(100.0), performance: points(66.7), simplicity: points(90.0) }),
        total: Some(points(88.0)),
        winner: key == "A",
    };
    document.rewrite(&Regions {
        results: Some(["A", "B", "C"].map(row).to_vec()),
        winner: Some("Variant A (Composite Index + Pagination)".to_owned()),
        analysis: None,
        status: Some(Status::Completed),
        updated: Some("2026-01-05 10:00:00 UTC".to_owned()),
        artifacts: Some(vec!["Winning variant: A".to_owned()]),
    })
}

fn timed<T>(what: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    std::hint::black_box(what());
    started.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The peak of a process that reads and rewrites the file, in bytes.
fn child(path: &std::path::Path) -> f64 {
    let own = std::env::current_exe().expect("this program");
    let done = Command::new(own).arg("--child").arg(path).output().expect("start");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let out = String::from_utf8_lossy(&done.stdout);
    out.lines().last().and_then(|line| line.parse().ok()).expect("a number")
}

/// This process's peak resident set in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// One `check` of the seed in a repository whose configuration binds everything.
fn check() -> Duration {
    thread_local! {
        static REPO: Repo = seed_repository();
    }
    REPO.with(|repo| {
        let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
        command.args(["check", "docs/seed.md"]);
        let started = Instant::now();
        let done = command.output().expect("start");
        let took = started.elapsed();
        assert!(
            done.status.success(),
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        took
    })
}

fn seed_repository() -> Repo {
    let metrics = ["query_latency_p50", "query_latency_p95"]
        .map(|m| format!("  {m}: {{from: command, run: sh b.sh, path: /x, unit: ms}}\n"));
    let config = format!(
        "version: 1\nagent: {{patch: recorded}}\nmetrics:\n{}  throughput: {{from: command, run: sh b.sh, path: /x, unit: req/s}}\n  \
         index_size: {{from: command, run: sh b.sh, path: /x, unit: B}}\n\
         suites:\n  \"Load test with 1000 concurrent requests\": {{run: sh load.sh}}\n",
        metrics.concat()
    );
    Repo::with(&[("docs/seed.md", SEED), ("blueprint.yaml", &config)])
}
