//! Code that changes while it is measured, over fakes.

use crate::domain::trial::{Disqualification, Outcome};
use crate::engine::fixtures::{World, cost, noisy, report, sample, source};

/// Two variants of which this one's program writes into this tree's code once, while it is measured.
fn writing(by: &'static str, into: &'static str) -> World {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    let disk = world.disk.clone();
    world.measured_by(source(move |site, slot| {
        let tree = site.tree.display().to_string();
        if slot.block == 2 && tree.contains(&format!("/{by}_judge/")) {
            let place = tree.replace(&format!("/{by}_judge/"), &format!("/{into}_judge/"));
            disk.write(format!("{place}/cost.txt"), "1\n").unwrap();
        }
        sample(noisy(&disk, site, slot))
    }));
    world
}

#[tokio::test(start_paused = true)]
async fn whose_program_changes_code_is_out_and_the_code_is_put_back() {
    for (by, into, of) in [("a", "a", "A"), ("a", "b", "B"), ("a", "baseline", "baseline")] {
        let world = writing(by, into);
        let conclusion = world.carry_out().await.unwrap();
        let Some(Outcome::Disqualified { reason: Disqualification::InvalidMeasurement { message } }) =
            world.outcome("A").await
        else {
            panic!("A is not out: {:?}", conclusion.scoreboard.verdict)
        };
        assert!(message.contains(&format!("changed cost.txt in the tree of {of}")), "{message}");
        assert_eq!(conclusion.scoreboard.lands().map(ToString::to_string).as_deref(), Some("B"));
        assert_eq!(world.own("cost.txt"), "60\n");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_baselines_own_program_changes_ends_the_run() {
    let world = writing("baseline", "a");
    let error = world.carry_out().await.unwrap_err();
    assert!(error.message.starts_with("cost.txt changed in the tree of A while it was measured"), "{}", error.message);
    assert_eq!(world.own("cost.txt"), "90\n");
}

#[tokio::test(start_paused = true)]
async fn what_tests_wrote_into_the_code_is_not_what_would_land() {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    let disk = world.disk.clone();
    world.tested_by(move |site, _| {
        let file = site.tree.join("cost.txt");
        if site.tree.to_string_lossy().contains("/b_judge/") {
            disk.write(&file, "2\n").unwrap();
            disk.set_modified(&file, std::time::SystemTime::now() + std::time::Duration::from_secs(60));
        }
        Ok(report(&[("it is cheap", cost(&disk, &site.tree) < 1000.0)]))
    });
    let error = world.carry_out().await.unwrap_err();
    assert!(error.message.starts_with("cost.txt changed in the tree of B while it was tested"), "{}", error.message);
}
