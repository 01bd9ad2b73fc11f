//! The database port: the same sentences for every implementation and for the fake, on a real
//! PostgreSQL and real files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use blueprint::adapters::executor::local::Local;
use blueprint::adapters::metric::sql::{self, Sql};
use blueprint::adapters::metric::{MetricError, MetricSource, Site, Slot};
use blueprint::adapters::process::Stop;
use blueprint::adapters::service::fake::FakeService;
use blueprint::adapters::service::{
    Isolation, LeaseName, Ready, Service, ServiceError, ServiceResource, ServiceSettings, choose,
};
use blueprint::domain::measurement::MetricName;
use common::postgres::{Postgres, open_directory, programs};
use futures_util::future::join_all;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

/// Three users.
const SEED: &str = "
CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL);
INSERT INTO users VALUES (1, 'a;b'), (2, 'it''s'), (3, 'c');
";

/// What the sentences need besides the port.
#[async_trait]
trait World: Send + Sync {
    fn port(&self) -> &dyn Service;
    async fn count(&self, ready: &Ready) -> usize;
    async fn write(&self, ready: &Ready);
    /// Whatever a resource has left behind, by name.
    async fn left(&self, resource: &ServiceResource) -> Vec<String>;
    /// Makes a resource as far as an interrupted `create` would have.
    async fn begin(&self, resource: &ServiceResource);
    /// Puts something of somebody else's in a resource's place.
    async fn intrude(&self, resource: &ServiceResource);
}

fn lease(contender: &str) -> LeaseName {
    LeaseName { run: "20260105-101112-ab12".to_owned(), contender: contender.to_owned() }
}

async fn conforms(world: &dyn World) {
    let port = world.port();
    port.prepare().await.unwrap();
    port.prepare().await.unwrap();
    let intents = [port.intend(&lease("variant-a")), port.intend(&lease("variant-a")), port.intend(&lease("b"))];
    assert_ne!(intents[0].name, intents[1].name, "two intents are never one");
    port.remove(&intents[0]).await.expect("what was never made is gone already");
    let mut ready = Vec::new();
    for intent in &intents {
        let made = port.create(intent).await.unwrap();
        assert_eq!((&made.resource.name, &made.resource.nonce), (&intent.name, &intent.nonce));
        assert_eq!(world.count(&made).await, 3, "the seed's rows are there");
        ready.push(made);
    }
    world.write(&ready[0]).await;
    assert_eq!(world.count(&ready[0]).await, 4);
    assert_eq!(world.count(&ready[1]).await, 3, "a sibling is not affected");
    let again = port.create(&intents[0]).await.unwrap();
    assert_eq!(world.count(&again).await, 3, "made again, it is fresh");
    port.remove(&intents[1]).await.unwrap();
    port.remove(&intents[1]).await.expect("twice is once");
    assert_eq!(world.count(&ready[2]).await, 3, "a sibling's removal touches nobody");
    for made in [&again, &ready[2]] {
        port.remove(&made.resource).await.unwrap();
    }
    for intent in &intents {
        assert_eq!(world.left(intent).await, Vec::<String>::new());
    }
    let begun = port.intend(&lease("half"));
    world.begin(&begun).await;
    assert_ne!(world.left(&begun).await, Vec::<String>::new(), "something is half-made");
    port.remove(&begun).await.expect("half-made things go");
    assert_eq!(world.left(&begun).await, Vec::<String>::new());
    let foreign = port.intend(&lease("foreign"));
    world.intrude(&foreign).await;
    let error = port.remove(&foreign).await.unwrap_err();
    assert!(matches!(error, ServiceError::Refused(_)), "{error}");
    assert_ne!(world.left(&foreign).await, Vec::<String>::new(), "what is not ours stays");
    let other = ServiceResource { kind: "other".to_owned(), ..foreign };
    assert!(matches!(port.remove(&other).await, Err(ServiceError::Refused(_))));
}

fn settings(dir: &Path, seed: &str) -> ServiceSettings {
    let file = dir.join("seed.sql");
    std::fs::write(&file, seed).unwrap();
    let state = dir.join("state");
    std::fs::create_dir_all(&state).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o711)).unwrap();
    ServiceSettings { seed: vec![file], state, leases: 4, ..ServiceSettings::default() }
}

async fn open(settings: ServiceSettings, isolation: Isolation) -> Arc<dyn Service> {
    choose(ServiceSettings { isolation, ..settings }, Arc::new(Local)).await.unwrap()
}

