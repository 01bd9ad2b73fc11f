//! Room on the disks of a run: what fails while there is none is the machine's doing, and nobody's verdict.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::adapters::agent::AgentEnd;
use crate::adapters::process::{Environment, Left};
use crate::adapters::workspace::Workspace;
use crate::domain::trial::Outcome;
use crate::engine::state::Record;
use crate::error::{Error, ExitCode, is_full};

/// How often it is looked at while a run goes on: programs take away what they could not finish.
const PAUSE: Duration = Duration::from_millis(250);

/// Where programs write that their leases do not have to themselves.
const COMMON: &[&str] = &["/tmp", "/var/tmp", "/dev/shm"];
/// Variables that name such places.
const HOMES: &[&str] = &["HOME", "XDG_CACHE_HOME"];

/// Where a run writes, and whether there was ever no room.
pub struct Room {
    workspace: Arc<dyn Workspace>,
    /// What nobody can do without: leases, and the repository.
    needed: Vec<PathBuf>,
    /// What counts only where somebody says that there was no room.
    others: Vec<PathBuf>,
    seen: Mutex<Option<String>>,
}

/// Looks until it is dropped.
pub struct Watching(tokio::task::JoinHandle<()>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Room {
    /// Of a run whose leases and repository are at these places, and whose programs have this environment.
    pub fn new(workspace: Arc<dyn Workspace>, needed: Vec<PathBuf>, env: &Environment) -> Self {
        let homes = HOMES.iter().filter_map(|name| env.get(*name)).map(PathBuf::from);
        let others = homes.chain(COMMON.iter().map(PathBuf::from)).collect();
        Self { workspace, needed, others, seen: Mutex::default() }
    }

    /// Looks again and again from here on.
    pub fn watch(self: &Arc<Self>) -> Watching {
        let room = Arc::clone(self);
        Watching(tokio::spawn(async move {
            loop {
                room.look();
                tokio::time::sleep(PAUSE).await;
            }
        }))
    }

    /// What there was no room on, now or ever since the watch began.
    fn look(&self) -> Option<String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_none() {
            *seen = self.needed.iter().find_map(|place| self.workspace.full(place, Left::Nothing));
        }
        seen.clone()
    }

    /// What there was no room on when something failed with these words.
    fn full(&self, said: &str) -> Option<String> {
        let all = || self.needed.iter().chain(&self.others);
        let told = || is_full(said).then(|| all().find_map(|place| self.workspace.full(place, Left::Little))).flatten();
        let full = self.look().or_else(told)?;
        Some(format!("{full}, so that nothing that failed meanwhile counts"))
    }

    /// Refuses to hold against anybody what may have failed for want of room.
    pub fn check(&self, record: &Record, text: impl FnOnce() -> String) -> Result<(), Error> {
        if !is_a_failure(record) {
            return Ok(());
        }
        self.full(&text()).map_or(Ok(()), |full| Err(Error::machine(full)))
    }

    /// What an error comes from, where there was no room.
    pub(super) fn explains(&self, error: Error) -> Error {
        let may_be = matches!(error.kind, ExitCode::Machine | ExitCode::LandingBlocked);
        match self.full(&error.message).filter(|_| may_be && !is_full(&error.message)) {
            Some(full) => Error::machine(full).because(error),
            None => error,
        }
    }

    /// Whether there was none when this failed; the error that is told instead.
    pub(super) fn instead_of(&self, error: &Error) -> Option<Error> {
        self.full(&error.message).map(Error::machine)
    }
}

/// Whether a record says that something failed, which may put somebody out.
fn is_a_failure(record: &Record) -> bool {
    match record {
        Record::Ended { outcome, .. } => !matches!(outcome, Outcome::Eligible { .. }),
        Record::Tested { report, .. } => !report.failed().is_empty(),
        Record::Step { report, .. } => matches!(report.end, AgentEnd::Failed { .. } | AgentEnd::Stuck { .. }),
        Record::Verified { cut, .. } => cut.is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
