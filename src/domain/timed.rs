//! What a program's time is on a machine that it shares.
//!
//! On a busy machine the elapsed time of a slice is mostly the wait for a core, which is nobody's
//! merit. So slices are compared by one of three times, the same for all contenders:
//!
//! 1. CPU time, where the program does nothing but compute, one thing at a time.
//! 2. Elapsed time less the waits for a core that others caused, where these are known.
//! 3. Elapsed time.
//!
//! A time that a program told itself (a report, a file) is taken by 2 or 3: it is shortened by the
//! share of its slice that was spent waiting.
//!
//! The first of these that can be used is used, and each block says anew whether it still can be
//! ([`Clocks::observe`]). Where it can't, the next one takes its place for all contenders, and what
//! was measured before counts no more: it was compared by a clock that was wrong for somebody.
//!
//! Where nothing can be taken out, a block that others disturbed is taken again as a whole: by a
//! rule that looks at what *others* used and never at what was measured.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::measurement::{Block, Contender, Reading, Slice, Timing};
use super::quantity::{Dimension, Quantity};
use super::statistics;

/// By which time a source's slices are compared; a later one asks less of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// How far the shares of computing of two contenders may be apart: 1 % of time is worth at most a quarter of a
/// point, which is the indifference of the race, and what few slices can't tell more exactly is
/// tolerated until there are more.
fn tolerated(slices: usize) -> f64 {
    0.01 + 0.04 / slices.max(1) as f64
}

/// The slices that are looked back on.
const WINDOW: usize = 20;

/// As many slices of these as must agree before they decide anything.
const SEVERAL: usize = 2;

/// Less time than this tells nothing of others: the kernel's counters of the whole machine tick a hundred
/// times a second.
const TOLD: Duration = Duration::from_millis(500);

/// Above this share of the elapsed time, tasks that ran or waited did so beside each other.
const SERIAL: f64 = 1.05;

impl Clock {
    /// A slice's time, where the slice tells it.
    pub fn of(self, timing: &Timing) -> Option<Duration> {
        match self {
            Self::Cpu => timing.cpu,
            Self::Unhindered => timing.unhindered(),
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

impl Timing {
    /// The elapsed time less the waits for a core that others caused; absent where those are not known.
    ///
    /// Tasks that ran or waited one after another, R in all and waiting D of it, lost D. Where they did so
    /// beside each other (R > the elapsed time W), D · W / R is what each of the W / R that went on at a time
    /// lost. But then they may have waited for each other, which is nobody else's doing: what was lost is
    /// at most what others took from the cores.
    pub fn unhindered(&self) -> Option<Duration> {
        let delay = self.delay?;
        let busy = self.cpu.unwrap_or_default() + delay;
        if busy.as_secs_f64() <= SERIAL * self.wall.as_secs_f64() {
            return Some(self.wall.saturating_sub(delay));
        }
        let each = delay.mul_f64(ratio(self.wall, busy));
        // Counters of the whole machine say nothing of a short slice.
        let taken = self.others.filter(|_| self.wall >= TOLD)? + self.steal.unwrap_or_default();
        Some(self.wall.saturating_sub(each.min(taken)))
    }

    /// By how much the machine made the slice longer, at least 1; absent where that is not known.
    pub fn hindrance(&self) -> Option<f64> {
        let unhindered = self.unhindered()?;
        Some(ratio(self.wall, unhindered)).filter(|factor| factor.is_finite())
    }
}

/// The ratio of two durations; infinite over nothing.
fn ratio(a: Duration, b: Duration) -> f64 {
    if b.is_zero() { f64::INFINITY } else { a.as_secs_f64() / b.as_secs_f64() }
}

/// What made a clock give way to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum Untrue {
    /// A contender does something beside computing, or computes several things at once.
    Waits {
        /// Who.
        contender: Contender,
    },
    /// Two contenders compute for different shares of their time.
    Apart {
        /// Who computes for the larger share.
        more: Contender,
        /// Who for the smaller.
        less: Contender,
    },
    /// What a contender waited is not known for most of its slices.
    Untold {
        /// Whose.
        contender: Contender,
    },
}

impl fmt::Display for Untrue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waits { contender } => write!(f, "{contender} does more than compute, one thing at a time"),
            Self::Apart { more, less } => write!(f, "{more} computes for a larger share of its time than {less}"),
            Self::Untold { contender } => write!(f, "how long {contender} waits for a core is mostly not known"),
        }
    }
}

