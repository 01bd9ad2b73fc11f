//! What a program's time is on a machine that it shares.
//!
//! On a busy machine the elapsed time of a slice is mostly the wait for a core, which is nobody's
//! merit. So slices are compared by one of three times, the same for all contenders:
//!
//! 1. CPU time, where the program does nothing but compute, one thing at a time.
//! 2. Elapsed time less the waits for a core that others caused, where these are known.
//! 3. Elapsed time.
//!
//! A time that a program told itself (a report, a file) is taken as it was told, or shortened by the share of its
//! slice that was spent waiting, where that made earlier values of the same contenders clearly more alike: only what
//! varies with the waits has them in it.
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

/// Slices of a contender before anything is said of how its times vary.
const ENOUGH: usize = 4;

/// By how much less times must vary to be called clearly more alike, as a share of their variance.
const CLEARLY: f64 = 0.7;

/// As many slices of these as must agree before they decide anything.
const SEVERAL: usize = 2;

/// Less time than this tells nothing of others: the kernel's counters of the whole machine tick a hundred
/// times a second.
pub const TOLD: Duration = Duration::from_millis(500);

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
    pub(super) fn hindrance(&self) -> Option<f64> {
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
    /// Of times that a source reported, the logarithm of the first of a slice as told and as shortened.
    reported: Vec<(f64, f64)>,
}

impl Seen {
    fn take(&mut self, slice: &Slice) {
        let timing = &slice.timing;
        let share = timing.cpu.zip(timing.unhindered()).map(|(cpu, own)| ratio(cpu, own));
        self.told.push(share.is_some());
        self.shares.extend(share.filter(|share| share.is_finite()));
        let first = slice.readings.iter().find_map(|reading| {
            let value = reading.value.value();
            let told = value.ln();
            let shortened = shortened(reading.value, timing)?.value().ln();
            (told.is_finite() && shortened.is_finite()).then_some((told, shortened))
        });
        self.reported.extend(first.filter(|_| slice.own.is_none()));
    }

    /// How much the reported times varied, as told and as shortened.
    fn variances(&self) -> Option<(f64, f64)> {
        let newest = Self::newest(&self.reported);
        let of = |pick: fn(&(f64, f64)) -> f64| statistics::spread(&newest.iter().map(pick).collect::<Vec<_>>());
        let enough = newest.len() >= ENOUGH;
        Some((of(|pair| pair.0)?.powi(2), of(|pair| pair.1)?.powi(2))).filter(|_| enough)
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
    /// Whether its slices' own times are what is compared.
    own: bool,
    clock: Clock,
    seen: BTreeMap<Contender, Seen>,
    /// Of a source that reports times: from which block on they are shortened by the waits, and from which not.
    shortened: BTreeMap<u32, bool>,
}

impl Watch {
    /// By a block of slices, of which none decides alone.
    fn new(slices: &[&Slice]) -> Self {
        let own = slices.iter().all(|slice| slice.own.is_some());
        let mut watch = Self { own, clock: Clock::Wall, seen: BTreeMap::new(), shortened: BTreeMap::new() };
        watch.take(slices);
        let told = watch.seen.values().filter(|seen| !seen.shares.is_empty()).count();
        let computes = |seen: &&Seen| seen.shares.iter().any(|share| COMPUTES.contains(share));
        if told > 0 && 2 * told >= slices.len() {
            let computing = watch.seen.values().filter(computes).count();
            watch.clock = if own && 2 * computing >= told { Clock::Cpu } else { Clock::Unhindered };
        }
        watch
    }

    fn take(&mut self, slices: &[&Slice]) {
        for slice in slices {
            self.seen.entry(slice.contender.clone()).or_default().take(slice);
        }
    }

    /// Whether what is reported in the block after this one is shortened: by what was seen so far, so that
    /// no value has a say in how it is taken itself.
    fn look_ahead(&mut self, block: u32) {
        let variances: Vec<_> = self.seen.values().filter_map(Seen::variances).collect();
        let (told, shortened) = variances.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let untold = self.seen.values().any(Seen::is_untold);
        let better = !variances.is_empty() && !untold && shortened < CLEARLY * told;
        if self.is_shortened(block) != better {
            self.shortened.insert(block + 1, better);
        }
    }

    fn is_shortened(&self, block: u32) -> bool {
        self.shortened.range(..=block).next_back().is_some_and(|(_, shortened)| *shortened)
    }

    /// The clock of a block.
    fn at(&self, block: u32) -> Clock {
        match self.clock {
            Clock::Unhindered if !self.own && !self.is_shortened(block) => Clock::Wall,
            clock => clock,
        }
    }

