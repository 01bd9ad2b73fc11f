//! Who is picked, how surely and how soon: the race beside what tools do today, on simulated
//! machines of known noise. Decisions are counted; nothing is timed.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod replay;
mod simulator;

use std::sync::atomic::{AtomicU64, Ordering};

use simulator::{Environment, Field, NOISY, QUIET, SHARED, least, mean, race, sequential};

/// One row of the table.
#[derive(Default, Clone, Copy)]
struct Row {
    decisions: u64,
    single: u64,
    ten: u64,
    ten_seconds: f64,
    five: u64,
    right: u64,
    supported: u64,
    supported_right: u64,
    seconds: f64,
}

impl Row {
    fn add(&mut self, other: Self) {
        self.decisions += other.decisions;
        self.single += other.single;
        self.ten += other.ten;
        self.ten_seconds += other.ten_seconds;
        self.five += other.five;
        self.right += other.right;
        self.supported += other.supported;
        self.supported_right += other.supported_right;
        self.seconds += other.seconds;
    }

    fn share(&self, count: u64) -> f64 {
        count as f64 / self.decisions.max(1) as f64
    }
}

fn decide(environment: Environment, d: f64, seed: u64) -> Row {
    let field = Field::new(d, seed);
    let said = race(&field, environment, seed);
    let hit = |picked: usize| u64::from(picked == field.best);
    let (ten, ten_seconds) = sequential(&field, environment, seed ^ 10, 10, mean);
    Row {
        decisions: 1,
        single: hit(sequential(&field, environment, seed ^ 1, 1, mean).0),
        ten: hit(ten),
        ten_seconds,
        five: hit(sequential(&field, environment, seed ^ 5, 5, least).0),
        right: hit(said.picked),
        supported: u64::from(said.claimed.is_some()),
        supported_right: u64::from(said.claimed == Some(field.best)),
        seconds: said.seconds,
    }
}

/// All decisions of a cell, over two threads.
fn cell(environment: Environment, d: f64, decisions: u64) -> Row {
    let next = AtomicU64::new(0);
    let work = || {
        let mut row = Row::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= decisions {
                return row;
            }
            row.add(decide(environment, d, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        let mut total = Row::default();
        for thread in threads {
            if let Ok(row) = thread.join() {
                total.add(row);
            }
        }
        total
    })
}

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let (decisions, identical) = if quick { (200, 500) } else { (2_000, 10_000) };
    println!("four variants at 1, 1+d, 1+d, 1+2d; {decisions} decisions a row; race capped at 120 s\n");
    println!(
        "{:<12} {:>7} {:>15} {:>9}   {:>6} {:>10} {:>6} {:>7}",
        "", "single", "ten (seconds)", "five min", "race", "supported", "wrong", "seconds"
    );
    let cells =
        [(QUIET, 0.03), (SHARED, 0.01), (SHARED, 0.03), (SHARED, 0.05), (NOISY, 0.02), (NOISY, 0.05), (NOISY, 0.10)];
    let (mut claims, mut wrong, mut shared5) = (0, 0, Row::default());
    for (environment, d) in cells {
        let row = cell(environment, d, decisions);
        println!(
            "{:<12} {:>7.3} {:>7.3} ({:>5.1}) {:>9.3}   {:>6.3} {:>10.3} {:>6} {:>7.1}",
            format!("{} {:.0} %", environment.name, d * 100.0),
            row.share(row.single),
            row.share(row.ten),
            row.ten_seconds / row.decisions as f64,
            row.share(row.five),
            row.share(row.right),
            row.share(row.supported),
            row.supported - row.supported_right,
            row.seconds / row.decisions as f64
        );
        claims += row.decisions;
        wrong += row.supported - row.supported_right;
        if environment.name == "shared" && d == 0.05 {
            shared5 = row;
        }
    }
    let same = cell(SHARED, 0.0, identical);
    println!("\nidentical variants on a shared machine: {} of {identical} called a winner", same.supported);
    println!("(tools that take the lowest mean or minimum call one every time)");
    replay::section(decisions);
    println!();
    println!("figure false_wins_percent {:.3} % limit 1", 100.0 * same.share(same.supported));
    println!("figure wrong_claims_percent {:.3} % limit 0.1", 100.0 * wrong as f64 / claims as f64);
    println!("figure shared5_supported_percent {:.2} % limit 99", 100.0 * shared5.share(shared5.supported_right));
    println!("figure shared5_seconds {:.1} s limit 20", shared5.seconds / shared5.decisions as f64);
}
