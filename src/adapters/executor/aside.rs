//! Work that may block and that nobody waits for, on a thread of its own: what is let go of on the way, such as a program that was
//! killed and has to be waited for.

use std::sync::OnceLock;

use super::worker::{Job, Worker};

/// Does this some time soon, after what was asked for before; here, where the system gives no thread.
pub fn aside(job: impl FnOnce() + Send + 'static) {
    static ASIDE: OnceLock<Option<Worker>> = OnceLock::new();
    let worker = ASIDE.get_or_init(|| Worker::start("aside", "waits for what was let go of", || Ok(())).ok());
    let job: Job = Box::new(job);
    let refused = match worker {
        Some(worker) => worker.send(job).err(),
        None => Some(job),
    };
    if let Some(job) = refused {
        job();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn who_lets_go_of_something_does_not_wait_for_it() {
        let (done, told) = mpsc::channel();
        let began = Instant::now();
        aside(move || {
            std::thread::sleep(Duration::from_millis(300));
            done.send(()).unwrap_or_default();
        });
        assert!(began.elapsed() < Duration::from_millis(300));
        told.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}