    /// Why the clock is wrong for somebody, and which one is not.
    fn untrue(&self) -> Option<(Clock, Untrue)> {
        // Times that were told can be taken as told from any block on.
        if self.clock == Clock::Wall || !self.own {
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
            watch.look_ahead(block.index);
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

    /// A reading's value in a block: as the source said, or by the clock where it is a time. `None` where the slice
    /// does not tell that time.
    pub fn value(&self, block: u32, slice: &Slice, reading: &Reading) -> Option<Quantity> {
        let clock = self.sources.get(&slice.source).map_or(Clock::Wall, |watch| watch.at(block));
        let own = slice.own.as_ref() == Some(&reading.metric);
        match clock {
            Clock::Wall => Some(reading.value),
            Clock::Cpu if own => {
                let share = ratio(slice.timing.cpu?, slice.timing.wall);
                Quantity::new(reading.value.value() * share, reading.value.dimension())
            }
            // What a program told of itself is no CPU time, whatever others are compared by.
            Clock::Cpu | Clock::Unhindered => shortened(reading.value, &slice.timing),
        }
    }

    /// Each source with its clock in the newest block.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Clock)> {
        self.sources.iter().map(|(source, watch)| (source.as_str(), watch.at(u32::MAX)))
    }

    /// Whether waits for a core are in what a slice of this block says.
    pub fn hindered(&self, block: u32, slice: &Slice) -> bool {
        self.sources.get(&slice.source).is_none_or(|watch| watch.at(block) == Clock::Wall)
    }
}

/// A time or rate without the share of its slice that was spent waiting; other values as they are. `None` where the
/// waits are not known.
fn shortened(value: Quantity, timing: &Timing) -> Option<Quantity> {
    let share = || Some(ratio(timing.unhindered()?, timing.wall));
    match value.dimension() {
        Dimension::Time => Quantity::new(value.value() * share()?, value.dimension()),
        Dimension::Rate => Quantity::new(value.value() / share()?, value.dimension()),
        Dimension::Bytes | Dimension::Percent | Dimension::Count => Some(value),
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
            readings: vec![Reading { metric: metric.clone(), value, observations: 2, account: None }],
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
        assert!((clocks.value(0, &own, &own.readings[0]).unwrap().value() - 0.099).abs() < 1e-12);
        let untold = slice("A", Timing { cpu: None, ..own.timing }, true);
        assert_eq!(clocks.value(0, &untold, &untold.readings[0]), None);
    }

    /// Clocks that saw these reports of A and B: times and waits of 100 ms slices, by block.
    fn reports(blocks: &[(f64, u64)]) -> (Clocks, Slice) {
        let mut clocks = Clocks::default();
        let slice = |key: &str, value: f64, delay: u64| {
            let mut report = slice(key, timing(1000, 1000 - delay, Some(delay)), false);
            report.readings[0].value = Quantity::new(value, Dimension::Time).unwrap();
            report
        };
        for (index, (value, delay)) in (0..).zip(blocks) {
            clocks.observe(&Block { index, slices: vec![slice("A", *value, *delay), slice("B", 2.0 * value, *delay)] });
        }
        (clocks, slice("A", 0.3, 400))
    }

    #[test]
    fn a_reported_time_is_shortened_by_what_its_slice_waited_where_that_makes_times_more_alike() {
        // Times that have the waits in them.
        let busy: Vec<_> = [0, 300, 500, 200, 600, 100].iter().map(|d| (0.1 / (1.0 - *d as f64 / 1e3), *d)).collect();
        let (clocks, next) = reports(&busy);
        assert!((clocks.value(6, &next, &next.readings[0]).unwrap().value() - 0.18).abs() < 1e-12);
        assert!(!clocks.hindered(6, &next) && clocks.hindered(2, &next));
        assert_eq!(clock(&clocks), Clock::Unhindered);
        // What was taken as told before it was known stays so.
        assert_eq!(clocks.value(2, &next, &next.readings[0]), Some(next.readings[0].value));
    }

    #[test]
    fn a_reported_time_that_does_not_vary_with_the_waits_is_taken_as_told() {
        let elsewhere: Vec<_> = [0, 300, 500, 200, 600, 100].iter().map(|d| (0.1, *d)).collect();
        let (clocks, next) = reports(&elsewhere);
        assert_eq!(clocks.value(6, &next, &next.readings[0]), Some(next.readings[0].value));
        assert_eq!(clock(&clocks), Clock::Wall);
    }

    #[test]
    fn sizes_have_no_waits_in_them_and_rates_have_them_the_other_way_round() {
        let timing = timing(300, 198, Some(100));
        let of = |value, dimension| shortened(Quantity::new(value, dimension).unwrap(), &timing).unwrap().value();
        assert!((of(0.15, Dimension::Time) - 0.1).abs() < 1e-12);
        assert!((of(30.0, Dimension::Rate) - 45.0).abs() < 1e-9);
        assert!((of(30.0, Dimension::Bytes) - 30.0).abs() < 1e-12);
    }
}