/// The first column of what a lease's own URL reaches.
async fn query(url: &str, text: &str) -> Result<Vec<i32>, sqlx::Error> {
    let text = AssertSqlSafe(text.to_owned());
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await?;
        let rows = sqlx::query_scalar(text).fetch_all(&mut connection).await;
        connection.close().await.and(rows)
    } else {
        let mut connection = PgConnection::connect(url).await?;
        let rows = sqlx::query_scalar(text).fetch_all(&mut connection).await;
        connection.close().await.and(rows)
    }
}

async fn run(url: &str, text: &str) -> Result<(), sqlx::Error> {
    let text = sqlx::raw_sql(AssertSqlSafe(text.to_owned()));
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await?;
        let done = text.execute(&mut connection).await.map(drop);
        connection.close().await.and(done)
    } else {
        let mut connection = PgConnection::connect(url).await?;
        let done = text.execute(&mut connection).await.map(drop);
        connection.close().await.and(done)
    }
}

/// Worlds whose databases are reached by the URL that a lease gets.
struct Real {
    port: Arc<dyn Service>,
    server: Option<Postgres>,
    _dir: tempfile::TempDir,
}

fn url_of(ready: &Ready) -> &str {
    &ready.env["DATABASE_URL"]
}

#[async_trait]
impl World for Real {
    fn port(&self) -> &dyn Service {
        &*self.port
    }

    async fn count(&self, ready: &Ready) -> usize {
        query(url_of(ready), "SELECT id FROM users").await.unwrap().len()
    }

    async fn write(&self, ready: &Ready) {
        run(url_of(ready), "INSERT INTO users VALUES (4, 'd'); CREATE INDEX by_name ON users (name)").await.unwrap();
    }

    async fn left(&self, resource: &ServiceResource) -> Vec<String> {
        match &self.server {
            Some(server) => {
                let name = &resource.name;
                let objects = format!(
                    "SELECT 'database ' || datname FROM pg_database WHERE datname = '{name}'
                     UNION ALL SELECT 'role ' || rolname FROM pg_roles WHERE rolname = '{name}'
                     UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname = '{name}'"
                );
                server.list("postgres", &objects).await
            }
            None => {
                let place = PathBuf::from(&resource.place);
                place.symlink_metadata().map(|_| resource.place.clone()).into_iter().collect()
            }
        }
    }

    async fn begin(&self, resource: &ServiceResource) {
        let (name, nonce) = (&resource.name, &resource.nonce);
        match (&self.server, resource.kind.as_str()) {
            (None, _) => std::fs::create_dir_all(&resource.place).unwrap(),
            (Some(server), "postgresql-schema") => {
                let text = format!(
                    "CREATE ROLE {name}; COMMENT ON ROLE {name} IS 'blueprint:v1 {nonce}';
                     CREATE SCHEMA {name} AUTHORIZATION {name}; COMMENT ON SCHEMA {name} IS 'blueprint:v1 {nonce}';
                     CREATE TABLE {name}.users (id int)"
                );
                server.run("postgres", &text).await;
            }
            // The database's own mark was not written any more.
            (Some(server), _) => {
                let role = format!("CREATE ROLE {name}; COMMENT ON ROLE {name} IS 'blueprint:v1 {nonce}'");
                server.run("postgres", &role).await;
                server.run("postgres", &format!("CREATE DATABASE {name}")).await;
            }
        }
    }

    async fn intrude(&self, resource: &ServiceResource) {
        let name = &resource.name;
        match (&self.server, resource.kind.as_str()) {
            (None, _) => {
                std::fs::create_dir_all(&resource.place).unwrap();
                std::fs::write(Path::new(&resource.place).join("theirs"), "x").unwrap();
            }
            (Some(server), "postgresql-schema") => server.run("postgres", &format!("CREATE SCHEMA {name}")).await,
            (Some(server), _) => server.run("postgres", &format!("CREATE DATABASE {name}")).await,
        }
    }
}

struct Fake(FakeService);

#[async_trait]
impl World for Fake {
    fn port(&self) -> &dyn Service {
        &self.0
    }

    async fn count(&self, ready: &Ready) -> usize {
        self.0.rows(&ready.resource.name).unwrap().len()
    }

    async fn write(&self, ready: &Ready) {
        self.0.write(&ready.resource.name, "d");
    }

    async fn left(&self, resource: &ServiceResource) -> Vec<String> {
        self.0.rows(&resource.name).map(|_| resource.name.clone()).into_iter().collect()
    }

