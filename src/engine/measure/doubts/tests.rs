//! Doubts about times that programs report of themselves, over fakes.

use std::time::Duration;

use crate::adapters::metric::{MetricError, Sample, Slot};
use crate::domain::event::Event;
use crate::domain::measurement::{Account, Reading, Timing};
use crate::engine::fixtures::{World, metric, sample, source};

/// So many runs are in a slice, of so many seconds each on the baseline.
const RUNS: f64 = 10.0;
const EACH: f64 = 0.09;

/// A slice of a program that says its runs took so long each, and of which so much was not told of, for each run and once.
fn timing_itself(told: f64, hidden: f64, once: f64, slot: Slot, shortens: bool) -> Result<Sample, MetricError> {
    let brief = slot.brief.filter(|_| shortens);
    let times = brief.map_or(RUNS, |_| 2.0);
    // By which no two slices are alike.
    let own = 1.0 + (slot.seed % 1000) as f64 / 1e6;
    let spent = told * own * times;
    let account = Account { times, spent, told: spent, shortens, brief: brief.is_some(), ..Account::default() };
    let taken = sample(told * own * 1e3)?;
    let reading = Reading { observations: times as u64, account: Some(account), ..taken.readings[0].clone() };
    let wall = Duration::from_secs_f64(0.1 + spent + hidden * times + once);
    Ok(Sample { readings: vec![reading], timing: Timing { wall, ..Timing::default() }, ..taken })
}

/// A competition in which A says that its runs take a tenth of the baseline's time, and hides so much of a run and of its start.
fn world(hidden: f64, once: f64, shortens: bool) -> World {
    let mut world = World::of(&[("A", "20"), ("B", "85")]);
    let disk = world.disk.clone();
    world.measured_by(source(move |site, slot| {
        let cost = disk.text(site.tree.join("cost.txt"));
        match cost.trim() {
            "20" => timing_itself(EACH / 10.0, hidden, once, slot, shortens),
            _ => timing_itself(EACH, 0.0, 0.0, slot, shortens),
        }
    }));
    world.settings.measure.budget = Duration::from_secs(300);
    world
}

fn doubts(world: &World) -> Vec<String> {
    world.warnings().into_iter().filter(|text| text.starts_with(&format!("A, {}: ", metric()))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_report_that_fits_what_the_slice_takes_is_not_doubted() {
    let world = world(0.0, 0.0, true);
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!((doubts(&world), conclusion.landed.is_some()), (Vec::new(), true));
}

#[tokio::test(start_paused = true)]
async fn where_the_saving_is_in_the_rest_shorter_slices_follow_and_who_hides_time_of_each_run_is_out() {
    let world = world(EACH * 0.9, 0.0, true);
    world.carry_out().await.unwrap();
    let told = doubts(&world);
    assert!(told.len() == 1 && told[0].contains("Slices with fewer runs follow"), "{told:?}");
    assert!(world.outcome("A").await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_start_that_takes_longer_is_told_apart_by_shorter_slices_and_the_variant_lands() {
    let world = world(0.0, EACH * 0.9 * RUNS, true);
    let conclusion = world.carry_out().await.unwrap();
    assert!(doubts(&world).iter().any(|text| text.contains("Slices with fewer runs follow")), "{:?}", doubts(&world));
    assert_eq!((world.outcome("A").await, conclusion.landed.is_some()), (None, true));
}

#[tokio::test(start_paused = true)]
async fn a_doubt_that_no_slice_can_settle_is_told_and_nothing_that_hangs_on_it_lands() {
    let world = world(EACH * 0.9, 0.0, false);
    let conclusion = world.carry_out().await.unwrap();
    let told = doubts(&world);
    assert!(told.last().unwrap().contains("is not known, so that A is not supported"), "{told:?}");
    assert_eq!((world.outcome("A").await, conclusion.landed), (None, None));
    let measuring = |event: &Event| matches!(event, Event::Choice { what, .. } if what == "verifying");
    assert!(!world.events.lock().unwrap().iter().any(measuring));
}
