//! SQLite: building a file from scripts.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection};

use super::script::{ScriptError, statements};

/// Makes a new file, to be filled and closed. Its durability does not matter before it is whole.
pub async fn create(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .foreign_keys(false)
        .synchronous(SqliteSynchronous::Off);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    // An empty script would leave a file of no bytes, which some clients refuse.
    sqlx::raw_sql("PRAGMA user_version = 0; VACUUM").execute(&mut connection).await?;
    Ok(connection)
}

/// Runs a script of the user's, a statement at a time.
pub(crate) async fn run_script(connection: &mut SqliteConnection, text: &str) -> Result<(), ScriptError> {
    for statement in statements(text)? {
        let done = sqlx::raw_sql(AssertSqlSafe(statement.text.to_owned())).execute(&mut *connection).await;
        done.map_err(|why| ScriptError { line: statement.line, why: said(&why) })?;
    }
    Ok(())
}

/// Brings everything into the one file and closes it, so that a copy of it is whole.
pub async fn close(mut connection: SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
    connection.close().await
}

fn said(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(inner) => inner.message().to_owned(),
        None => error.to_string(),
    }
}
