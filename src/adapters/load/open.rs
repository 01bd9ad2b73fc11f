//! The open loop: requests start on schedule whatever became of earlier ones.
//!
//! A latency runs from the intended start. A server that stalls is asked on nevertheless, and every
//! request that was due meanwhile shows the stall; a loop that waited for the answer would leave
//! those out (Tene, *How NOT to Measure Latency*: coordinated omission).
//!
//! A request that this machine sends late shows that too, although it is nothing that the target did. So each
//! latency is known twice, from the intended start and from the moment of sending: what lateness did to a statistic
//! is the difference of the two.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Target;
use super::generator::on_generator;
use super::tally::Tally;

/// Between deciding on the start and the first request.
const LEAD: Duration = Duration::from_millis(2);

/// What an open loop saw.
pub struct Opened {
    /// Latencies from the intended starts: what is reported.
    pub due: Tally,
    /// Latencies of the same requests from when they were sent.
    pub sent: Tally,
    /// How long the schedule was, over how long sending took; 1 where every request was sent on time, and a
    /// half where the generator could send half as fast as it was asked to.
    pub kept: f64,
}

/// Starts a request at each of these times and waits for every answer. Dropping the future ends
/// all that is under way.
pub async fn open_loop<T: Target>(target: &Arc<T>, schedule: Vec<Duration>) -> Opened {
    let target = Arc::clone(target);
    on_generator(send(target, schedule)).await
}

async fn send<T: Target>(target: Arc<T>, schedule: Vec<Duration>) -> Opened {
    let length = schedule.last().copied().unwrap_or_default();
    let (mut due, mut tasks) = (ring(schedule), JoinSet::new());
    let mut question = 0;
    while let Some(due) = due.recv().await {
        let target = Arc::clone(&target);
        let asked = question;
        question += 1;
        tasks.spawn(async move {
            let sent = Instant::now();
            let answer = target.ask(asked).await;
            (sent.saturating_duration_since(due), due.elapsed(), due, answer)
        });
    }
    let mut opened = Opened { due: Tally::default(), sent: Tally::default(), kept: 1.0 };
    let mut last: Option<(Instant, Duration)> = None;
    while let Some(joined) = tasks.join_next().await {
        // Only a panic or an abort could be here, and neither occurs in the task above.
        let Ok((lag, latency, due, answer)) = joined else { continue };
        last = last.max(Some((due, lag)));
        opened.sent.take(answer.clone(), latency.saturating_sub(lag));
        opened.due.take(answer, latency);
    }
    if let Some((_, behind)) = last.filter(|_| !length.is_zero()) {
        opened.kept = length.as_secs_f64() / (length + behind).as_secs_f64();
    }
    opened
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
