//! Programs of known truth, really run: this benchmark's own program computes, walks through memory or
//! sleeps for as long as it is told, and the product's source `time` measures it. What comes out is held against
//! what a replay of this machine's noise, recorded right before each program, says should, with the noise that the program
//! has of its own added: where in memory a run lies, for one, is another lot each time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blueprint::adapters::executor::local::Local;
use blueprint::adapters::metric::{Meter, MetricSource, Sample, Slot, time};
use blueprint::adapters::process::{Environment, Program, Site, Stop};
use blueprint::adapters::recorder;
use blueprint::domain::measurement::{Contender, MetricName, Slice};
use blueprint::domain::noise::{Field, Header, Question, Replay, Said, Summary, Tally, Timed, Trace, race};
use blueprint::domain::timed::Clocks;

/// By how much the variants differ.
const DIFFERENCES: [f64; 5] = [0.0, 0.01, 0.03, 0.05, 0.10];
/// Seconds after which a race is given up; the replay's alike.
const CAP: f64 = 30.0;
/// What one run is to take at true time 1; a slice holds two.
const RUN: Duration = Duration::from_millis(120);
/// How long this machine's noise is recorded before.
const RECORDED: Duration = Duration::from_secs(20);
/// Decisions of a replay.
const REPLAYED: u64 = 300;

/// What a program does for its time.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    Compute,
    Walk,
    Sleep,
}

impl Work {
    const ALL: [Self; 3] = [Self::Compute, Self::Walk, Self::Sleep];

    fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Walk => "walk",
            Self::Sleep => "sleep",
        }
    }

    /// Does so many units of it.
    fn run(self, units: u64) {
        match self {
            Self::Compute => drop(std::hint::black_box(compute(units))),
            Self::Walk => drop(std::hint::black_box(walk(units))),
            Self::Sleep => std::thread::sleep(Duration::from_micros(units)),
        }
    }

    /// What it takes on this machine.
    pub fn pace(self) -> Pace {
        if matches!(self, Self::Sleep) {
            return Pace { fixed: 0.0, unit: 1e-6 };
        }
        let least = |units| {
            let time = || {
                let began = Instant::now();
                self.run(units);
                began.elapsed().as_secs_f64()
            };
            (0..9).map(|_| time()).fold(f64::INFINITY, f64::min)
        };
        let (few, many) = (1, 2_000_001);
        let fixed = least(few);
        Pace { fixed, unit: (least(many) - fixed) / (many - few) as f64 }
    }
}

/// Seconds of a work: once, and for each unit.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub fixed: f64,
    pub unit: f64,
}

impl Pace {
    /// Units that make a run this many times as long as the shortest.
    fn units(self, times: f64) -> u64 {
        ((RUN.as_secs_f64() * times - self.fixed) / self.unit) as u64
    }
}

fn compute(units: u64) -> u64 {
    let mut state = 1_u64;
    for _ in 0..units {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) ^ (state >> 29);
    }
    state
}

/// Steps through 8 MiB, each to where the last one points.
fn walk(units: u64) -> usize {
    const PLACES: usize = 1 << 20;
    // A full cycle: the multiplier is 1 modulo 4 and the increment odd.
    let next: Vec<usize> = (0..PLACES).map(|at| (at.wrapping_mul(0x9e3_779d) + 0x5bd1_e995) % PLACES).collect();
    let mut at = 0;
    for _ in 0..units {
        at = next[at];
    }
    at
}

/// Whether this process is to be a program that is measured; it then was.
pub fn was_program() -> bool {
    let args: Vec<String> = std::env::args().collect();
    let [_, flag, name, units] = &args[..] else { return false };
    let work = Work::ALL.into_iter().find(|work| work.name() == name);
    let (Some(work), Ok(units)) = (work, units.parse::<NonZeroU64>()) else { return false };
    match flag.as_str() {
        "--program" => work.run(units.get()),
        "--timed" => timed(work, units.get()),
        "--serve" => serve(work, units.get()),
        _ => return false,
    }
    true
}

/// Times itself, as a script for a benchmark does.
fn timed(work: Work, units: u64) {
    let began = Instant::now();
    for _ in 0..3 {
        work.run(units);
    }
    println!("{{\"ms\": {:.4}}}", began.elapsed().as_secs_f64() * 1e3 / 3.0);
}

/// Works for each request, on a thread a connection.
fn serve(work: Work, units: u64) {
    let port: u16 = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).expect("$PORT");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
    for mut stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while stream.read(&mut buffer).is_ok_and(|length| length > 0) {
                work.run(units);
                if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                    return;
                }
            }
        });
    }
}

/// How often races came out as the truth has it.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    decisions: u32,
    right: u32,
    wrong: u32,
    seconds: f64,
}

/// Prints the table and returns by how many points the shares of right decisions differ.
pub fn section(decisions: u32) -> f64 {
    println!(
        "\nprograms of known truth on this machine, four variants, {decisions} decisions a line, given up after {CAP} s;\n\
         right is the best claimed with support, or nobody claimed where all are alike\n"
    );
    println!("{:<8} {:>5}   {:>6} {:>6} {:>7}   {:>16}", "", "d", "right", "wrong", "seconds", "replay says right");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (mut live, mut expected, mut cells) = (0.0, 0.0, 0.0);
    for work in Work::ALL {
        let pace = work.pace();
        // A machine changes within minutes: each program is held against its own minute.
        let trace = recorded(work);
        let replay = Replay::of(&trace);
        let machine = adjacent(&trace, &replay);
        let own = runtime.block_on(own_noise(work, pace, machine));
        println!("{:<8} has {:.1} % of noise of its own in a slice", work.name(), 100.0 * own);
        for difference in DIFFERENCES {
            let mut found = Found::default();
            for seed in 0..decisions {
                runtime.block_on(decide(work, pace, difference, u64::from(seed), &mut found));
            }
            let said = predicted(&replay, own, difference);
            let right = f64::from(found.right) / f64::from(found.decisions.max(1));
            println!(
                "{:<8} {:>4.0} %   {:>6.2} {:>6} {:>7.1}   {said:>16.2}",
                work.name(),
                100.0 * difference,
                right,
                found.wrong,
                found.seconds / f64::from(found.decisions.max(1))
            );
            live += right;
            expected += said;
            cells += 1.0;
        }
    }
    100.0 * (live - expected).abs() / cells
}

