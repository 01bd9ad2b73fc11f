//! Does the same work over and over, without a pause, and keeps how long it took.
//!
//! It keeps one CPU busy, which is what a benchmark does, and so is disturbed as a benchmark is.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::counters::{Thread, Whole};
use crate::adapters::process::Stop;
use crate::domain::noise::{Sample, Tick};

/// What one tick is to take on an undisturbed CPU.
const TICK: Duration = Duration::from_millis(5);
/// How often the counters of the whole machine are read.
const GRID: Duration = Duration::from_millis(100);
/// Ticks of which the fastest tells the length of the work.
const CALIBRATION: u32 = 40;

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Microseconds of the fastest tick while the length of the work was chosen.
    pub tick: u64,
    /// One after another; at least one.
    pub ticks: Vec<Tick>,
    /// Counters of the whole machine, on a coarser grid.
    pub samples: Vec<Sample>,
}

/// Records on the calling thread for this long, or until it is to stop. Choosing the length of the
/// work takes about a quarter of a second more.
pub fn record(length: Duration, stop: &Stop) -> Recording {
    let (rounds, tick) = calibrated();
    let mut ticks = Vec::with_capacity(usize::try_from(length.as_micros() / TICK.as_micros()).unwrap_or(0) + 16);
    let mut samples = Vec::with_capacity(usize::try_from(length.as_micros() / GRID.as_micros()).unwrap_or(0) + 16);
    let (thread, whole) = (Thread::current(), Whole::open());
    let began = Instant::now();
    let first = Counters::read(&whole);
    let mut due = Duration::ZERO;
    loop {
        if began.elapsed() >= due {
            samples.push(Counters::read(&whole).since(&first, micros(began.elapsed())));
            due = began.elapsed() + GRID;
        }
        ticks.push(timed(rounds, &thread, began));
        if began.elapsed() >= length || stop.is_cancelled() {
            return Recording { tick, ticks, samples };
        }
    }
}

/// The number of rounds whose fastest run takes one tick, and that run's microseconds.
fn calibrated() -> (u64, u64) {
    let fastest = |rounds: u64, runs: u32| {
        let runs = (0..runs).map(|_| {
            let began = Instant::now();
            burn(rounds);
            began.elapsed()
        });
        runs.min().unwrap_or(TICK).max(Duration::from_nanos(1))
    };
    let mut rounds = 1_000_000;
    // The first estimate may be of a CPU that was asleep.
    for runs in [CALIBRATION / 4, CALIBRATION / 2] {
        let scaled = rounds as f64 * TICK.as_secs_f64() / fastest(rounds, runs).as_secs_f64();
        rounds = (scaled as u64).max(1);
    }
    (rounds, micros(fastest(rounds, CALIBRATION)).max(1))
}

/// The work: arithmetic that no compiler can shorten, and that needs neither memory nor the system.
fn burn(rounds: u64) {
    let mut x = black_box(0x9e37_79b9_7f4a_7c15u64);
    for _ in 0..rounds {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    black_box(x);
}

/// One tick. Counters are read outside of what is timed.
fn timed(rounds: u64, thread: &Thread, began: Instant) -> Tick {
    let delay = thread.run_delay();
    let (start, cpu) = (began.elapsed(), thread.cpu());
    burn(rounds);
    let (end, cpu_end) = (began.elapsed(), thread.cpu());
    let run_delay = delay.zip(thread.run_delay()).map(|(before, after)| after.saturating_sub(before) / 1_000);
    // Both ends are cut to whole microseconds, so that ticks in a row never overlap.
    let (start, end) = (micros(start), micros(end));
    Tick { start, wall: end.saturating_sub(start).max(1), cpu: cpu_end.saturating_sub(cpu) / 1_000, run_delay }
}

/// The counters of the whole machine since it was started.
struct Counters {
    steal: Option<u64>,
    pressure: Option<u64>,
    running: Option<u64>,
}

impl Counters {
    fn read(whole: &Whole) -> Self {
        Self { steal: whole.steal(), pressure: whole.pressure(), running: whole.running() }
    }

    fn since(&self, first: &Self, at: u64) -> Sample {
        let grown = |now: Option<u64>, then: Option<u64>| now.zip(then).map(|(now, then)| now.saturating_sub(then));
        let (steal, pressure) = (grown(self.steal, first.steal), grown(self.pressure, first.pressure));
        Sample { at, steal, pressure, running: self.running }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_gap_free_and_each_tick_is_the_same_work() {
        let made = record(Duration::from_millis(300), &Stop::new());
        assert!((2_000..20_000).contains(&made.tick), "{}", made.tick);
        let worked: u64 = made.ticks.iter().map(|tick| tick.wall).sum();
        let all = made.ticks.last().unwrap().end();
        assert!(all >= 300_000 && worked * 10 > all * 9, "{worked} of {all}");
        assert!(made.ticks.windows(2).all(|pair| pair[0].end() <= pair[1].start));
        assert!(made.ticks.iter().all(|tick| tick.cpu <= tick.wall + 1_000 && tick.cpu > made.tick / 2));
        assert!(made.samples.len() >= 2 && made.samples[0].steal.is_none_or(|steal| steal < 100_000));
    }

    #[test]
    fn a_recording_that_is_to_stop_keeps_what_it_has() {
        let stop = Stop::new();
        stop.cancel();
        assert_eq!(record(Duration::from_secs(3600), &stop).ticks.len(), 1);
    }
}
