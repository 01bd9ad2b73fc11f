//! What a program's time is on a machine that it shares.
//!
//! On a busy machine the elapsed time of a slice is mostly the wait for a core, which is nobody's
//! merit. So the time by which programs are compared is chosen, for each source by its warm-up
//! slices alone, before anything counts; what is chosen holds for all contenders to the end:
//!
//! 1. CPU time, where for every contender it is within 5 % of the elapsed time without the waits:
//!    the program does nothing but compute, one thing at a time.
//! 2. Elapsed time less the waits for a core, where these are known.
//! 3. Elapsed time.
//!
//! Where nothing can be taken out, a block that others disturbed is taken again as a whole: by a
//! rule that looks at what *others* used and never at what was measured.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::measurement::{Block, Contender, Reading, Slice, Timing};
use super::quantity::Quantity;

/// By which time a source's slices are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// CPU time.
    Cpu,
    /// Elapsed time less the time in which nothing could run for want of a core.
    Unhindered,
    /// Elapsed time.
    Wall,
}

/// How far CPU time may be from the unhindered time of a program that only computes.
const COMPUTES: std::ops::RangeInclusive<f64> = 0.95..=1.05;

/// Cores that others may use beyond the least that they were seen to use, before a block is taken again.
pub const DISTURBED: f64 = 0.25;

/// Less time than this tells nothing of others: the kernel's counters of the whole machine tick a hundred
/// times a second.
const TOLD: Duration = Duration::from_millis(500);

/// Times in a row that a block is taken again because of others; after that it counts as it is.
pub const PATIENCE: u32 = 2;

impl Clock {
    /// By a source's warm-up slices, one a contender.
    pub fn choose<'a>(timings: impl IntoIterator<Item = &'a Timing>) -> Self {
        let mut chosen = Self::Cpu;
        let mut any = false;
        for timing in timings {
            any = true;
            let Some(unhindered) = Self::Unhindered.of(timing) else { return Self::Wall };
            let computes = timing.cpu.is_some_and(|cpu| COMPUTES.contains(&ratio(cpu, unhindered)));
            if !computes {
                chosen = Self::Unhindered;
            }
        }
        if any { chosen } else { Self::Wall }
    }

    /// A slice's time, where the slice tells it.
    pub fn of(self, timing: &Timing) -> Option<Duration> {
        match self {
            Self::Cpu => timing.cpu,
            Self::Unhindered => {
                timing.delay.map(|delay| unhindered(timing.wall, timing.cpu.unwrap_or_default(), delay))
            }
            Self::Wall => Some(timing.wall),
        }
    }

    /// As a reader would call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU time",
            Self::Unhindered => "elapsed time without waits for a core",
            Self::Wall => "elapsed time",
        }
    }
}

/// Elapsed time less the waits that lengthened it, by the run and the waits of all tasks together. One task, also one
/// that sleeps, is later by all of its waits. Of several side by side, whose run and waits come to more than the
/// elapsed time, each stands for its share: the elapsed time is longer by what one of them waited in the mean.
fn unhindered(wall: Duration, run: Duration, waits: Duration) -> Duration {
    let busy = run + waits;
    let share = if busy > wall { ratio(wall, busy) } else { 1.0 };
    wall.saturating_sub(waits.mul_f64(share))
}

/// The ratio of two durations; infinite over nothing.
fn ratio(a: Duration, b: Duration) -> f64 {
    if b.is_zero() { f64::INFINITY } else { a.as_secs_f64() / b.as_secs_f64() }
}

/// The clock of every source whose metric is the time of its slices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Clocks(BTreeMap<String, Clock>);

impl Clocks {
    /// By the warm-up block.
    pub fn chosen(warm_up: &[Slice]) -> Self {
        let mut timings: BTreeMap<&str, Vec<&Timing>> = BTreeMap::new();
        for slice in warm_up.iter().filter(|slice| slice.own.is_some()) {
            timings.entry(&slice.source).or_default().push(&slice.timing);
        }
        let choose = |(source, all): (&str, Vec<&Timing>)| (source.to_owned(), Clock::choose(all));
        Self(timings.into_iter().map(choose).collect())
    }

