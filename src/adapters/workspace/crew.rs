//! Several threads at one heap of work that grows while it is done: folders with many files.

use std::io;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// Threads at most: disks take several requests at a time, and more than these gain nothing.
const MOST: usize = 8;

/// What is still to be done.
pub struct Queue<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
}

struct State<J> {
    jobs: Vec<J>,
    /// Threads that are at work, and may add to it.
    busy: usize,
    failed: bool,
}

impl<J> Queue<J> {
    /// One more thing to do.
    pub fn add(&self, job: J) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).jobs.push(job);
        self.changed.notify_one();
    }

    /// The next job; `None` where all is done, or something failed.
    fn next(&self) -> Option<J> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.failed {
                return None;
            }
            if let Some(job) = state.jobs.pop() {
                state.busy += 1;
                return Some(job);
            }
            if state.busy == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, failed: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.busy -= 1;
        state.failed |= failed;
        drop(state);
        self.changed.notify_all();
    }
}

/// Does all of it and returns what came of each job, in no order; the first error ends it.
pub fn work<J: Send, T: Send>(jobs: Vec<J>, each: impl Fn(J, &Queue<J>) -> io::Result<T> + Sync) -> io::Result<Vec<T>> {
    let queue = Queue { state: Mutex::new(State { jobs, busy: 0, failed: false }), changed: Condvar::new() };
    let one = || -> io::Result<Vec<T>> {
        let mut came = Vec::new();
        while let Some(job) = queue.next() {
            let done = each(job, &queue);
            queue.done(done.is_err());
            came.push(done?);
        }
        Ok(came)
    };
    let threads = thread::available_parallelism().map_or(1, |n| 2 * n.get()).min(MOST);
    thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let mut all = Vec::new();
        let mut failure = None;
        for thread in started {
            match thread.join() {
                Ok(Ok(came)) => all.extend(came),
                Ok(Err(error)) => failure = failure.or(Some(error)),
                Err(_) => failure = failure.or_else(|| Some(io::Error::other("a thread that copies broke down"))),
            }
        }
        failure.map_or(Ok(all), Err)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_makes_more_work_is_all_done_and_an_error_ends_it() {
        let done = work(vec![5_u32], |n, queue| {
            (0..n).for_each(|below| queue.add(below));
            Ok(n)
        });
        // Every n is met once for each of the 2^(5 - n - 1) ways to come down to it.
        assert_eq!(done.unwrap().len(), 32);
        let failed = work(vec![3_u32], |n, queue| {
            (0..n).for_each(|below| queue.add(below));
            if n == 0 { Err(io::Error::other("zero")) } else { Ok(()) }
        });
        assert_eq!(failed.unwrap_err().to_string(), "zero");
    }
}
