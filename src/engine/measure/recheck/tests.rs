//! Bounds on a merged tree, over fakes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::adapters::git::CommitId;
use crate::adapters::metric::MetricError;
use crate::domain::quantity::Bound;
use crate::engine::fixtures::{STATE, World, cost, noisy, sample, source, variant};
use crate::engine::measure::recheck::BLOCKS;
use crate::error::Error;

fn bound(world: &mut World, text: &str) {
    world.started.plan.metrics[0].bound = Bound::parse(text).unwrap();
}

/// What A misses in the merged tree of this commit, on a target that is there.
async fn missed(world: &World, merged: &CommitId, target: &CommitId) -> Result<Vec<String>, Error> {
    let competition = world.start().await;
    let made = competition.judging.fresh_tree(&variant("A"), "a_merged", &merged.0, &[]).await.unwrap();
    let Ok(tree) = made else { panic!("it can't be set up") };
    let missed = competition.measuring.missed_after_merge(&variant("A"), tree, target).await;
    competition.leases.removed().await;
    assert_eq!(world.left(), [STATE], "nothing of it is left");
    missed
}

/// A commit on `main` with this cost.
fn costing(world: &World, text: &str) -> CommitId {
    world.git.commit_on("main", &[("cost.txt", Some(text))])
}

#[tokio::test(start_paused = true)]
async fn a_bound_that_is_clear_is_not_measured_for_longer_than_it_takes() {
    for (text, kept) in [("20\n", true), ("500\n", false)] {
        let mut world = World::of(&[("A", "20"), ("B", "60")]);
        let (disk, taken) = (world.disk.clone(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&taken);
        world.measured_by(source(move |site, slot| {
            counted.fetch_add(1, Ordering::SeqCst);
            sample(noisy(&disk, site, slot))
        }));
        let merged = costing(&world, text);
        let missed = missed(&world, &merged, &merged).await.unwrap();
        assert_eq!(missed.is_empty(), kept, "{missed:?}");
        assert!(missed.iter().all(|text| text.contains("after the merge, must be <")), "{missed:?}");
        assert!(taken.load(Ordering::SeqCst) < BLOCKS as usize, "{taken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bound_relative_to_the_baseline_is_held_against_the_target_as_it_is_now() {
    for (target, kept) in [("60\n", false), ("90\n", true)] {
        let mut world = World::of(&[("A", "20"), ("B", "60")]);
        bound(&mut world, "<-30%");
        let merged = costing(&world, "50\n");
        let target = costing(&world, target);
        let missed = missed(&world, &merged, &target).await.unwrap();
        assert_eq!(missed.is_empty(), kept, "{missed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bound_that_no_number_of_blocks_settles_is_judged_by_the_value_that_is_shown() {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    let (disk, turns) = (world.disk.clone(), AtomicUsize::new(0));
    // Above and below the bound by turns, and below it in the middle.
    world.measured_by(source(move |site, _| {
        let above = turns.fetch_add(1, Ordering::SeqCst) % 2 == 1;
        sample(cost(&disk, &site.tree) + if above { 61.0 } else { 58.0 })
    }));
    let merged = costing(&world, "20\n");
    assert_eq!(missed(&world, &merged, &merged).await.unwrap(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_merged_tree_that_can_not_be_measured_is_trouble_and_no_missed_bound() {
    let faults: [fn() -> MetricError; 2] =
        [|| MetricError::Variant("exit status 1".to_owned()), || MetricError::Machine("no memory".to_owned())];
    for fault in faults {
        let mut world = World::of(&[("A", "20"), ("B", "60")]);
        world.measured_by(source(move |_, _| Err(fault())));
        let base = world.started.base.clone();
        let error = missed(&world, &base, &base).await.unwrap_err();
        assert!(error.message.starts_with("bench: "), "{}", error.message);
    }
}
