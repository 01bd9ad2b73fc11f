//! Two trees of the base, over fakes.

use crate::engine::fixtures::{World, cost, noisy, report, sample, source};

#[tokio::test(start_paused = true)]
async fn a_test_that_differs_between_two_trees_of_the_base_decides_nothing_and_is_named() {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    let disk = world.disk.clone();
    world.tested_by(move |site, _| {
        let tree = site.tree.to_string_lossy();
        let fails = tree.contains("/shadow_judge/") || tree.contains("/a_judge/");
        Ok(report(&[("it is cheap", cost(&disk, &site.tree) < 1000.0), ("it is steady", !fails)]))
    });
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(conclusion.scoreboard.lands().map(ToString::to_string).as_deref(), Some("A"));
    let named = |text: &&String| text.contains("differently on the baseline and on its shadow");
    let told: Vec<_> = world.warnings().into_iter().filter(|text| named(&text)).collect();
    assert!(told.len() == 1 && told[0].contains("1 of 2 tests") && told[0].contains("it is steady"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_harness_that_tells_two_trees_of_the_base_apart_decides_nothing() {
    let mut world = World::of(&[("A", "60"), ("B", "70")]);
    let disk = world.disk.clone();
    world.measured_by(source(move |site, slot| {
        let biased = site.tree.to_string_lossy().contains("/shadow_judge/");
        sample(noisy(&disk, site, slot) * if biased { 1.5 } else { 1.0 })
    }));
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!((conclusion.scoreboard.lands(), conclusion.landed, conclusion.recorded), (None, None, None));
    assert_eq!(world.own("cost.txt"), "90\n");
}
