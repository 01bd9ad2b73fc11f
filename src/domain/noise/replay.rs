//! A trace as a machine: what a piece of work of a known true length takes when it is run through it.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::{Sample, Tick, Trace};

/// What a piece of work took, in seconds, with all that is known about why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slice {
    /// Elapsed.
    pub wall: f64,
    /// CPU time of the thread.
    pub cpu: f64,
    /// What the thread waited for a CPU.
    pub run_delay: Option<f64>,
    /// What the hypervisor took from all CPUs meanwhile.
    pub steal: Option<f64>,
    /// How long some task waited for a CPU meanwhile.
    pub pressure: Option<f64>,
}

impl Slice {
    const NOTHING: Self = Self { wall: 0.0, cpu: 0.0, run_delay: Some(0.0), steal: Some(0.0), pressure: Some(0.0) };

    /// What is not known of a part is not known of the whole.
    fn add(&mut self, part: &Self, share: f64) {
        let sum = |all: Option<f64>, more: Option<f64>| Some(all? + more? * share);
        self.wall += part.wall * share;
        self.cpu += part.cpu * share;
        self.run_delay = sum(self.run_delay, part.run_delay);
        self.steal = sum(self.steal, part.steal);
        self.pressure = sum(self.pressure, part.pressure);
    }
}

/// A trace made ready for replaying. After its end it begins anew.
#[derive(Debug, Clone)]
pub struct Replay {
    /// What each tick took.
    ticks: Vec<Slice>,
    /// Seconds that a tick's work takes where nothing disturbs it.
    work: f64,
}

impl Replay {
    /// Makes a trace ready; one without ticks has nothing to say and becomes a machine without noise.
    pub fn of(trace: &Trace) -> Self {
        let steal = Curve::of(&trace.samples, |sample| sample.steal);
        let pressure = Curve::of(&trace.samples, |sample| sample.pressure);
        let mut end = 0;
        let slice = |tick: &Tick| {
            let start = end;
            end += tick.wall;
            Slice {
                wall: seconds(tick.wall),
                cpu: seconds(tick.cpu),
                run_delay: tick.run_delay.map(seconds),
                steal: steal.between(start, end),
                pressure: pressure.between(start, end),
            }
        };
        let mut ticks: Vec<_> = trace.ticks.iter().map(slice).collect();
        if ticks.is_empty() {
            ticks.push(Slice { wall: 0.005, cpu: 0.005, run_delay: None, steal: None, pressure: None });
        }
        let work = undisturbed(&ticks);
        Self { ticks, work }
    }

    /// The machine from a tick on that is drawn from a seed.
    pub fn machine(&self, seed: u64) -> Machine<'_> {
        let drawn = ChaCha8Rng::seed_from_u64(seed).next_u64() % self.ticks.len() as u64;
        Machine { replay: self, tick: usize::try_from(drawn).unwrap_or(0), done: 0.0, clock: 0.0 }
    }

    /// Work of a true length run again and again, once through the whole trace.
    pub fn slices(&self, length: f64) -> Vec<Slice> {
        let mut machine = Machine { replay: self, tick: 0, done: 0.0, clock: 0.0 };
        let count = (self.work * self.ticks.len() as f64 / length) as usize;
        (0..count).map(|_| machine.run(length)).collect()
    }

    /// How many times longer than undisturbed each tick took.
    pub(super) fn slow_downs(&self) -> impl Iterator<Item = f64> {
        self.ticks.iter().map(|tick| tick.wall / self.work)
    }

    /// All ticks together.
    pub fn whole(&self) -> Slice {
        let mut sum = Slice::NOTHING;
        self.ticks.iter().for_each(|tick| sum.add(tick, 1.0));
        sum
    }
}

/// The recorded machine at one moment.
#[derive(Debug, Clone)]
pub struct Machine<'a> {
    replay: &'a Replay,
    tick: usize,
    /// Which share of this tick's work is done.
    done: f64,
    clock: f64,
}

impl Machine<'_> {
    /// Runs work that takes `length` seconds where nothing disturbs it: tick after tick, each of which
    /// does the same work in the time that it took itself.
    pub fn run(&mut self, length: f64) -> Slice {
        let mut slice = Slice::NOTHING;
        let mut left = length / self.replay.work;
        while left > 0.0 {
            let share = left.min(1.0 - self.done);
            slice.add(&self.replay.ticks[self.tick], share);
            left -= share;
            self.done += share;
            if self.done >= 1.0 {
                self.done = 0.0;
                self.tick = (self.tick + 1) % self.replay.ticks.len();
            }
        }
        self.clock += slice.wall;
        slice
    }

    /// Seconds that everything took so far.
    pub fn clock(&self) -> f64 {
        self.clock
    }
}