/// A clock that stopped telling the truth of somebody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The last block that was compared by the old clock; it counts no more, nor do those before it.
    pub block: u32,
    /// Whose slices.
    pub source: String,
    /// The old clock.
    pub from: Clock,
    /// The new one.
    pub to: Clock,
    /// Why.
    #[serde(flatten)]
    pub why: Untrue,
}

/// What the slices of one contender at one source said since the clock was chosen.
#[derive(Debug, Clone, PartialEq, Default)]
struct Seen {
    /// CPU time over unhindered time, where both are known; newest last.
    shares: Vec<f64>,
    /// Of the newest slices, whether both times were known.
    told: Vec<bool>,
}

impl Seen {
    fn take(&mut self, timing: &Timing) {
        let share = timing.cpu.zip(timing.unhindered()).map(|(cpu, own)| ratio(cpu, own));
        self.told.push(share.is_some());
        self.shares.extend(share.filter(|share| share.is_finite()));
    }

    fn newest<T>(all: &[T]) -> &[T] {
        &all[all.len().saturating_sub(WINDOW)..]
    }

    fn is_untold(&self) -> bool {
        let newest = Self::newest(&self.told);
        let untold = newest.iter().filter(|told| !**told).count();
        untold >= SEVERAL && 2 * untold > newest.len()
    }

    fn waits(&self) -> bool {
        Self::newest(&self.shares).iter().filter(|share| !COMPUTES.contains(share)).count() >= SEVERAL
    }
}

/// One source's clock with what speaks for and against it.
#[derive(Debug, Clone, PartialEq)]
struct Watch {
    clock: Clock,
    seen: BTreeMap<Contender, Seen>,
}

impl Watch {
    /// By a block of slices, of which none decides alone.
    fn new(slices: &[&Slice]) -> Self {
        let mut watch = Self { clock: Clock::Wall, seen: BTreeMap::new() };
        watch.take(slices);
        let told = watch.seen.values().filter(|seen| !seen.shares.is_empty()).count();
        let computes = |seen: &&Seen| seen.shares.iter().any(|share| COMPUTES.contains(share));
        if told > 0 && 2 * told >= slices.len() {
            let own = slices.iter().all(|slice| slice.own.is_some());
            let computing = watch.seen.values().filter(computes).count();
            watch.clock = if own && 2 * computing >= told { Clock::Cpu } else { Clock::Unhindered };
        }
        watch
    }

    fn take(&mut self, slices: &[&Slice]) {
        for slice in slices {
            self.seen.entry(slice.contender.clone()).or_default().take(&slice.timing);
        }
    }

    /// Why the clock is wrong for somebody, and which one is not.
    fn untrue(&self) -> Option<(Clock, Untrue)> {
        if self.clock == Clock::Wall {
            return None;
        }
        if let Some((contender, _)) = self.seen.iter().find(|(_, seen)| seen.is_untold()) {
            return Some((Clock::Wall, Untrue::Untold { contender: contender.clone() }));
        }
        if self.clock == Clock::Unhindered {
            return None;
        }
        if let Some((contender, _)) = self.seen.iter().find(|(_, seen)| seen.waits()) {
            return Some((Clock::Unhindered, Untrue::Waits { contender: contender.clone() }));
        }
        // Of two, the median is half of one.
        let medians = self.seen.iter().filter(|(_, seen)| seen.shares.len() > SEVERAL);
        let medians =
            medians.filter_map(|(who, seen)| Some((who, statistics::median(&seen.shares)?, seen.shares.len())));
        let medians: Vec<_> = medians.collect();
        let least = medians.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let most = medians.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let apart = most.1 - least.1 > tolerated(most.2.min(least.2));
        apart.then(|| (Clock::Unhindered, Untrue::Apart { more: most.0.clone(), less: least.0.clone() }))
    }
}

/// The clock of every source whose metrics are times.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Clocks {
    sources: BTreeMap<String, Watch>,
    changes: Vec<Change>,
}

impl Clocks {
    /// By one block alone, such as a check before the first.
    pub fn chosen(slices: &[Slice]) -> Self {
        let mut clocks = Self::default();
        clocks.observe(&Block { index: 0, slices: slices.to_vec() });
        clocks
    }

