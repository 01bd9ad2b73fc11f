//! Load on real databases: what it measures, whom it blames, and what it leaves running.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blueprint::adapters::executor::local::Local;
use blueprint::adapters::metric::ParamsFrom;
use blueprint::adapters::metric::load::Metric;
use blueprint::adapters::metric::sql_load::{Settings, SqlLoad};
use blueprint::adapters::metric::{Meter, MetricError, MetricSource, Slot};
use blueprint::adapters::process::{Environment, Site, Stop};
use blueprint::domain::measurement::MetricName;
use common::arena::{Arena, DOCUMENT};
use common::postgres::Postgres;
use common::{Done, Repo};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};

const ROWS: i64 = 100_000;

/// A database of either engine with the table `items`: an id that is no key, and a name.
struct World {
    server: Option<Postgres>,
    dir: tempfile::TempDir,
}

impl World {
    async fn postgres() -> Self {
        let server = Postgres::start().await;
        let world = Self { server: Some(server), dir: tempfile::tempdir().unwrap() };
        for name in ["slow", "fast"] {
            world.server.as_ref().unwrap().run("postgres", &format!("CREATE DATABASE {name}")).await;
            let rows = format!("SELECT i, 'item ' || i FROM generate_series(1, {ROWS}) i");
            world.run(name, &format!("CREATE TABLE items (id int, name text); INSERT INTO items {rows}")).await;
        }
        world.run("fast", "CREATE INDEX ON items (id); ANALYZE items").await;
        world
    }

    async fn sqlite() -> Self {
        let world = Self { server: None, dir: tempfile::tempdir().unwrap() };
        for name in ["slow", "fast"] {
            let rows = format!("WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {ROWS})");
            let insert = format!("INSERT INTO items {rows} SELECT i, 'item ' || i FROM s");
            world.run(name, &format!("CREATE TABLE items (id int, name text); {insert}")).await;
        }
        world.run("fast", "CREATE INDEX by_id ON items (id)").await;
        world
    }

    fn url(&self, name: &str) -> String {
        match &self.server {
            Some(server) => server.url("postgres", "", name),
            None => format!("sqlite:///{}", self.dir.path().join(name).display()),
        }
    }

