//! How long measuring goes on, and what it waits for, over fakes.

use std::sync::Arc;
use std::time::Duration;

use crate::adapters::machine::Load;
use crate::adapters::machine::fake::FakeMachine;
use crate::domain::event::Event;
use crate::domain::lanes::{Core, Topology};
use crate::engine::fixtures::World;
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

#[tokio::test]
async fn a_machine_that_is_calm_is_not_waited_for() {
    assert_eq!(waited(&[0.1], LONG).await, (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn a_busy_machine_is_waited_for_until_it_is_calm_which_is_told_once() {
    let (told, warned) = waited(&[1.9, 1.6, 0.2], LONG).await;
    assert_eq!(told, ["waits for a calmer machine: others use 1.9 of 2 cores"]);
    assert_eq!(warned, [""; 0]);
}

#[tokio::test]
async fn a_machine_that_stays_busy_is_measured_on_all_the_same_and_that_is_a_warning() {
    let (told, warned) = waited(&[1.9], LOOK / 2).await;
    assert_eq!(told, [""; 0]);
    assert_eq!(warned, ["others still use 1.9 of 2 cores; measuring begins all the same"]);
}
