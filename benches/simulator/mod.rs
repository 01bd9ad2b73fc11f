//! A machine that is not quiet, and tools that decide on it.
//!
//! A slice's time is its true time × exp(drift + ramp + bursts) × run noise, and now and then a spike. Drift is an
//! Ornstein–Uhlenbeck process; bursts of the whole machine and of one core arrive at random; the run noise
//! falls with the root of the length. Everything comes from a seed. Everything runs on one core, one thing
//! after another, so that there are no offsets between lanes and no contention between variants.
//!
//! What others do to a slice (bursts, spikes, and the run noise beyond a quiet machine's) makes it wait for
//! a core, and the kernel counts those waits. Nine tenths of it are taken out with them; the last tenth (caches
//! that others fill, clocks that they slow down) is not, and neither are drift, ramp and a program's own
//! noise. `docs/noise.md` says how much of it was waits on real machines.
#![allow(dead_code, clippy::allow_attributes, reason = "the benchmark and the tests each use a part of it")]

pub mod shadow;

use blueprint::domain::noise::{self, RUN};
pub use blueprint::domain::noise::{CAP, SLICE, Said};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// How noisy the machine is.
#[derive(Debug, Clone, Copy)]
pub struct Environment {
    /// For tables.
    pub name: &'static str,
    /// Standard deviation of the drift, and its time constant in seconds.
    drift: (f64, f64),
    /// Mean seconds between bursts of the whole machine, their length, their size.
    global: Option<(f64, f64, f64)>,
    /// The same for the one core that everything runs on, one thing after another.
    core: Option<(f64, f64, f64)>,
    /// Standard deviation of a slice of one second.
    run: f64,
    /// How many slices in one have a spike.
    spikes: f64,
    shape: Shape,
    /// How much of what others do to a slice shows as waits for a core, from 0 to 1.
    seen: f64,
}

impl Environment {
    /// The same, where another share of what others do shows as waits for a core.
    pub fn seen(self, seen: f64) -> Self {
        Self { seen, ..self }
    }
}

/// By which time programs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// As a clock on the wall has it.
    Elapsed,
    /// Less the waits for a core, as the product compares where it can.
    Unhindered,
}

/// How much of what others do to a slice usually shows as waits for a core.
const SEEN: f64 = 0.9;

/// Standard deviation of a program's own noise in one second: all there is on a quiet machine.
const OWN: f64 = 0.005;

/// What a slice took.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// Elapsed.
    pub elapsed: f64,
    /// Less the waits that the kernel counted.
    pub unhindered: f64,
}

impl Taken {
    fn by(self, by: By) -> f64 {
        match by {
            By::Elapsed => self.elapsed,
            By::Unhindered => self.unhindered,
        }
    }
}

/// How the run noise is distributed.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Lognormal.
    Usual,
    /// Student's t with two degrees of freedom: its variance is infinite.
    Heavy,
    /// Exponential: never faster than usual, often slower.
    Skewed,
}

/// Hardly any noise.
pub const QUIET: Environment = Environment {
    name: "quiet",
    drift: (0.005, 30.0),
    global: None,
    core: None,
    run: 0.005,
    spikes: 0.0,
    shape: Shape::Usual,
    seen: SEEN,
};
/// A machine that others use too.
pub const SHARED: Environment = Environment {
    name: "shared",
    drift: (0.02, 30.0),
    global: Some((25.0, 4.0, 0.15)),
    core: Some((20.0, 2.0, 0.30)),
    run: 0.015,
    spikes: 0.03,
    shape: Shape::Usual,
    seen: SEEN,
};
/// A machine that others use heavily.
pub const NOISY: Environment = Environment {
    name: "noisy",
    drift: (0.04, 30.0),
    global: Some((10.0, 4.0, 0.30)),
    core: Some((8.0, 2.0, 0.50)),
    run: 0.025,
    spikes: 0.03,
    shape: Shape::Usual,
    seen: SEEN,
};
/// The shared machine with run noise whose variance is infinite.
pub const HEAVY: Environment = Environment { name: "heavy", shape: Shape::Heavy, ..SHARED };
/// The shared machine with lopsided run noise.
pub const SKEWED: Environment = Environment { name: "skewed", shape: Shape::Skewed, ..SHARED };

/// Bursts that come and go.
struct Bursts {
    shape: Option<(f64, f64, f64)>,
    next: f64,
    until: f64,
}

impl Bursts {
    fn new(shape: Option<(f64, f64, f64)>, random: &mut Random) -> Self {
        let next = shape.map_or(f64::INFINITY, |(every, ..)| random.exponential(every));
        Self { shape, next, until: 0.0 }
    }

