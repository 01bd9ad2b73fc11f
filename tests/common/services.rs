//! Real services for whole runs: an arena whose tests and benchmark talk to them, a Redis of the
//! test's own, the journal as a stranger reads it, and what a run may not leave behind.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use blueprint::adapters::sql::digest;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Row};

use super::arena::{Arena, DOCUMENT};
use super::postgres::Postgres;
use super::{Repo, tree};

/// The seed of PostgreSQL arenas.
pub const SEED: &str = "CREATE TABLE marks (id serial PRIMARY KEY, who text NOT NULL);\n";

/// Fails where anybody else's mark is seen in the contender's own database or cache.
const TESTS: &str = r#"#!/bin/sh
set -e
cd "$(dirname "$0")/.."
. bench/services.sh
test "$(cat cost.txt)" -lt 1000
mark
sleep 0.2
alone
"#;

const POSTGRES: &str = r#"
sql() { psql -qAtX -v ON_ERROR_STOP=1 "$DATABASE_URL" -c "$1"; }
mark() { sql "INSERT INTO marks (who) VALUES ('$BLUEPRINT_VARIANT')"; cache_mark; }
alone() { test "$(sql "SELECT string_agg(DISTINCT who, ',') FROM marks")" = "$BLUEPRINT_VARIANT"; cache_alone; }
"#;

const SQLITE: &str = r#"
sql() { python3 -c 'import os, sqlite3, sys
with sqlite3.connect(os.environ["BLUEPRINT_DATABASE_FILE"]) as c: print(*[r[0] for r in c.execute(sys.argv[1])])' "$1"; }
mark() { sql "INSERT INTO marks (who) VALUES ('$BLUEPRINT_VARIANT')"; cache_mark; }
alone() { test "$(sql "SELECT DISTINCT who FROM marks")" = "$BLUEPRINT_VARIANT"; cache_alone; }
"#;

const REDIS: &str = r#"
redis() { redis-cli --no-auth-warning -u "$REDIS_URL" "$@"; }
cache_mark() { redis SADD "${BLUEPRINT_CACHE_PREFIX}marks" "$BLUEPRINT_VARIANT" >/dev/null; }
cache_alone() { test "$(redis SMEMBERS "${BLUEPRINT_CACHE_PREFIX}marks")" = "$BLUEPRINT_VARIANT"; }
"#;

const NO_REDIS: &str = "\ncache_mark() { :; }\ncache_alone() { :; }\n";

const BENCH: &str = r#"#!/bin/sh
# The cost with a little noise, once the services have answered.
set -e
cd "$(dirname "$0")/.."
. bench/services.sh
alone
sleep __SLICE__
awk -v cost="$(cat cost.txt)" -v seed="$BLUEPRINT_SEED" 'BEGIN {
    srand(seed % 100000 + cost)
    printf "{\"latency\": {\"p95\": %.4f}}\n", cost * (1 + 0.02 * rand())
}'
"#;

/// Which client the arena's programs use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// `psql`.
    Postgres,
    /// Python's `sqlite3`.
    Sqlite,
}

/// An arena whose tests and benchmark work with a database and, where `cache` is said in its
/// configuration, a Redis.
pub fn build(arena: &Arena, speaks: Speaks) -> Repo {
    let repo = arena.build();
    // A server that runs as another user has to be able to walk in.
    let state = repo.dir.path().join("cache/blueprint");
    std::fs::create_dir_all(&state).unwrap();
    for dir in [repo.dir.path(), &repo.dir.path().join("cache"), &state] {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o711)).unwrap();
    }
    let database = if speaks == Speaks::Postgres { POSTGRES } else { SQLITE };
    let cache = if arena.config.contains("cache:") { REDIS } else { NO_REDIS };
    let seed = if speaks == Speaks::Postgres { SEED } else { "CREATE TABLE marks (who TEXT NOT NULL);\n" };
    repo.write("db/seed.sql", seed);
    repo.write("bench/services.sh", &format!("{database}{cache}"));
    repo.write("bench/cost.sh", &BENCH.replace("__SLICE__", arena.slice));
    repo.write("tests/run.sh", TESTS);
    repo.commit("services");
    repo
}

