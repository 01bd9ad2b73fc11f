//! Answers that differ from the baseline's, over fakes.

use crate::adapters::metric::Sample;
use crate::domain::trial::{Disqualification, Outcome};
use crate::engine::fixtures::{World, noisy, sample, source};

/// A world in which each tree answers what this says of its contender's slug and of the slot's seed.
fn answering(answer: impl Fn(&str, u64) -> String + Send + Sync + 'static) -> World {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    let disk = world.disk.clone();
    world.measured_by(source(move |site, slot| {
        let lease =
            site.tree.parent().and_then(|dir| dir.file_name()).unwrap_or_default().to_string_lossy().into_owned();
        let slug = lease.split('_').next().unwrap_or_default().to_owned();
        Ok(Sample { output: Some(answer(&slug, slot.seed)), ..sample(noisy(&disk, site, slot))? })
    }));
    world
}

#[tokio::test(start_paused = true)]
async fn who_answers_otherwise_than_the_baseline_is_out_however_fast() {
    let world = answering(|slug, seed| if slug == "a" { "0".to_owned() } else { seed.to_string() });
    let conclusion = world.carry_out().await.unwrap();
    let Some(Outcome::Disqualified { reason: Disqualification::InvalidMeasurement { message } }) =
        world.outcome("A").await
    else {
        panic!("A is not out")
    };
    assert!(message.starts_with("bench: the output differs from the baseline's"), "{message}");
    assert_eq!(conclusion.scoreboard.lands().map(ToString::to_string).as_deref(), Some("B"));
}

#[tokio::test(start_paused = true)]
async fn who_answers_as_the_baseline_does_lands_also_where_answers_are_new_in_each_block() {
    let world = answering(|_, seed| seed.to_string());
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(conclusion.scoreboard.lands().map(ToString::to_string).as_deref(), Some("A"));
}
