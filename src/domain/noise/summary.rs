//! What a machine's noise is like, in a few numbers.

use super::Trace;
use super::contest::{SLICE, Timed};
use super::replay::Replay;
use crate::domain::statistics::spread;

/// The noise of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// How many times longer than undisturbed the median tick, 9 in 10 and 99 in 100 at most took.
    pub slow_down: [f64; 3],
    /// How two slices of the same work differ, by what is timed.
    pub differences: Vec<Difference>,
    /// Share of the time that the thread waited for a CPU.
    pub run_delay: Option<f64>,
    /// Share of all CPUs' time that the hypervisor took.
    pub steal: Option<f64>,
    /// Share of the time in which some task waited for a CPU.
    pub pressure: Option<f64>,
    /// Tasks that ran or wanted to, on average.
    pub running: Option<f64>,
}

/// The standard deviation of the logarithm of the ratio of two slices of the same work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// What of the slices is compared.
    pub timed: Timed,
    /// Of one right after the other.
    pub adjacent: f64,
    /// Of two at unrelated times.
    pub unrelated: f64,
}

impl Summary {
    /// Of a trace that was made ready; `differences` is empty where it holds less than three slices.
    pub fn of(trace: &Trace, replay: &Replay) -> Self {
        let mut slow_downs: Vec<f64> = replay.slow_downs().collect();
        slow_downs.sort_by(f64::total_cmp);
        let at = |percent: usize| slow_downs[(slow_downs.len() * percent).div_ceil(100) - 1];
        let whole = replay.whole();
        let share = |seconds: Option<f64>, of: f64| seconds.map(|seconds| seconds / (of * whole.wall));
        let running: Vec<f64> = trace.samples.iter().filter_map(|s| Some(s.running? as f64)).collect();
        Self {
            slow_down: [50, 90, 99].map(at),
            differences: Timed::ALL.into_iter().filter_map(|timed| Difference::of(timed, replay)).collect(),
            run_delay: share(whole.run_delay, 1.0),
            steal: share(whole.steal, trace.header.cores.max(1) as f64),
            pressure: share(whole.pressure, 1.0),
            running: (!running.is_empty()).then(|| running.iter().sum::<f64>() / running.len() as f64),
        }
    }
}

impl Difference {
    fn of(timed: Timed, replay: &Replay) -> Option<Self> {
        let logs: Vec<f64> = replay.slices(SLICE).iter().map(|slice| timed.of(slice).ln()).collect();
        if logs.len() < 3 || logs.iter().any(|log| !log.is_finite()) {
            return None;
        }
        // Which of two neighbours comes first is nobody's doing, so that their mean difference is 0.
        let squares = logs.windows(2).map(|pair| (pair[1] - pair[0]).powi(2));
        let adjacent = (squares.sum::<f64>() / (logs.len() - 1) as f64).sqrt();
        // The difference of two independent draws has twice the variance of one.
        Some(Self { timed, adjacent, unrelated: std::f64::consts::SQRT_2 * spread(&logs)? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sample;
    use super::super::fixtures::trace;
    use super::*;

    #[test]
    fn a_machine_that_changes_slowly_differs_less_between_neighbours() {
        // Ten seconds at full speed, then ten at half of it, and a wait in each hundredth tick.
        let mut trace = trace(&[[5_000; 2_000], [10_000; 2_000]].concat());
        for tick in trace.ticks.iter_mut().step_by(100) {
            tick.cpu -= 1_000;
            tick.run_delay = Some(1_000);
        }
        let end = 30_000_000;
        let sample = |at, steal, running| Sample { at, steal: Some(steal), pressure: None, running: Some(running) };
        trace.samples = vec![sample(0, 0, 1), sample(end, end / 10, 4)];
        let summary = Summary::of(&trace, &Replay::of(&trace));
        assert_eq!(summary.slow_down, [1.0, 2.0, 2.0]);
        let wall = summary.differences[0];
        assert!((wall.unrelated - 2f64.ln() / 2.0 * 2f64.sqrt()).abs() < 0.01, "{wall:?}");
        assert!(wall.adjacent < 0.1, "{wall:?}");
        assert!((summary.run_delay.unwrap() - 40.0 / 30_000.0).abs() < 1e-9);
        assert!((summary.steal.unwrap() - 0.05).abs() < 1e-9, "two CPUs");
        assert_eq!((summary.pressure, summary.running), (None, Some(2.5)));
    }

    #[test]
    fn a_trace_of_two_slices_tells_nothing_about_differences() {
        let trace = trace(&[5_000; 80]);
        assert_eq!(Summary::of(&trace, &Replay::of(&trace)).differences, []);
    }
}
