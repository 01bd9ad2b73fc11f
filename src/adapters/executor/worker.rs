//! A thread that does one thing after another, in the order in which it is asked.

use std::io;
use std::sync::mpsc;

/// What it is to do.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// The thread; it ends when this is dropped and all is done.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
    purpose: &'static str,
}

impl Worker {
    /// Starts it. `purpose` says what it does, such as `starts programs`. Where what it does first fails, there is none.
    pub(super) fn start(
        name: &str,
        purpose: &'static str,
        first: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, jobs) = mpsc::channel::<Job>();
        let (ready, told) = mpsc::sync_channel(1);
        let run = move || {
            let begun = first();
            let may = begun.is_ok();
            let _ = ready.send(begun);
            if may {
                jobs.into_iter().for_each(|job| job());
            }
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        told.recv().map_err(io::Error::other)??;
        Ok(Self { jobs: sender, purpose })
    }

    /// Gives it something to do; it comes back where the thread is gone.
    pub(super) fn send(&self, job: Job) -> Result<(), Job> {
        self.jobs.send(job).map_err(|refused| refused.0)
    }

    /// Does something on it, and waits for it.
    pub(super) fn ask<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.send(Box::new(move || drop(reply.send(work())))).map_err(|_| self.gone())?;
        answer.recv().map_err(|_| self.gone())
    }

    /// What is told where it is gone.
    pub(super) fn gone(&self) -> io::Error {
        io::Error::other(format!("the thread that {} is gone", self.purpose))
    }
}
