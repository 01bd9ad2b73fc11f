//! Simulated benchmarks, honest and not, whose slices are known to the last part.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::super::measurement::{Contender, MetricName, Timing};
use super::super::quantity::{Dimension, Quantity};
use super::*;
use std::time::Duration;

/// How a tool chooses its rounds and what it does beside.
#[derive(Clone, Copy)]
enum Tool {
    /// Rounds for a second by its own clock, at least five.
    Pytest,
    /// As many rounds as the benchmark says, whatever is asked for.
    Fixed(f64),
    /// Runs for three seconds, at least ten; each by a shell of its own.
    Hyperfine,
    /// Warms up until three seconds are over, with twice as many runs each time; then five seconds.
    Criterion,
    /// Tries more and more until a second is over, and reports the last.
    Go,
}

/// A program under a tool.
#[derive(Clone, Copy)]
struct Program {
    tool: Tool,
    /// What the work really takes, in seconds.
    work: f64,
    /// By which its clock is multiplied.
    clock: f64,
    /// Until the first round, in seconds.
    start: f64,
    /// Beside each round, in seconds.
    round: f64,
}

/// Deviations as shares: of a start, and of the work in one slice.
#[derive(Clone, Copy)]
struct Noise {
    start: f64,
    work: f64,
}

const CALM: Noise = Noise { start: 0.03, work: 0.01 };
/// As runs beside four busy loops vary, at a raised priority and without waits for a core.
const SHARED: Noise = Noise { start: 0.12, work: 0.07 };
const BUSY: Noise = Noise { start: 0.25, work: 0.15 };

fn normal(random: &mut ChaCha8Rng) -> f64 {
    // The sum of twelve uniform numbers.
    (0..12).map(|_| f64::from(random.next_u32()) / f64::from(u32::MAX)).sum::<f64>() - 6.0
}

impl Program {
    fn new(tool: Tool, work: f64) -> Self {
        Self { tool, work, clock: 1.0, start: 0.5, round: 3e-6 }
    }

    fn clock(self, clock: f64) -> Self {
        Self { clock, ..self }
    }

    /// What a slice takes and reports, where so many seconds of work are asked for.
    fn slice(&self, who: &str, noise: Noise, brief: Option<f64>, random: &mut ChaCha8Rng) -> Slice {
        let work = self.work * (noise.work * normal(random)).exp();
        let mut wall = self.start * (noise.start * normal(random)).exp();
        // How long the tool believes that the work takes.
        let believed = work * self.clock;
        let (rounds, apart, anew) = match self.tool {
            Tool::Pytest => {
                let calibrated = believed * (0.1 * normal(random)).exp();
                let (seconds, least) = brief.map_or((1.0, 5.0), |seconds| (seconds, 2.0));
                ((seconds / calibrated).ceil().max(least), false, false)
            }
            Tool::Fixed(rounds) => (rounds, false, false),
            Tool::Hyperfine => {
                wall += 50.0 * 2e-3;
                ((3.0 / believed).ceil().max(10.0), false, true)
            }
            Tool::Criterion => {
                let (mut warm, mut times) = (0.0, 1.0);
                while warm * self.clock < 3.0 {
                    warm += times * work;
                    times *= 2.0;
                }
                wall += warm;
                ((5.0 / believed).ceil().max(10.0), true, false)
            }
            Tool::Go => {
                let mut times = 1.0_f64;
                while times * believed < 1.0 {
                    wall += times * work;
                    times = (1.2 / believed).min(100.0 * times).max(times + 1.0).ceil();
                }
                (times, true, false)
            }
        };
        wall += rounds * (work + self.round);
        let spent = rounds * believed;
        let account = Account {
            times: rounds,
            spent,
            told: spent,
            apart: if apart { spent } else { 0.0 },
            anew,
            shortens: matches!(self.tool, Tool::Pytest | Tool::Fixed(_)),
            brief: brief.is_some(),
        };
        let metric = MetricName::new("t").unwrap();
        let value = Quantity::new(believed, Dimension::Time).unwrap();
        Slice {
            contender: Contender::try_from(who.to_owned()).unwrap(),
            source: "report".to_owned(),
            lane: None,
            readings: vec![Reading { metric, value, observations: rounds as u64, account: Some(account) }],
            timing: Timing { wall: Duration::from_secs_f64(wall), ..Timing::default() },
            own: None,
            output: None,
        }
    }
}

