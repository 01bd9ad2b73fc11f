//! One number out of one query, read-only and within a limit, from whatever a URL names.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Column, Connection, Row, TypeInfo, Value, ValueRef};

use super::postgres;
use super::url::{self, Engine};

/// How long a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Steps of SQLite's machine between two looks at the clock.
const STEPS: i32 = 10_000;

/// Why there is no number.
#[derive(Debug, thiserror::Error)]
pub enum ScalarError {
    /// The server can't be reached or gave up; says nothing about the database's content.
    #[error("{0}")]
    Server(String),
    /// The query failed or its answer is not one number.
    #[error("{0}")]
    Query(String),
}

/// Classes of errors that are the server's: connections, resources, shutdowns, its own faults.
const SERVER_CLASSES: &[&str] = &["08", "28", "53", "58", "XX"];

impl ScalarError {
    fn of(error: &sqlx::Error, limit: Duration) -> Self {
        let Some(inner) = error.as_database_error() else { return Self::Server(error.to_string()) };
        let code = inner.code().unwrap_or_default().into_owned();
        let late = || Self::Query(format!("the query took longer than {} s", limit.as_secs_f64()));
        match code.as_str() {
            // Cancelled by `statement_timeout`; interrupted by our own look at the clock.
            "57014" | "9" => late(),
            code if code.starts_with("57P") || (code.len() == 5 && SERVER_CLASSES.contains(&&code[..2])) => {
                Self::Server(inner.message().to_owned())
            }
            _ => Self::Query(inner.message().to_owned()),
        }
    }
}

/// The answer of a query: one row, one column, a number.
pub async fn number(url: &str, query: &str, limit: Duration) -> Result<f64, ScalarError> {
    let text = match Engine::of_scheme(url::scheme(url)) {
        Some(Engine::Postgres) => from_postgres(url, query, limit).await?,
        Some(Engine::Sqlite) => from_sqlite(url, query, limit).await?,
        None => return Err(ScalarError::Server(format!("URLs that begin with `{}:` are not known", url::scheme(url)))),
    };
    let text = text.ok_or_else(|| ScalarError::Query("the answer is NULL, not a number".to_owned()))?;
    text.parse().map_err(|_| ScalarError::Query(format!("the answer is `{}`, not a number", short(&text))))
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

async fn from_postgres(url: &str, query: &str, limit: Duration) -> Result<Option<String>, ScalarError> {
    let server = url::Server::parse(url).map_err(ScalarError::Server)?;
    let milliseconds = limit.as_millis().clamp(1, 86_400_000).to_string();
    let bounded: PgConnectOptions = server
        .options()
        .options([("default_transaction_read_only", "on"), ("statement_timeout", milliseconds.as_str())]);
    let connected = postgres::connect(&bounded, CONNECT_LIMIT).await;
    let mut connection = connected.map_err(|why| ScalarError::Server(postgres::said(&why)))?;
    let answer = postgres_answer(&mut connection, query).await;
    // The answer counts, not the goodbye.
    drop(connection.close().await);
    answer.map_err(|why| ScalarError::of(&why, limit))?.cell()
}

/// The simple protocol answers in text, whatever the type: `numeric` too.
async fn postgres_answer(connection: &mut PgConnection, query: &str) -> Result<Answer, sqlx::Error> {
    let mut rows = sqlx::raw_sql(AssertSqlSafe(query.to_owned())).fetch(connection);
    let mut answer = Answer::default();
    while let Some(row) = rows.try_next().await? {
        let value = row.try_get_raw(0).ok().filter(|value| !value.is_null());
        let text = value.and_then(|value| value.as_str().ok().map(str::to_owned));
        if !answer.take(row.columns().iter().map(Column::name).collect(), text) {
            break;
        }
    }
    Ok(answer)
}

async fn from_sqlite(url: &str, query: &str, limit: Duration) -> Result<Option<String>, ScalarError> {
    let file = sqlite_file(url);
    let options = SqliteConnectOptions::new().filename(&file).read_only(true).busy_timeout(limit.min(CONNECT_LIMIT));
    let opened = SqliteConnection::connect_with(&options).await;
    let failed = |why: sqlx::Error| ScalarError::Server(format!("{}: {why}", file.display()));
    let mut connection = opened.map_err(failed)?;
    let until = Instant::now() + limit;
    connection.lock_handle().await.map_err(failed)?.set_progress_handler(STEPS, move || Instant::now() < until);
    let answer = sqlite_answer(&mut connection, query).await;
    drop(connection.close().await);
    answer.map_err(|why| ScalarError::of(&why, limit))?.cell()
}

async fn sqlite_answer(connection: &mut SqliteConnection, query: &str) -> Result<Answer, sqlx::Error> {
    let mut rows = sqlx::raw_sql(AssertSqlSafe(query.to_owned())).fetch(connection);
    let mut answer = Answer::default();
    while let Some(row) = rows.try_next().await? {
        let text = match row.try_get_raw(0) {
            Ok(value) if !value.is_null() => Some(sqlite_text(&ValueRef::to_owned(&value))?),
            _ => None,
        };
        if !answer.take(row.columns().iter().map(Column::name).collect(), text) {
            break;
        }
    }
    Ok(answer)
}

fn sqlite_text(value: &sqlx::sqlite::SqliteValue) -> Result<String, sqlx::Error> {
    let decoded = match value.type_info().name() {
        "INTEGER" => value.try_decode::<i64>().map(|n| n.to_string()),
        "REAL" => value.try_decode::<f64>().map(|n| n.to_string()),
        "BLOB" => Ok("a blob".to_owned()),
        _ => value.try_decode::<String>(),
    };
    decoded.map_err(|why| sqlx::Error::Decode(why.into()))
}

/// The file of `sqlite:////absolute/path`.
fn sqlite_file(url: &str) -> PathBuf {
    let path = url.split_once(':').map_or(url, |(_, rest)| rest);
    let path = path.trim_start_matches('/');
    PathBuf::from_str(&format!("/{}", path.split('?').next().unwrap_or_default())).unwrap_or_default()
}

/// What a query has answered so far.
#[derive(Default)]
struct Answer {
    rows: usize,
    columns: Vec<String>,
    first: Option<String>,
}

impl Answer {
    /// Takes a row, and says whether another one is of interest.
    fn take(&mut self, columns: Vec<&str>, first: Option<String>) -> bool {
        self.rows += 1;
        if self.rows == 1 {
            (self.columns, self.first) = (columns.into_iter().map(str::to_owned).collect(), first);
        }
        self.rows < 2
    }

    fn cell(self) -> Result<Option<String>, ScalarError> {
        match (self.rows, self.columns.len()) {
            (0, _) => Err(ScalarError::Query("the query answers with no row; one is expected".to_owned())),
            (1, 1) => Ok(self.first),
            (1, many) => Err(ScalarError::Query(format!(
                "the query answers with {many} columns ({}); one is expected",
                short(&self.columns.join(", "))
            ))),
            _ => Err(ScalarError::Query("the query answers with more than one row".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_url_names_an_absolute_path_however_many_slashes_it_has() {
        for url in ["sqlite:////tmp/a b.db", "sqlite:///tmp/a b.db", "sqlite+aiosqlite:////tmp/a b.db?mode=ro"] {
            assert_eq!(sqlite_file(url), PathBuf::from("/tmp/a b.db"), "{url}");
        }
    }
}
