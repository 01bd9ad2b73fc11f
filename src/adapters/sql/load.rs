//! A statement with parameters that is asked over and over, on connections that stay open.
//!
//! It is read-only: a statement that writes would leave more rows behind the faster it is, and later
//! slices would measure that.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use sqlx::postgres::{PgArguments, PgConnection, PgRow, PgTypeInfo};
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{
    Arguments, AssertSqlSafe, ConnectOptions, Connection, Executor, Postgres, Row, SqlSafeStr, SqlStr, Sqlite, Type,
    TypeInfo, ValueRef,
};
use tokio::sync::Semaphore;

use super::query::{CONNECT_LIMIT, QueryError, STEPS, sqlite_file};
use super::script::{line_of, placeholders, statements};
use super::url::{self, Engine};
use super::{digest, postgres};

/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A parameter's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Kind {
    Int,
    Float,
    Text,
    Bool,
}

/// A parameter's value.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Value {
    Int(i64),
    Float(f64),
    Text(String),
    Bool(bool),
}

/// The one statement of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The line of the file that it starts on, from 1.
    pub line: usize,
    /// Its text without a semicolon.
    pub text: String,
}

impl Statement {
    /// Reads a file's content; the error says what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|why| format!("the text is not UTF-8: {why}"))?;
        let found = statements(text).map_err(|why| why.to_string())?;
        match found.as_slice() {
            [] => Err("there is no statement in it".to_owned()),
            [one] if one.rows.is_some() => Err(format!("line {}: COPY is nothing that can be asked", one.line)),
            [one] => Ok(Self { line: one.line, text: one.text.to_owned() }),
            [_, second, ..] => Err(format!(
                "there are {} statements in it, the second on line {}; one file holds one statement: put each into a \
                 file of its own, with a metric of its own",
                found.len(),
                second.line
            )),
        }
    }

    /// SQLite takes what is not given for NULL, so what is asked for is counted here.
    fn wanted_by_sqlite(&self) -> Result<usize, String> {
        let names = placeholders(&self.text).map_err(|why| why.why)?;
        let number = |name: &&str| name[1..].parse::<usize>().ok().filter(|n| *n > 0 && !name.starts_with([':', '@']));
        if names.iter().all(|name| *name == "?") {
            return Ok(names.len());
        }
        let numbers: Option<Vec<_>> = names.iter().map(number).collect();
        numbers.and_then(|all| all.into_iter().max()).ok_or_else(|| {
            format!("its parameters are written {}; write them all as `?`, or as `?1`, `?2`, …", names.join(", "))
        })
    }
}

enum Open {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// Connections of one contender, all of them ready with the statement.
pub(crate) struct Connections {
    line: usize,
    text: SqlStr,
    /// The statement with rows that can be compared.
    comparable: SqlStr,
    idle: Mutex<VecDeque<Open>>,
    /// As many permits as idle connections; closed once one was lost.
    free: Semaphore,
    lost: OnceLock<QueryError>,
    abandoned: Arc<AtomicBool>,
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl Connections {
    /// Opens this many and prepares the statement on each.
    pub async fn open(url: &str, statement: &Statement, kinds: &[Kind], count: NonZeroU32) -> Result<Self, QueryError> {
        let engine = Engine::of_scheme(url::scheme(url));
        let text = AssertSqlSafe(Arc::<str>::from(statement.text.as_str())).into_sql_str();
        let comparable = match engine {
            Some(Engine::Postgres) => AssertSqlSafe(Arc::<str>::from(as_texts(&statement.text))).into_sql_str(),
            _ => text.clone(),
        };
        let abandoned = Arc::new(AtomicBool::new(false));
        let mut idle = VecDeque::new();
        for at in 1..=count.get() {
            let nth = |why: &sqlx::Error| {
                QueryError::Server(format!("connection {at} of {count} was refused: {}", postgres::said(why)))
            };
            let mut open = match engine {
                Some(Engine::Postgres) => to_postgres(url).await?.map(Open::Postgres).map_err(|why| nth(&why))?,
                Some(Engine::Sqlite) => to_sqlite(url, &abandoned).await.map(Open::Sqlite).map_err(|why| nth(&why))?,
                None => {
                    let scheme = url::scheme(url);
                    return Err(QueryError::Server(format!("URLs that begin with `{scheme}:` are not known")));
                }
            };
            prepare(&mut open, statement, text.clone(), kinds).await?;
            idle.push_back(open);
        }
        let free = Semaphore::new(idle.len());
        Ok(Self {
            line: statement.line,
            text,
            comparable,
            idle: Mutex::new(idle),
            free,
            lost: OnceLock::new(),
            abandoned,
        })
    }

    /// Whether a connection was lost since they were opened: then all of them have to be opened anew.
    pub(crate) fn are_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    /// Ends what still runs: PostgreSQL looks for lost clients itself. Nothing can be asked any more.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.lose(QueryError::Server("the connections were given up".to_owned()));
        drop(self.take_idle());
    }

