//! What a retry takes over of an earlier run, over fakes.

use std::sync::Arc;

use crate::adapters::git::CommitId;
use crate::adapters::journal::Journal as _;
use crate::domain::event::Event;
use crate::engine::competition::Competition;
use crate::engine::fixtures::{World, key};
use crate::engine::state::{Facts, Started};

/// The run that follows.
const NEXT: &str = "20260105-110000-cafe";

/// What is another in the run that follows.
type Change = fn(&mut Started);

/// A world in which variants were written, and nothing landed.
async fn written() -> (World, Facts) {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    world.settings.land.merge = false;
    world.carry_out().await.unwrap();
    let facts = world.facts().await;
    (world, facts)
}

/// A run on the branch as it is now, whose start is changed by this.
fn following(world: &World, change: impl FnOnce(&mut Started)) -> Competition {
    let mut started = Started { run: NEXT.to_owned(), base: world.tip(), ..world.started.clone() };
    change(&mut started);
    let facts = Facts::new(started);
    let (settings, journal) = (world.settings.clone(), Arc::clone(&world.journal));
    Competition::new(&facts, &world.ports, settings, journal, world.stop.clone()).unwrap()
}

/// Harvests that the run that follows has from the beginning, by key.
async fn harvested(world: &World, started: &Started) -> Vec<(String, CommitId)> {
    let mut facts = Facts::new(started.clone());
    for entry in world.journal.entries(NEXT).await.unwrap() {
        facts.take(crate::engine::state::read(&entry).unwrap());
    }
    facts.seen.harvests.iter().map(|(key, (harvest, ..))| (key.to_string(), CommitId(harvest.commit.clone()))).collect()
}

fn reused(world: &World) -> Vec<String> {
    let told = |event: &Event| match event {
        Event::Choice { what, text } if what == "reused" => Some(text.clone()),
        _ => None,
    };
    world.events.lock().unwrap().iter().filter_map(told).collect()
}

#[tokio::test(start_paused = true)]
async fn work_for_the_same_plan_on_the_same_base_is_taken_over_as_it_is_and_no_agent_is_called() {
    let (world, earlier) = written().await;
    let calls = world.calls();
    let next = following(&world, |_| {});
    next.implementing.take_over(&earlier).await.unwrap();
    let taken = harvested(&world, &next.run.started).await;
    let before = ["A", "B"].map(|name| CommitId(earlier.seen.harvests[&key(name)].0.commit.clone()));
    assert_eq!(taken, [("A".to_owned(), before[0].clone()), ("B".to_owned(), before[1].clone())]);
    assert_eq!((world.calls(), reused(&world).len()), (calls, 1));
    assert!(reused(&world)[0].starts_with("A, B of run "), "{:?}", reused(&world));
}

#[tokio::test(start_paused = true)]
async fn on_a_base_that_moved_work_is_replayed_onto_it_and_says_where_it_is_from() {
    let (world, earlier) = written().await;
    world.git.commit_on("main", &[("other.txt", Some("x\n"))]);
    let next = following(&world, |_| {});
    next.implementing.take_over(&earlier).await.unwrap();
    for (_, commit) in harvested(&world, &next.run.started).await {
        assert_eq!(world.git.parents(&commit), [world.tip()]);
        let (message, _) = world.git.message(&commit).unwrap();
        assert!(message.contains(&format!("run {NEXT}: what run {} wrote", earlier.seen.started.run)), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_conflicts_with_the_target_is_done_anew_which_is_told() {
    let (world, earlier) = written().await;
    world.git.commit_on("main", &[("cost.txt", Some("70\n"))]);
    let next = following(&world, |_| {});
    next.implementing.take_over(&earlier).await.unwrap();
    assert_eq!(harvested(&world, &next.run.started).await, []);
    let anew = world.warnings().into_iter().filter(|text| text.contains("does not fit `main` any more")).count();
    assert_eq!((anew, reused(&world)[0].starts_with("nothing of run ")), (2, true));
}

#[tokio::test(start_paused = true)]
async fn a_variant_is_only_taken_over_where_its_goal_its_text_and_its_items_are_the_same() {
    let changes: [(Change, &[&str]); 3] = [
        (|started| started.plan.goal.push_str(" By half."), &[]),
        (|started| started.plan.variants[0].name.push('!'), &["B"]),
        (|started| started.plan.work_items[0].text.push_str("By half."), &[]),
    ];
    for (change, expected) in changes {
        let (world, earlier) = written().await;
        let next = following(&world, change);
        next.implementing.take_over(&earlier).await.unwrap();
        let taken: Vec<_> = harvested(&world, &next.run.started).await.into_iter().map(|(key, _)| key).collect();
        assert_eq!(taken, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_was_not_carried_out_to_its_end_is_taken_over_only_where_such_work_is_judged() {
    for judged in [false, true] {
        let (mut world, mut earlier) = written().await;
        earlier.seen.harvests.get_mut(&key("A")).unwrap().0.unfinished.push("The cost".to_owned());
        world.settings.implement.judge_unfinished = judged;
        let next = following(&world, |_| {});
        next.implementing.take_over(&earlier).await.unwrap();
        let taken = harvested(&world, &next.run.started).await;
        assert_eq!(taken.iter().any(|(key, _)| key == "A"), judged);
    }
}