    /// Takes what a block says of the clocks; returns those that gave way by it.
    pub fn observe(&mut self, block: &Block) -> Vec<Change> {
        let mut sources: BTreeMap<&str, Vec<&Slice>> = BTreeMap::new();
        for slice in block.slices.iter().filter(|slice| is_timed(slice)) {
            sources.entry(&slice.source).or_default().push(slice);
        }
        let mut changed = Vec::new();
        for (source, slices) in sources {
            let Some(watch) = self.sources.get_mut(source) else {
                self.sources.insert(source.to_owned(), Watch::new(&slices));
                continue;
            };
            watch.take(&slices);
            if let Some((to, why)) = watch.untrue() {
                changed.push(Change { block: block.index, source: source.to_owned(), from: watch.clock, to, why });
                watch.clock = to;
            }
        }
        self.changes.extend(changed.iter().cloned());
        changed
    }

    /// The first block that counts, as far as the clocks are concerned.
    pub fn since(&self) -> u32 {
        self.changes.last().map_or(0, |change| change.block + 1)
    }

    /// Which clocks gave way, in order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// A reading's value: as the source said, or by the clock where it is a time. `None` where the slice
    /// does not tell that time.
    pub fn value(&self, slice: &Slice, reading: &Reading) -> Option<Quantity> {
        let (value, dimension) = (reading.value.value(), reading.value.dimension());
        let Some(watch) = self.sources.get(&slice.source).filter(|watch| watch.clock != Clock::Wall) else {
            return Some(reading.value);
        };
        // What a program told of itself is no CPU time, whatever others are compared by.
        let own = slice.own.as_ref() == Some(&reading.metric);
        let clock = if own { watch.clock } else { Clock::Unhindered };
        let share = || Some(ratio(clock.of(&slice.timing)?, slice.timing.wall));
        match dimension {
            Dimension::Time => Quantity::new(value * share()?, dimension),
            Dimension::Rate => Quantity::new(value / share()?, dimension),
            Dimension::Bytes | Dimension::Percent | Dimension::Count => Some(reading.value),
        }
    }

    /// Each source with its clock.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Clock)> {
        self.sources.iter().map(|(source, watch)| (source.as_str(), watch.clock))
    }

    /// Whether waits for a core are in what this slice says.
    pub fn hindered(&self, slice: &Slice) -> bool {
        self.sources.get(&slice.source).is_none_or(|watch| watch.clock == Clock::Wall)
    }
}