    fn take_idle(&self) -> VecDeque<Open> {
        std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks on the next free connection and reads all rows of the answer.
    pub async fn ask(&self, values: &[Value]) -> Result<(), QueryError> {
        self.with_one(self.text.clone(), values, |_| Ok(())).await
    }

    /// The answers to these parameters as one line: how many there were, of how many rows, and a digest
    /// that does not depend on the order of an answer's rows.
    pub async fn answers(&self, all: impl IntoIterator<Item = Vec<Value>>) -> Result<String, QueryError> {
        let (mut answers, mut rows, mut whole) = (0, 0, Vec::new());
        for values in all {
            let mut answer: Vec<[u8; 32]> = Vec::new();
            let take = |found: Found<'_>| {
                answer.push(Sha256::digest(found.bytes()?).into());
                Ok(())
            };
            self.with_one(self.comparable.clone(), &values, take).await?;
            answer.sort_unstable();
            (answers, rows) = (answers + 1, rows + answer.len());
            whole.push(answer.concat());
        }
        let digest = digest(whole.iter().map(Vec::as_slice), 16);
        Ok(format!("{answers} answers of {rows} rows, {digest}"))
    }

    async fn with_one(
        &self,
        text: SqlStr,
        values: &[Value],
        mut take: impl FnMut(Found<'_>) -> Result<(), sqlx::Error> + Send,
    ) -> Result<(), QueryError> {
        let lost =
            || self.lost.get().cloned().unwrap_or_else(|| QueryError::Server("the connections are closed".into()));
        let permit = self.free.acquire().await.map_err(|_| lost())?;
        let popped = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let mut open = popped.ok_or_else(lost)?;
        let question = text.clone();
        let asked = tokio::time::timeout(ANSWER_LIMIT, each_row(&mut open, text, values, &mut take)).await;
        let failed = match asked {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(self.failure(&error, &question)),
            Err(_) => {
                let late = format!("line {}: no answer within {} s", self.line, ANSWER_LIMIT.as_secs());
                self.lose(QueryError::Query(late.clone()));
                self.abandon();
                return Err(QueryError::Query(late));
            }
        };
        if let Some(error @ QueryError::Server(_)) = failed {
            self.lose(error.clone());
            return Err(error);
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push_back(open);
        drop(permit);
        failed.map_or(Ok(()), Err)
    }

    /// The first loss is the reason that everybody gets.
    fn lose(&self, why: QueryError) {
        // Whoever came first has said it.
        let _ = self.lost.set(why);
        self.free.close();
    }

    fn failure(&self, error: &sqlx::Error, asked: &SqlStr) -> QueryError {
        let code = error.as_database_error().and_then(|inner| inner.code());
        if asked.as_str() == self.text.as_str() {
            return placed(error, self.line, self.text.as_str());
        }
        // By itself the statement could be prepared.
        let only =
            if code.as_deref() == Some("42601") { "only SELECT, VALUES, TABLE and WITH can be asked: " } else { "" };
        match QueryError::of(error) {
            QueryError::Query(why) => QueryError::Query(format!("line {}: {only}{why}", self.line)),
            server @ QueryError::Server(_) => server,
        }
    }

    /// Says goodbye to the server, as far as it listens.
    pub async fn close(&self) {
        self.free.close();
        for open in self.take_idle() {
            // They are of no use any more, whatever the server says.
            drop(match open {
                Open::Postgres(connection) => connection.close().await,
                Open::Sqlite(connection) => connection.close().await,
            });
        }
    }
}

/// A failure with the line of the file that it is about.
fn placed(error: &sqlx::Error, line: usize, text: &str) -> QueryError {
    match QueryError::of(error) {
        QueryError::Query(why) => {
            let line = line - 1 + line_of(text, postgres::offset(error, text));
            QueryError::Query(format!("line {line}: {why}"))
        }
        server @ QueryError::Server(_) => server,
    }
}

/// The server writes each row as one text, whatever its types: a wider integer is still the same number.
fn as_texts(text: &str) -> String {
    format!("SELECT (q.*)::text FROM (\n{text}\n) AS q")
}

async fn to_postgres(url: &str) -> Result<Result<PgConnection, sqlx::Error>, QueryError> {
    let server = url::Server::parse(url).map_err(QueryError::Server)?;
    let options = server
        .options()
        // A statement whose asker is gone must not go on while others are measured.
        .options([("default_transaction_read_only", "on"), ("client_connection_check_interval", "200")])
        .disable_statement_logging();
    Ok(postgres::connect(&options, CONNECT_LIMIT).await)
}

async fn to_sqlite(url: &str, abandoned: &Arc<AtomicBool>) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(sqlite_file(url)).read_only(true).busy_timeout(CONNECT_LIMIT);
    let mut connection = SqliteConnection::connect_with(&options.disable_statement_logging()).await?;
    let abandoned = Arc::clone(abandoned);
    connection.lock_handle().await?.set_progress_handler(STEPS, move || !abandoned.load(Ordering::Relaxed));
    Ok(connection)
}

async fn prepare(open: &mut Open, statement: &Statement, text: SqlStr, kinds: &[Kind]) -> Result<(), QueryError> {
    let wrong = |error: sqlx::Error| placed(&error, statement.line, &statement.text);
    let wanted = match open {
        Open::Postgres(connection) => {
            let types: Vec<_> = kinds.iter().map(|kind| postgres_type(*kind)).collect();
            let prepared = connection.prepare_with(text, &types).await.map_err(wrong)?;
            let parameters = sqlx::Statement::parameters(&prepared);
            parameters.map_or(0, |found| found.either(<[PgTypeInfo]>::len, |count| count))
        }
        Open::Sqlite(connection) => {
            connection.prepare(text).await.map_err(wrong)?;
            let at = |why: String| QueryError::Query(format!("line {}: {why}", statement.line));
            statement.wanted_by_sqlite().map_err(at)?
        }
    };
    if wanted > kinds.len() {
        let given = kinds.len();
        let why = format!("the statement takes {wanted} parameters, and `params` gives {given}");
        return Err(QueryError::Query(format!("line {}: {why}", statement.line)));
    }
    Ok(())
}

fn postgres_type(kind: Kind) -> PgTypeInfo {
    match kind {
        Kind::Int => <i64 as Type<Postgres>>::type_info(),
        Kind::Float => <f64 as Type<Postgres>>::type_info(),
        Kind::Text => <String as Type<Postgres>>::type_info(),
        Kind::Bool => <bool as Type<Postgres>>::type_info(),
    }
}

/// A row of either engine.
enum Found<'a> {
    Postgres(&'a PgRow),
    Sqlite(&'a SqliteRow),
}

impl Found<'_> {
    /// The row as bytes that are equal where its values are.
    fn bytes(&self) -> Result<Vec<u8>, sqlx::Error> {
        match self {
            Self::Postgres(row) => Ok(row.try_get::<Option<String>, _>(0)?.unwrap_or_default().into_bytes()),
            Self::Sqlite(row) => {
                let mut bytes = Vec::new();
                for at in 0..row.len() {
                    let raw = row.try_get_raw(at)?;
                    let kind = raw.type_info().name().to_owned();
                    let value = if raw.is_null() { None } else { Some(sqlite_bytes(row, at, &kind)?) };
                    bytes.extend_from_slice(value.as_ref().map_or("NULL", |_| &kind).as_bytes());
                    let value = value.unwrap_or_default();
                    bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
                    bytes.extend_from_slice(&value);
                }
                Ok(bytes)
            }
        }
    }
}

fn sqlite_bytes(row: &SqliteRow, at: usize, kind: &str) -> Result<Vec<u8>, sqlx::Error> {
    match kind {
        "INTEGER" => Ok(row.try_get_unchecked::<i64, _>(at)?.to_le_bytes().to_vec()),
        "REAL" => Ok(row.try_get_unchecked::<f64, _>(at)?.to_le_bytes().to_vec()),
        _ => row.try_get_unchecked::<Vec<u8>, _>(at),
    }
}

async fn each_row(
    open: &mut Open,
    text: SqlStr,
    values: &[Value],
    take: &mut (impl FnMut(Found<'_>) -> Result<(), sqlx::Error> + Send),
) -> Result<(), sqlx::Error> {
    match open {
        Open::Postgres(connection) => {
            let mut arguments = PgArguments::default();
            bind::<Postgres>(&mut arguments, values)?;
            let mut rows = sqlx::query_with::<Postgres, _>(text, arguments).fetch(connection);
            while let Some(row) = rows.try_next().await? {
                take(Found::Postgres(&row))?;
            }
        }
        Open::Sqlite(connection) => {
            let mut arguments = SqliteArguments::default();
            bind::<Sqlite>(&mut arguments, values)?;
            let mut rows = sqlx::query_with::<Sqlite, _>(text, arguments).fetch(connection);
            while let Some(row) = rows.try_next().await? {
                take(Found::Sqlite(&row))?;
            }
        }
    }
    Ok(())
}

fn bind<D: sqlx::Database>(arguments: &mut impl Arguments<Database = D>, values: &[Value]) -> Result<(), sqlx::Error>
where
    for<'q> i64: sqlx::Encode<'q, D> + Type<D>,
    for<'q> f64: sqlx::Encode<'q, D> + Type<D>,
    for<'q> bool: sqlx::Encode<'q, D> + Type<D>,
    for<'q> String: sqlx::Encode<'q, D> + Type<D>,
{
    for value in values {
        let added = match value {
            Value::Int(value) => arguments.add(*value),
            Value::Float(value) => arguments.add(*value),
            Value::Bool(value) => arguments.add(*value),
            Value::Text(value) => arguments.add(value.clone()),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_statement() {
        let read = |text: &[u8]| Statement::read(text);
        let one = read(b"-- by id\n\nSELECT 1\n  FROM t;\n-- end\n").unwrap();
        assert_eq!(one, Statement { line: 3, text: "SELECT 1\n  FROM t".to_owned() });
        for (text, expected) in [
            (&b"SELECT 1;\nSELECT 2"[..], "there are 2 statements in it, the second on line 2; one file holds one"),
            (b"", "there is no statement in it"),
            (b"-- nothing\n", "there is no statement in it"),
            (b"SELECT '\xff'", "the text is not UTF-8"),
            (b"SELECT 'a", "line 1: a text or name in ' is never closed"),
            (b"COPY a FROM stdin;\n1\n\\.\n", "line 1: COPY"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn parameters_of_sqlite_are_counted_by_their_place_or_their_number() {
        let wanted = |text: &str| Statement { line: 1, text: text.to_owned() }.wanted_by_sqlite();
        for (text, expected) in [("SELECT 1", 0), ("SELECT ?, ?", 2), ("SELECT ?2, ?1, ?2", 2), ("SELECT $3", 3)] {
            assert_eq!(wanted(text), Ok(expected), "{text}");
        }
        for text in ["SELECT $0", "SELECT ?, ?2", "SELECT :id", "SELECT $id", "SELECT @a"] {
            assert!(wanted(text).unwrap_err().contains("write them all as `?`"), "{text}");
        }
    }
}
