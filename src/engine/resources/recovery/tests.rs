//! After a crash, over fakes: what the journal says is there is removed, and work is kept.

use crate::adapters::executor::fake::Ran;
use crate::adapters::process::{Command, Stop};
use crate::engine::fixtures::{RUN, STATE, World, variant};
use crate::engine::resources::lease::Purpose;
use crate::engine::resources::recovery::{clean, would_clean};
use crate::engine::state::Log;

/// A world in which a run vanished with a lease, a worktree whose work was committed, a cache and a daemon.
async fn crashed() -> World {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    world.with_cache();
    world.program("daemon", |_| Ran { leaves: vec!["worker".to_owned()], ..Ran::well("") });
    let competition = world.start().await;
    let mut lease = competition.leases.open_lease(&variant("A"), "a", Purpose::Services).await.unwrap();
    competition.leases.lease_worktree(&mut lease, "a", &competition.run.started.base).await.unwrap();
    let exec = competition.leases.within(&lease).await.unwrap();
    exec.run(Command::shell("daemon", "/").env(&lease.env), &Stop::new()).await.unwrap();
    world.git.commit_on(&competition.run.branch("a"), &[("cost.txt", Some("20\n"))]);
    drop((competition, lease));
    world
}

async fn cleaned(world: &World) -> Result<Vec<String>, String> {
    let facts = world.facts().await;
    let log: Log = world.start_log(facts.elapsed);
    let cleaned = clean(&world.ports, &log, &facts).await.map_err(|error| error.message)?;
    assert_eq!((cleaned.run.as_str(), cleaned.processes), (RUN, 1));
    Ok(cleaned.resources)
}

#[tokio::test(start_paused = true)]
async fn what_a_run_left_is_removed_last_made_first_and_its_work_is_kept() {
    let world = crashed().await;
    let before = would_clean(&world.facts().await).resources;
    assert!(!world.left().is_empty(), "telling what would go removes nothing");
    let resources = cleaned(&world).await.unwrap();
    assert_eq!(resources, before);
    let kinds: Vec<_> = resources.iter().map(|text| text.split(' ').next().unwrap()).collect();
    assert_eq!(kinds, ["worktree", "service", "directory"]);
    assert_eq!((world.left(), world.facts().await.live), (Vec::new(), Vec::new()));
    let kept = &world.git.refs()[&format!("refs/blueprint/{RUN}/a")];
    assert_eq!(world.git.parents(kept), std::slice::from_ref(&world.started.base), "what the agent committed");
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_removed_stays_in_the_journal_and_is_named() {
    let mut world = crashed().await;
    world.ports.services.clear();
    let why = cleaned(&world).await.unwrap_err();
    assert!(why.contains("blueprint.yaml names no service of the kind fake any more"), "{why}");
    let left = would_clean(&world.facts().await).resources;
    assert_eq!(left.iter().map(|text| text.split(' ').next().unwrap()).collect::<Vec<_>>(), ["service", "directory"]);
    world.with_cache();
    let facts = world.facts().await;
    clean(&world.ports, &world.start_log(facts.elapsed), &facts).await.unwrap();
    assert_eq!(world.left(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn links_in_the_place_of_a_lease_are_removed_and_not_followed() {
    let world = crashed().await;
    world.disk.write("/precious/work/file", "x").unwrap();
    world.disk.remove(format!("{STATE}/a"));
    world.disk.link(format!("{STATE}/a"), "/precious").unwrap();
    cleaned(&world).await.unwrap();
    assert_eq!((world.disk.text("/precious/work/file"), world.left()), ("x".to_owned(), Vec::new()));
}