    fn at(&mut self, time: f64, random: &mut Random) -> f64 {
        let Some((every, length, size)) = self.shape else { return 0.0 };
        while time >= self.next {
            self.until = self.next + length;
            self.next += random.exponential(every);
        }
        if time < self.until { (1.0 + size).ln() } else { 0.0 }
    }
}

/// Random numbers of the shapes that the model needs.
pub struct Random(ChaCha8Rng);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.uniform().ln()
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn shaped(&mut self, shape: Shape) -> f64 {
        match shape {
            Shape::Usual => self.normal(),
            // Bounded, so that one slice can't take all the time there is.
            Shape::Heavy => (self.normal() / self.exponential(1.0).sqrt()).clamp(-30.0, 30.0),
            Shape::Skewed => self.exponential(1.0),
        }
    }

    /// 0 to n − 1.
    pub fn below(&mut self, n: usize) -> usize {
        (self.uniform() * n as f64) as usize
    }
}

/// A machine in one environment, with a clock of its own.
pub struct Machine {
    environment: Environment,
    random: Random,
    /// Seconds since it was made.
    pub clock: f64,
    drift: f64,
    drifted: f64,
    ramp: f64,
    global: Bursts,
    core: Bursts,
}

impl Machine {
    /// A machine with its noise drawn from a seed.
    pub fn new(environment: Environment, seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            environment,
            clock: 0.0,
            drift: environment.drift.0 * random.normal(),
            drifted: 0.0,
            ramp: environment.drift.0 * (2.0 * random.uniform() - 1.0) / CAP,
            global: Bursts::new(environment.global, &mut random),
            core: Bursts::new(environment.core, &mut random),
            random,
        }
    }

    /// Runs something of a true length.
    pub fn run(&mut self, length: f64) -> Taken {
        let (sd, constant) = self.environment.drift;
        let kept = (-(self.clock - self.drifted) / constant).exp();
        self.drift = self.drift * kept + sd * (1.0 - kept * kept).sqrt() * self.random.normal();
        self.drifted = self.clock;
        let bursts = self.global.at(self.clock, &mut self.random) + self.core.at(self.clock, &mut self.random);
        let own = OWN / length.sqrt() * self.random.normal();
        let others = (self.environment.run.powi(2) - OWN * OWN).max(0.0).sqrt() / length.sqrt();
        let contention = bursts + others * self.random.shaped(self.environment.shape);
        let speed = self.drift + self.ramp * self.clock + own;
        let mut elapsed = length * (speed + contention).exp();
        let mut unhindered = length * (speed + (1.0 - self.environment.seen) * contention).exp();
        if self.random.uniform() < self.environment.spikes {
            let spike = length * self.random.exponential(0.3);
            elapsed += spike;
            unhindered += (1.0 - self.environment.seen) * spike;
        }
        self.clock += elapsed;
        Taken { elapsed, unhindered }
    }
}

/// Variants with known true times, in an order drawn from a seed, and the best one's place.
pub struct Field {
    times: Vec<f64>,
    /// The place of the fastest; meaningless where all are equal.
    pub best: usize,
}

impl Field {
    /// Four variants: 1, 1 + d, 1 + d, 1 + 2d.
    pub fn new(d: f64, seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5eed);
        let mut times = vec![1.0, 1.0 + d, 1.0 + d, 1.0 + 2.0 * d];
        for last in (1..4).rev() {
            times.swap(last, random.below(last + 1));
        }
        let best = (0..4).min_by(|a, b| times[*a].total_cmp(&times[*b])).unwrap_or(0);
        Self { times, best }
    }

    /// This many variants that do not differ.
    pub fn identical(variants: usize) -> Self {
        Self { times: vec![1.0; variants], best: 0 }
    }
}

/// Races a field: on log2 of the performance with no indifference, which is what the statistics
/// can see.
pub fn race(field: &Field, environment: Environment, by: By, seed: u64) -> Said {
    let mut machine = Machine::new(environment, seed);
    noise::race(field.times.len(), seed, CAP, |v| (machine.run(SLICE * field.times[v]).by(by), machine.clock))
}

/// What a tool picks that runs each variant `runs` times, one variant after another, and compares
/// `of` its times; with the seconds it took.
pub fn sequential(
    field: &Field,
    environment: Environment,
    seed: u64,
    runs: usize,
    of: fn(&[f64]) -> f64,
) -> (usize, f64) {
    let mut machine = Machine::new(environment, seed);
    let picked = noise::sequential(4, runs, of, |v| machine.run(RUN * field.times[v]).elapsed);
    (picked, machine.clock)
}
