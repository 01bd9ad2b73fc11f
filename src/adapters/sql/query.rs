//! What queries of a contender's database have in common: why one has no answer, and where SQLite's
//! file is.

use std::path::PathBuf;
use std::time::Duration;

use super::postgres;

/// How long a connection may take.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// Steps of SQLite's machine between two looks at whether it is to go on.
pub(super) const STEPS: i32 = 10_000;

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueryError {
    /// The server can't be reached or gave up; says nothing about the database's content.
    #[error("{0}")]
    Server(String),
    /// The query failed or its answer is not what it has to be.
    #[error("{0}")]
    Query(String),
}

/// Classes of PostgreSQL's errors that are the server's: connections, resources, shutdowns, its own faults.
const SERVER_CLASSES: &[&str] = &["08", "28", "53", "58", "XX"];

/// SQLite's primary codes that are the machine's: no memory, disk errors, a full disk, no file.
const SQLITE_CODES: &[u32] = &[7, 10, 13, 14];

impl QueryError {
    /// Tells the server's faults from the query's.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        let Some(inner) = error.as_database_error() else { return Self::Server(error.to_string()) };
        let code = inner.code().unwrap_or_default();
        let servers = match code.parse::<u32>() {
            Ok(number) if code.len() < 5 => SQLITE_CODES.contains(&(number & 0xff)),
            _ => code.starts_with("57P") || code.get(..2).is_some_and(|class| SERVER_CLASSES.contains(&class)),
        };
        let said = postgres::said(error);
        if servers { Self::Server(said) } else { Self::Query(said) }
    }
}

/// The file of `sqlite:////absolute/path`.
pub(super) fn sqlite_file(url: &str) -> PathBuf {
    let path = url.split_once(':').map_or(url, |(_, rest)| rest);
    let path = path.trim_start_matches('/');
    PathBuf::from(format!("/{}", path.split('?').next().unwrap_or_default()))
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
