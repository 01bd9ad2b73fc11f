//! The closed loop: the same number of requests in flight all the time.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::generator::on_generator;
use super::tally::Tally;
use super::{BURST, CLOSED, Failure, Target};

/// Fewer answers make no rate.
const LEAST: u64 = 30;

/// How long a closed loop runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Requests in flight.
    pub in_flight: NonZeroU32,
    /// The window is at least this long …
    pub duration: Duration,
    /// … unless this many were answered before.
    pub requests: Option<NonZeroU32>,
    /// Whether the loop goes on when a request fails.
    pub tolerant: bool,
}

/// What was seen while the loop was steady.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steady {
    /// Clean answers.
    pub clean: u64,
    /// In this time.
    pub elapsed: Duration,
}

impl Steady {
    /// Clean answers a second.
    pub fn rate(self) -> f64 {
        self.clean as f64 / self.elapsed.as_secs_f64()
    }
}

/// Runs until the window closes, and reads what is then still in flight. `None` where it never
/// closed because a request failed.
pub async fn closed_loop<T: Target>(target: &Arc<T>, pace: Pace) -> (Tally, Option<Steady>) {
    let target = Arc::clone(target);
    on_generator(async move {
        let mut window = Window::new(pace);
        let tally = keep(&target, pace.in_flight.get(), CLOSED, |done| window.goes_on(done)).await;
        (tally, window.steady)
    })
    .await
}

/// Asks `total` times with never more than `in_flight` open, whatever comes back.
pub async fn burst<T: Target>(target: &Arc<T>, in_flight: NonZeroU32, total: u64) -> Tally {
    let target = Arc::clone(target);
    on_generator(async move {
        let first = u64::from(in_flight.get()).min(total);
        let mut left = total - first;
        let more = |_: &Done| {
            let more = left > 0;
            left = left.saturating_sub(1);
            more
        };
        keep(&target, u32::try_from(first).unwrap_or(u32::MAX), BURST, more).await
    })
    .await
}

/// One answer, as the loop sees it.
struct Done {
    at: Instant,
    /// The first on its place among those in flight: it may have had to connect.
    first: bool,
    clean: bool,
}

/// Keeps requests in flight: for each that is answered another is sent, until `more` says no. Questions are counted on
/// from the first.
async fn keep<T: Target>(
    target: &Arc<T>,
    in_flight: u32,
    mut question: u64,
    mut more: impl FnMut(&Done) -> bool + Send,
) -> Tally {
    let mut tally = Tally::default();
    let mut tasks = JoinSet::new();
    let mut send = |tasks: &mut JoinSet<_>, first| {
        let (target, asked) = (Arc::clone(target), question);
        question += 1;
        tasks.spawn(async move {
            let sent = Instant::now();
            let answer: Result<(), Failure> = target.ask(asked).await;
            let at = Instant::now();
            // The connection goes back to its pool just after the answer's end. A request sent
            // before that would open another one.
            tokio::task::yield_now().await;
            (first, sent, at, answer)
        });
    };
    for _ in 0..in_flight {
        send(&mut tasks, true);
    }
    let mut open = true;
    while let Some(joined) = tasks.join_next().await {
        // Only a panic or an abort could be here, and neither occurs in the task above.
        let Ok((first, sent, at, answer)) = joined else { continue };
        let clean = answer.is_ok();
        tally.take(answer, at - sent);
        open = open && more(&Done { at, first, clean });
        if open {
            send(&mut tasks, false);
        }
    }
    tally
}

/// The steady part of a closed loop: it opens when every place has had its first answer and
/// closes after whole rounds, of one answer a place each. Answers that come in waves, one from
/// every place at about the same time, are then counted by whole waves; a window cut by the clock
/// would be off by up to one of them.
struct Window {
    pace: Pace,
    cold: u32,
    opened: Option<Instant>,
    answered: u64,
    clean: u64,
    steady: Option<Steady>,
}

impl Window {
    fn new(pace: Pace) -> Self {
        Self { pace, cold: pace.in_flight.get(), opened: None, answered: 0, clean: 0, steady: None }
    }

    /// Counts an answer; whether another request is to be sent.
    fn goes_on(&mut self, done: &Done) -> bool {
        if !done.clean && !self.pace.tolerant {
            return false;
        }
        let Some(opened) = self.opened else {
            self.cold -= u32::from(done.first);
            self.opened = (self.cold == 0).then_some(done.at);
            return true;
        };
        self.answered += 1;
        self.clean += u64::from(done.clean);
        let elapsed = done.at.saturating_duration_since(opened);
        let requests = self.pace.requests.map_or(u64::MAX, |n| u64::from(n.get()));
        let enough = self.answered >= LEAST && (elapsed >= self.pace.duration || self.answered >= requests);
        if enough && self.answered.is_multiple_of(u64::from(self.pace.in_flight.get())) && !elapsed.is_zero() {
            self.steady = Some(Steady { clean: self.clean, elapsed });
        }
        self.steady.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(in_flight: u32, requests: Option<u32>) -> Pace {
        let in_flight = NonZeroU32::new(in_flight).unwrap();
        Pace {
            in_flight,
            duration: Duration::from_millis(400),
            requests: requests.and_then(NonZeroU32::new),
            tolerant: false,
        }
    }

    /// Feeds answers at these milliseconds; the first of each place come first.
    fn run(pace: Pace, at: impl Iterator<Item = u64>) -> Option<Steady> {
        let start = Instant::now();
        let mut window = Window::new(pace);
        for (index, ms) in at.take(10_000).enumerate() {
            let first = index < pace.in_flight.get() as usize;
            if !window.goes_on(&Done { at: start + Duration::from_millis(ms), first, clean: true }) {
                break;
            }
        }
        window.steady
    }

    #[test]
    fn answers_in_waves_give_the_same_rate_as_answers_in_a_row() {
        // 10 in flight: one every 10 ms, or ten every 100 ms.
        let row = run(pace(10, None), (1..).map(|i| i * 10)).unwrap();
        let waves = run(pace(10, None), (0..).map(|i| (i / 10 + 1) * 100)).unwrap();
        assert!((row.rate() - 100.0).abs() < 1e-6, "{row:?}");
        assert!((waves.rate() - 100.0).abs() < 1e-6, "{waves:?}");
    }

    #[test]
    fn the_window_is_lengthened_until_a_slow_server_gave_enough_answers() {
        let slow = run(pace(2, None), (1..).map(|i| i * 800)).unwrap();
        assert_eq!((slow.clean, slow.elapsed), (30, Duration::from_secs(24)));
    }

    #[test]
    fn a_number_of_requests_ends_the_window_before_its_time() {
        let few = run(pace(4, Some(40)), 1..).unwrap();
        assert_eq!((few.clean, few.elapsed), (40, Duration::from_millis(40)));
    }

    #[test]
    fn a_failure_ends_the_loop_without_a_rate_unless_it_is_tolerated() {
        let at = Instant::now();
        let mut strict = Window::new(pace(1, None));
        assert!(!strict.goes_on(&Done { at, first: true, clean: false }));
        assert_eq!(strict.steady, None);
        let mut tolerant = Window::new(Pace { tolerant: true, ..pace(1, None) });
        assert!(tolerant.goes_on(&Done { at, first: true, clean: false }));
    }
}