/// Whether anything that a slice says is a time of a program that was run for it.
fn is_timed(slice: &Slice) -> bool {
    let times = slice.readings.iter().any(|r| matches!(r.value.dimension(), Dimension::Time | Dimension::Rate));
    slice.timing.cpu.is_some() && times || slice.own.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::measurement::MetricName;
    use crate::domain::plan::VariantKey;

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

    /// The clocks after these blocks of own times, each a timing for A and one for B.
    fn after(blocks: &[(Timing, Timing)]) -> Clocks {
        let mut clocks = Clocks::default();
        for (index, (a, b)) in (0..).zip(blocks) {
            clocks.observe(&Block { index, slices: vec![slice("A", *a, true), slice("B", *b, true)] });
        }
        clocks
    }

    fn clock(clocks: &Clocks) -> Clock {
        clocks.iter().next().unwrap().1
    }

    #[test]
    fn programs_that_only_compute_are_compared_by_cpu_time() {
        let clocks = after(&vec![(timing(300, 198, Some(100)), timing(150, 149, Some(0))); 5]);
        assert_eq!((clock(&clocks), clocks.since()), (Clock::Cpu, 0));
    }

    #[test]
    fn a_program_that_begins_to_wait_later_takes_all_to_another_clock_and_what_was_measured_counts_no_more() {
        let honest = (timing(100, 99, Some(0)), timing(100, 99, Some(0)));
        let waiting = (timing(100, 2, Some(0)), timing(100, 99, Some(0)));
        let mut blocks = vec![honest; 14];
        blocks.extend([waiting; 2]);
        let clocks = after(&blocks);
        assert_eq!((clock(&clocks), clocks.since()), (Clock::Unhindered, 16));
        assert!(matches!(&clocks.changes()[0].why, Untrue::Waits { contender } if contender.to_string() == "A"));
    }

    #[test]
    fn a_program_that_waits_in_every_other_slice_is_found_as_well() {
        let honest = (timing(100, 99, Some(0)), timing(100, 99, Some(0)));
        let waiting = (timing(100, 2, Some(0)), timing(100, 99, Some(0)));
        assert_eq!(clock(&after(&[honest, honest, waiting, honest, honest, waiting])), Clock::Unhindered);
    }

    #[test]
    fn one_slice_decides_nothing() {
        let honest = (timing(100, 99, Some(0)), timing(100, 99, Some(0)));
        for odd in [timing(300, 99, Some(0)), timing(100, 99, None)] {
            let mut blocks = vec![honest; 6];
            for at in [0, 3, 5] {
                let mut blocks = blocks.clone();
                blocks[at].0 = odd;
                assert_eq!(clock(&after(&blocks)), Clock::Cpu, "{odd:?} at {at}");
            }
            blocks[1].0 = odd;
            blocks[2].0 = odd;
            assert_ne!(clock(&after(&blocks)), Clock::Cpu, "{odd:?} twice");
        }
    }

    #[test]
    fn programs_that_compute_for_different_shares_of_their_time_are_not_compared_by_cpu_time() {
        // 3 % apart by CPU time, 0.8 % the other way by what they took: within 5 % each.
        let apart = (timing(1000, 960, Some(0)), timing(992, 989, Some(0)));
        let clocks = after(&[apart; 9]);
        assert_eq!(clock(&clocks), Clock::Unhindered);
        assert!(matches!(clocks.changes()[0].why, Untrue::Apart { .. }));
        let alike = (timing(1000, 985, Some(0)), timing(992, 979, Some(0)));
        assert_eq!(clock(&after(&[alike; 30])), Clock::Cpu);
    }

    #[test]
    fn threads_side_by_side_are_never_compared_by_cpu_time() {
        let threads = Timing { others: Some(ms(0)), ..timing(1000, 1900, Some(0)) };
        assert_eq!(clock(&after(&[(threads, threads); 2])), Clock::Unhindered);
    }

    #[test]
    fn waits_that_are_mostly_unknown_leave_elapsed_time() {
        let clocks = after(&[(timing(100, 99, None), timing(100, 99, Some(0))); 3]);
        assert_eq!(clock(&clocks), Clock::Wall);
        assert_eq!(clock(&after(&[(timing(100, 99, None), timing(100, 99, None))])), Clock::Wall);
    }

    #[test]
    fn waits_of_tasks_beside_each_other_count_for_what_others_took_and_no_more() {
        // Two busy threads on two cores beside a third program: each had two thirds of a core.
        let beside = |others| Timing { others: Some(ms(others)), ..timing(1500, 2000, Some(1000)) };
        assert_eq!(beside(1000).unhindered(), Some(ms(1000)));
        // Fifty threads that only wait for each other.
        let own = Timing { others: Some(ms(10)), ..timing(1000, 2000, Some(48_000)) };
        assert_eq!(own.unhindered(), Some(ms(990)));
        let short = Timing { others: Some(ms(100)), ..timing(100, 150, Some(50)) };
        assert_eq!(short.unhindered(), None, "the kernel counts in hundredths of a second");
        assert_eq!(timing(120, 10, Some(10)).unhindered(), Some(ms(110)), "who sleeps and computes");
    }

    #[test]
    fn a_reading_of_the_slices_own_time_follows_the_clock() {
        let own = slice("A", timing(300, 198, Some(100)), true);
        let clocks = Clocks::chosen(std::slice::from_ref(&own));
        // Two runs in 300 ms of which 198 ms were spent computing.
        assert!((clocks.value(&own, &own.readings[0]).unwrap().value() - 0.099).abs() < 1e-12);
        let untold = slice("A", Timing { cpu: None, ..own.timing }, true);
        assert_eq!(clocks.value(&untold, &untold.readings[0]), None);
    }

    #[test]
    fn a_time_that_a_program_told_itself_is_shortened_by_what_its_slice_waited_and_a_size_is_not() {
        let mut report = slice("A", timing(300, 198, Some(100)), false);
        let clocks = Clocks::chosen(std::slice::from_ref(&report));
        assert_eq!(clock(&clocks), Clock::Unhindered);
        let of = |slice: &Slice| clocks.value(slice, &slice.readings[0]).unwrap().value();
        assert!((of(&report) - 0.1).abs() < 1e-12);
        report.readings[0].value = Quantity::new(30.0, Dimension::Rate).unwrap();
        assert!((of(&report) - 45.0).abs() < 1e-9);
        report.readings[0].value = Quantity::new(30.0, Dimension::Bytes).unwrap();
        assert!((of(&report) - 30.0).abs() < 1e-12);
    }
}
