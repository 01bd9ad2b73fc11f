//! Blocks over fakes: what spoils one, who is out by one, and what is closed afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::adapters::metric::fake::FakeSource;
use crate::adapters::metric::{MetricError, Sample, Slot};
use crate::adapters::process::Site;
use crate::domain::measurement::Contender;
use crate::domain::trial::{Disqualification, Outcome};
use crate::engine::fixtures::{World, key, metric, noisy, sample, source, variant};
use crate::error::ExitCode;

/// A competition whose slices are as usual, but for what this says first.
fn with(first: impl Fn(&Site, Slot) -> Option<Result<Sample, MetricError>> + Send + Sync + 'static) -> World {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    let disk = world.disk.clone();
    world.measured_by(source(move |site, slot| first(site, slot).unwrap_or_else(|| sample(noisy(&disk, site, slot)))));
    world
}

fn is_of(site: &Site, slug: &str) -> bool {
    site.tree.to_string_lossy().contains(&format!("/{slug}_"))
}

async fn invalid(world: &World, of: &str) -> String {
    match world.outcome(of).await {
        Some(Outcome::Disqualified { reason: Disqualification::InvalidMeasurement { message } }) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_block_has_a_slice_of_each_contender_in_an_order_of_its_own() {
    let world = with(|_, _| None);
    world.carry_out().await.unwrap();
    let blocks = world.facts().await.seen.blocks;
    let of = |block: usize| blocks[block].slices.iter().map(|slice| slice.contender.clone()).collect::<Vec<_>>();
    let mut all = of(0);
    all.sort();
    let mut expected = vec![variant("A"), variant("B"), Contender::Baseline, Contender::Shadow];
    expected.sort();
    assert_eq!(all, expected);
    assert!((1..4).any(|block| of(block) != of(0)), "the order is drawn anew");
}

#[tokio::test(start_paused = true)]
async fn a_block_that_the_machine_spoiled_is_taken_again_and_no_value_of_it_counts() {
    let spoiled = AtomicU32::new(0);
    let world = with(move |site, slot| {
        let now = slot.block == 2 && is_of(site, "b") && spoiled.fetch_add(1, Ordering::SeqCst) < 2;
        now.then(|| Err(MetricError::Machine("the port is taken".to_owned())))
    });
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(conclusion.scoreboard.lands(), Some(&key("A")));
    let facts = world.facts().await;
    let indices: Vec<_> = facts.seen.blocks.iter().map(|block| block.index).collect();
    assert_eq!((facts.discarded, indices), (2, (0..facts.seen.blocks.len() as u32).collect()));
    let told =
        world.warnings().iter().filter(|text| text.contains("block 2 is repeated: bench: the port is taken")).count();
    assert_eq!(told, 2);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_spoils_every_block_ends_the_run_and_one_that_begins_to_ends_the_measuring() {
    for from in [0, 3] {
        let world = with(move |site, slot| {
            // What is tried before the race has higher numbers than any block.
            let now = (from..1000).contains(&slot.block) && !is_of(site, "baseline");
            now.then(|| Err(MetricError::Machine("no memory".to_owned())))
        });
        let concluded = world.carry_out().await;
        if from == 0 {
            let error = concluded.unwrap_err();
            assert_eq!(error.kind, ExitCode::Machine);
            assert!(error.message.contains("could not be measured 6 times: bench: no memory"), "{}", error.message);
        } else {
            concluded.unwrap();
            assert_eq!((world.facts().await.seen.blocks.len(), world.facts().await.discarded), (3, 6));
            assert!(world.warnings().iter().any(|text| text.contains("measuring ends with what there is")));
        }
        assert_eq!(world.left(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_variant_whose_slice_fails_is_out_and_the_others_are_measured_on() {
    let world = with(|site, slot| {
        let now = slot.block == 2 && is_of(site, "a");
        now.then(|| Err(MetricError::Variant("exit status 1\nno such table".to_owned())))
    });
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(conclusion.scoreboard.lands(), Some(&key("B")));
    assert_eq!(invalid(&world, "A").await, "bench: exit status 1\nno such table");
    let later = world.facts().await.seen.blocks.into_iter().filter(|block| block.index >= 2);
    assert!(later.flat_map(|block| block.slices).all(|slice| slice.contender != variant("A")));
}

#[tokio::test(start_paused = true)]
async fn a_baseline_that_leaves_something_running_is_the_harness_s_fault() {
    let world = with(|site, slot| {
        let now = slot.block == 1 && is_of(site, "baseline");
        now.then(|| Err(MetricError::Left("left `worker` running".to_owned())))
    });
    let error = world.carry_out().await.unwrap_err();
    assert!(error.message.contains("bench on the baseline: left `worker` running"), "{}", error.message);
    assert!(error.hints.iter().any(|hint| hint.contains("let the command end all that it starts")));
}

#[tokio::test(start_paused = true)]
async fn a_variant_that_leaves_something_running_is_out() {
    let world = with(|site, slot| {
        let now = slot.block == 1 && is_of(site, "a");
        now.then(|| Err(MetricError::Left("left `worker` running".to_owned())))
    });
    world.carry_out().await.unwrap();
    assert_eq!(invalid(&world, "A").await, "bench: left `worker` running");
}

#[tokio::test(start_paused = true)]
async fn a_variant_that_answers_otherwise_than_the_baseline_is_out_however_fast_it_is() {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    let disk = world.disk.clone();
    world.measured_by(source(move |site, slot| {
        let output = Some(if is_of(site, "a") { "41" } else { "42" }.to_owned());
        sample(noisy(&disk, site, slot)).map(|sample| Sample { output, ..sample })
    }));
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(conclusion.scoreboard.lands(), Some(&key("B")));
    let message = invalid(&world, "A").await;
    assert!(message.contains("41") && message.contains("42"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_variant_whose_slice_changes_code_is_out_and_the_code_is_put_back() {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    let disk = world.disk.clone();
    world.measured_by(source(move |site, slot| {
        if slot.block == 2 && is_of(site, "a") {
            let other = site.tree.to_string_lossy().replace("/a_judge/", "/b_judge/");
            disk.write(format!("{other}/cost.txt"), "500\n").unwrap();
        }
        sample(noisy(&disk, site, slot))
    }));
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(conclusion.scoreboard.lands(), Some(&key("B")), "its value is its own");
    let message = invalid(&world, "A").await;
    assert_eq!(message, "changed cost.txt in the tree of B while it was measured");
}

#[tokio::test(start_paused = true)]
async fn every_meter_that_was_opened_is_closed_whatever_ended_the_measuring() {
    for fails in [false, true] {
        let mut world = World::of(&[("A", "20"), ("B", "60")]);
        let disk = world.disk.clone();
        let source = source(move |site, slot| match fails && slot.block == 2 {
            true => {
                Err(MetricError::Process(crate::adapters::process::ProcessError::Missing { program: "x".to_owned() }))
            }
            false => sample(noisy(&disk, site, slot)),
        });
        let open = source.still_open();
        world.measured_by(source.staying());
        assert_eq!(world.carry_out().await.is_err(), fails);
        assert_eq!((open.load(Ordering::SeqCst), world.left()), (0, Vec::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_vary_is_read_once_of_each_and_not_of_the_shadow() {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    let (disk, asked) = (world.disk.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&asked);
    let answer = move |site: &Site, slot: Slot| {
        counted.fetch_add(usize::from(slot.block == 0), Ordering::SeqCst);
        sample(crate::engine::fixtures::cost(&disk, &site.tree))
    };
    world.measured_by(FakeSource::new("bench", [(metric(), crate::domain::quantity::Dimension::Time)], answer).once());
    world.carry_out().await.unwrap();
    let facts = world.facts().await;
    let mut read: Vec<_> = facts.seen.exact.keys().cloned().collect();
    read.sort();
    let mut expected = vec![variant("A"), variant("B"), Contender::Baseline];
    expected.sort();
    assert_eq!((read, asked.load(Ordering::SeqCst)), (expected, 3));
}
