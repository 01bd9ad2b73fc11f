//! Waiting for a provider: how long after which failure, together with everybody else who waits for
//! the same one, and for how long altogether.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::header::RETRY_AFTER;
use tokio::time::Instant;

/// No single pause is longer: who is told to wait for longer tells the client so.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 60);
/// The first pause where the provider names none.
const FIRST: Duration = Duration::from_millis(500);
/// The longest such pause.
const LAST: Duration = Duration::from_secs(60);
/// Who waited for the same end does not go on at the same instant, but within this part of the pause, at most this long.
const SPREAD: (u32, Duration) = (10, Duration::from_millis(500));

/// One provider's pause, for all trials.
#[derive(Debug, Default)]
pub(super) struct Cooldown {
    until: Mutex<Option<Instant>>,
}

impl Cooldown {
    /// Nobody sends before this has passed.
    pub(super) fn hold(&self, pause: Duration) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = (*until).max(Some(Instant::now() + pause));
    }

    /// How long it still lasts.
    pub(super) fn left(&self) -> Duration {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }
}

/// How long one step has waited for providers; requests that wait at the same time wait once.
#[derive(Debug)]
pub(super) struct Waits {
    most: Option<Duration>,
    state: Mutex<Waited>,
}

#[derive(Debug)]
struct Waited {
    now: usize,
    since: Instant,
    before: Duration,
}

impl Waits {
    /// Nobody has waited yet.
    pub(super) fn new(most: Option<Duration>) -> Self {
        Self { most, state: Mutex::new(Waited { now: 0, since: Instant::now(), before: Duration::ZERO }) }
    }

    /// Whether a request that waited for so long itself may wait for a pause of this length.
    pub(super) fn allows(&self, pause: Duration, itself: Duration) -> bool {
        let fits = match self.most {
            Some(most) => pause <= most.saturating_sub(self.total()),
            None => pause + itself <= LONGEST,
        };
        fits && pause <= LONGEST
    }

    /// What was waited so far.
    fn total(&self) -> Duration {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.before + if state.now == 0 { Duration::ZERO } else { state.since.elapsed() }
    }

    /// Begins a wait, which ends when the result is dropped.
    pub(super) fn begin(&self) -> Waiting<'_> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.now == 0 {
            state.since = Instant::now();
        }
        state.now += 1;
        Waiting(self)
    }
}

/// Somebody waits.
pub(super) struct Waiting<'a>(&'a Waits);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now -= 1;
        if state.now == 0 {
            let waited = state.since.elapsed();
            state.before += waited;
        }
    }
}

/// The pause after this many failures in a row of one request: doubled each time, and half of it by chance.
pub(super) fn backoff(failures: u32) -> Duration {
    let whole = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LAST);
    whole.div_f64(2.0) + whole.div_f64(2.0).mul_f64(chance())
}

/// What is added to a pause so that not everybody goes on at once.
pub(super) fn spread(pause: Duration) -> Duration {
    (pause / SPREAD.0).min(SPREAD.1).mul_f64(chance())
}

/// From 0 to 1.
fn chance() -> f64 {
    // Keyed from the system's randomness, and differently at every construction.
    f64::from(RandomState::new().build_hasher().finish() as u32) / f64::from(u32::MAX)
}

/// The pause that an answer asks for: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        // What no clock can hold is as good as for ever.
        return (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST * 2));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let date = Duration::from_secs(u64::try_from(date.as_second()).ok()?);
    Some(date.saturating_sub(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 784_111_777;

    fn asked(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
    }

    #[test]
    fn a_pause_is_told_in_seconds_or_as_a_date() {
        assert_eq!(asked("2"), Some(Duration::from_secs(2)));
        assert_eq!(asked("0.5"), Some(Duration::from_millis(500)));
        // 784111777 is the date of RFC 9110's own example.
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_no_pause_is_none_and_a_pause_without_end_is_longer_than_any_that_is_waited() {
        for text in ["-1", "soon", "", "NaN", "Sun, 06 Nov"] {
            assert_eq!(asked(text), None, "{text}");
        }
        for text in ["1e300", "inf", "99999999999999999999"] {
            assert!(asked(text).is_some_and(|pause| pause > LONGEST), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        for (failures, most) in [(1, 500), (2, 1000), (3, 2000), (7, 32_000), (8, 60_000), (4_000_000, 60_000)] {
            let pause = backoff(failures);
            let most = Duration::from_millis(most);
            assert!(pause >= most / 2 && pause <= most, "{failures}: {pause:?}");
        }
    }

    #[test]
    fn the_longer_of_two_pauses_counts() {
        let cooldown = Cooldown::default();
        assert_eq!(cooldown.left(), Duration::ZERO);
        cooldown.hold(Duration::from_secs(500));
        cooldown.hold(Duration::from_secs(200));
        assert!(cooldown.left() > Duration::from_secs(400), "{:?}", cooldown.left());
    }

    #[test]
    fn who_waits_together_waits_once() {
        let (pause, most) = (Duration::from_millis(100), Duration::from_secs(60));
        let waits = Waits::new(Some(most));
        let began = Instant::now();
        let both = (waits.begin(), waits.begin());
        std::thread::sleep(pause);
        drop(both);
        let waited = began.elapsed();
        std::thread::sleep(pause);
        assert!(waits.allows(most - waited, most));
        assert!(!waits.allows(most - pause + Duration::from_millis(1), Duration::ZERO));
    }

    #[test]
    fn without_a_limit_a_request_waits_for_ten_minutes_altogether() {
        let waits = Waits::new(None);
        assert!(waits.allows(LONGEST, Duration::ZERO));
        assert!(!waits.allows(LONGEST, Duration::from_secs(1)));
    }
}
