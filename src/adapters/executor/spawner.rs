//! The thread that all programs are started from.

use std::sync::OnceLock;

use super::worker::{Job, Worker};

/// The kernel sends the parent-death signal when the *thread* that started a child exits, so every
/// program is started from one thread that lives as long as the process.
fn spawner() -> std::io::Result<&'static Worker> {
    static SPAWNER: OnceLock<Option<Worker>> = OnceLock::new();
    let started = SPAWNER.get_or_init(|| Worker::start("spawner", "starts programs", || Ok(())).ok());
    started.as_ref().ok_or_else(|| std::io::Error::other("the thread that starts programs could not be started"))
}

/// Lets that thread do something.
pub fn send(job: Job) -> std::io::Result<()> {
    let spawner = spawner()?;
    spawner.send(job).map_err(|_| spawner.gone())
}

/// Does something on that thread, and waits for it.
pub(super) fn on_spawner<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::io::Result<T> {
    spawner()?.ask(work)
}
