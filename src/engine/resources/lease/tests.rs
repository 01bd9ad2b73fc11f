//! Leases over fakes: what is in the journal when, what is given back, and what stands in a lease's place.

use std::path::Path;

use crate::adapters::executor::fake::Ran;
use crate::adapters::process::{Command, Stop};
use crate::engine::competition::Competition;
use crate::engine::fixtures::{RUN, STATE, World, variant};
use crate::engine::resources::lease::{Lease, Purpose};

fn world() -> World {
    World::of(&[("A", "20"), ("B", "60")])
}

async fn opened(competition: &Competition, purpose: Purpose) -> Lease {
    competition.leases.open_lease(&variant("A"), "a", purpose).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn everything_of_a_lease_is_in_the_journal_before_it_is_made_and_until_it_is_gone() {
    let mut world = world();
    world.with_cache();
    let competition = world.start().await;
    let mut lease = opened(&competition, Purpose::Services).await;
    competition.leases.lease_worktree(&mut lease, "a", &competition.run.started.base).await.unwrap();
    let made = ["started", "intended", "made", "intended", "made", "intended", "made"];
    assert_eq!(world.kinds().await, made);
    assert_eq!(world.facts().await.live.len(), 3);
    assert_eq!((world.cache.live().len(), world.git.worktrees()), (1, vec![lease.worktree()]));
    competition.leases.close_lease(lease).await.unwrap();
    competition.leases.removed().await;
    let kinds = world.kinds().await;
    assert_eq!(kinds[made.len()..], ["removed", "removed", "removed"]);
    assert_eq!((world.facts().await.live, world.left()), (Vec::new(), vec![STATE.to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn programs_of_a_lease_are_told_whose_they_are_and_get_places_and_ports_of_their_own() {
    let mut world = world();
    world.with_cache();
    let competition = world.start().await;
    let (one, other) = (
        opened(&competition, Purpose::Services).await,
        competition.leases.open_lease(&variant("B"), "b", Purpose::Services).await,
    );
    let other = other.unwrap();
    assert_eq!(one.env["BLUEPRINT_LEASE"], format!("{RUN}/a"));
    assert_eq!(one.env["BLUEPRINT_RUN"], RUN);
    assert_eq!(one.env["PORT"], one.env["BLUEPRINT_PORT_0"]);
    let own =
        ["PORT", "TMPDIR", "REDIS_URL", "BLUEPRINT_LEASE", "BLUEPRINT_METRICS", "BLUEPRINT_JUNIT", "CRITERION_HOME"];
    for name in own {
        assert_ne!(one.env[name], other.env[name], "{name}");
    }
    for name in ["PATH", "BLUEPRINT_SEED", "BLUEPRINT_RUN"] {
        assert_eq!(one.env[name], other.env[name], "{name}");
    }
    assert!(world.disk.has(&one.env["TMPDIR"]) && Path::new(&one.env["BLUEPRINT_JUNIT"]).starts_with(one.scratch()));
    for lease in [one, other] {
        competition.leases.close_lease(lease).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn recorded_work_gets_directories_only() {
    let mut world = world();
    world.with_cache();
    let competition = world.start().await;
    let lease = opened(&competition, Purpose::Directories).await;
    assert!(world.cache.live().is_empty() && !lease.env.contains_key("REDIS_URL"));
    competition.leases.close_lease(lease).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_can_not_be_made_gives_back_what_it_had() {
    let world = world();
    let competition = world.start().await;
    world.disk.fill(Some("No space left on device"));
    let error = competition.leases.open_lease(&variant("A"), "a", Purpose::Services).await.unwrap_err();
    assert!(error.message.contains("making /state/r/a/scratch"), "{}", error.message);
    competition.leases.removed().await;
    assert_eq!((world.facts().await.live, world.left()), (Vec::new(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_the_place_of_a_directory_is_told_and_nothing_behind_a_link_is_removed() {
    let world = world();
    world.disk.write("/precious/file", "x").unwrap();
    let competition = world.start().await;
    let mut lease = opened(&competition, Purpose::Services).await;
    competition.leases.lease_worktree(&mut lease, "a", &competition.run.started.base).await.unwrap();
    assert_eq!(competition.leases.replaced(&lease).await, None);
    world.disk.remove(lease.worktree());
    world.disk.link(lease.worktree(), "/precious").unwrap();
    let told = competition.leases.replaced(&lease).await.unwrap();
    assert_eq!(told, "its worktree was replaced by a link: /state/r/a/work");
    competition.leases.close_lease(lease).await.unwrap();
    competition.leases.removed().await;
    assert_eq!((world.disk.text("/precious/file"), world.left()), ("x".to_owned(), vec![STATE.to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_set_up_or_tests_left_running_is_killed_and_named_before_anything_is_measured() {
    let mut world = world();
    let leaves = vec!["worker --poll".to_owned(), "worker --push".to_owned()];
    world.program("daemon", move |_| Ran { leaves: leaves.clone(), ..Ran::well("") });
    let competition = world.start().await;
    let lease = opened(&competition, Purpose::Services).await;
    let exec = competition.leases.within(&lease).await.unwrap();
    exec.run(Command::shell("daemon", "/").env(&lease.env), &Stop::new()).await.unwrap();
    assert_eq!(world.exec.running(), ["worker --poll", "worker --push"]);
    competition.leases.settle(&lease).await;
    assert!(world.exec.running().is_empty());
    let warnings = world.warnings();
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.contains("left `worker --poll`") && warning.contains("and 1 more running"), "{warning}");
    competition.leases.settle(&lease).await;
    assert_eq!(world.warnings().len(), 1, "there is nothing more to tell");
    competition.leases.close_lease(lease).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_s_programs_end_with_it() {
    let mut world = world();
    world.program("daemon", |_| Ran { leaves: vec!["worker".to_owned()], ..Ran::well("") });
    let competition = world.start().await;
    let lease = opened(&competition, Purpose::Services).await;
    competition
        .leases
        .within(&lease)
        .await
        .unwrap()
        .run(Command::shell("daemon", "/").env(&lease.env), &Stop::new())
        .await
        .unwrap();
    competition.leases.close_lease(lease).await.unwrap();
    assert!(world.exec.running().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_carried_is_copied_from_the_checkout_and_what_git_has_is_not() {
    let mut world = world();
    world.settings.leases.carry = vec!["deps/".to_owned(), "absent".to_owned()];
    world.git.commit_on("main", &[("deps/tracked", Some("committed\n"))]);
    world.started.base = world.tip();
    for (path, text) in [("deps/big", "x"), ("deps/tracked", "edited\n")] {
        world.disk.write(Path::new("/repo").join(path), text).unwrap();
    }
    let competition = world.start().await;
    let into = Path::new("/state/r/a/work");
    competition.leases.carry(into).await.unwrap();
    assert_eq!(world.disk.text(into.join("deps/big")), "x");
    assert!(!world.disk.has(into.join("deps/tracked")) && !world.disk.has(into.join("absent")));
}