/// `main` is one merge commit further, whose tree is the winner's but for the document.
#[track_caller]
pub fn landed(repo: &Repo, before: &str, cost: &str) {
    let parents = repo.git(&["log", "-1", "--format=%P", "main"]);
    let parents: Vec<_> = parents.split(' ').collect();
    assert_eq!(parents.len(), 2, "main is not at a merge commit");
    assert_eq!(parents[0], before);
    assert_eq!(repo.git(&["diff", "--name-only", parents[1], "main"]), DOCUMENT);
    assert_eq!(repo.read("cost.txt"), cost);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    assert!(repo.read(DOCUMENT).contains("**Status**: completed"), "{}", repo.read(DOCUMENT));
}

/// Whatever is left of runs on this machine: worktrees, branches, private directories, sockets,
/// segments of memory, processes. Templates stay until a plain `gc`: see [`gone`].
pub async fn left(repo: &Repo) -> Vec<String> {
    let mut found: Vec<String> = repo.git(&["worktree", "list"]).lines().skip(1).map(str::to_owned).collect();
    found.extend(repo.git(&["branch", "--list", "blueprint/*"]).lines().map(str::to_owned));
    let cache = repo.dir.path().join("cache");
    let files = tree(&cache).into_iter().map(|(path, _)| path);
    found.extend(files.filter(|p| !p.to_string_lossy().contains("/templates/")).map(|p| p.display().to_string()));
    for place in
        [cache.join("blueprint"), cache.join("blueprint/postgresql/leases"), repo.root().join(".git/blueprint/git")]
    {
        let entries = std::fs::read_dir(&place).into_iter().flatten().flatten().map(|e| e.path());
        found.extend(
            entries.filter(|p| !p.ends_with("postgresql") && !p.ends_with("sqlite")).map(|p| p.display().to_string()),
        );
    }
    found.extend(sockets(repo).await.into_iter().filter(|p| p.exists()).map(|p| p.display().to_string()));
    found.extend(processes(repo.dir.path()));
    found
}

/// What a plain `gc` leaves on this machine, which is nothing.
pub async fn gone(repo: &Repo) -> Vec<String> {
    repo.blueprint(&["gc"]).ends_with(0);
    let mut found = left(repo).await;
    found.extend(tree(&repo.dir.path().join("cache")).into_iter().map(|(path, _)| path.display().to_string()));
    found
}

/// Socket directories of every private server that the journal knows of.
async fn sockets(repo: &Repo) -> BTreeSet<PathBuf> {
    let text = "SELECT json_extract(data, '$.resource.database.place') || ' ' || json_extract(data, '$.resource.database.nonce')
                FROM record WHERE kind = 'intended' AND json_extract(data, '$.resource.database.kind') = 'postgresql-server'";
    let mut keys = query(repo, text).await.unwrap_or_default();
    let templates = std::fs::read_dir(repo.dir.path().join("cache/blueprint/postgresql/templates"));
    let locks = templates.into_iter().flatten().flatten().map(|e| e.path().with_extension("new"));
    keys.extend(locks.map(|building| building.display().to_string()));
    keys.iter().map(|key| PathBuf::from(format!("/tmp/bp-{}", digest([key.as_bytes()], 16)))).collect()
}

/// Processes that have a path in their environment, their arguments or their working directory.
pub fn processes(marker: &Path) -> Vec<String> {
    let marker = marker.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| {
            String::from_utf8_lossy(&std::fs::read(entry.path().join(name)).unwrap_or_default()).into_owned()
        };
        let number = entry.file_name().to_string_lossy().parse::<u32>().ok();
        let cwd = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default().display().to_string();
        let about = [read("environ"), read("cmdline"), cwd];
        if number.is_some_and(|n| n != std::process::id()) && about.iter().any(|text| text.contains(&marker)) {
            found.push(format!("process {}: {}", entry.file_name().display(), about[1].replace('\0', " ")));
        }
    }
    found
}

/// Segments of shared memory that the private servers of a repository hold now.
pub fn segments(repo: &Repo) -> Vec<String> {
    let leases = repo.dir.path().join("cache/blueprint/postgresql/leases");
    let entries = std::fs::read_dir(leases).into_iter().flatten().flatten();
    let files = entries.filter_map(|e| std::fs::read_to_string(e.path().join("data/postmaster.pid")).ok());
    files.filter_map(|text| text.lines().nth(6)?.split_whitespace().nth(1).map(str::to_owned)).collect()
}

/// Those of these segments that the system still has.
pub fn kept(segments: &[String]) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let ids: BTreeSet<_> = table.lines().filter_map(|l| l.split_whitespace().nth(1)).collect();
    segments.iter().filter(|id| ids.contains(id.as_str())).cloned().collect()
}

