//! The race on simulated machines: how often it is wrong, and how often it finds the winner. The
//! seeds are fixed; the bounds are those that `benches/decisions.rs` publishes on more decisions.

#![expect(clippy::unwrap_used, reason = "a race that panics fails its test")]

#[path = "../benches/simulator/mod.rs"]
mod simulator;

use simulator::shadow::measure;
use simulator::{By, Environment, Field, HEAVY, NOISY, SHARED, SKEWED, Said, race};

/// What several races said, on two threads.
fn races(decisions: u64, environment: Environment, by: By, field: impl Fn(u64) -> Field + Sync) -> Vec<(Field, Said)> {
    let half = |from: u64| {
        let field = &field;
        move || -> Vec<_> {
            let seeds = (from..decisions).step_by(2).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let decide = |seed| {
                let field = field(seed);
                let said = race(&field, environment, by, seed);
                (field, said)
            };
            seeds.map(decide).collect()
        }
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(half(0)), scope.spawn(half(1))];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// The share that `hits` of `n` still allow with 95 % confidence (Clopper and Pearson, 1934).
fn at_most(hits: usize, n: usize) -> f64 {
    let as_few = |p: f64| {
        let mut term = n as f64 * (1.0 - p).ln();
        let mut sum = term.exp();
        for k in 1..=hits {
            term += (((n - k + 1) as f64 / k as f64) * p / (1.0 - p)).ln();
            sum += term.exp();
        }
        sum
    };
    let (mut low, mut high) = (0.0, 1.0);
    while high - low > 1e-6 {
        let p = f64::midpoint(low, high);
        if as_few(p) > 0.05 { low = p } else { high = p }
    }
    high
}

/// The two bounds on identical variants: a winner is called, and one that is as good as any is dropped.
#[track_caller]
fn assert_seldom_wrong(environment: Environment, by: By, variants: usize, decisions: u64, false_wins: f64) {
    let said = races(decisions, environment, by, |_| Field::identical(variants));
    let wins = said.iter().filter(|(_, said)| said.claimed.is_some()).count();
    // Each of them is as good as any, so each drop is a drop of the best.
    let dropped = said.iter().map(|(_, said)| variants - said.survivors.len()).sum();
    let (wins, dropped) = (at_most(wins, said.len()), at_most(dropped, said.len() * variants));
    let name = environment.name;
    assert!(wins <= false_wins, "{name}, {variants} variants: up to {:.2} % false wins", 100.0 * wins);
    assert!(dropped <= 0.025, "{name}, {variants} variants: the best dropped in up to {:.2} %", 100.0 * dropped);
}

#[test]
fn three_of_three_hits_allow_everything_and_none_of_three_hundred_one_percent() {
    assert!(at_most(3, 3) > 0.999);
    assert!((at_most(0, 300) - 0.01).abs() < 1e-4);
    assert!((at_most(5, 100) - 0.1023).abs() < 1e-3);
}

#[test]
fn identical_variants_are_seldom_called_winners() {
    assert_seldom_wrong(SHARED, By::Elapsed, 4, 600, 0.01);
    assert_seldom_wrong(NOISY, By::Unhindered, 4, 600, 0.01);
}

#[test]
fn two_identical_variants_stay_below_one_in_twenty_on_noise_of_infinite_variance() {
    assert_seldom_wrong(HEAVY, By::Elapsed, 2, 2_000, 0.05);
}

#[test]
fn eight_identical_variants_are_seldom_called_winners_on_lopsided_noise() {
    assert_seldom_wrong(SKEWED, By::Elapsed, 8, 500, 0.01);
}

#[test]
fn five_percent_are_found_on_a_shared_machine_and_never_given_to_another() {
    let said = races(300, SHARED, By::Elapsed, |seed| Field::new(0.05, seed));
    let right = said.iter().filter(|(field, said)| said.claimed == Some(field.best)).count();
    let wrong = said.iter().filter(|(field, said)| said.claimed.is_some_and(|c| c != field.best)).count();
    let seconds = said.iter().map(|(_, said)| said.seconds).sum::<f64>() / said.len() as f64;
    assert!(at_most(said.len() - right, said.len()) <= 0.02, "{right} of {} right", said.len());
    assert_eq!(wrong, 0);
    assert!(seconds <= 20.0, "{seconds:.1} s");
}

#[test]
fn ten_percent_are_found_on_a_noisy_machine() {
    let said = races(200, NOISY, By::Elapsed, |seed| Field::new(0.10, seed));
    let right = said.iter().filter(|(field, said)| said.claimed == Some(field.best)).count();
    assert!(at_most(said.len() - right, said.len()) <= 0.02, "{right} of {} right", said.len());
}

#[test]
fn two_percent_are_found_on_a_noisy_machine_once_waits_for_a_core_are_taken_out() {
    let said = races(300, NOISY, By::Unhindered, |seed| Field::new(0.02, seed));
    let right = said.iter().filter(|(field, said)| said.claimed == Some(field.best)).count();
    let seconds = said.iter().map(|(_, said)| said.seconds).sum::<f64>() / said.len() as f64;
    assert!(at_most(said.len() - right, said.len()) <= 0.05, "{right} of {} right", said.len());
    assert!(seconds <= 30.0, "{seconds:.1} s");
}

#[test]
fn the_shadow_of_an_honest_baseline_invalidates_nothing_and_costs_two_seconds() {
    let runs = |every| (0..300).map(move |seed| measure(&[0.5, 0.55], SHARED, seed, every, 0.0)).collect::<Vec<_>>();
    let (without, with) = (runs(0), runs(1));
    let seconds = |runs: &[simulator::shadow::Measured]| runs.iter().map(|m| m.seconds).sum::<f64>() / 300.0;
    assert_eq!(with.iter().filter(|m| m.biased).count(), 0);
    let cost = seconds(&with) - seconds(&without);
    assert!((1.0..3.0).contains(&cost), "{cost:.1} s");
}

#[test]
fn a_shadow_that_is_a_fifth_slower_is_found_although_the_race_needs_the_baseline_for_few_blocks() {
    let found = (0..200).filter(|seed| measure(&[0.5, 0.55], SHARED, *seed, 1, 0.2).biased).count();
    assert!(at_most(200 - found, 200) <= 0.10, "{found} of 200");
}