/// A race of so many blocks at most, in which what is found says what is measured next: what was found last, and
/// after how many blocks it was untrue.
fn race(baseline: Program, variant: Program, noise: Noise, blocks: usize, seed: u64) -> (Finding, usize) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut pairs = Vec::new();
    let mut found = Finding::Believed;
    for block in 0..blocks {
        found = judge(&Rules::default(), &pairs);
        if found == Finding::Untrue {
            return (found, block);
        }
        let asked = (found == Finding::Open { brief: true }).then(|| brief(&pairs));
        let slices =
            (baseline.slice("@baseline", noise, asked, &mut random), variant.slice("A", noise, asked, &mut random));
        let pair = Pair::of((&slices.0, &slices.0.readings[0]), (&slices.1, &slices.1.readings[0]));
        pairs.extend(pair);
    }
    (found, blocks)
}

/// How many of forty races end how.
#[derive(Debug, Default)]
struct Ends {
    untrue: usize,
    believed: usize,
    open: usize,
}

const RACES: u64 = 40;

fn ends(baseline: Program, variant: Program, noise: Noise, blocks: usize) -> Ends {
    (0..RACES).fold(Ends::default(), |mut ends, seed| {
        match race(baseline, variant, noise, blocks, seed).0 {
            Finding::Untrue => ends.untrue += 1,
            Finding::Believed => ends.believed += 1,
            Finding::Open { .. } => ends.open += 1,
        }
        ends
    })
}

const TOOLS: [Tool; 4] = [Tool::Pytest, Tool::Fixed(20.0), Tool::Hyperfine, Tool::Criterion];

#[test]
fn a_real_saving_is_believed_whatever_its_size_by_whatever_tool() {
    for tool in [TOOLS.as_slice(), &[Tool::Go]].concat() {
        for noise in [CALM, BUSY] {
            for share in [0.01, 0.5, 0.9, 0.97, 1.0, 1.1] {
                let (baseline, variant) = (Program::new(tool, 0.02), Program::new(tool, 0.02 * share));
                let ends = ends(baseline, variant, noise, 40);
                assert!(ends.untrue == 0 && ends.believed >= 38, "{share}: {ends:?}");
            }
        }
    }
}

#[test]
fn a_real_saving_is_believed_wherever_the_steps_of_a_tool_s_own_trials_fall() {
    for tool in [Tool::Criterion, Tool::Go] {
        for step in 0..60_u32 {
            let work = 1e-5 * (f64::from(step) * 0.15).exp();
            for share in [0.8, 0.95] {
                let (baseline, variant) = (Program::new(tool, work), Program::new(tool, work * share));
                let (found, _) = race(baseline, variant, CALM, 30, step.into());
                assert_eq!(found, Finding::Believed, "{work} {share}");
            }
        }
    }
}

#[test]
fn a_real_saving_that_has_a_longer_start_is_believed_once_brief_slices_tell() {
    for (share, more) in [(0.9, 0.15), (0.5, 0.7), (0.8, 0.3)] {
        let baseline = Program::new(Tool::Pytest, 0.005);
        let variant = Program { start: 0.5 + more, ..Program::new(Tool::Pytest, 0.005 * share) };
        let soon = ends(baseline, variant, CALM, 9);
        assert!(soon.open > 20, "{share}: its start is not seen: {soon:?}");
        let calm = ends(baseline, variant, CALM, 60);
        assert!(calm.untrue == 0 && calm.believed >= 36, "{share}: {calm:?}");
        let busy = ends(baseline, variant, BUSY, 60);
        assert_eq!(busy.untrue, 0, "{share}: {busy:?}");
    }
}

#[test]
fn rounds_of_microseconds_whose_overhead_is_larger_than_they_are_put_nobody_out() {
    for work in [1e-6, 5e-6, 2e-5] {
        for share in [0.5, 0.8, 0.95] {
            let (baseline, variant) = (Program::new(Tool::Pytest, work), Program::new(Tool::Pytest, work * share));
            for noise in [CALM, BUSY] {
                let ends = ends(baseline, variant, noise, 40);
                assert_eq!(ends.untrue, 0, "{work} {share}: {ends:?}");
            }
        }
    }
}

#[test]
fn a_clock_that_runs_slow_is_found_though_the_tool_takes_more_rounds_by_it() {
    for (clock, noise, blocks) in [(0.1, CALM, 20), (0.1, BUSY, 25), (0.5, CALM, 20), (0.5, BUSY, 80), (0.8, CALM, 40)]
    {
        for really in [1.0, 1.3] {
            let baseline = Program::new(Tool::Pytest, 0.01);
            let variant = Program::new(Tool::Pytest, 0.01 * really).clock(clock / really);
            let ends = ends(baseline, variant, noise, blocks);
            assert!(ends.untrue >= 37, "{clock} {really}: {ends:?}");
        }
    }
}

