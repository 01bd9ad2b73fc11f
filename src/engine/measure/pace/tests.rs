//! How long measuring goes on, and what it waits for, over fakes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::adapters::machine::Load;
use crate::adapters::machine::fake::FakeMachine;
use crate::adapters::metric::Sample;
use crate::domain::event::Event;
use crate::domain::lanes::{Core, Topology};
use crate::domain::measurement::Timing;
use crate::engine::fixtures::{World, noisy, sample, source};
use crate::engine::measure::pace::LOOK;

/// Longer than any of these tests waits.
const LONG: Duration = Duration::from_secs(60);

/// A machine of two cores on which others use so many of them, look after look.
fn machine(used: &[f64]) -> FakeMachine {
    let mut busy = Duration::ZERO;
    let mut loads = Vec::new();
    for used in used {
        let before = busy;
        busy += LOOK.mul_f64(*used);
        loads.extend([before, busy].map(|busy| Load { busy: Some(busy), ..Load::default() }));
    }
    FakeMachine::new(loads).with(Topology { cores: (0..2).map(core).collect() })
}

fn core(number: usize) -> Core {
    Core { cpus: vec![number], whole: true }
}

/// What was told of waiting on this machine, for at most so long.
async fn waited(used: &[f64], most: Duration) -> (Vec<String>, Vec<String>) {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    world.ports.machine = Arc::new(machine(used));
    world.settings.measure.wait = Some(most);
    let competition = world.start().await;
    competition.measuring.await_calm().await.unwrap();
    let told = |event: &Event| match event {
        Event::Choice { what, text } if what == "measuring" => Some(text.clone()),
        _ => None,
    };
    let told = world.events.lock().unwrap().iter().filter_map(told).collect();
    (told, world.warnings())
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_calm_is_not_waited_for() {
    assert_eq!(waited(&[0.1], LONG).await, (Vec::new(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_busy_machine_is_waited_for_until_it_is_calm_which_is_told_once() {
    let (told, warned) = waited(&[1.9, 1.6, 0.2], LONG).await;
    assert_eq!(told, ["waits for a calmer machine: others use 1.9 of 2 cores"]);
    assert_eq!(warned, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_stays_busy_is_measured_on_all_the_same_and_that_is_a_warning() {
    let (told, warned) = waited(&[1.9], LOOK / 2).await;
    assert_eq!(told, [""; 0]);
    assert_eq!(warned, ["others still use 1.9 of 2 cores; measuring begins all the same"]);
}

/// A competition whose slices take this long, measured for at most a minute. The baseline and its shadow are measured as well.
fn slow(costs: &[(&str, &str)], slice: Duration) -> World {
    let mut world = World::of(costs);
    let disk = world.disk.clone();
    world.measured_by(source(move |site, slot| {
        let taken = sample(noisy(&disk, site, slot))?;
        Ok(Sample { timing: Timing { wall: slice, ..Timing::default() }, ..taken })
    }));
    world
}

/// How many blocks were measured, and for how long all of it went on.
async fn measured(world: &World) -> (usize, Duration) {
    let began = Instant::now();
    world.carry_out().await.unwrap();
    (world.facts().await.seen.blocks.len(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_block_that_would_outlast_the_budget_is_not_begun() {
    // Nothing tells the two apart from what there is, so that only time ends it: blocks of 4 × 2.5 s.
    let world = slow(&[("A", "90.0"), ("B", "90.00")], Duration::from_millis(2500));
    let (blocks, took) = measured(&world).await;
    assert_eq!(blocks, 6);
    // The smoke test is before it.
    assert!(took < Duration::from_secs(60 + 10), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_race_that_few_more_blocks_decide_goes_on_where_the_time_cap_leaves_room() {
    for (extends, landed) in [(false, false), (true, true)] {
        let mut world = slow(&[("A", "20"), ("B", "150")], Duration::from_millis(2500));
        (world.settings.measure.extends, world.started.extends) = (extends, extends);
        let began = Instant::now();
        let conclusion = world.carry_out().await.unwrap();
        assert_eq!(conclusion.landed.is_some(), landed, "extends: {extends}");
        assert_eq!(began.elapsed() > Duration::from_secs(75), extends, "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_that_outlasts_the_whole_budget_is_told_with_what_is_needed() {
    let world = slow(&[("A", "20"), ("B", "60")], Duration::from_secs(20));
    let error = world.carry_out().await.unwrap_err();
    assert!(error.message.contains("one block takes about"), "{}", error.message);
}
