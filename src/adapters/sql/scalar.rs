//! One number out of one query, read-only and within a limit, from whatever a URL names.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Column, Connection, Row, TypeInfo, Value, ValueRef};

use super::postgres;
use super::query::{CONNECT_LIMIT, QueryError, STEPS, sqlite_file};
use super::url::{self, Engine};

impl QueryError {
    fn of_scalar(error: &sqlx::Error, limit: Duration) -> Self {
        match error.as_database_error().and_then(|inner| inner.code()).as_deref() {
            // Cancelled by `statement_timeout`; interrupted by our own look at the clock.
            Some("57014" | "9") => Self::Query(format!("the query took longer than {} s", limit.as_secs_f64())),
            _ => Self::of(error),
        }
    }
}

/// The answer of a query: one row, one column, a number.
pub async fn number(url: &str, query: &str, limit: Duration) -> Result<f64, QueryError> {
    let text = match Engine::of_scheme(url::scheme(url)) {
        Some(Engine::Postgres) => from_postgres(url, query, limit).await?,
        Some(Engine::Sqlite) => from_sqlite(url, query, limit).await?,
        None => return Err(QueryError::Server(format!("URLs that begin with `{}:` are not known", url::scheme(url)))),
    };
    let text = text.ok_or_else(|| QueryError::Query("the answer is NULL, not a number".to_owned()))?;
    text.parse().map_err(|_| QueryError::Query(format!("the answer is `{}`, not a number", short(&text))))
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

async fn from_postgres(url: &str, query: &str, limit: Duration) -> Result<Option<String>, QueryError> {
    let server = url::Server::parse(url).map_err(QueryError::Server)?;
    let milliseconds = limit.as_millis().clamp(1, 86_400_000).to_string();
    let bounded: PgConnectOptions = server
        .options()
        .options([("default_transaction_read_only", "on"), ("statement_timeout", milliseconds.as_str())]);
    let connected = postgres::connect(&bounded, CONNECT_LIMIT).await;
    let mut connection = connected.map_err(|why| QueryError::Server(postgres::said(&why)))?;
    let answer = postgres_answer(&mut connection, query).await;
    // The answer counts, not the goodbye.
    drop(connection.close().await);
    answer.map_err(|why| QueryError::of_scalar(&why, limit))?.cell()
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

async fn from_sqlite(url: &str, query: &str, limit: Duration) -> Result<Option<String>, QueryError> {
    let file = sqlite_file(url);
    let options = SqliteConnectOptions::new().filename(&file).read_only(true).busy_timeout(limit.min(CONNECT_LIMIT));
    let opened = SqliteConnection::connect_with(&options).await;
    let failed = |why: sqlx::Error| QueryError::Server(format!("{}: {why}", file.display()));
    let mut connection = opened.map_err(failed)?;
    let until = Instant::now() + limit;
    connection.lock_handle().await.map_err(failed)?.set_progress_handler(STEPS, move || Instant::now() < until);
    let answer = sqlite_answer(&mut connection, query).await;
    drop(connection.close().await);
    answer.map_err(|why| QueryError::of_scalar(&why, limit))?.cell()
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

    fn cell(self) -> Result<Option<String>, QueryError> {
        match (self.rows, self.columns.len()) {
            (0, _) => Err(QueryError::Query("the query answers with no row; one is expected".to_owned())),
            (1, 1) => Ok(self.first),
            (1, many) => Err(QueryError::Query(format!(
                "the query answers with {many} columns ({}); one is expected",
                short(&self.columns.join(", "))
            ))),
            _ => Err(QueryError::Query("the query answers with more than one row".to_owned())),
        }
    }
}
