//! Who is picked, how surely and how soon: the race beside what tools do today, on simulated machines of
//! known noise, on recorded ones, and with programs of known truth on this one. The last take 20 minutes;
//! `--no-live` leaves them out, `--live` does nothing else, `--clock` asks what it costs to check the clocks, `--quick` shortens everything.
//!
//! `--busy` lets the whole program compete beside four endless loops, for hours in its full form; `--only SOURCE`,
//! `--decisions N`, `--identical N` and `--difference PERCENT` take a part of it; `--keep` leaves the repositories.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod busy;
#[path = "../tests/common/mod.rs"]
mod common;
mod live;
mod rechecked;
mod replay;
mod simulator;

use std::sync::atomic::{AtomicU64, Ordering};

use blueprint::domain::noise::{least, mean};
use simulator::shadow::{Measured, measure};
use simulator::{By, Environment, Field, NOISY, QUIET, SHARED, Said, race, sequential};

/// After so many blocks the leader is not looked at any more.
const BLOCKS: usize = 100;

/// What races of one kind said.
#[derive(Clone)]
struct Races {
    right: u64,
    supported: u64,
    supported_right: u64,
    seconds: f64,
    /// After each block: how many were led by the best, and the seconds until then.
    led: Vec<(u64, f64)>,
}

impl Races {
    fn new() -> Self {
        Self { right: 0, supported: 0, supported_right: 0, seconds: 0.0, led: vec![(0, 0.0); BLOCKS] }
    }

    fn take(&mut self, said: &Said, best: usize) {
        self.right += u64::from(said.picked == best);
        self.supported += u64::from(said.claimed.is_some());
        self.supported_right += u64::from(said.claimed == Some(best));
        self.seconds += said.seconds;
        for (block, (right, seconds)) in self.led.iter_mut().enumerate() {
            // A race that has ended stays as it ended.
            let Some((clock, leader)) = said.led.get(block).or(said.led.last()) else { continue };
            *right += u64::from(*leader == best);
            *seconds += clock;
        }
    }

    fn add(&mut self, other: &Self) {
        self.right += other.right;
        self.supported += other.supported;
        self.supported_right += other.supported_right;
        self.seconds += other.seconds;
        for (sum, one) in self.led.iter_mut().zip(&other.led) {
            *sum = (sum.0 + one.0, sum.1 + one.1);
        }
    }

    fn wrong(&self) -> u64 {
        self.supported - self.supported_right
    }

    /// The fewest seconds after which the leader is right at least so often.
    fn seconds_to(&self, right: u64) -> Option<f64> {
        self.led.iter().find(|(led, _)| *led >= right).map(|(_, seconds)| *seconds)
    }
}

/// One row of the table.
#[derive(Clone)]
struct Row {
    decisions: u64,
    single: u64,
    ten: u64,
    ten_seconds: f64,
    five: u64,
    elapsed: Races,
    unhindered: Races,
}

impl Row {
    fn new() -> Self {
        let (elapsed, unhindered) = (Races::new(), Races::new());
        Self { decisions: 0, single: 0, ten: 0, ten_seconds: 0.0, five: 0, elapsed, unhindered }
    }

    fn decide(&mut self, environment: Environment, d: f64, seed: u64) {
        let field = Field::new(d, seed);
        let hit = |picked: usize| u64::from(picked == field.best);
        let (ten, seconds) = sequential(&field, environment, seed ^ 10, 10, mean);
        self.decisions += 1;
        self.single += hit(sequential(&field, environment, seed ^ 1, 1, mean).0);
        self.ten += hit(ten);
        self.ten_seconds += seconds;
        self.five += hit(sequential(&field, environment, seed ^ 5, 5, least).0);
        self.elapsed.take(&race(&field, environment, By::Elapsed, seed), field.best);
        self.unhindered.take(&race(&field, environment, By::Unhindered, seed), field.best);
    }

    fn add(&mut self, other: &Self) {
        self.decisions += other.decisions;
        self.single += other.single;
        self.ten += other.ten;
        self.ten_seconds += other.ten_seconds;
        self.five += other.five;
        self.elapsed.add(&other.elapsed);
        self.unhindered.add(&other.unhindered);
    }

    fn share(&self, count: u64) -> f64 {
        count as f64 / self.decisions.max(1) as f64
    }

