//! What it takes to give a lease a database of 1,000,000 rows, beside `cp -r` of the same bytes in
//! the same run: ways take turns within a round, and a figure is the median of the rounds' ratios.
//!
//! Copies are compared at the same durability. A server as it comes has a new database on the disk before
//! it says so, and is held against a `cp` that is synced; a server with `fsync=off`, as servers for tests
//! are run, leaves it to the page cache as a plain `cp` does. The unlike ratios are in the table.
//!
//! `--quick` takes 100,000 rows and three rounds.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it found")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use blueprint::adapters::executor::local::Local;
use blueprint::adapters::service::{Isolation, LeaseName, Ready, Service, ServiceSettings, choose};
use blueprint::domain::statistics;
use common::postgres::{Postgres, open_directory, programs};
use futures_util::future::join_all;

const WAYS: [&str; 11] = [
    "cp -r of the same bytes",
    "cp -r of the same bytes, synced",
    "cp -r of a whole server's directory",
    "database for one lease",
    "databases for three leases at a time",
    "own server, ready",
    "own servers for three leases at a time",
    "schema, seed run in it",
    "SQLite file",
    "dump and restore",
    "database for one lease, server without fsync",
];

/// A table of users with what an application has on it.
fn seed(rows: u32, postgres: bool) -> String {
    let (source, text) = if postgres {
        (format!("generate_series(1, {rows}) AS i"), "md5(i::text)")
    } else {
        (
            format!(
                "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i FROM n)"
            ),
            "hex(i * 7919)",
        )
    };
    format!(
        "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, name text NOT NULL, age integer, note text);
         INSERT INTO users SELECT i, 'user' || i || '@example.com', 'Name ' || {text}, i % 90, {text} || {text} FROM {source};
         CREATE INDEX users_email ON users (email);
         CREATE INDEX users_age ON users (age);"
    )
}

struct Bench {
    server: Postgres,
    hasty: Postgres,
    dir: tempfile::TempDir,
    databases: Arc<dyn Service>,
    /// On the server without fsync.
    hasty_databases: Arc<dyn Service>,
    servers: Arc<dyn Service>,
    schemas: Arc<dyn Service>,
    files: Arc<dyn Service>,
    /// The directory of the template database.
    bytes: PathBuf,
    /// The data directory that servers are cloned from.
    whole: PathBuf,
    template: String,
}

async fn open(settings: ServiceSettings, isolation: Isolation) -> Arc<dyn Service> {
    choose(ServiceSettings { isolation, ..settings }, Arc::new(Local)).await.expect("a level")
}

impl Bench {
    async fn new(rows: u32) -> Self {
        let (server, hasty, dir) = (Postgres::durable().await, Postgres::start().await, open_directory());
        let settings = |engine: &str, text: String| {
            let file = dir.path().join(format!("{engine}.sql"));
            std::fs::write(&file, text).expect("a seed");
            let url = (engine == "postgres").then(|| server.url("postgres", "", "postgres"));
            let state = dir.path().join(engine);
            let engine = Some(engine.to_owned());
            ServiceSettings { url, engine, seed: vec![file], state, leases: 4, ..ServiceSettings::default() }
        };
        let without_fsync = ServiceSettings {
            url: Some(hasty.url("postgres", "", "postgres")),
            ..settings("postgres", seed(rows, true))
        };
        let hasty_databases = open(without_fsync, Isolation::Database).await;
        let postgres = settings("postgres", seed(rows, true));
        let databases = open(postgres.clone(), Isolation::Database).await;
        let servers = open(postgres.clone(), Isolation::Server).await;
        let schemas = open(postgres, Isolation::Schema).await;
        let files = open(settings("sqlite", seed(rows, false)), Isolation::File).await;
        for port in [&databases, &hasty_databases, &servers, &schemas, &files] {
            port.prepare().await.expect("a template");
        }
        let found = "SELECT oid || ' ' || datname FROM pg_database WHERE datname LIKE 'bp\\_template\\_%'";
        let found = server.list("postgres", found).await.remove(0);
        let (oid, template) = found.split_once(' ').expect("a template");
        let bytes = server.dir.path().join("data/base").join(oid);
        let template = template.to_owned();
        let templates = std::fs::read_dir(dir.path().join("postgres/postgresql/templates")).expect("templates");
        let mut templates = templates.flatten().map(|entry| entry.path().join("data"));
        let whole = templates.find(|data| data.is_dir()).expect("a server's template");
        Self { server, hasty, dir, databases, hasty_databases, servers, schemas, files, bytes, whole, template }
    }