/// This machine's noise now, as far as it reaches a program: what sleeps is not computed, and without its waits for
/// a core nothing is left of it.
fn recorded(work: Work) -> Trace {
    let mut made = recorder::record(RECORDED, &Stop::new());
    if matches!(work, Work::Sleep) {
        made.ticks.clear();
    }
    let header = Header {
        recorded: jiff::Timestamp::now(),
        version: String::new(),
        cores: 1,
        cpu: None,
        kernel: None,
        note: None,
        tick: made.tick,
    };
    Trace { header, ticks: made.ticks, samples: made.samples }
}

/// By how much the logarithms of two slices differ in CPU time, one after the other.
fn adjacent(trace: &Trace, replay: &Replay) -> f64 {
    if trace.ticks.is_empty() {
        return 0.0;
    }
    let summary = Summary::of(trace, replay);
    summary.differences.iter().find(|d| d.timed == Timed::Cpu).map_or(0.0, |d| d.adjacent)
}

/// Slices from which a program's own noise is told.
const PROBES: usize = 40;

/// The standard deviation of a program's logarithm in one slice, beyond what this machine does to anybody's.
async fn own_noise(work: Work, pace: Pace, machine: f64) -> f64 {
    let folder = tempfile::tempdir().expect("a directory");
    let mut meter = meter(folder.path(), work, pace.units(1.0)).await;
    let mut slices = Vec::new();
    for _ in 0..PROBES {
        let slot = Slot { block: 0, seed: 1, limit: None, brief: None };
        slices.push(taken(meter.sample(slot).await.expect("a slice")));
    }
    let clocks = Clocks::chosen(&slices[..1]);
    let value = |slice: &Slice| clocks.value(0, slice, &slice.readings[0]).expect("a time").value().ln();
    let logs: Vec<f64> = slices.iter().map(value).collect();
    let squares = logs.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum::<f64>();
    let both = squares / (PROBES - 1) as f64;
    // The difference of two slices has the noise of both.
    ((both - machine.powi(2)).max(0.0) / 2.0).sqrt()
}

/// How often a replay is right.
fn predicted(replay: &Replay, own: f64, difference: f64) -> f64 {
    let question = Question { variants: 4, difference, timed: Timed::Cpu, cap: CAP, own };
    let tally = Tally::of(replay, question, REPLAYED, 1);
    if difference > 0.0 { tally.share(tally.supported_right) } else { 1.0 - tally.share(tally.supported) }
}

async fn decide(work: Work, pace: Pace, difference: f64, seed: u64, found: &mut Found) {
    let field = Field::new(Question { variants: 4, difference, timed: Timed::Wall, cap: CAP, own: 0.0 }, seed);
    let folder = tempfile::tempdir().expect("a directory");
    let mut meters = Vec::new();
    for time in &field.times {
        meters.push(meter(folder.path(), work, pace.units(*time)).await);
    }
    let began = Instant::now();
    let (mut warm_up, mut clocks) = (Vec::new(), Clocks::default());
    let handle = tokio::runtime::Handle::current();
    let said: Said = tokio::task::block_in_place(|| {
        race(meters.len(), seed, CAP, |v| {
            let slot = Slot { block: 0, seed, limit: None, brief: None };
            let slice = taken(handle.block_on(meters[v].sample(slot)).expect("a slice"));
            if warm_up.len() < 4 {
                warm_up.push(slice.clone());
                clocks = Clocks::chosen(&warm_up);
            }
            let value = clocks.value(0, &slice, &slice.readings[0]).expect("a time").value();
            (value, began.elapsed().as_secs_f64())
        })
    });
    let right = if difference > 0.0 { said.claimed == Some(field.best) } else { said.claimed.is_none() };
    found.decisions += 1;
    found.right += u32::from(right);
    found.wrong += u32::from(!right && said.claimed.is_some());
    found.seconds += said.seconds;
}

async fn meter(folder: &std::path::Path, work: Work, units: u64) -> Box<dyn Meter> {
    let own = std::env::current_exe().expect("this program").display().to_string();
    let command = Program::Argv(vec![own, "--program".to_owned(), work.name().to_owned(), units.to_string()]);
    let name = MetricName::new("time").expect("a name");
    let (exec, stop) = (Arc::new(Local), Stop::new());
    let (env, cpus) = (Environment::new(), Vec::new());
    let site = Site { tree: folder.into(), env, scratch: folder.into(), exec, stop, cpus };
    time::Time::new(time::Settings { name, command, output: false }).open(&site).await.expect("a meter")
}

fn taken(sample: Sample) -> Slice {
    let Sample { readings, timing, own, output } = sample;
    let (contender, source) = (Contender::Baseline, "time".to_owned());
    Slice { contender, source, readings, timing, own, output, lane: None }
}
