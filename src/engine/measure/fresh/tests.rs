//! Who is faster than asked for is measured in fresh trees, over fakes.

use crate::engine::fixtures::{World, cost, noisy, sample, source};

/// Two variants of which A costs 20 in the tree that it is measured in again and again, and this in a fresh one.
fn world(fresh: f64) -> World {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    let disk = world.disk.clone();
    world.measured_by(source(move |site, slot| {
        let again = noisy(&disk, site, slot);
        let first = site.tree.to_string_lossy().contains("/a_fresh/");
        sample(if first { again / cost(&disk, &site.tree) * fresh } else { again })
    }));
    world
}

fn taken(kinds: &[String], kind: &str) -> usize {
    kinds.iter().filter(|found| *found == kind).count()
}

#[tokio::test(start_paused = true)]
async fn an_advantage_that_is_not_there_in_fresh_trees_puts_its_variant_out_and_the_next_lands() {
    let world = world(90.0);
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(conclusion.scoreboard.lands().map(ToString::to_string).as_deref(), Some("B"));
    let out = format!("{:?}", world.outcome("A").await);
    assert!(out.contains("fresh"), "{out}");
    assert_eq!(world.left(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_advantage_that_is_there_is_looked_at_once_in_as_many_trees_as_it_takes() {
    let world = world(20.0);
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(conclusion.scoreboard.lands().map(ToString::to_string).as_deref(), Some("A"));
    let kinds = world.kinds().await;
    assert_eq!((taken(&kinds, "verifying"), taken(&kinds, "verified")), (1, 1));
    assert!((3..=9).contains(&taken(&kinds, "fresh-pair")), "{kinds:?}");
}