    fn mean(&self, sum: f64) -> f64 {
        sum / self.decisions.max(1) as f64
    }

    /// How many times fewer seconds the race needs to be right as often as ten runs each.
    fn speedup(&self) -> Option<f64> {
        Some(self.ten_seconds / self.unhindered.seconds_to(self.ten)?)
    }

    fn races(&self, races: &Races) -> String {
        format!(
            "{:>6.3} {:>9.3} {:>5} {:>7.1}",
            self.share(races.right),
            self.share(races.supported),
            races.wrong(),
            self.mean(races.seconds)
        )
    }
}

/// All decisions of a cell, over two threads.
fn cell(environment: Environment, d: f64, decisions: u64) -> Row {
    let next = AtomicU64::new(0);
    let work = || {
        let mut row = Row::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= decisions {
                return row;
            }
            row.decide(environment, d, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        let mut total = Row::new();
        for thread in threads {
            if let Ok(row) = thread.join() {
                total.add(&row);
            }
        }
        total
    })
}

/// A figure's line.
fn figure(name: &str, value: f64, digits: usize, unit: &str, limit: f64) {
    println!("figure {name} {value:.digits$} {unit} limit {limit}");
}

/// What the shadow baseline costs an honest measurement, and how often it finds a biased one: never
/// measured, in every block of the baseline, in every second.
fn shadows(decisions: u64) {
    println!(
        "\nthe shadow baseline: seconds and slices of an honest measurement without it, with it in every block of"
    );
    println!("the baseline and in every second; and how many measurements biased by 10 % and 20 % it finds\n");
    println!(
        "{:<26} {:>13} {:>13} {:>13}   {:>11} {:>11}",
        "variants (baseline 1)", "without", "every block", "every second", "10 %", "20 %"
    );
    let fields: [&[f64]; 5] =
        [&[0.5, 0.55], &[0.5, 0.525, 0.55], &[0.5, 0.525, 0.525, 0.55], &[0.9, 0.95], &[0.9, 0.95, 0.95, 0.99]];
    for times in fields {
        for environment in [QUIET, SHARED, NOISY] {
            let all = |every, bias| -> Vec<Measured> {
                let seeds = (0..decisions).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                seeds.map(|seed| measure(times, environment, seed, every, bias)).collect()
            };
            let cost = |every| {
                let runs = all(every, 0.0);
                let mean = |of: &dyn Fn(&Measured) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
                format!("{:.1} s {:>4.0}", mean(&|m| m.seconds), mean(&|m| f64::from(m.slices)))
            };
            let found = |bias| {
                let share = |every| {
                    let runs = all(every, bias);
                    runs.iter().filter(|m| m.biased).count() as f64 / runs.len() as f64
                };
                format!("{:.2} {:.2}", share(1), share(2))
            };
            let name = format!("{times:?}");
            println!(
                "{name:<26} {:>13} {:>13} {:>13}   {:>11} {:>11}  {}",
                cost(0),
                cost(1),
                cost(2),
                found(0.10),
                found(0.20),
                environment.name
            );
        }
    }
}

/// What of the competitions beside busy loops is asked for.
fn busy_asked(quick: bool) -> busy::Asked {
    let said = |flag: &str| std::env::args().skip_while(|a| a != flag).nth(1);
    let number = |flag: &str, usual: u32| said(flag).and_then(|n| n.parse().ok()).unwrap_or(usual);
    let percent = said("--difference").and_then(|n| n.parse::<f64>().ok());
    busy::Asked {
        decisions: number("--decisions", if quick { 1 } else { 10 }),
        identical: number("--identical", if quick { 2 } else { 50 }),
        only: said("--only"),
        differences: percent.map_or_else(|| vec![0.10, 0.05], |percent| vec![percent / 100.0]),
    }
}

fn main() {
    if live::was_program() || busy::was_loop() {
        return;
    }
    let asked = |flag: &str| std::env::args().any(|a| a == flag);
    let quick = asked("--quick");
    if asked("--busy") {
        return busy::section(&busy_asked(quick));
    }
    let really = || live::section(if quick { 1 } else { 4 });
    if asked("--clock") {
        return figure("rechecked_clock_ms", rechecked::dearest(), 3, "ms", 1.0);
    }
    if asked("--live") {
        figure("live_gap_points", really(), 1, "points", 5.0);
        return;
    }
    everything(quick, (!asked("--no-live")).then_some(really));
}

