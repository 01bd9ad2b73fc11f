//! The threads that load a target: apart from all other work of this program, and at the highest priority that
//! the machine allows.
//!
//! Whoever sends late measures itself. On a machine that is busy with other work a thread that wakes waits its
//! turn, unless it goes first; the generator does little, so that going first costs the others little. It is
//! the same for every contender.

use std::future::Future;
use std::num::NonZero;
use std::sync::LazyLock;

use rustix::process::{Resource, getrlimit, setpriority_process};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// The best that a priority can be; lower goes first.
const FIRST: i32 = -20;
/// A limit of the system counts from here: 20 allows 0, and 40 allows -20.
const COUNTED_FROM: i32 = 20;
/// So many threads keep up with any rate that a server on the same machine bears.
const THREADS: usize = 2;

static RUNTIME: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).thread_name("load").enable_all().on_thread_start(go_first);
    builder.build().ok()
});

/// Does this work on the generator's threads. Dropping the future ends it. Where the system gives no threads
/// it is done here.
pub async fn on_generator<F>(work: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let Some(runtime) = &*RUNTIME else { return work.await };
    let mut alone = JoinSet::new();
    alone.spawn_on(work, runtime.handle());
    match alone.join_next().await {
        Some(Ok(done)) => done,
        Some(Err(error)) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only who drops this future ends the task, and then nobody waits here.
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// Gives the calling thread the best priority that it may have. Where it may have none better, all that it
/// does is done as before: latencies then show what lateness does to them.
fn go_first() {
    let allowed = getrlimit(Resource::Nice).current.and_then(|limit| i32::try_from(limit).ok());
    let best = allowed.map_or(0, |limit| COUNTED_FROM - limit).max(FIRST);
    for priority in [FIRST, best] {
        // The number of a process means, on Linux, the calling thread alone.
        if setpriority_process(None, priority).is_ok() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_generator_goes_first_where_it_may_and_nobody_else_does() {
        let here = rustix::process::getpriority_process(None).unwrap();
        let there = on_generator(async { rustix::process::getpriority_process(None).unwrap() }).await;
        let may = rustix::process::geteuid().is_root();
        assert!(if may { there == FIRST } else { there <= here }, "{there}");
        assert_eq!(rustix::process::getpriority_process(None).unwrap(), here);
    }

    #[tokio::test]
    async fn who_waits_no_longer_ends_the_work() {
        let (sent, mut got) = tokio::sync::oneshot::channel::<()>();
        let work = on_generator(async move {
            std::future::pending::<()>().await;
            drop(sent);
        });
        drop(tokio::time::timeout(std::time::Duration::from_millis(20), work).await);
        let ended = tokio::time::timeout(std::time::Duration::from_secs(20), &mut got).await;
        assert!(ended.unwrap().is_err(), "what it held is gone");
    }
}
