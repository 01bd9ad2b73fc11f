//! Writes a run's records, and refuses those that would hold a full disk against somebody.

use std::sync::Arc;
use std::time::Duration;

use crate::adapters::journal::{Appended, Entry, Journal, JournalError};
use crate::engine::clock::Clock;
use crate::engine::room::Room;
use crate::engine::state::Record;
use crate::error::{Error, ExitCode};

/// Writes a run's records.
#[derive(Clone)]
pub struct Log {
    journal: Arc<dyn Journal>,
    run: String,
    clock: Clock,
    room: Option<Arc<Room>>,
}

impl From<JournalError> for Error {
    fn from(error: JournalError) -> Self {
        let kind = match error {
            JournalError::Locked(_) => ExitCode::Refused,
            JournalError::Failed { .. } => ExitCode::Machine,
        };
        Self::new(kind, error.to_string())
    }
}

impl Log {
    /// A log for one run.
    pub fn new(journal: Arc<dyn Journal>, run: &str, clock: Clock) -> Self {
        Self { journal, run: run.to_owned(), clock, room: None }
    }

    /// One that holds nothing against anybody that may have failed for want of room.
    #[must_use]
    pub(super) fn with_room(self, room: Arc<Room>) -> Self {
        Self { room: Some(room), ..self }
    }

    /// Time that the run used, over all its sessions.
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// All that the run's journal holds.
    pub(super) async fn entries(&self) -> Result<Vec<Entry>, Error> {
        Ok(self.journal.entries(&self.run).await?)
    }

    /// Writes a record; it is durable when this returns.
    pub async fn write(&self, record: &Record) -> Result<(), Error> {
        self.post(record)?.await?;
        Ok(())
    }

    /// Takes a record down in its place; durable it is when what is returned has resolved. Where
    /// nobody waits and it is lost, all later records fail.
    pub fn post(&self, record: &Record) -> Result<Appended, Error> {
        let mut data = serde_json::to_value(record)
            .map_err(|error| Error::machine("a record could not be written to the journal").because(error))?;
        if let Some(room) = &self.room {
            room.check(record, || data.to_string())?;
        }
        let kind = match data.as_object_mut().and_then(|map| map.remove("record")) {
            Some(serde_json::Value::String(kind)) => kind,
            _ => String::new(),
        };
        tracing::info!(record = %kind, "written");
        tracing::trace!(%data);
        Ok(self.journal.append(&self.run, self.elapsed(), &kind, data))
    }
}
