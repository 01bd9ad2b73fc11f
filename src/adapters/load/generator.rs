//! The threads that load a target: apart from all other work of this program, and at the highest priority that
//! the machine allows.
//!
//! Whoever sends late measures itself. On a machine that is busy with other work a thread that wakes waits its
//! turn, unless it goes first; the generator does little, so that going first costs the others little. It is
//! the same for every contender.

use std::future::Future;
use std::num::NonZero;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::adapters::process::priority::go_first;

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
pub(crate) async fn on_generator<F>(work: F) -> F::Output
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::process::priority::measured;
    use crate::domain::measurement::Priority;

    #[tokio::test]
    async fn the_generator_goes_first_where_it_may_and_nobody_else_does() {
        // The nice value and the real-time priority of the calling thread.
        let own = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields: Vec<i128> =
                stat.rsplit(") ").next().unwrap().split(' ').filter_map(|f| f.trim().parse().ok()).collect();
            (fields[15], fields[36])
        };
        let here = own();
        let there = on_generator(async move { own() }).await;
        match measured() {
            Priority::RealTime => assert!(there.1 > here.1, "{there:?}"),
            Priority::Nice(nice) => assert_eq!(there.0, i128::from(nice)),
            Priority::Usual => assert_eq!(there, here),
        }
        assert_eq!(own(), here);
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
