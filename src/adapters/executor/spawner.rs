//! The thread that all programs are started from.

use std::sync::{OnceLock, mpsc};

/// What a thread that starts programs is to do.
pub type Job = Box<dyn FnOnce() + Send>;

/// The kernel sends the parent-death signal when the *thread* that started a child exits, so every
/// program is started from one thread that lives as long as the process.
fn spawner() -> &'static mpsc::Sender<Job> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        let run = move || jobs.into_iter().for_each(|job| job());
        // Without this thread nothing can be started; `start` then reports the closed channel.
        drop(std::thread::Builder::new().name("spawner".to_owned()).spawn(run));
        sender
    })
}

/// Lets that thread do something.
pub fn send(job: Job) -> std::io::Result<()> {
    spawner().send(job).map_err(|_| gone())
}

fn gone() -> std::io::Error {
    std::io::Error::other("the thread that starts programs is gone")
}

/// Does something on that thread, and waits for it.
pub(super) fn on_spawner<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::io::Result<T> {
    let (reply, answer) = mpsc::sync_channel(1);
    let job: Job = Box::new(move || drop(reply.send(work())));
    send(job)?;
    answer.recv().map_err(|_| gone())
}