    async fn run(&self, name: &str, text: &str) {
        if let Some(server) = &self.server {
            return server.run(name, text).await;
        }
        let options = SqliteConnectOptions::new().filename(self.dir.path().join(name)).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn end(self) {
        if let Some(server) = self.server {
            server.stop().await;
        }
    }
}

/// A judged tree with these files.
struct Tree(tempfile::TempDir);

impl Tree {
    fn with(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    fn site(&self, url: Option<&str>) -> Site {
        let env: Environment = url.into_iter().map(|url| ("DATABASE_URL".to_owned(), url.to_owned())).collect();
        let root: &Path = self.0.path();
        Site {
            tree: root.to_owned(),
            env,
            scratch: root.to_owned(),
            cpus: Vec::new(),
            exec: Arc::new(Local),
            stop: Stop::new(),
        }
    }
}

fn n(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// 100 statements a second for 200 ms, at two connections.
fn settings(params: ParamsFrom, stats: &[&str]) -> Settings {
    let metric = |stat: &&str| Metric { name: MetricName::new(stat).unwrap(), stat: stat.parse().unwrap() };
    Settings {
        file: "bench/lookup.sql".to_owned(),
        params,
        by_variant: false,
        rate: n(100),
        concurrency: n(2),
        duration: Duration::from_millis(200),
        metrics: stats.iter().map(metric).collect(),
    }
}

async fn open(settings: &Settings, site: &Site) -> Result<Box<dyn Meter>, MetricError> {
    SqlLoad::new(settings.clone()).open(site).await
}

fn slot(seed: u64) -> Slot {
    Slot { block: 0, seed, limit: Some(Duration::from_secs(60)), brief: None }
}

const LOOKUP: &str = "-- one by its id\nSELECT id, name FROM items WHERE id = $1;\n";

fn lookup() -> Tree {
    Tree::with(&[("bench/lookup.sql", LOOKUP)])
}

#[track_caller]
fn blames_the_variant<T>(found: Result<T, MetricError>, words: &str) {
    let error = found.err().unwrap();
    assert!(matches!(&error, MetricError::Variant(message) if message.contains(words)), "{words}: {error:?}");
}

#[track_caller]
fn blames_the_machine<T>(found: Result<T, MetricError>, words: &str) {
    let error = found.err().unwrap();
    assert!(matches!(&error, MetricError::Machine(message) if message.contains(words)), "{words}: {error:?}");
}

// ---- what is measured ----

async fn an_index_shows(world: World) {
    let tree = lookup();
    let settings = Settings { rate: n(50), ..settings(ParamsFrom::Range(1, ROWS), &["p95", "throughput"]) };
    let mut found = Vec::new();
    for name in ["slow", "fast"] {
        let site = tree.site(Some(&world.url(name)));
        let mut meter = open(&settings, &site).await.unwrap();
        meter.sample(slot(1)).await.unwrap();
        // This machine is busy with other tests: the quietest of three slices counts.
        let (mut p95, mut rate, mut output) = (f64::MAX, 0.0_f64, None);
        for _ in 0..3 {
            let sample = meter.sample(slot(2)).await.unwrap();
            assert!(sample.readings[0].observations >= 59 && sample.readings[1].observations >= 30);
            // Without what this machine sent late, which is the same for both.
            p95 = p95.min(sample.readings[0].value.value() - sample.timing.late.unwrap().as_secs_f64());
            rate = rate.max(sample.readings[1].value.value());
            output = sample.output;
        }
        meter.close().await;
        found.push((p95, rate, output.unwrap()));
    }
    let [(slow_p95, slow_rate, slow_rows), (fast_p95, fast_rate, fast_rows)] = &found[..] else { panic!() };
    assert!(slow_p95 / fast_p95 > 1.5, "p95: {slow_p95} s without and {fast_p95} s with an index");
    assert!(fast_rate / slow_rate > 2.5, "throughput: {slow_rate}/s without and {fast_rate}/s with an index");
    assert_eq!(slow_rows, fast_rows);
    assert!(slow_rows.starts_with("20 answers of 20 rows, "), "{slow_rows}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_shows_in_the_latency_and_in_the_throughput_of_postgresql() {
    an_index_shows(World::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_shows_in_the_latency_and_in_the_throughput_of_sqlite() {
    an_index_shows(World::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waits_for_a_connection_shows_its_wait() {
    let world = World::postgres().await;
    let tree = Tree::with(&[("bench/lookup.sql", "SELECT pg_sleep(0.04)")]);
    let one = Settings { concurrency: n(1), rate: n(50), ..settings(ParamsFrom::Nowhere, &["p50"]) };
    let mut meter = open(&one, &tree.site(Some(&world.url("fast")))).await.unwrap();
    let sample = meter.sample(slot(1)).await.unwrap();
    meter.close().await;
    // Thirty statements of 40 ms, asked at 20 ms each: the fifteenth has waited for 300 ms.
    let p50 = sample.readings[0].value.value();
    assert!(p50 >= 0.15, "p50 is {p50} s");
    world.end().await;
}

// ---- the output ----

async fn outputs_tell(world: World, reorder: &str) {
    let files = [("bench/lookup.sql", LOOKUP), ("bench/ids.csv", "id:int\n1\n2\n3\n4\n5\n6\n7\n")];
    let tree = Tree::with(&files);
    let settings = settings(ParamsFrom::File("bench/ids.csv".to_owned()), &["throughput"]);
    world.run("fast", "DELETE FROM items WHERE id > 100; INSERT INTO items VALUES (1, 'more')").await;
    let output = async |seed| {
        let mut meter = open(&settings, &tree.site(Some(&world.url("fast")))).await.unwrap();
        let sample = meter.sample(slot(seed)).await.unwrap();
        meter.close().await;
        sample.output.unwrap()
    };
    let before = output(1).await;
    assert_eq!(output(1).await, before);
    assert_ne!(output(2).await, before, "other parameters in another block");
    world.run("fast", reorder).await;
    assert_eq!(output(1).await, before, "the same rows in another order and of another width");
    world.run("fast", "UPDATE items SET name = NULL WHERE id < 8").await;
    assert_ne!(output(1).await, before);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_output_is_the_rows_whatever_their_order_and_width_in_postgresql() {
    let reorder =
        "ALTER TABLE items ALTER id TYPE bigint; CREATE INDEX other ON items (name DESC); CLUSTER items USING other";
    outputs_tell(World::postgres().await, reorder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_output_is_the_rows_whatever_their_order_in_sqlite() {
    let reorder = "PRAGMA journal_mode = WAL; CREATE TABLE other AS SELECT * FROM items ORDER BY name DESC; DROP TABLE items; ALTER TABLE other RENAME TO items";
    outputs_tell(World::sqlite().await, reorder).await;
}

// ---- who is to blame ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_files_is_said_with_its_place() {
    let (postgres, sqlite) = (World::postgres().await, World::sqlite().await);
    let params = || ParamsFrom::File("bench/p.csv".to_owned());
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "bench/lookup.sql: there is no such file"),
        (&[("bench/lookup.sql", "-- nothing\n")], "bench/lookup.sql: there is no statement in it"),
        (&[("bench/lookup.sql", "SELECT 1;\nSELECT 2;")], "there are 2 statements in it, the second on line 2"),
        (&[("bench/lookup.sql", LOOKUP)], "bench/p.csv: there is no such file"),
        (
            &[("bench/lookup.sql", LOOKUP), ("bench/p.csv", "id:int\nx\n")],
            "bench/p.csv: line 2: `x` is no value for id",
        ),
        (&[("bench/lookup.sql", LOOKUP), ("bench/p.csv", "id:uuid\n1\n")], "bench/p.csv: line 1: `uuid` is no type"),
        (
            &[("bench/lookup.sql", "\nSELECT $1 + $2"), ("bench/p.csv", "id:int\n1\n")],
            "bench/lookup.sql: line 2: the statement takes 2 parameters, and `params` gives 1",
        ),
    ];
    for world in [&postgres, &sqlite] {
        for (files, expected) in cases {
            let (tree, settings) = (Tree::with(files), settings(params(), &["p50"]));
            blames_the_variant(open(&settings, &tree.site(Some(&world.url("fast")))).await, expected);
        }
        let tree = Tree::with(&[("bench/lookup.sql", "SELECT id,\n  nome\nFROM items")]);
        let site = tree.site(Some(&world.url("fast")));
        blames_the_variant(open(&settings(ParamsFrom::Nowhere, &["p50"]), &site).await, "nome");
        std::fs::write(tree.0.path().join("bench/lookup.sql"), b"SELECT '\xff'").unwrap();
        let found = open(&settings(ParamsFrom::Nowhere, &["p50"]), &site).await;
        blames_the_variant(found, "bench/lookup.sql: the text is not UTF-8");
        std::fs::remove_file(tree.0.path().join("bench/lookup.sql")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", tree.0.path().join("bench/lookup.sql")).unwrap();
        let found = open(&settings(ParamsFrom::Nowhere, &["p50"]), &site).await;
        blames_the_variant(found, "bench/lookup.sql: a link is on the way to it");
    }
    let tree = Tree::with(&[("bench/lookup.sql", "SELECT id,\n  nome\nFROM items")]);
    let found = open(&settings(ParamsFrom::Nowhere, &["p50"]), &tree.site(Some(&postgres.url("fast")))).await;
    blames_the_variant(found, "bench/lookup.sql: line 2: column \"nome\" does not exist");
    postgres.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_fails_or_writes_is_the_variants_doing() {
    let (postgres, sqlite) = (World::postgres().await, World::sqlite().await);
    let range = || ParamsFrom::Range(0, 1);
    for (world, statement, expected) in [
        (&postgres, "SELECT\n 1 / $1", "bench/lookup.sql: line 1: division by zero"),
        (&postgres, "INSERT INTO items VALUES ($1, 'x') RETURNING id", "line 1: only SELECT, VALUES, TABLE and WITH"),
        (&sqlite, "SELECT abs(-9223372036854775807 - 1) + ?", "integer overflow"),
        (&sqlite, "INSERT INTO items VALUES (?, 'x')", "readonly"),
    ] {
        let tree = Tree::with(&[("bench/lookup.sql", statement)]);
        let mut meter = open(&settings(range(), &["p50"]), &tree.site(Some(&world.url("fast")))).await.unwrap();
        blames_the_variant(meter.sample(slot(1)).await, expected);
        meter.close().await;
    }
    let count = postgres.server.as_ref().unwrap().list("fast", "SELECT count(*)::text FROM items").await;
    assert_eq!(count, [ROWS.to_string()]);
    postgres.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_never_ends_is_out_and_does_not_run_on() {
    let (postgres, sqlite) = (World::postgres().await, World::sqlite().await);
    let endless =
        "WITH RECURSIVE s(i) AS (SELECT id FROM items UNION ALL SELECT i FROM s) SELECT count(*) FROM s WHERE i < 0";
    for world in [&sqlite, &postgres] {
        let tree = Tree::with(&[("bench/lookup.sql", endless)]);
        let mut meter =
            open(&settings(ParamsFrom::Nowhere, &["p50"]), &tree.site(Some(&world.url("fast")))).await.unwrap();
        let short = Slot { limit: Some(Duration::from_millis(500)), ..slot(1) };
        blames_the_variant(meter.sample(short).await, "bench/lookup.sql: the slice did not end within 500 ms");
        let started = Instant::now();
        // While a statement reads an SQLite file nobody can write it.
        world.run("fast", "DELETE FROM items WHERE id = 1").await;
        if let Some(server) = &world.server {
            let active = "SELECT query FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%RECURSIVE%'
                          AND pid <> pg_backend_pid()";
            while !server.list("postgres", active).await.is_empty() {
                assert!(started.elapsed() < Duration::from_secs(5), "the statement still runs");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        meter.close().await;
    }
    postgres.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_is_the_machines_doing() {
    let mut world = World::postgres().await;
    let tree = lookup();
    let long = Settings { duration: Duration::from_secs(20), ..settings(ParamsFrom::Range(1, ROWS), &["throughput"]) };
    let mut meter = open(&long, &tree.site(Some(&world.url("fast")))).await.unwrap();
    let slice = tokio::spawn(async move {
        let found = meter.sample(slot(1)).await;
        (meter, found)
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let end =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'fast'";
    world.server.as_ref().unwrap().run("postgres", end).await;
    let (mut meter, found) = slice.await.unwrap();
    blames_the_machine(found, "the database: ");
    let short = Slot { limit: Some(Duration::from_millis(300)), ..slot(2) };
    blames_the_variant(meter.sample(short).await, "did not end within 300 ms");
    world.server.take().unwrap().stop().await;
    blames_the_machine(meter.sample(slot(3)).await, "the database: connection 1 of 2 was refused");
    meter.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_can_not_be_reached_is_the_machines_doing_and_said_without_its_password() {
    let tree = lookup();
    let settings = settings(ParamsFrom::Range(1, 9), &["p50"]);
    for url in [
        "postgresql:///x?host=/nonexistent&port=5432&user=u&password=hunter2",
        "sqlite:////nonexistent/data.db",
        "memory:x",
    ] {
        let found = open(&settings, &tree.site(Some(url))).await.err().unwrap();
        assert!(!found.to_string().contains("hunter2"), "{found}");
        blames_the_machine::<()>(Err(found), "the database: ");
    }
    blames_the_machine(open(&settings, &tree.site(None)).await, "add `database: {}` to blueprint.yaml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_a_slice_and_is_nobodys_doing() {
    let world = World::sqlite().await;
    let tree = lookup();
    let site = tree.site(Some(&world.url("slow")));
    let long = Settings { duration: Duration::from_secs(20), ..settings(ParamsFrom::Range(1, ROWS), &["throughput"]) };
    let mut meter = open(&long, &site).await.unwrap();
    let stop = site.stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.cancel();
    });
    let started = Instant::now();
    assert!(matches!(meter.sample(slot(1)).await, Err(MetricError::Stopped)));
    assert!(started.elapsed() < Duration::from_secs(10));
    meter.close().await;
}

// ---- whole runs ----

const APPLY: &str = "import os, sqlite3\nfile = os.environ[\"BLUEPRINT_DATABASE_FILE\"]\n\
                     sqlite3.connect(file).executescript(open(\"db/migrate.sql\").read())\n";

/// A competition between migrations: A adds an index, B one over the half of the rows that it kept.
fn migrations(engine: &str) -> Repo {
    let apply = if engine == "sqlite" { "python3 db/apply.py" } else { "psql -qX -f db/migrate.sql" };
    let config = format!(
        "version: 1\nagent: {{patch: recorded}}\ndatabase: {{engine: {engine}, seed: [db/seed.sql]}}\nmigrate: [\"{apply}\"]\n\
         metrics:\n  latency_p95: {{sql_load: {{file: bench/lookup.sql, params: {{range: [1, {ROWS}]}}, concurrency: 2, \
         slice: 200ms}}, stat: p95}}\nmeasure: {{budget: 4m}}\n"
    );
    let seed = if engine == "sqlite" {
        format!(
            "CREATE TABLE items (id int, name text);\nINSERT INTO items WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL \
             SELECT i + 1 FROM s WHERE i < {ROWS}) SELECT i, 'item ' || i FROM s;\n"
        )
    } else {
        format!("CREATE TABLE items AS SELECT i AS id, 'item ' || i AS name FROM generate_series(1, {ROWS}) i;\n")
    };
    let patch =
        |line: &str| format!("--- a/db/migrate.sql\n+++ b/db/migrate.sql\n@@ -1 +1 @@\n--- nothing yet\n+{line}\n");
    // It ends when it is decided: beside other work that takes longer.
    let arena = Arena { budget: "- Time cap: 8 minutes\n".to_owned(), ..Arena::default() };
    let document = arena.document().replace("cost.txt, notes/**", "db/migrate.sql");
    Repo::with(&[
        (DOCUMENT, &document),
        ("blueprint.yaml", &config),
        ("tests/run.sh", "test -f db/migrate.sql\n"),
        ("bench/lookup.sql", &LOOKUP.replace("$1", if engine == "sqlite" { "?" } else { "$1" })),
        ("db/seed.sql", &seed),
        ("db/migrate.sql", "-- nothing yet\n"),
        ("db/apply.py", APPLY),
        ("recorded/A.patch", &patch("CREATE INDEX by_id ON items (id);")),
        ("recorded/B.patch", &patch("DELETE FROM items WHERE id % 2 = 0; CREATE INDEX by_id ON items (id);")),
    ])
}

fn the_index_lands_and_the_cheat_is_named(repo: &Repo) -> Done {
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert!(repo.read("db/migrate.sql").starts_with("CREATE INDEX"), "{}", done.out);
    let all = format!("{}\n{}\n{}", done.out, done.err, repo.read(DOCUMENT));
    let words = "the output differs from the baseline's: `20 answers of";
    assert!(all.contains(words), "`{words}` is missing in:\n{all}");
    let report = repo.blueprint(&["report", "--json"]).ends_with(0);
    let report: serde_json::Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!(report["rates"][0]["asked"], 100, "the rate was decided before anything counted: {report:#}");
    done
}

#[test]
fn the_index_lands_and_who_lost_rows_is_named_on_sqlite() {
    the_index_lands_and_the_cheat_is_named(&migrations("sqlite"));
}

#[test]
fn the_index_lands_and_who_lost_rows_is_named_on_postgresql() {
    the_index_lands_and_the_cheat_is_named(&migrations("postgres"));
}

#[test]
fn a_program_may_tell_its_output_and_who_tells_another_is_named() {
    let bench = "#!/bin/sh\ncost=$(cat cost.txt)\n\
                 echo \"{\\\"metric\\\": \\\"latency_p95\\\", \\\"value\\\": $cost, \\\"unit\\\": \\\"ms\\\"}\" >\"$BLUEPRINT_METRICS\"\n\
                 [ \"$cost\" = 60 ] && work=skipped || work=done\n\
                 echo \"{\\\"output\\\": \\\"$work $BLUEPRINT_SEED\\\"}\" >>\"$BLUEPRINT_METRICS\"\n";
    let arena = Arena { costs: vec![("A", 70), ("B", 60)], ..Arena::default() };
    let repo = arena.build();
    repo.write("bench/cost.sh", bench);
    let config = "{from: file, run: sh bench/cost.sh}";
    repo.write(
        "blueprint.yaml",
        &arena.config().replace("{from: command, run: sh bench/cost.sh, path: latency.p95, unit: ms}", config),
    );
    repo.commit("a benchmark that tells its output");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "70\n", "{}", done.out);
    let all = format!("{}{}", done.out, done.err);
    assert!(all.contains("the output differs from the baseline's: `skipped "), "{all}");
}

#[tokio::test]
async fn a_difference_after_the_baseline_left_the_race_is_settled_by_asking_it_once_more() {
    // B begins to skip its work in its 32nd slice; the baseline leaves the race after ten blocks, each of which
    // others can have disturbed twice. A and B lead by turns, so that neither wins before.
    let bench = "#!/bin/sh\ncost=$(cat cost.txt)\ncount=$HOME/told/$cost\necho >>$count\n\
                 value=$((cost + ($(wc -l <$count) + cost) % 2 * 5))\n\
                 echo \"{\\\"metric\\\": \\\"latency_p95\\\", \\\"value\\\": $value, \\\"unit\\\": \\\"ms\\\"}\" >\"$BLUEPRINT_METRICS\"\n\
                 [ \"$cost\" = 31 ] && [ \"$(wc -l <$count)\" -ge 32 ] && work=skipped || work=done\n\
                 echo \"{\\\"output\\\": \\\"$work $BLUEPRINT_SEED\\\"}\" >>\"$BLUEPRINT_METRICS\"\n";
    let arena = Arena { costs: vec![("A", 30), ("B", 31)], ..Arena::default() };
    let repo = arena.build();
    repo.write("bench/cost.sh", bench);
    let config = "{from: file, run: sh bench/cost.sh}";
    let command = "{from: command, run: sh bench/cost.sh, path: latency.p95, unit: ms}";
    repo.write("blueprint.yaml", &arena.config().replace(command, config));
    repo.commit("a benchmark that tells its output");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    let alone = "SELECT CAST(count(*) AS TEXT) FROM record WHERE kind = 'block' AND data NOT LIKE '%@baseline%'";
    let alone: u32 = common::services::query(&repo, alone).await.unwrap()[0].parse().unwrap();
    assert!(alone > 0, "the baseline had a turn in every block: {done:?}");
    let all = format!("{}{}", done.out, done.err);
    assert!(all.contains("the output differs from the baseline's: `skipped "), "{all}");
    assert_eq!(repo.read("cost.txt"), "30\n", "{all}");
}

#[test]
fn a_load_that_could_only_fail_is_refused_before_anything_is_spent() {
    let repo = migrations("sqlite");
    let good = repo.read("blueprint.yaml");
    let two = "SELECT 1;\nSELECT 2;\n";
    for (from, to, file, text, expected) in [
        ("file: bench/lookup.sql", "file: bench/other.sql", "x", "", "names bench/other.sql, which is not on `main`"),
        (
            "file: bench/lookup.sql",
            "file: bench/two.sql",
            "bench/two.sql",
            two,
            "bench/two.sql: there are 2 statements",
        ),
        ("{range: [1, 100000]}", "bench/p.csv", "bench/p.csv", "id:int\nx\n", "bench/p.csv: line 2: `x` is no value"),
        ("concurrency: 2", "by_variant: true", "x", "", "bench/lookup.sql is as the base has it in every judged tree"),
    ] {
        repo.write(file, text);
        assert!(good.contains(from), "{from}");
        repo.write("blueprint.yaml", &good.replace(from, to));
        repo.commit("a fault");
        repo.blueprint(&["run", DOCUMENT]).ends_with(2).says(&["metrics.latency_p95.sql_load", expected]);
    }
}
