//! Variants of known true times on a recorded machine: who is picked, how surely and how soon, by the
//! race and by what tools do that run one variant after another.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::replay::{Replay, Slice};
use crate::domain::key::VariantKey;
use crate::domain::measurement::Contender;
use crate::domain::race::{Race, Rules, shuffled};

/// Seconds of one slice of the race, at true time 1 where nothing disturbs it.
pub const SLICE: f64 = 0.2;
/// Seconds of one run of the tools that run commands one after another.
pub const RUN: f64 = 1.1;
/// Seconds after which the race is given up.
pub const CAP: f64 = 120.0;

/// What of a slice is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timed {
    /// Elapsed time.
    Wall,
    /// CPU time.
    Cpu,
}

impl Timed {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 2] = [Self::Wall, Self::Cpu];

    /// The seconds that count.
    pub fn of(self, slice: &Slice) -> f64 {
        match self {
            Self::Wall => slice.wall,
            Self::Cpu => slice.cpu,
        }
    }
}

/// Who competes, and what is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question {
    /// At least 2.
    pub variants: usize,
    /// The best takes 1, the worst of three or more 1 + 2d, all others 1 + d; 0 makes them identical.
    pub difference: f64,
    /// What is compared.
    pub timed: Timed,
    /// Seconds after which the race is given up.
    pub cap: f64,
    /// Standard deviation of the logarithm of a slice that the variants have of their own, beside what
    /// the trace does to them.
    pub own: f64,
}

/// How many decisions came out how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tally {
    /// What was decided.
    pub question: Question,
    /// All.
    pub decisions: u64,
    /// One run of each variant picked the best. Where the variants are identical nothing is right.
    pub single: u64,
    /// The mean of ten runs of each, one variant after another, picked the best.
    pub ten: u64,
    /// Seconds that those took, in all.
    pub ten_seconds: f64,
    /// The least of five runs of each picked the best.
    pub five: u64,
    /// The race had the best in the lead.
    pub right: u64,
    /// The race claimed a winner.
    pub supported: u64,
    /// It claimed the best to be it; of identical variants none is.
    pub supported_right: u64,
    /// Seconds of the race, in all.
    pub seconds: f64,
}

impl Tally {
    /// Decides many times, each time from another moment of the trace on.
    pub fn of(replay: &Replay, question: Question, decisions: u64, seed: u64) -> Self {
        let mut tally = Self::none(question);
        for index in 0..decisions {
            tally.decide(replay, seed.wrapping_add(index).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        tally
    }

    fn none(question: Question) -> Self {
        Self {
            question,
            decisions: 0,
            single: 0,
            ten: 0,
            ten_seconds: 0.0,
            five: 0,
            right: 0,
            supported: 0,
            supported_right: 0,
            seconds: 0.0,
        }
    }

    /// Supported claims that are not true: all of them where the variants are identical.
    pub fn wrong(&self) -> u64 {
        self.supported - self.supported_right
    }

    /// A count as a share of all decisions.
    pub fn share(&self, count: u64) -> f64 {
        self.mean(count as f64)
    }

    /// A sum as a mean over all decisions.
    pub fn mean(&self, sum: f64) -> f64 {
        sum / self.decisions.max(1) as f64
    }

    fn decide(&mut self, replay: &Replay, seed: u64) {
        let question = self.question;
        let field = Field::new(question, seed);
        let differs = question.difference > 0.0;
        let hit = |picked: usize| u64::from(differs && picked == field.best);
        let mut machine = replay.machine(seed);
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x0b5e);
        let said = race(field.times.len(), seed, question.cap, |v| {
            let slice = machine.run(SLICE * field.times[v]);
            (field.timed.of(&slice) * (question.own * normal(&mut random)).exp(), machine.clock())
        });
        let tool = |seed, runs, of| {
            let mut machine = replay.machine(seed);
            let run = |v: usize| field.timed.of(&machine.run(RUN * field.times[v]));
            let picked = sequential(field.times.len(), runs, of, run);
            (picked, machine.clock())
        };
        let (ten, ten_seconds) = tool(seed ^ 10, 10, mean as fn(&[f64]) -> f64);
        self.decisions += 1;
        self.single += hit(tool(seed ^ 1, 1, mean).0);
        self.ten += hit(ten);
        self.ten_seconds += ten_seconds;
        self.five += hit(tool(seed ^ 5, 5, least).0);
        self.right += hit(said.picked);
        self.supported += u64::from(said.claimed.is_some());
        self.supported_right += said.claimed.map_or(0, hit);
        self.seconds += said.seconds;
    }
}

/// Variants with their true times, in an order drawn from a seed.
pub struct Field {
    /// By place.
    pub times: Vec<f64>,
    /// The place of the best; meaningless where all are equal.
    pub best: usize,
    timed: Timed,
}

impl Field {
    /// The field that a question asks about.
    pub fn new(question: Question, seed: u64) -> Self {
        let (n, d) = (question.variants.max(2), question.difference);
        let mut times = vec![1.0 + d; n];
        times[0] = 1.0;
        if n > 2 {
            times[n - 1] = 1.0 + 2.0 * d;
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
        let mut best = 0;
        for last in (1..n).rev() {
            let place = usize::try_from(random.next_u64() % (last as u64 + 1)).unwrap_or(0);
            times.swap(last, place);
            best = if best == last {
                place
            } else if best == place {
                last
            } else {
                best
            };
        }
        Self { times, best, timed: question.timed }
    }
}

/// What a race said.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// Who was claimed to be the best, with support.
    pub claimed: Option<usize>,
    /// Who leads, supported or not.
    pub picked: usize,
    /// Who was never dropped.
    pub survivors: Vec<usize>,
    /// Seconds that it took.
    pub seconds: f64,
    /// After each block, the seconds so far and who led then.
    pub led: Vec<(f64, usize)>,
}

/// Races this many variants as the product does, but on log2 of the performance with no indifference,
/// which is what the statistics can see; until one is left or the clock has passed `cap`. A variant's
/// slice is taken by `run`, which says what is compared and the clock after it, both in seconds.
pub fn race(variants: usize, seed: u64, cap: f64, mut run: impl FnMut(usize) -> (f64, f64)) -> Said {
    let names: Vec<Contender> =
        (0..variants).filter_map(|i| VariantKey::new(&format!("V{i}")).map(Contender::Variant)).collect();
    let place = |contender: &Contender| names.iter().position(|name| name == contender).unwrap_or(0);
    let mut race = Race::new(Rules { indifference: 0.0, ..Rules::default() }, &names);
    let (mut sums, mut led, mut clock, mut index) = (vec![0.0; variants], Vec::new(), 0.0, 0);
    while clock < cap && race.survivors().len() > 1 {
        let mut totals = BTreeMap::new();
        for contender in shuffled(&race.survivors(), seed, index) {
            let (compared, after) = run(place(&contender));
            clock = after;
            totals.insert(contender, -compared.log2());
        }
        let mean = totals.values().sum::<f64>() / totals.len() as f64;
        for (contender, total) in &totals {
            sums[place(contender)] += total - mean;
        }
        race.record(index, &totals);
        index += 1;
        let left = race.survivors();
        let leader = left.iter().map(place).max_by(|a, b| sums[*a].total_cmp(&sums[*b])).unwrap_or(0);
        led.push((clock, leader));
    }
    let survivors: Vec<_> = race.survivors().iter().map(place).collect();
    let picked = led.last().map_or(0, |(_, leader)| *leader);
    Said { claimed: (survivors.len() == 1).then_some(picked), picked, survivors, seconds: clock, led }
}

/// What a tool picks that runs each variant `runs` times, one variant after another, and compares `of`
/// its times. `run` takes one run of a variant, of [`RUN`] seconds at true time 1.
pub fn sequential(variants: usize, runs: usize, of: fn(&[f64]) -> f64, mut run: impl FnMut(usize) -> f64) -> usize {
    let mut scores = Vec::new();
    for v in 0..variants {
        let times: Vec<_> = (0..runs).map(|_| run(v)).collect();
        scores.push(of(&times));
    }
    (0..variants).min_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0)
}