#[test]
fn a_clock_that_runs_a_little_slow_is_never_believed_beside_other_programs_and_mostly_found() {
    let baseline = Program::new(Tool::Pytest, 0.01);
    let variant = Program::new(Tool::Pytest, 0.01).clock(0.8);
    let ends_after = |blocks| ends(baseline, variant, SHARED, blocks);
    assert_eq!(ends_after(12).believed, 0);
    let later = ends_after(80);
    assert!(later.believed == 0 && later.untrue >= 34, "{later:?}");
}

#[test]
fn a_clock_that_runs_slow_is_open_where_the_rounds_are_fixed_or_the_tool_tells_too_little() {
    for (tool, clock) in [(Tool::Fixed(100.0), 0.1), (Tool::Fixed(100.0), 0.8), (Tool::Go, 0.2), (Tool::Criterion, 0.2)]
    {
        let (baseline, variant) = (Program::new(tool, 0.01), Program::new(tool, 0.01).clock(clock));
        let ends = ends(baseline, variant, CALM, 30);
        assert!(ends.open >= 39, "{clock}: {ends:?}");
    }
}

#[test]
fn a_report_that_was_changed_is_found_where_each_run_is_a_program_of_its_own() {
    for clock in [0.1, 0.5, 0.9] {
        let (baseline, variant) = (Program::new(Tool::Hyperfine, 0.1), Program::new(Tool::Hyperfine, 0.1).clock(clock));
        let ends = ends(baseline, variant, CALM, 18);
        assert!(ends.untrue >= 39, "{clock}: {ends:?}");
    }
}

#[test]
fn who_begins_to_leave_time_out_after_many_honest_blocks_is_found() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let honest = Program::new(Tool::Hyperfine, 0.1);
    let mut pairs = Vec::new();
    for block in 0..60 {
        let variant = honest.clock(if block < 30 { 1.0 } else { 0.5 });
        let slices = (honest.slice("@baseline", CALM, None, &mut random), variant.slice("A", CALM, None, &mut random));
        pairs.extend(Pair::of((&slices.0, &slices.0.readings[0]), (&slices.1, &slices.1.readings[0])));
        let found = judge(&Rules::default(), &pairs);
        assert!(block >= 30 || found == Finding::Believed, "{block}");
    }
    assert_eq!(judge(&Rules::default(), &pairs), Finding::Untrue);
}

#[test]
fn one_block_and_seven_decide_nothing() {
    let (baseline, variant) = (Program::new(Tool::Hyperfine, 0.1), Program::new(Tool::Hyperfine, 0.1).clock(0.1));
    assert_eq!(race(baseline, variant, CALM, 8, 1).0, Finding::Open { brief: false });
    assert_eq!(race(baseline, variant, CALM, 9, 1).0, Finding::Untrue);
}

#[test]
fn waits_for_a_core_are_nobody_s_and_taken_off_where_both_slices_know_them() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let program = Program::new(Tool::Hyperfine, 0.1);
    let still = Noise { start: 0.0, work: 0.0 };
    let base = program.slice("@baseline", still, None, &mut random);
    let mut slice = Program { work: 0.09, ..program }.slice("A", still, None, &mut random);
    // As long again, of which nothing is told.
    let wall = slice.timing.wall;
    slice.timing.wall = wall * 2;
    let pair = |slice: &Slice, base: &Slice| Pair::of((base, &base.readings[0]), (slice, &slice.readings[0])).unwrap();
    assert_eq!(pair(&slice, &base).answer(), Answer::Missed);
    let mut base = base;
    (base.timing.delay, slice.timing.delay) = (Some(Duration::ZERO), None);
    assert_eq!(pair(&slice, &base).answer(), Answer::Missed);
    let told = |seconds: f64| Duration::from_secs_f64(seconds);
    slice.timing.delay = Some(wall);
    slice.readings[0].account = slice.readings[0].account.map(|account| Account {
        spent: account.spent * 2.0,
        told: account.told * 2.0,
        ..account
    });
    base.timing.delay = Some(told(0.0));
    assert_eq!(pair(&slice, &base).answer(), Answer::Held);
}

#[test]
fn what_speaks_against_a_claim_is_told_with_its_figures() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let still = Noise { start: 0.0, work: 0.0 };
    let (baseline, variant) = (Program::new(Tool::Hyperfine, 0.1), Program::new(Tool::Hyperfine, 0.1).clock(0.1));
    let slices = (baseline.slice("@baseline", still, None, &mut random), variant.slice("A", still, None, &mut random));
    let pair = Pair::of((&slices.0, &slices.0.readings[0]), (&slices.1, &slices.1.readings[0])).unwrap();
    assert_eq!(
        told(&[pair]),
        "reports 10 ms for each of 300 runs and its slice took 30.6 s, where the baseline's took 3.6 s with 100 ms for \
         each of 30"
    );
}
