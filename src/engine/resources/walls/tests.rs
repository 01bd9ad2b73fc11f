//! What the walls of a lease are ordered with.

use std::path::PathBuf;
use std::sync::Arc;

use crate::adapters::executor::fake::{FakeSandbox, Ran};
use crate::adapters::process::{Command, Stop};
use crate::engine::fixtures::{STATE, World, variant};
use crate::engine::resources::lease::Purpose;

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(|name| PathBuf::from(STATE).join(name)).collect()
}

#[tokio::test(start_paused = true)]
async fn walls_are_opened_once_with_the_first_program_and_let_write_what_is_there() {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    let sandbox = FakeSandbox::around(&world.exec);
    world.ports.sandbox = Some(Arc::new(sandbox.clone()));
    let competition = world.start().await;
    let mut lease = competition.leases.open_lease(&variant("A"), "a", Purpose::Services).await.unwrap();
    competition.leases.lease_worktree(&mut lease, "a", &competition.run.started.base).await.unwrap();
    assert!(sandbox.opened().is_empty(), "nothing ran yet");
    for _ in 0..2 {
        competition.leases.within(&lease).await.unwrap();
    }
    let opened = sandbox.opened();
    let [order] = opened.as_slice() else { panic!("{opened:?}") };
    assert_eq!(order.write, paths(&["a/scratch", "a/tmp", "a/work"]), "there is no judged tree");
    assert_eq!(order.hidden, ["/repo", "/repo/.git", "/state"].map(PathBuf::from));
    assert_eq!(order.read, [PathBuf::from("/repo/.git/objects")]);
    assert_eq!((order.reset.clone(), order.bare.clone()), (paths(&["a/tree", "a/tmp"]), paths(&["a/scratch"])));
    assert_eq!(order.env, lease.env);
    competition.leases.close_lease(lease).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_without_a_worktree_sees_nothing_of_the_repository_and_a_link_in_its_place_is_none() {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    let sandbox = FakeSandbox::around(&world.exec);
    world.ports.sandbox = Some(Arc::new(sandbox.clone()));
    let competition = world.start().await;
    let lease = competition.leases.open_lease(&variant("A"), "a_judge", Purpose::Services).await.unwrap();
    world.disk.link(lease.worktree(), "/repo").unwrap();
    competition.leases.within(&lease).await.unwrap();
    let order = &sandbox.opened()[0];
    assert_eq!((order.read.clone(), order.write.clone()), (Vec::new(), paths(&["a_judge/scratch", "a_judge/tmp"])));
    competition.leases.close_lease(lease).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_runs_within_walls_is_gone_when_the_lease_is_closed() {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    world.program("daemon", |_| Ran { leaves: vec!["worker".to_owned()], ..Ran::well("") });
    let sandbox = FakeSandbox::around(&world.exec);
    world.ports.sandbox = Some(Arc::new(sandbox));
    let competition = world.start().await;
    let lease = competition.leases.open_lease(&variant("A"), "a", Purpose::Services).await.unwrap();
    let exec = competition.leases.within(&lease).await.unwrap();
    exec.run(Command::shell("daemon", "/").env(&lease.env), &Stop::new()).await.unwrap();
    let marker = lease.env["BLUEPRINT_LEASE"].clone();
    competition.leases.close_lease(lease).await.unwrap();
    assert_eq!(exec.settle(&marker).await, []);
}