/// A number from the standard normal distribution (Box and Muller, 1958).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let mut uniform = || ((random.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
}

/// The mean of some times.
pub fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / times.len() as f64
}

/// The least of some times.
pub fn least(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::trace;
    use super::*;

    fn question(difference: f64) -> Question {
        Question { variants: 4, difference, timed: Timed::Wall, cap: CAP, own: 0.0 }
    }

    /// A machine that takes anything from 5 to 10 ms, mostly for seconds on end.
    fn noisy() -> Replay {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut level = 0;
        let walls = (0..20_000).map(|tick| {
            if tick % 400 == 0 {
                level = random.next_u64() % 4_000;
            }
            5_000 + level + random.next_u64() % 1_000
        });
        Replay::of(&trace(&walls.collect::<Vec<_>>()))
    }

    #[test]
    fn the_field_holds_the_best_once_and_knows_where() {
        for (variants, expected) in [(2, vec![1.0, 1.5]), (3, vec![1.0, 1.5, 2.0]), (4, vec![1.0, 1.5, 1.5, 2.0])] {
            let mut places = vec![0; variants];
            for seed in 0..200 {
                let field = Field::new(Question { variants, ..question(0.5) }, seed);
                let mut times = field.times.clone();
                times.sort_by(f64::total_cmp);
                assert!(times == expected && field.times[field.best] == 1.0, "{variants}: {:?}", field.times);
                places[field.best] += 1;
            }
            assert!(places.iter().all(|times| *times > 20), "{places:?}");
        }
    }

    #[test]
    fn without_noise_everybody_picks_the_best_and_the_race_says_so() {
        let tally = Tally::of(&Replay::of(&trace(&[5_000; 100])), question(0.05), 20, 1);
        let Tally { single, ten, five, right, supported_right, .. } = tally;
        assert_eq!((single, ten, five, right, supported_right, tally.wrong()), (20, 20, 20, 20, 20, 0));
        assert!(tally.mean(tally.seconds) < 30.0 && (44.0..50.0).contains(&tally.mean(tally.ten_seconds)), "{tally:?}");
    }

    #[test]
    fn with_noise_that_stays_for_seconds_the_race_sees_what_single_runs_do_not() {
        let tally = Tally::of(&noisy(), question(0.05), 60, 1);
        assert!(tally.single < 45 && tally.right >= 57 && tally.wrong() == 0, "{tally:?}");
    }

    #[test]
    fn no_winner_is_claimed_among_identical_variants() {
        let tally = Tally::of(&noisy(), question(0.0), 60, 1);
        assert!(tally.supported <= 2 && tally.wrong() == tally.supported, "{tally:?}");
        assert_eq!(tally, Tally::of(&noisy(), question(0.0), 60, 1), "a seed decides everything");
    }

    #[test]
    fn a_time_of_zero_is_no_ground_for_a_claim() {
        let mut trace = trace(&[5_000; 100]);
        trace.ticks.iter_mut().for_each(|tick| tick.cpu = 0);
        let tally = Tally::of(&Replay::of(&trace), Question { timed: Timed::Cpu, ..question(0.5) }, 3, 1);
        assert_eq!(tally.supported, 0);
    }
}