/// The CPU time that one tick in a hundred does not exceed. Elapsed time will not do: on a busy machine
/// every tick may be interrupted. The very least will not do: a clock that once jumped would decide.
fn undisturbed(ticks: &[Slice]) -> f64 {
    let computing = |tick: &Slice| if tick.cpu > 0.0 { tick.cpu.min(tick.wall) } else { tick.wall };
    let mut times: Vec<f64> = ticks.iter().map(computing).collect();
    times.sort_by(f64::total_cmp);
    times[times.len().div_ceil(100) - 1]
}

/// A counter of the whole machine between the moments at which it was read, in microseconds.
struct Curve(Vec<(u64, u64)>);

impl Curve {
    fn of(samples: &[Sample], counter: fn(&Sample) -> Option<u64>) -> Self {
        Self(samples.iter().filter_map(|sample| Some((sample.at, counter(sample)?))).collect())
    }

    /// Its value at a moment, as if it grew evenly between two readings and not at all outside of them.
    fn at(&self, time: u64) -> Option<f64> {
        let after = self.0.partition_point(|(at, _)| *at <= time);
        let (first, last) = (self.0.first()?, self.0.last()?);
        let Some((from, to)) = after.checked_sub(1).map(|at| self.0[at]).zip(self.0.get(after).copied()) else {
            return Some(if after == 0 { first.1 } else { last.1 } as f64);
        };
        let share = (time - from.0) as f64 / (to.0 - from.0) as f64;
        Some(from.1 as f64 + share * (to.1 as f64 - from.1 as f64))
    }

    /// How many seconds it grew by.
    fn between(&self, start: u64, end: u64) -> Option<f64> {
        Some((self.at(end)? - self.at(start)?) / 1e6)
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::trace;
    use super::*;

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-9
    }

    #[test]
    fn each_tick_stretches_the_work_that_falls_into_it() {
        // Half of this trace runs at full speed, the other half takes twice as long.
        let replay = Replay::of(&trace(&[5_000, 5_000, 10_000, 10_000]));
        let slices = replay.slices(0.005);
        assert_eq!(slices.iter().map(|s| (s.wall * 1e3).round()).collect::<Vec<_>>(), [5.0, 5.0, 10.0, 10.0]);
        let mut machine = Machine { replay: &replay, tick: 1, done: 0.5, clock: 0.0 };
        assert!(near(machine.run(0.005).wall, 0.0025 + 0.005));
        assert!(near(machine.run(0.020).wall, 0.030) && near(machine.clock(), 0.0375));
    }

    #[test]
    fn a_machine_that_interrupts_every_tick_is_told_by_its_cpu_time_and_a_clock_that_jumped_is_not() {
        let mut trace = trace(&[9_000; 1_000]);
        trace.ticks.iter_mut().for_each(|tick| tick.cpu = 5_000);
        trace.ticks[7].cpu = 1;
        assert!(Replay::of(&trace).slow_downs().all(|times| near(times, 1.8)));
    }

    #[test]
    fn what_is_not_known_of_a_tick_is_not_known_of_a_slice() {
        let mut trace = trace(&[5_000, 9_000, 5_000]);
        trace.ticks[1].run_delay = Some(4_000);
        let whole = Replay::of(&trace).slices(0.015)[0];
        assert!(near(whole.run_delay.unwrap(), 0.004) && near(whole.cpu, 0.019));
        trace.ticks[2].run_delay = None;
        let slices = Replay::of(&trace).slices(0.005);
        assert_eq!(slices.iter().map(|s| s.run_delay.is_some()).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn counters_of_the_machine_grow_evenly_between_two_readings() {
        let mut trace = trace(&[5_000; 4]);
        let sample = |at, steal| Sample { at, steal, pressure: None, running: None };
        trace.samples = vec![sample(0, Some(0)), sample(10_000, Some(2_000)), sample(15_000, None)];
        let steals: Vec<_> = Replay::of(&trace).slices(0.005).iter().map(|s| s.steal.unwrap()).collect();
        assert!(near(steals[0], 0.001) && near(steals[1], 0.001) && near(steals[2], 0.0), "{steals:?}");
        assert!(Replay::of(&trace).slices(0.005).iter().all(|s| s.pressure.is_none()));
    }

    #[test]
    fn a_seed_always_begins_at_the_same_place_and_others_elsewhere() {
        let walls: Vec<_> = (0..1_000).map(|i| 5_000 + i).collect();
        let replay = Replay::of(&trace(&walls));
        let first = |seed| replay.machine(seed).run(0.2).wall;
        assert!(near(first(1), first(1)));
        let mut places: Vec<_> = (0..50).map(|seed| replay.machine(seed).tick).collect();
        places.sort_unstable();
        places.dedup();
        assert!(places.len() > 40 && places[0] < 200 && places[places.len() - 1] > 800, "{places:?}");
    }
}