/// Whatever of ours is left in a configured server and a database of it after a plain `gc`.
pub async fn left_in(server: &Postgres, database: &str) -> Vec<String> {
    let text = r"SELECT 'database ' || datname FROM pg_database WHERE datname LIKE 'bp\_%'
        UNION ALL SELECT 'role ' || rolname FROM pg_roles WHERE rolname LIKE 'bp\_%'
        UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE 'bp\_%'
        UNION ALL SELECT 'session ' || usename FROM pg_stat_activity WHERE usename LIKE 'bp\_%'";
    server.list(database, text).await
}

/// The first column of a query of the journal; `None` where there is no journal yet.
pub async fn query(repo: &Repo, text: &str) -> Option<Vec<String>> {
    let path = repo.root().join(".git/blueprint/journal.db");
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(5));
    let mut connection = SqliteConnection::connect_with(&options).await.ok()?;
    let rows = sqlx::query(sqlx::AssertSqlSafe(text.to_owned())).fetch_all(&mut connection).await;
    let _ = connection.close().await;
    Some(rows.ok()?.iter().map(|row| row.get::<String, _>(0)).collect())
}

/// The program under test in the background.
pub fn spawn(repo: &Repo, args: &[&str]) -> Child {
    let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until the journal's newest run holds a record for which this condition holds.
pub async fn wait_for(repo: &Repo, after: i64, condition: &str) {
    let path = repo.root().join(".git/blueprint/journal.db");
    let started = Instant::now();
    let text = format!("SELECT count(*) FROM record WHERE sequence > {after} AND {condition}");
    let options = SqliteConnectOptions::new().filename(&path).busy_timeout(Duration::from_secs(5));
    let mut connection = None;
    while started.elapsed() < Duration::from_secs(600) {
        match &mut connection {
            None if path.exists() => connection = SqliteConnection::connect_with(&options).await.ok(),
            None => {}
            Some(open) => {
                let count = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(text.clone())).fetch_one(open).await;
                if count.is_ok_and(|count| count > 0) {
                    return;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("no record with {condition} in ten minutes");
}

/// The sequence of the journal's last record.
pub async fn last(repo: &Repo) -> i64 {
    let found = query(repo, "SELECT CAST(coalesce(max(sequence), 0) AS TEXT) FROM record").await.unwrap_or_default();
    found.first().map_or(0, |text| text.parse().unwrap())
}

/// Kills a run as soon as its journal holds such a record.
pub async fn kill_at(repo: &Repo, condition: &str) {
    let after = last(repo).await;
    let mut child = spawn(repo, &["run", DOCUMENT]);
    wait_for(repo, after, condition).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A Redis of the test's own, to be shared by contenders.
pub struct Redis {
    port: u16,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Redis {
    /// Starts one that asks for a password.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let config = format!("bind 127.0.0.1\nport {port}\nsave \"\"\nappendonly no\nrequirepass s3cret\n");
        std::fs::write(dir.path().join("redis.conf"), config).unwrap();
        let mut command = std::process::Command::new("redis-server");
        let child = command.arg("redis.conf").current_dir(dir.path()).stdout(Stdio::null()).spawn();
        let child = child.expect("no Redis is on this machine: run the tests with ./scripts/test, which installs one");
        let redis = Self { port, child, _dir: dir };
        let started = Instant::now();
        while redis.ask(&["PING"]) != "PONG" {
            assert!(started.elapsed() < Duration::from_secs(10), "the test's Redis does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        redis
    }

    /// With the credentials that may manage users.
    pub fn url(&self) -> String {
        format!("redis://default:s3cret@127.0.0.1:{}/0", self.port)
    }

    /// What the server answers.
    pub fn ask(&self, words: &[&str]) -> String {
        let mut command = std::process::Command::new("redis-cli");
        let done = command.args(["--no-auth-warning", "-u", &self.url()]).args(words).output().unwrap();
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    /// Users and keys that a run left.
    pub fn left(&self) -> Vec<String> {
        let users = self.ask(&["ACL", "USERS"]);
        let users = users.lines().filter(|user| *user != "default").map(|user| format!("user {user}"));
        let keys = self.ask(&["KEYS", "*"]);
        users.chain(keys.lines().filter(|key| !key.is_empty()).map(|key| format!("key {key}"))).collect()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Templates that are whole or were begun, without their locks.
pub fn templates(repo: &Repo) -> Vec<String> {
    let all = tree(&repo.dir.path().join("cache")).into_iter().map(|(path, _)| path.display().to_string());
    all.filter(|path| path.contains("/templates/") && !path.ends_with(".lock")).collect()
}
