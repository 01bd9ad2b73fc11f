//! The journal on disk: SQLite with a write-ahead log, synced at every commit, in a private folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};

use super::schema::{ENTRIES, RUNS, SCHEMA};
use super::writer::{Line, Writer};
use super::{Appended, Entry, Journal, JournalError, RunLock};

/// The journal of one repository.
pub struct Sqlite {
    folder: PathBuf,
    pool: SqlitePool,
    writer: Writer,
}

struct Held(#[expect(dead_code, reason = "the open file is the lock")] fs::File);

impl RunLock for Held {}

impl Sqlite {
    /// Opens or creates `journal.db` in this folder, which becomes private to the user.
    pub async fn open(folder: &Path) -> Result<Self, JournalError> {
        let path = folder.join("journal.db");
        let failed = |why: String| JournalError::Failed { path: path.clone(), why };
        fs::create_dir_all(folder).map_err(|e| failed(e.to_string()))?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(|e| failed(e.to_string()))?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(30));
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        let pool = pool.map_err(|e| failed(e.to_string()))?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await.map_err(|e| failed(e.to_string()))?;
        let writer = Writer::new(pool.clone());
        Ok(Self { folder: folder.to_owned(), pool, writer })
    }

    fn failed(&self, why: impl ToString) -> JournalError {
        JournalError::Failed { path: self.folder.join("journal.db"), why: why.to_string() }
    }
}

#[async_trait]
impl Journal for Sqlite {
    fn append(&self, run: &str, elapsed: Duration, kind: &str, data: Value) -> Appended {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let written = self.writer.write(Line {
            run: run.to_owned(),
            at: i64::try_from(at).unwrap_or(i64::MAX),
            elapsed_ns: i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX),
            kind: kind.to_owned(),
            data: data.to_string(),
        });
        let path = self.folder.join("journal.db");
        Box::pin(async move { written.await.map_err(|why| JournalError::Failed { path, why }) })
    }

    async fn entries(&self, run: &str) -> Result<Vec<Entry>, JournalError> {
        let rows = sqlx::query(ENTRIES).bind(run).fetch_all(&self.pool).await;
        let rows = rows.map_err(|e| self.failed(e))?;
        rows.iter().map(|row| entry(row).map_err(|why| self.failed(why))).collect()
    }

    async fn runs(&self) -> Result<Vec<String>, JournalError> {
        let rows = sqlx::query(RUNS).fetch_all(&self.pool).await;
        Ok(rows.map_err(|e| self.failed(e))?.iter().map(|row| row.get::<String, _>(0)).collect())
    }

    async fn lock(&self, run: &str) -> Result<Box<dyn RunLock>, JournalError> {
        let folder = self.folder.join("locks");
        fs::create_dir_all(&folder).map_err(|e| self.failed(e))?;
        let file = fs::File::create(folder.join(run)).map_err(|e| self.failed(e))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(Held(file))),
            Err(fs::TryLockError::WouldBlock) => Err(JournalError::Locked(run.to_owned())),
            Err(fs::TryLockError::Error(error)) => Err(self.failed(error)),
        }
    }
}

fn entry(row: &SqliteRow) -> Result<Entry, String> {
    let data: String = row.get("data");
    Ok(Entry {
        sequence: row.get("sequence"),
        run: row.get("run"),
        at: row.get("at"),
        elapsed: Duration::from_nanos(u64::try_from(row.get::<i64, _>("elapsed_ns")).unwrap_or(0)),
        kind: row.get("kind"),
        data: serde_json::from_str(&data).map_err(|e| format!("record {}: {e}", row.get::<i64, _>("sequence")))?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Memory;
    use super::*;

    /// What the engine relies on, for the real journal and its fake.
    async fn conforms(journal: &dyn Journal) {
        let second = Duration::from_millis(1500);
        journal.append("r1", Duration::ZERO, "started", serde_json::json!({"a": 1})).await.unwrap();
        journal.append("r2", Duration::ZERO, "started", Value::Null).await.unwrap();
        journal.append("r1", second, "block", serde_json::json!([1.5, "é"])).await.unwrap();
        let entries = journal.entries("r1").await.unwrap();
        assert_eq!(entries.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>(), ["started", "block"]);
        assert_eq!(entries[1].elapsed, second);
        assert_eq!(entries[1].data, serde_json::json!([1.5, "é"]));
        assert_eq!(journal.runs().await.unwrap(), ["r1", "r2"]);
        let held = journal.lock("r1").await.unwrap();
        assert!(matches!(journal.lock("r1").await, Err(JournalError::Locked(_))));
        assert!(journal.lock("r2").await.is_ok());
        drop(held);
        assert!(journal.lock("r1").await.is_ok());
    }

    #[tokio::test]
    async fn the_journal_and_its_fake_behave_alike() {
        let folder = tempfile::tempdir().unwrap();
        conforms(&Sqlite::open(&folder.path().join("blueprint")).await.unwrap()).await;
        conforms(&Memory::default()).await;
    }

    #[tokio::test]
    async fn a_journal_is_private_and_survives_being_reopened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blueprint");
        Sqlite::open(&path).await.unwrap().append("r", Duration::ZERO, "k", Value::Null).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(Sqlite::open(&path).await.unwrap().entries("r").await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn records_stand_in_the_order_in_which_they_were_taken_down_whoever_waits_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Sqlite::open(folder.path()).await.unwrap();
        let mut waited = Vec::new();
        for at in 0..1000 {
            let appended = journal.append("r", Duration::ZERO, "k", serde_json::json!(at));
            if at % 3 == 0 {
                waited.push((at, appended));
            }
        }
        let mut last = 0;
        for (at, appended) in waited {
            let sequence = appended.await.unwrap();
            assert!(sequence > last, "{at}");
            last = sequence;
        }
        let entries = journal.entries("r").await.unwrap();
        assert_eq!(entries.len(), 1000);
        assert!(entries.iter().enumerate().all(|(at, entry)| entry.data == serde_json::json!(at)));
        assert!(entries.iter().any(|entry| entry.sequence == last));
    }

    #[tokio::test]
    async fn after_a_record_that_nobody_waited_for_was_lost_nothing_is_written_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Sqlite::open(folder.path()).await.unwrap();
        journal.append("r", Duration::ZERO, "k", Value::Null).await.unwrap();
        sqlx::query("ALTER TABLE record RENAME TO elsewhere").execute(&journal.pool).await.unwrap();
        // Somebody who waits is told, and may go on.
        journal.append("r", Duration::ZERO, "k", Value::Null).await.unwrap_err();
        sqlx::query("ALTER TABLE elsewhere RENAME TO record").execute(&journal.pool).await.unwrap();
        journal.append("r", Duration::ZERO, "k", Value::Null).await.unwrap();
        sqlx::query("ALTER TABLE record RENAME TO elsewhere").execute(&journal.pool).await.unwrap();
        drop(journal.append("r", Duration::ZERO, "k", Value::Null));
        journal.append("r", Duration::ZERO, "k", Value::Null).await.unwrap_err();
        sqlx::query("ALTER TABLE elsewhere RENAME TO record").execute(&journal.pool).await.unwrap();
        let error = journal.append("r", Duration::ZERO, "k", Value::Null).await.unwrap_err();
        assert!(error.to_string().contains("no such table"), "{error}");
    }
}