    /// One way, once: how long until the lease can be used. What it made is removed untimed.
    async fn take(&self, way: usize) -> Duration {
        settle();
        let (port, count) = match way {
            0 => return self.copy(&self.bytes, false),
            1 => return self.copy(&self.bytes, true),
            2 => return self.copy(&self.whole, false),
            3 => (&self.databases, 1),
            4 => (&self.databases, 3),
            5 => (&self.servers, 1),
            6 => (&self.servers, 3),
            7 => (&self.schemas, 1),
            8 => (&self.files, 1),
            9 => return self.dump().await,
            _ => (&self.hasty_databases, 1),
        };
        let lease = LeaseName { run: "20260105-101112-ab12".to_owned(), contender: "a".to_owned() };
        let intents: Vec<_> = (0..count).map(|_| port.intend(&lease)).collect();
        let started = Instant::now();
        let made = join_all(intents.iter().map(|intent| port.create(intent))).await;
        let took = started.elapsed();
        let made: Vec<Ready> = made.into_iter().map(|one| one.expect("a lease")).collect();
        for one in made {
            port.remove(&one.resource).await.expect("removed");
        }
        took
    }

    fn copy(&self, bytes: &Path, synced: bool) -> Duration {
        let into = self.dir.path().join("copy");
        let started = Instant::now();
        let done = Command::new("cp").arg("-r").arg(bytes).arg(&into).status().expect("cp");
        if synced {
            let file = std::fs::File::open(&into).expect("a copy");
            rustix::fs::syncfs(&file).expect("synced");
        }
        let took = started.elapsed();
        assert!(done.success());
        std::fs::remove_dir_all(into).expect("removed");
        took
    }

    async fn dump(&self) -> Duration {
        // A closed template lets nobody in; for the dump it is opened.
        self.server.run("postgres", &format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.template)).await;
        self.server.run("postgres", "CREATE DATABASE restored").await;
        let bin = programs().await.dir;
        let url = |name: &str| self.server.url("postgres", "", name);
        let started = Instant::now();
        let mut dump = Command::new(bin.join("pg_dump"));
        let mut dump = dump.arg(url(&self.template)).stdout(Stdio::piped()).spawn().expect("pg_dump");
        let mut restore = Command::new(bin.join("psql"));
        restore.args(["-q", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1"]).arg(url("restored"));
        let done = restore.stdin(dump.stdout.take().expect("a pipe")).status().expect("psql");
        let took = started.elapsed();
        assert!(done.success() && dump.wait().expect("pg_dump").success());
        self.server.run("postgres", "DROP DATABASE restored").await;
        self.server.run("postgres", &format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", self.template)).await;
        took
    }
}

/// What was written before is on the disk, and what was removed is given back, before the next way
/// begins.
fn settle() {
    rustix::fs::sync();
    std::thread::sleep(Duration::from_millis(500));
    rustix::fs::sync();
}

fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).expect("a directory").flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum()
}

fn median(values: &[f64]) -> f64 {
    statistics::median(values).expect("rounds")
}

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let (rows, rounds) = if quick { (100_000, 3) } else { (1_000_000, 7) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let bench = Bench::new(rows).await;
        println!(
            "{rows} rows, {:.0} MB of database directory; medians of {rounds} rounds\n",
            size(&bench.bytes) as f64 / 1e6
        );
        let mut took: Vec<Vec<f64>> = vec![Vec::new(); WAYS.len()];
        // The first round warms the caches and is not counted.
        for round in 0..=rounds {
            // Each round begins with another way, so that none always follows the same one.
            for way in (0..WAYS.len()).map(|index| (index + round) % WAYS.len()) {
                let time = bench.take(way).await.as_secs_f64();
                if round > 0 {
                    took[way].push(time);
                }
            }
        }
        report(&took);
        bench.server.stop().await;
        bench.hasty.stop().await;
    });
}

fn report(took: &[Vec<f64>]) {
    let ratios =
        |way: usize, to: usize| median(&took[way].iter().zip(&took[to]).map(|(a, b)| a / b).collect::<Vec<_>>());
    println!("{:<42} {:>9} {:>7}", "way", "ms", "x cp");
    for (way, name) in WAYS.iter().enumerate() {
        println!("{name:<42} {:>9.1} {:>7.2}", median(&took[way]) * 1e3, ratios(way, 0));
    }
    println!(
        "\nbeside a cp of all its files, one server is {:.2}; a durable database beside a cp that is not {:.2}\n",
        ratios(5, 2),
        ratios(3, 0)
    );
    println!("figure clone_1m_vs_cp {:.2} ratio limit 1.3", ratios(10, 0));
    println!("figure clone_1m_synced_vs_cp_synced {:.2} ratio limit 1.3", ratios(3, 1));
    println!("figure clone_3_vs_1 {:.2} ratio limit 3", ratios(4, 3));
}
