//! Does the same work over and over, without a pause, and keeps how long it took.
//!
//! It keeps one CPU busy, which is what a benchmark does, and so is disturbed as a benchmark is.

mod counters;

use std::hint::black_box;
use std::time::{Duration, Instant};

use self::counters::{Thread, Whole};
use super::process::Stop;
use crate::domain::noise::{Sample, Tick};

pub use self::counters::Facts;

/// What one tick is to take on an undisturbed CPU.
const TICK: Duration = Duration::from_millis(5);
/// How often the counters of the whole machine are read.
const GRID: Duration = Duration::from_millis(100);
/// Ticks of which the fastest tells the length of the work.
const CALIBRATION: u32 = 40;

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Microseconds of CPU time of the fastest tick while the length of the work was chosen.
    pub tick: u64,
    /// One after another; at least one.
    pub ticks: Vec<Tick>,
    /// Counters of the whole machine, on a coarser grid.
    pub samples: Vec<Sample>,
}

/// Records on the calling thread for this long, or until it is to stop. Choosing the length of the
/// work takes about a quarter of a second more.
pub fn record(length: Duration, stop: &Stop) -> Recording {
    let (thread, whole) = (Thread::current(), Whole::open());
    let (rounds, tick) = calibrated(&thread);
    let mut ticks = Vec::with_capacity(usize::try_from(length.as_micros() / TICK.as_micros()).unwrap_or(0) + 16);
    let mut samples = Vec::with_capacity(usize::try_from(length.as_micros() / GRID.as_micros()).unwrap_or(0) + 16);
    let (first, began) = (Counters::read(&whole), Instant::now());
    let (mut last, mut due) = (Moment::now(began, &thread), Duration::ZERO);
    loop {
        if began.elapsed() >= due {
            samples.push(Counters::read(&whole).since(&first, micros(began.elapsed())));
            due = began.elapsed() + GRID;
        }
        burn(rounds);
        let now = Moment::now(began, &thread);
        ticks.push(now.since(last));
        last = now;
        // By the moment that ends the tick: the ticks are as long as was asked for.
        if now.at >= micros(length) || stop.is_cancelled() {
            return Recording { tick, ticks, samples };
        }
    }
}

/// The number of rounds whose fastest run takes one tick, and that run's microseconds of CPU time: on a
/// busy machine there may be no run that nothing interrupts.
fn calibrated(thread: &Thread) -> (u64, u64) {
    let fastest = |rounds: u64, runs: u32| {
        let runs = (0..runs).map(|_| {
            let before = thread.cpu();
            burn(rounds);
            thread.cpu().saturating_sub(before).max(1)
        });
        runs.min().unwrap_or(1)
    };
    let mut rounds = 1_000_000;
    // The first estimate may be of a CPU that was asleep.
    for runs in [CALIBRATION / 4, CALIBRATION / 2] {
        let scaled = rounds as f64 * TICK.as_nanos() as f64 / fastest(rounds, runs) as f64;
        rounds = (scaled as u64).max(1);
    }
    (rounds, (fastest(rounds, CALIBRATION) / 1_000).max(1))
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

/// Where a tick ends and the next begins, in whole microseconds. Reading the counters belongs to the tick,
/// so that nothing can happen between two of them.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: u64,
    cpu: u64,
    run_delay: Option<u64>,
}

impl Moment {
    fn now(began: Instant, thread: &Thread) -> Self {
        let run_delay = thread.run_delay().map(|nanos| nanos / 1_000);
        Self { at: micros(began.elapsed()), cpu: thread.cpu() / 1_000, run_delay }
    }

    fn since(self, last: Self) -> Tick {
        let run_delay = self.run_delay.zip(last.run_delay).map(|(now, then)| now.saturating_sub(then));
        Tick { wall: self.at.saturating_sub(last.at).max(1), cpu: self.cpu.saturating_sub(last.cpu), run_delay }
    }
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
        let began = Instant::now();
        let made = record(Duration::from_millis(300), &Stop::new());
        let (took, worked) = (micros(began.elapsed()), made.ticks.iter().map(|tick| tick.wall).sum::<u64>());
        assert!(worked >= 300_000 && worked < took, "{worked} of {took}");
        assert!((2_000..20_000).contains(&made.tick), "{}", made.tick);
        assert!(made.ticks.iter().all(|tick| tick.cpu <= tick.wall + 1_000 && tick.cpu > made.tick / 2));
        // A machine that is busy may take all the time for one tick, and steal as much of each CPU.
        let gaps = made.samples.windows(2).map(|pair| pair[1].at - pair[0].at);
        let longest = made.ticks.iter().map(|tick| tick.wall).max().unwrap();
        assert!(!made.samples.is_empty() && gaps.clone().all(|gap| gap >= micros(GRID)), "{:?}", made.samples);
        assert!(gaps.clone().all(|gap| gap <= micros(GRID) + 2 * longest), "{:?}", made.samples);
        let cpus = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        assert!(
            made.samples[0].steal.is_none_or(|steal| steal <= took * cpus),
            "the machine's whole life is no part of it"
        );
    }

    #[test]
    fn a_recording_that_is_to_stop_keeps_what_it_has() {
        let stop = Stop::new();
        stop.cancel();
        assert_eq!(record(Duration::from_secs(3600), &stop).ticks.len(), 1);
    }
}