    /// A reading's value: as the source said, or by the clock where it is the slice's own time.
    /// `None` where the slice does not tell that time.
    pub fn value(&self, slice: &Slice, reading: &Reading) -> Option<Quantity> {
        if slice.own.as_ref() != Some(&reading.metric) {
            return Some(reading.value);
        }
        let clock = self.0.get(&slice.source).copied().unwrap_or(Clock::Wall);
        let share = ratio(clock.of(&slice.timing)?, slice.timing.wall);
        Quantity::new(reading.value.value() * share, reading.value.dimension())
    }

    /// Each source with its clock.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Clock)> {
        self.0.iter().map(|(source, clock)| (source.as_str(), *clock))
    }

    fn hindered(&self, slice: &Slice) -> bool {
        slice.own.is_none() || !matches!(self.0.get(&slice.source), Some(Clock::Cpu | Clock::Unhindered))
    }
}

/// How many cores others used during a slice, a hypervisor included.
fn others(slice: &Slice) -> Option<f64> {
    let used = slice.timing.others? + slice.timing.steal.unwrap_or_default();
    Some(ratio(used, slice.timing.wall)).filter(|cores| cores.is_finite())
}

/// By how many cores others disturbed the slices of a block, beyond the least that they used in earlier
/// blocks beside the same contender and source. What belongs to a contender and is not known as
/// its own (a database server that is shared) is in that least too. Slices whose clock takes waits
/// out do not count, and what is left must have taken half a second.
pub fn disturbance(slices: &[Slice], earlier: &[Block], clocks: &Clocks) -> f64 {
    let mut least: BTreeMap<(&Contender, &str), f64> = BTreeMap::new();
    for slice in earlier.iter().flat_map(|block| &block.slices) {
        if let Some(cores) = others(slice) {
            let known = least.entry((&slice.contender, &slice.source)).or_insert(cores);
            *known = known.min(cores);
        }
    }
    let excess = |slice: &Slice| {
        let least = least.get(&(&slice.contender, slice.source.as_str()))?;
        Some((slice.timing.wall, others(slice)? - least))
    };
    let all: Vec<_> = slices.iter().filter(|slice| clocks.hindered(slice)).filter_map(excess).collect();
    let wall: Duration = all.iter().map(|(wall, _)| *wall).sum();
    if wall < TOLD {
        return 0.0;
    }
    let beyond = all.iter().map(|(wall, cores)| wall.as_secs_f64() * cores).sum::<f64>();
    (beyond / wall.as_secs_f64()).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::measurement::MetricName;
    use crate::domain::plan::VariantKey;
    use crate::domain::quantity::Dimension;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn timing(wall: u64, cpu: u64, delay: Option<u64>) -> Timing {
        Timing { wall: ms(wall), cpu: Some(ms(cpu)), delay: delay.map(ms), ..Timing::default() }
    }

    fn slice(key: &str, timing: Timing, own: bool) -> Slice {
        let metric = MetricName::new("t").unwrap();
        let value = Quantity::new(timing.wall.as_secs_f64() / 2.0, Dimension::Time).unwrap();
        Slice {
            contender: Contender::Variant(VariantKey::new(key).unwrap()),
            source: "time: x".to_owned(),
            lane: None,
            readings: vec![Reading { metric: metric.clone(), value, observations: 2 }],
            timing,
            own: own.then_some(metric),
            output: None,
        }
    }

    #[test]
    fn programs_that_only_compute_are_compared_by_cpu_time() {
        assert_eq!(Clock::choose([&timing(300, 198, Some(100)), &timing(150, 149, Some(0))]), Clock::Cpu);
    }

    #[test]
    fn one_program_that_waits_for_something_else_takes_all_to_unhindered_time() {
        assert_eq!(Clock::choose([&timing(300, 198, Some(100)), &timing(300, 100, Some(0))]), Clock::Unhindered);
    }

    #[test]
    fn threads_side_by_side_are_never_compared_by_cpu_time() {
        assert_eq!(Clock::choose([&timing(100, 190, Some(0))]), Clock::Unhindered);
    }

    #[test]
    fn waits_of_tasks_side_by_side_are_taken_off_once_and_those_of_one_task_whole() {
        let of = |wall, cpu, delay| Clock::Unhindered.of(&timing(wall, cpu, Some(delay))).unwrap();
        assert_eq!(of(300, 200, 100), ms(200), "it computes");
        assert_eq!(of(1000, 200, 100), ms(900), "it sleeps and computes");
        assert_eq!(of(300, 400, 200), ms(200), "two threads, each 200 ms at work");
        assert_eq!(of(300, 0, 300), ms(0), "it never had a core");
        assert_eq!(of(100, 190, 0), ms(100), "nobody waited");
    }

    #[test]
    fn unknown_waits_leave_elapsed_time() {
        assert_eq!(Clock::choose([&timing(100, 99, None), &timing(100, 99, Some(0))]), Clock::Wall);
        assert_eq!(Clock::choose([]), Clock::Wall);
    }

    #[test]
    fn a_reading_of_the_slices_own_time_follows_the_clock_and_others_do_not() {
        let own = slice("A", timing(300, 198, Some(100)), true);
        let clocks = Clocks::chosen(std::slice::from_ref(&own));
        // Two runs in 300 ms of which 198 ms were spent computing.
        assert!((clocks.value(&own, &own.readings[0]).unwrap().value() - 0.099).abs() < 1e-12);
        let report = slice("A", timing(300, 198, Some(100)), false);
        assert_eq!(Clocks::chosen(std::slice::from_ref(&report)), Clocks::default());
        assert_eq!(clocks.value(&report, &report.readings[0]), Some(report.readings[0].value));
        let untold = slice("A", Timing { cpu: None, ..own.timing }, true);
        assert_eq!(clocks.value(&untold, &untold.readings[0]), None);
    }

    fn beside(key: &str, others: u64, own: bool) -> Slice {
        slice(key, Timing { others: Some(ms(others)), ..timing(1000, 900, Some(50)) }, own)
    }

    #[test]
    fn a_block_is_disturbed_by_what_others_use_beyond_the_least_beside_the_same_contender() {
        // A shared server works half a core for A and a tenth for B, in every block.
        let quiet = Block { index: 0, slices: vec![beside("A", 500, false), beside("B", 100, false)] };
        let earlier = [quiet];
        let at = |a, b| disturbance(&[beside("A", a, false), beside("B", b, false)], &earlier, &Clocks::default());
        assert!(at(500, 100) < 1e-9 && at(400, 50) < 1e-9);
        assert!((at(900, 500) - 0.4).abs() < 1e-9, "both by 0.4 cores");
        assert!((at(500, 900) - 0.4).abs() < 1e-9, "one by 0.8 cores, the other not");
    }

    #[test]
    fn a_block_that_is_too_short_for_the_kernels_counters_is_never_called_disturbed() {
        let short = |others| {
            let timing = Timing { wall: ms(20), others: Some(ms(others)), ..Timing::default() };
            ["A", "B"].map(|key| slice(key, timing, false)).to_vec()
        };
        let earlier = [Block { index: 0, slices: short(0) }];
        assert!(disturbance(&short(10), &earlier, &Clocks::default()) < 1e-9);
    }

    #[test]
    fn where_waits_are_taken_out_nothing_disturbs() {
        let warm_up = [beside("A", 0, true)];
        let clocks = Clocks::chosen(&warm_up);
        let earlier = [Block { index: 0, slices: warm_up.to_vec() }];
        assert!(disturbance(&[beside("A", 1900, true)], &earlier, &clocks) < 1e-9);
    }
}
