//! The open loop: requests start on schedule whatever became of earlier ones.
//!
//! A latency runs from the intended start. A server that stalls is asked on nevertheless, and every
//! request that was due meanwhile shows the stall; a loop that waited for the answer would leave
//! those out (Tene, *How NOT to Measure Latency*: coordinated omission).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Target;
use super::tally::Tally;

/// A start later than this is late. A latency contains its own request's lag, so this is far
/// below what the loop is meant to tell apart, and far above what a woken thread needs.
const LAG_LIMIT: Duration = Duration::from_millis(20);
/// One start in this many may be late; fixed beforehand and blind to the answers.
const LATE_SHARE: u64 = 50;
/// Between deciding on the start and the first request.
const LEAD: Duration = Duration::from_millis(2);

/// The generator itself fell behind its schedule; the answers say nothing about the target.
#[derive(Debug, thiserror::Error)]
#[error(
    "the load generator fell behind its schedule: {late} of {all} requests started more than {} ms late (worst {} ms)",
    LAG_LIMIT.as_millis(), worst.as_millis()
)]
pub struct Lagged {
    late: u64,
    all: u64,
    worst: Duration,
}

/// Starts a request at each of these times and waits for every answer. Dropping the future ends
/// all that is under way.
pub async fn open_loop<T: Target>(target: &Arc<T>, schedule: Vec<Duration>) -> Result<Tally, Lagged> {
    let all = schedule.len() as u64;
    let (mut due, mut tasks) = (ring(schedule), JoinSet::new());
    while let Some(due) = due.recv().await {
        let target = Arc::clone(target);
        tasks.spawn(async move {
            let lag = due.elapsed();
            let answer = target.ask().await;
            (lag, due.elapsed(), answer)
        });
    }
    let (mut tally, mut late, mut worst) = (Tally::default(), 0, Duration::ZERO);
    while let Some(joined) = tasks.join_next().await {
        // Only a panic or an abort could be here, and neither occurs in the task above.
        let Ok((lag, latency, answer)) = joined else { continue };
        late += u64::from(lag > LAG_LIMIT);
        worst = worst.max(lag);
        tally.take(answer, latency);
    }
    if late > all / LATE_SHARE { Err(Lagged { late, all, worst }) } else { Ok(tally) }
}

/// Tells each start when it is due. A thread of its own sleeps to within a tenth of a
/// millisecond, where the runtime's timer rounds up to whole ones.
fn ring(schedule: Vec<Duration>) -> mpsc::UnboundedReceiver<Instant> {
    let (bell, rings) = mpsc::unbounded_channel();
    let start = Instant::now() + LEAD;
    tokio::task::spawn_blocking(move || {
        for offset in schedule {
            let due = start + offset;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if bell.send(due).is_err() {
                return;
            }
        }
    });
    rings
}