    async fn begin(&self, resource: &ServiceResource) {
        self.0.begin(resource);
    }

    async fn intrude(&self, resource: &ServiceResource) {
        self.0.write(&resource.name, "theirs");
    }
}

#[tokio::test]
async fn the_fake_conforms() {
    let dir = open_directory();
    conforms(&Fake(FakeService::new(settings(dir.path(), "a\nb\nc")))).await;
}

#[tokio::test]
async fn a_sqlite_file_a_lease_conforms() {
    let dir = open_directory();
    let port = open(settings(dir.path(), SEED), Isolation::Auto).await;
    assert_eq!(port.choice().level, "sqlite file");
    conforms(&Real { port, server: None, _dir: dir }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_server_a_lease_conforms() {
    programs().await;
    let dir = open_directory();
    let settings = ServiceSettings { engine: Some("postgres".to_owned()), ..settings(dir.path(), SEED) };
    let port = open(settings, Isolation::Auto).await;
    assert!(port.choice().level.starts_with("postgresql server"), "{:?}", port.choice());
    conforms(&Real { port, server: None, _dir: dir }).await;
}

async fn on_server(isolation: Isolation) {
    let server = Postgres::start().await;
    let dir = open_directory();
    let url = Some(server.url("postgres", "", "postgres"));
    let port = open(ServiceSettings { url, ..settings(dir.path(), SEED) }, isolation).await;
    let world = Real { port, server: Some(server), _dir: dir };
    conforms(&world).await;
    world.server.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_a_lease_conforms() {
    on_server(Isolation::Database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_a_lease_conforms() {
    on_server(Isolation::Schema).await;
}

/// Whether a process lives, as other than a corpse.
fn lives(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

fn pid_of(resource: &ServiceResource) -> String {
    let lock = std::fs::read_to_string(Path::new(&resource.place).join("data/postmaster.pid")).unwrap();
    lock.lines().next().unwrap().to_owned()
}

/// Whether the system still holds the memory segment that the server of a lease had.
fn has_segment(id: &str) -> bool {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    table.lines().skip(1).any(|row| row.split_whitespace().nth(1) == Some(id))
}

fn segment_of(resource: &ServiceResource) -> String {
    let lock = std::fs::read_to_string(Path::new(&resource.place).join("data/postmaster.pid")).unwrap();
    lock.lines().nth(6).unwrap().split_whitespace().nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphaned_server_is_removed_by_its_journaled_resource() {
    programs().await;
    let dir = open_directory();
    let settings = settings(dir.path(), SEED);
    let crashed = open(settings.clone(), Isolation::Server).await;
    let alive = crashed.create(&crashed.intend(&lease("alive"))).await.unwrap();
    let killed = crashed.create(&crashed.intend(&lease("killed"))).await.unwrap();
    // What a crashed orchestrator leaves: a server that nobody holds any more, and one that was killed.
    std::mem::forget(crashed);
    let (first, second) = (pid_of(&alive.resource), pid_of(&killed.resource));
    let segments = [segment_of(&alive.resource), segment_of(&killed.resource)];
    assert!(segments.iter().all(|id| has_segment(id)));
    let kill = std::process::Command::new("kill").args(["-9", &second]).status().unwrap();
    assert!(kill.success() && lives(&first));
    let next = open(settings, Isolation::Server).await;
    for left in [&alive, &killed] {
        next.remove(&left.resource).await.unwrap();
        assert!(!Path::new(&left.resource.place).exists());
        assert!(!Path::new(&left.env["PGHOST"]).exists(), "the socket's directory is left");
    }
    assert!(!lives(&first) && !lives(&second));
    assert!(!segments.iter().any(|id| has_segment(id)), "shared memory is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_die_with_the_port_that_started_them() {
    programs().await;
    let dir = open_directory();
    let port = open(settings(dir.path(), SEED), Isolation::Server).await;
    let made = port.create(&port.intend(&lease("a"))).await.unwrap();
    let pid = pid_of(&made.resource);
    assert!(lives(&pid));
    drop(port);
    for _ in 0..200 {
        if !lives(&pid) {
            open(settings(dir.path(), SEED), Isolation::Server).await.remove(&made.resource).await.unwrap();
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the server outlived its port");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_on_a_private_server_is_durable_ordinary_and_locked() {
    programs().await;
    let dir = open_directory();
    let port = open(settings(dir.path(), SEED), Isolation::Server).await;
    let made = port.create(&port.intend(&lease("a"))).await.unwrap();
    for (setting, expected) in [("fsync", "on"), ("synchronous_commit", "on"), ("listen_addresses", "")] {
        let mut connection = PgConnection::connect(url_of(&made)).await.unwrap();
        let shown: String =
            sqlx::query_scalar(AssertSqlSafe(format!("SHOW {setting}"))).fetch_one(&mut connection).await.unwrap();
        assert_eq!(shown, expected, "{setting}");
    }
    let error = run(url_of(&made), "COPY users TO PROGRAM 'cat'").await.unwrap_err().to_string();
    assert!(error.contains("to or from an external program"), "{error}");
    run(url_of(&made), "CREATE DATABASE of_a_test_runner").await.unwrap();
    let guessed = url_of(&made).replace(&made.env["PGPASSWORD"], "guess");
    let error = run(&guessed, "SELECT 1").await.unwrap_err().to_string();
    assert!(error.contains("password authentication failed"), "{error}");
    port.remove(&made.resource).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_on_a_shared_server_reaches_neither_sibling_nor_template_nor_source() {
    let server = Postgres::start().await;
    server.run("postgres", "CREATE TABLE secrets (id int); INSERT INTO secrets VALUES (1)").await;
    for isolation in [Isolation::Database, Isolation::Schema] {
        let dir = open_directory();
        let admin = Some(server.url("postgres", "", "postgres"));
        let port = open(ServiceSettings { url: admin, ..settings(dir.path(), SEED) }, isolation).await;
        port.prepare().await.unwrap();
        let (a, b) = (port.intend(&lease("a")), port.intend(&lease("b")));
        let (a, b) = tokio::join!(port.create(&a), port.create(&b));
        let (a, b) = (a.unwrap(), b.unwrap());
        let mine = url_of(&a);
        let reach: Vec<String> = match isolation {
            Isolation::Schema => vec![format!("SELECT id FROM {}.users", b.resource.name)],
            _ => {
                let template =
                    server.list("postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'bp_t%'").await;
                let into = |name: &str| mine.replace(&format!("/{}?", a.resource.name), &format!("/{name}?"));
                for other in [&b.resource.name, &template[0]] {
                    run(&into(other), "SELECT 1").await.unwrap_err();
                }
                vec![]
            }
        };
        for text in reach.iter().map(String::as_str).chain([
            "SELECT id FROM public.secrets",
            "CREATE DATABASE other",
            "CREATE ROLE other",
            "COPY users TO PROGRAM 'cat'",
        ]) {
            assert!(query(mine, text).await.is_err(), "{isolation:?}: {text}");
        }
        for text in ["CREATE TABLE more (id serial PRIMARY KEY)", "CREATE INDEX CONCURRENTLY i ON users (name)"] {
            run(mine, text).await.unwrap();
        }
        for made in [a, b] {
            port.remove(&made.resource).await.unwrap();
        }
    }
    let left = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'bp\\_%' ORDER BY 1";
    assert_eq!(server.list("postgres", left).await, ["bp_owner"], "the templates' owner stays with the templates");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_in_use_is_removed_all_the_same() {
    let server = Postgres::start().await;
    for isolation in [Isolation::Database, Isolation::Schema] {
        let dir = open_directory();
        let admin = Some(server.url("postgres", "", "postgres"));
        let port = open(ServiceSettings { url: admin, ..settings(dir.path(), SEED) }, isolation).await;
        let made = port.create(&port.intend(&lease("a"))).await.unwrap();
        let mut open = PgConnection::connect(url_of(&made)).await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE users").execute(&mut open).await.unwrap();
        port.remove(&made.resource).await.unwrap();
        assert!(sqlx::raw_sql("SELECT 1").execute(&mut open).await.is_err(), "{isolation:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_was_prepared_and_left_is_rolled_back_with_its_lease_and_no_other_is() {
    let server = Postgres::start().await;
    server.run("postgres", "CREATE ROLE maker LOGIN PASSWORD 'hunter2' CREATEDB CREATEROLE").await;
    server.run("postgres", "CREATE DATABASE dev; ").await;
    server.run("postgres", "GRANT ALL ON DATABASE dev TO maker").await;
    server.run("dev", "CREATE TABLE theirs (n int)").await;
    server.run("dev", "BEGIN; INSERT INTO theirs VALUES (1); PREPARE TRANSACTION 'theirs'").await;
    for (isolation, role, password) in [
        (Isolation::Database, "maker", "hunter2"),
        (Isolation::Schema, "maker", "hunter2"),
        (Isolation::Database, "postgres", ""),
    ] {
        let dir = open_directory();
        let url = Some(server.url(role, password, "dev"));
        let port = open(ServiceSettings { url, ..settings(dir.path(), SEED) }, isolation).await;
        let made = port.create(&port.intend(&lease("a"))).await.unwrap();
        let mut session = PgConnection::connect(url_of(&made)).await.unwrap();
        let left = "BEGIN; UPDATE users SET id = id; PREPARE TRANSACTION 'it''s left'";
        sqlx::raw_sql(left).execute(&mut session).await.unwrap();
        session.close().await.unwrap();
        port.remove(&made.resource).await.unwrap();
        let prepared = server.list("dev", "SELECT gid FROM pg_prepared_xacts").await;
        assert_eq!(prepared, ["theirs"], "{isolation:?} as {role}");
        assert_eq!(
            server
                .list("dev", &format!("SELECT rolname::text FROM pg_roles WHERE rolname = '{}'", made.resource.name))
                .await,
            [""; 0]
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_decide_the_level_and_a_lack_is_named() {
    let server = Postgres::start().await;
    server.run("postgres", "CREATE ROLE maker LOGIN PASSWORD 'p' CREATEDB CREATEROLE; CREATE ROLE roles LOGIN PASSWORD 'p' CREATEROLE; CREATE ROLE plain LOGIN PASSWORD 'p'").await;
    server.run("postgres", "CREATE DATABASE dev").await;
    server.run("postgres", "GRANT ALL ON DATABASE dev TO roles, maker").await;
    let dir = open_directory();
    let with = |role: &str| ServiceSettings { url: Some(server.url(role, "p", "dev")), ..settings(dir.path(), SEED) };
    for (role, isolation) in
        [("maker", Isolation::Database), ("roles", Isolation::Schema), ("maker", Isolation::Schema)]
    {
        let port = open(with(role), isolation).await;
        let made = port.create(&port.intend(&lease("a"))).await.unwrap();
        assert_eq!(query(url_of(&made), "SELECT id FROM users").await.unwrap().len(), 3);
        run(url_of(&made), "ALTER TABLE users ADD COLUMN age int").await.unwrap();
        let mut session = PgConnection::connect(url_of(&made)).await.unwrap();
        port.remove(&made.resource).await.unwrap();
        assert!(session.ping().await.is_err(), "{role}: a session of the lease goes on");
    }
    for (role, isolation, what) in [
        ("roles", Isolation::Database, "create databases"),
        ("plain", Isolation::Database, "create databases"),
        ("plain", Isolation::Schema, "create roles"),
    ] {
        let error = open(with(role), isolation).await.prepare().await.unwrap_err();
        let expected = format!("the role `{role}` at {}:5432/dev may not {what}", server.dir.path().display());
        assert_eq!(error.to_string(), expected);
        assert!(matches!(error, ServiceError::Rights { .. }));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named_without_credentials_and_in_time() {
    let dir = open_directory();
    let started = std::time::Instant::now();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for place in ["localhost:1/dev".to_owned(), format!("127.0.0.1:{port}/dev")] {
        let url = Some(format!("postgresql://me:hunter2@{place}"));
        let settings = ServiceSettings { url, ..settings(dir.path(), SEED) };
        let error = choose(ServiceSettings { isolation: Isolation::Auto, ..settings.clone() }, Arc::new(Local))
            .await
            .err()
            .unwrap();
        assert!(matches!(&error, ServiceError::Unreachable { place: named, .. } if *named == place), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let port = open(settings, Isolation::Database).await;
        let intent = port.intend(&lease("a"));
        assert!(!format!("{intent:?} {:?}", port.choice()).contains("hunter2"));
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(30), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_a_replica_and_what_looks_like_production_are_refused() {
    let server = Postgres::start().await;
    server.run("postgres", "CREATE ROLE me LOGIN PASSWORD 'right' SUPERUSER").await;
    let dir = open_directory();
    let with = |url: String| ServiceSettings { url: Some(url), ..settings(dir.path(), SEED) };
    let wrong = server.url("me", "hunter2", "postgres");
    let error = open(with(wrong), Isolation::Database).await.prepare().await.unwrap_err().to_string();
    assert!(error.starts_with("logging in as `me` at ") && !error.contains("hunter2"), "{error}");
    let far = "postgresql://me:hunter2@db.example.com/shop_production".to_owned();
    let error =
        choose(ServiceSettings { isolation: Isolation::Database, ..with(far) }, Arc::new(Local)).await.err().unwrap();
    assert!(matches!(error, ServiceError::Refused(_)) && !error.to_string().contains("hunter2"), "{error}");
    server.stop().await;
    let replica = Postgres::replica().await;
    let error = choose(
        ServiceSettings { isolation: Isolation::Auto, ..with(replica.url("postgres", "", "postgres")) },
        Arc::new(Local),
    )
    .await
    .err()
    .unwrap();
    assert!(error.to_string().contains("is a replica, in which nothing can be created"), "{error}");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_seed_is_named_with_file_and_line_and_leaves_nothing() {
    let server = Postgres::start().await;
    let broken = "CREATE TABLE a (id int);\n\nINSERT INTO a VALUES (1),\n  ('no number');\n";
    let missing = "CREATE TABLE a (id int);\n\n-- next\nINSERT INTO nowhere VALUES (1);\n";
    for (isolation, seed, line, why) in [
        (Isolation::Server, broken, 4, "invalid input syntax"),
        (Isolation::Database, broken, 4, "invalid input syntax"),
        (Isolation::Schema, broken, 4, "invalid input syntax"),
        (Isolation::File, missing, 4, "no such table"),
    ] {
        let dir = open_directory();
        let url = (isolation != Isolation::File && isolation != Isolation::Server)
            .then(|| server.url("postgres", "", "postgres"));
        let port = open(ServiceSettings { url, ..settings(dir.path(), seed) }, isolation).await;
        let intent = port.intend(&lease("a"));
        let error = port.create(&intent).await.unwrap_err().to_string();
        let place = format!("{}:{line}: {why}", dir.path().join("seed.sql").display());
        assert!(error.starts_with(&place), "{isolation:?}: {error}");
        port.remove(&intent).await.unwrap();
    }
    let left = "SELECT datname FROM pg_database WHERE datname LIKE 'bp\\_%' UNION ALL
                SELECT rolname FROM pg_roles WHERE rolname LIKE 'bp\\_%' AND rolname <> 'bp_owner'";
    assert_eq!(server.list("postgres", left).await, Vec::<String>::new());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_with_rows_is_a_seed() {
    programs().await;
    let dir = open_directory();
    let dump = "\\restrict x\nSET client_encoding = 'UTF8';\nSELECT pg_catalog.set_config('search_path', '', false);\n\
                CREATE TABLE public.users (id integer, name text);\n\
                COPY public.users (id, name) FROM stdin;\n1\ta;b\n2\t\\N\n\\.\n\n\\unrestrict x\n";
    let port = open(settings(dir.path(), dump), Isolation::Server).await;
    let made = port.create(&port.intend(&lease("a"))).await.unwrap();
    assert_eq!(query(url_of(&made), "SELECT id FROM users").await.unwrap(), [1, 2]);
    port.remove(&made.resource).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_orchestrators_build_one_template() {
    let server = Postgres::start().await;
    for isolation in [Isolation::Server, Isolation::Database, Isolation::File] {
        let dir = open_directory();
        let admin = (isolation == Isolation::Database).then(|| server.url("postgres", "", "postgres"));
        let settings = ServiceSettings { url: admin, ..settings(dir.path(), SEED) };
        let (one, two) = (open(settings.clone(), isolation).await, open(settings, isolation).await);
        let (first, second) = tokio::join!(one.prepare(), two.prepare());
        first.unwrap();
        second.unwrap();
        let made = two.create(&two.intend(&lease("a"))).await.unwrap();
        assert_eq!(query(url_of(&made), "SELECT id FROM users").await.unwrap().len(), 3);
        two.remove(&made.resource).await.unwrap();
    }
    let templates = "SELECT datname FROM pg_database WHERE datname LIKE 'bp\\_%'";
    assert_eq!(server.list("postgres", templates).await.len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_removed_when_no_lease_uses_them_and_built_anew_for_who_needs_one() {
    let server = Postgres::start().await;
    let ours = "SELECT datname FROM pg_database WHERE datname LIKE 'bp\\_%'
                UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE 'bp\\_%'";
    for isolation in [Isolation::Server, Isolation::Database, Isolation::File] {
        let dir = open_directory();
        let admin = (isolation == Isolation::Database).then(|| server.url("postgres", "", "postgres"));
        let settings = ServiceSettings { url: admin, ..settings(dir.path(), SEED) };
        let port = open(settings.clone(), isolation).await;
        let other = open(settings.clone(), isolation).await;
        let made = port.create(&port.intend(&lease("a"))).await.unwrap();
        if isolation != Isolation::File {
            assert_eq!(other.forget().await.unwrap(), Vec::<String>::new(), "{isolation:?} in use");
        }
        port.remove(&made.resource).await.unwrap();
        if isolation == Isolation::Server {
            drop(port);
        }
        assert!(!other.forget().await.unwrap().is_empty(), "{isolation:?}");
        assert_eq!(other.forget().await.unwrap(), Vec::<String>::new(), "{isolation:?} gone");
        let port = if isolation == Isolation::Database { other } else { open(settings, isolation).await };
        let made = port.create(&port.intend(&lease("b"))).await.unwrap();
        assert_eq!(query(url_of(&made), "SELECT id FROM users").await.unwrap().len(), 3);
        port.remove(&made.resource).await.unwrap();
        port.forget().await.unwrap();
    }
    assert_eq!(server.list("postgres", ours).await, Vec::<String>::new());
    server.stop().await;
}

/// What the metric `sql` says of a lease.
async fn measured(ready: &Ready, query: &str, unit: &str, limit: u64) -> Result<String, MetricError> {
    let name = MetricName::new("size").unwrap();
    let source = Sql::new(sql::Settings { name, query: query.to_owned(), unit: unit.to_owned() });
    let here = std::env::temp_dir();
    let site = Site {
        tree: here.clone(),
        env: ready.env.clone(),
        scratch: here,
        cpus: Vec::new(),
        exec: Arc::new(Local),
        stop: Stop::new(),
    };
    let slot = Slot { block: 0, seed: 1, limit: Some(std::time::Duration::from_millis(limit)), brief: None };
    let sample = source.open(&site).await?.sample(slot).await?;
    Ok(sample.readings[0].value.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_measures_a_lease_and_changes_nothing() {
    programs().await;
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    for isolation in [Isolation::Server, Isolation::File] {
        let dir = open_directory();
        let port = open(settings(dir.path(), SEED), isolation).await;
        let made = port.create(&port.intend(&lease("a"))).await.unwrap();
        assert_eq!(measured(&made, "SELECT count(*) * 1000 FROM users", "B", 9000).await.unwrap(), "3 kB");
        assert_eq!(measured(&made, "SELECT 2.5", "ms", 9000).await.unwrap(), "2.5 ms");
        for (query, expected) in [
            ("SELECT id FROM nowhere", "nowhere"),
            ("SELECT id FROM users", "more than one row"),
            ("SELECT id FROM users WHERE id > 9", "with no row"),
            ("SELECT 1 AS a, 2 AS b", "2 columns (a, b)"),
            ("SELECT name FROM users WHERE id = 3", "`c`, not a number"),
            ("SELECT NULL", "NULL, not a number"),
            ("SELECT -1", "is negative"),
            ("DELETE FROM users", "read"),
            (endless, "longer than 0.3 s"),
        ] {
            let limit = if query == endless { 300 } else { 9000 };
            let error = measured(&made, query, "B", limit).await.unwrap_err();
            assert!(matches!(&error, MetricError::Variant(why) if why.contains(expected)), "{query}: {error:?}");
        }
        assert_eq!(query(url_of(&made), "SELECT id FROM users").await.unwrap().len(), 3);
        port.remove(&made.resource).await.unwrap();
        let error = measured(&made, "SELECT 1", "B", 9000).await.unwrap_err();
        assert!(matches!(error, MetricError::Machine(_)), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn six_leases_can_be_made_and_removed_at_once() {
    let server = Postgres::start().await;
    for isolation in [Isolation::Server, Isolation::Database, Isolation::Schema, Isolation::File] {
        let dir = open_directory();
        let url = matches!(isolation, Isolation::Database | Isolation::Schema)
            .then(|| server.url("postgres", "", "postgres"));
        let port = open(ServiceSettings { url, ..settings(dir.path(), SEED) }, isolation).await;
        let intents: Vec<_> = (0..6).map(|_| port.intend(&lease("a"))).collect();
        let made = join_all(intents.iter().map(|intent| port.create(intent))).await;
        let removed = join_all(made.iter().map(|one| port.remove(&one.as_ref().unwrap().resource))).await;
        removed.into_iter().for_each(|one| one.unwrap());
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_is_chosen_by_url_engine_and_seed_and_says_why() {
    let server = Postgres::start().await;
    let dir = open_directory();
    let plain = settings(dir.path(), SEED);
    let chosen = async |settings: &ServiceSettings, isolation| match choose(
        ServiceSettings { isolation, ..settings.clone() },
        Arc::new(Local),
    )
    .await
    {
        Ok(port) => format!("{}: {}", port.choice().level, port.choice().why),
        Err(error) => error.to_string(),
    };
    let major = programs().await.major;
    let url = Some(server.url("postgres", "", "postgres"));
    let with_url = ServiceSettings { url, ..plain.clone() };
    assert_eq!(
        chosen(&with_url, Isolation::Auto).await,
        format!(
            "postgresql server (version {major}): PostgreSQL {major}, the configured server's version, is installed here"
        )
    );
    assert_eq!(
        chosen(&with_url, Isolation::Schema).await,
        format!("postgresql schema at {}:5432/postgres: `database.isolation` asks for it", server.dir.path().display())
    );
    assert_eq!(chosen(&plain, Isolation::Auto).await, "sqlite file: neither URL nor engine is configured");
    assert_eq!(
        chosen(&plain, Isolation::Database).await,
        "`database.isolation: database` needs a server: name it in `database.url`"
    );
    let speaking = settings(dir.path(), "CREATE TABLE a (id bigserial);");
    assert_eq!(
        chosen(&speaking, Isolation::Auto).await,
        format!("postgresql server (version {major}): the seed says `bigserial`, which is postgres's")
    );
    server.stop().await;
}

/// What the test below kills: makes a lease, says so, and waits.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of another test, which starts it as a process"]
async fn holds_a_lease_until_killed() {
    let dir = PathBuf::from(std::env::var_os("BP_DIR").unwrap());
    let url = std::env::var("BP_URL").ok();
    let told = std::env::var("BP_ISOLATION").unwrap();
    let all = [Isolation::Server, Isolation::Database, Isolation::Schema, Isolation::File];
    let isolation = all.into_iter().find(|isolation| isolation.to_string() == told).unwrap();
    let port = open(ServiceSettings { url, ..settings(&dir, SEED) }, isolation).await;
    let intent = port.intend(&lease("a"));
    std::fs::write(dir.join("intent.json"), serde_json::to_string(&intent).unwrap()).unwrap();
    let _held = port.create(&intent).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_whose_owner_was_killed_at_any_moment_is_removed_whole() {
    let server = Postgres::start().await;
    for isolation in [Isolation::Server, Isolation::Database, Isolation::Schema, Isolation::File] {
        let dir = open_directory();
        let url = matches!(isolation, Isolation::Database | Isolation::Schema)
            .then(|| server.url("postgres", "", "postgres"));
        let port = open(ServiceSettings { url: url.clone(), ..settings(dir.path(), SEED) }, isolation).await;
        for delay in [0, 20, 60, 120, 250, 500, 1000, 2000] {
            let mut child = std::process::Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", "--ignored", "holds_a_lease_until_killed"]);
            child.env("BP_DIR", dir.path()).env("BP_ISOLATION", isolation.to_string());
            child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            child.envs(url.iter().map(|url| ("BP_URL", url)));
            let mut child = child.spawn().unwrap();
            let file = dir.path().join("intent.json");
            let intent: ServiceResource = loop {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                match serde_json::from_str(&text) {
                    Ok(intent) => break intent,
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
                }
            };
            std::fs::remove_file(&file).unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
            child.kill().unwrap();
            child.wait().unwrap();
            port.remove(&intent).await.unwrap_or_else(|why| panic!("{isolation:?}, {delay} ms: {why}"));
            assert!(!Path::new(&intent.place).join("data").exists(), "{isolation:?}, {delay} ms");
            let name = &intent.name;
            let left = format!(
                "SELECT datname FROM pg_database WHERE datname = '{name}'
                 UNION ALL SELECT rolname FROM pg_roles WHERE rolname = '{name}'"
            );
            assert_eq!(server.list("postgres", &left).await, Vec::<String>::new(), "{isolation:?}, {delay} ms");
        }
        let made = port.create(&port.intend(&lease("a"))).await.unwrap();
        assert_eq!(query(url_of(&made), "SELECT id FROM users").await.unwrap().len(), 3);
        port.remove(&made.resource).await.unwrap();
    }
    server.stop().await;
}