/// All tables but those beside busy loops; the last of them where it is asked for.
fn everything(quick: bool, really: Option<impl Fn() -> f64>) {
    let (decisions, identical) = if quick { (200, 500) } else { (1_000, 10_000) };
    println!("four variants at 1, 1+d, 1+d, 1+2d; {decisions} decisions a row; races capped at 120 s\n");
    println!("{:<12} what tools do today: right{:11} race by elapsed time{:12} race less waits for a core", "", "", "");
    let race = format!("{:>6} {:>9} {:>5} {:>7}", "right", "supported", "wrong", "seconds");
    println!(
        "{:<12} {:>7} {:>15} {:>9}   {race}   {race} {:>8}",
        "", "single", "ten (seconds)", "five min", "x faster"
    );
    let (mut claims, mut wrong, mut speedup) = (0, 0, f64::INFINITY);
    let mut named = Vec::new();
    let cells =
        [(QUIET, 0.03), (SHARED, 0.01), (SHARED, 0.03), (SHARED, 0.05), (NOISY, 0.02), (NOISY, 0.05), (NOISY, 0.10)];
    for (environment, d) in cells {
        let row = cell(environment, d, decisions);
        let name = format!("{} {:.0} %", environment.name, d * 100.0);
        let faster = row.speedup();
        println!(
            "{name:<12} {:>7.3} {:>7.3} ({:>5.1}) {:>9.3}   {}   {} {:>8}",
            row.share(row.single),
            row.share(row.ten),
            row.mean(row.ten_seconds),
            row.share(row.five),
            row.races(&row.elapsed),
            row.races(&row.unhindered),
            faster.map_or("-".to_owned(), |times| format!("{times:.1}"))
        );
        claims += 2 * row.decisions;
        wrong += row.elapsed.wrong() + row.unhindered.wrong();
        speedup = speedup.min(faster.unwrap_or(0.0));
        named.push((name, row));
    }
    println!();
    for seen in [0.75, 0.5] {
        let row = cell(NOISY.seen(seen), 0.02, decisions);
        let races = row.races(&row.unhindered);
        println!("noisy 2 % where {:.0} % of what others do shows as waits, not 90 %: {races}", 100.0 * seen);
    }
    let same = cell(SHARED, 0.0, identical);
    replay::section(decisions);
    shadows(if quick { 100 } else { 1_000 });
    let gap = really.map(|really| really());
    let (elapsed, unhindered) = (same.elapsed.supported, same.unhindered.supported);
    println!("\nidentical variants on a shared machine, of {identical}: {elapsed} called a winner by elapsed time,");
    println!("{unhindered} less waits (tools that take the lowest mean or minimum call one every time)\n");
    let of = |name: &str| named.iter().find(|(known, _)| known == name).map_or_else(Row::new, |(_, row)| row.clone());
    figure("false_wins_percent", 100.0 * same.share(elapsed.max(unhindered)), 3, "%", 1.0);
    figure("wrong_claims_percent", 100.0 * wrong as f64 / f64::max(claims as f64, 1.0), 3, "%", 0.1);
    let shared = of("shared 5 %");
    figure("shared5_supported_percent", 100.0 * shared.share(shared.elapsed.supported_right), 2, "%", 99.0);
    figure("shared5_seconds", shared.mean(shared.elapsed.seconds), 1, "s", 20.0);
    for (name, figures, limits) in [("noisy 5 %", "noisy5", (99.0, 45.0)), ("noisy 2 %", "noisy2", (95.0, 30.0))] {
        let row = of(name);
        let supported = 100.0 * row.share(row.unhindered.supported_right);
        figure(&format!("{figures}_supported_percent"), supported, 2, "%", limits.0);
        figure(&format!("{figures}_seconds"), row.mean(row.unhindered.seconds), 1, "s", limits.1);
    }
    figure("speedup_vs_ten_runs", speedup, 1, "times", 10.0);
    figure("rechecked_clock_ms", rechecked::dearest(), 3, "ms", 1.0);
    if let Some(gap) = gap {
        figure("live_gap_points", gap, 1, "points", 5.0);
    }
}
