//! Writes what was taken down, in its order: whatever came while one write was synced goes to disk
//! with the next, so that many who write at the same time wait for few syncs.

use sqlx::QueryBuilder;
use sqlx::sqlite::{Sqlite, SqlitePool};
use tokio::sync::{mpsc, oneshot};

use super::schema::INSERT;

/// As many lines as one statement takes; SQLite allows 32,766 parameters.
const MOST: usize = 500;

/// One record, ready to be stored.
pub struct Line {
    pub run: String,
    pub at: i64,
    pub elapsed_ns: i64,
    pub kind: String,
    pub data: String,
}

type Reply = oneshot::Sender<Result<i64, String>>;

/// The one who writes.
pub struct Writer {
    lines: mpsc::UnboundedSender<(Line, Reply)>,
}

impl Writer {
    /// A writer on this pool's only connection. Ends when it is dropped and all is written.
    pub fn new(pool: SqlitePool) -> Self {
        let (lines, taken) = mpsc::unbounded_channel();
        tokio::spawn(write_all(pool, taken));
        Self { lines }
    }

    /// Puts a line into its place; what is returned resolves once it is on disk.
    pub fn write(&self, line: Line) -> impl Future<Output = Result<i64, String>> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        let sent = self.lines.send((line, reply)).is_ok();
        async move {
            match answer.await {
                Ok(written) if sent => written,
                _ => Err("it is closed".to_owned()),
            }
        }
    }
}

async fn write_all(pool: SqlitePool, mut taken: mpsc::UnboundedReceiver<(Line, Reply)>) {
    let mut lost: Option<String> = None;
    let mut batch = Vec::new();
    while taken.recv_many(&mut batch, MOST).await > 0 {
        let (lines, replies): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let written = match &lost {
            None => write(&pool, &lines).await,
            Some(why) => Err(why.clone()),
        };
        for (at, reply) in (0i64..).zip(replies) {
            let told = reply.send(written.clone().map(|first| first + at));
            // What nobody was told of must not be forgotten either.
            if told.is_err() && lost.is_none() {
                lost = written.as_ref().err().cloned();
            }
        }
    }
}

/// Writes lines in one statement, all or none; the first one's sequence.
async fn write(pool: &SqlitePool, lines: &[Line]) -> Result<i64, String> {
    let mut query = QueryBuilder::<Sqlite>::new(INSERT);
    query.push_values(lines, |mut row, line| {
        row.push_bind(&line.run).push_bind(line.at).push_bind(line.elapsed_ns);
        row.push_bind(&line.kind).push_bind(&line.data);
    });
    let written = query.build().execute(pool).await.map_err(|error| error.to_string())?;
    // One statement takes consecutive numbers.
    let others = i64::try_from(lines.len()).unwrap_or(i64::MAX) - 1;
    Ok(written.last_insert_rowid() - others)
}
