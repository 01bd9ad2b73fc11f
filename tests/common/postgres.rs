//! A real PostgreSQL for tests: private, on a socket alone, gone with the test.

use std::sync::Arc;
use std::time::Duration;

use blueprint::adapters::executor::local::Local;
use blueprint::adapters::process::{Executor, Serving};
use blueprint::adapters::service::postgres::Programs;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};

/// A server whose superuser `postgres` needs no password on its socket.
pub struct Postgres {
    /// Reached by everybody, so that the server's user can walk in.
    pub dir: tempfile::TempDir,
    service: Box<dyn Serving>,
}

/// The programs, which every test here needs.
pub async fn programs() -> Programs {
    let exec: Arc<dyn Executor> = Arc::new(Local);
    let found = Programs::find(&exec, None).await.unwrap();
    found.expect("no PostgreSQL is on this machine: run the tests with ./scripts/test, which installs one")
}

/// A directory that any user can walk through.
pub fn open_directory() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::Builder::new().prefix("bpt-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    dir
}

/// None can be prepared by default.
const PREPARED: &str = "max_prepared_transactions=8";

impl Postgres {
    /// Starts one that never waits for the disk.
    pub async fn start() -> Self {
        Self::start_as(&[], "off").await
    }

    /// Starts one that is as durable as PostgreSQL is by default.
    pub async fn durable() -> Self {
        Self::start_as(&[], "on").await
    }

    /// Starts one that waits for a primary's changes.
    pub async fn replica() -> Self {
        Self::start_as(&["standby.signal"], "off").await
    }

    async fn start_as(files: &[&str], fsync: &str) -> Self {
        let exec: Arc<dyn Executor> = Arc::new(Local);
        let programs = programs().await;
        let dir = open_directory();
        let data = dir.path().join("data").display().to_string();
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let args =
            ["-D", &data, "-U", "postgres", "--no-sync", "--auth-local=trust", "--encoding=UTF8", "--locale=C.UTF-8"];
        programs.run(&exec, "initdb", words(&args)).await.unwrap();
        for file in files {
            std::fs::write(dir.path().join("data").join(file), "").unwrap();
        }
        // Leases have to prove who they are; only the superuser is let in without a password.
        let access = "local all postgres trust\nlocal all all scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n";
        std::fs::write(dir.path().join("data/pg_hba.conf"), access).unwrap();
        let (socket, fsync) = (dir.path().display().to_string(), format!("fsync={fsync}"));
        let args = words(&["-D", &data, "-k", &socket, "-c", "listen_addresses=", "-c", &fsync, "-c", PREPARED]);
        let mut command = programs.command("postgres", args);
        // A kill would leave its memory segment behind.
        command.grace = Duration::from_secs(60);
        let service = exec.serve(command).await.unwrap();
        let server = Self { dir, service };
        for _ in 0..1000 {
            if PgConnection::connect_with(&server.options("postgres")).await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the test's server does not answer: {}", server.service.tail(10));
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.dir.path())
            .port(5432)
            .username("postgres")
            .database(database)
    }

    /// The URL of a database for a role.
    pub fn url(&self, role: &str, password: &str, database: &str) -> String {
        let host = self.dir.path().display();
        format!("postgresql:///{database}?host={host}&port=5432&user={role}&password={password}")
    }

    /// Runs SQL as the superuser.
    pub async fn run(&self, database: &str, text: &str) {
        let mut connection = PgConnection::connect_with(&self.options(database)).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The first column of a query, as the superuser.
    pub async fn list(&self, database: &str, query: &str) -> Vec<String> {
        let mut connection = PgConnection::connect_with(&self.options(database)).await.unwrap();
        let rows = sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows
    }

    /// Stops it before its directory is removed.
    pub async fn stop(mut self) {
        self.service.stop().await;
    }
}
