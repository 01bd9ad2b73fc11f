//! Trials over fakes, from the plan to a harvest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::adapters::agent::AgentEnd;
use crate::adapters::agent::fake::FakeAgent;
use crate::adapters::executor::fake::Ran;
use crate::adapters::git::{CommitId, Git as _};
use crate::domain::event::Event;
use crate::domain::trial::{Disqualification, Harvest, Outcome, Phase, Usage};
use crate::engine::fixtures::{ITEM, RUN, World, key, variant};

const NOTES: &str = "### The notes\n\n**Files**: notes/**\n**Diff Contract**: new file\n\n";

/// Two work items; each step writes the cost of A, and its own number into the notes.
fn two_items() -> World {
    let mut world = World::writing(&[("A", Vec::new()), ("B", Vec::new())], &format!("{ITEM}{NOTES}"));
    let (disk, calls) = (world.disk.clone(), Arc::clone(&world.calls));
    world.ports.agent = Arc::new(FakeAgent::new(Usage::default(), move |task| {
        calls.lock().unwrap().push(format!("{} {}", task.variant.key, task.step));
        let (path, text) = if task.step == 0 { ("cost.txt", "20\n") } else { ("notes/n", "n\n") };
        disk.write(task.worktree.join(path), text).unwrap();
        AgentEnd::Finished
    }));
    world
}

async fn implement(world: &World) -> Option<Harvest> {
    let competition = world.start().await;
    let facts = world.facts().await;
    competition.implementing.implement(competition.run.plan().variant("A").unwrap(), &facts).await.unwrap()
}

fn out(reason: Disqualification) -> Option<Outcome> {
    Some(Outcome::Disqualified { reason })
}

#[tokio::test(start_paused = true)]
async fn every_work_item_is_a_step_with_a_commit_of_its_own_and_the_last_is_kept() {
    let world = two_items();
    let harvest = implement(&world).await.unwrap();
    let tip = CommitId(harvest.commit);
    assert_eq!(harvest.changed, ["cost.txt", "notes/n"]);
    let first = world.git.parents(&tip);
    assert_eq!(world.git.parents(&first[0]), std::slice::from_ref(&world.started.base));
    assert!(world.git.message(&first[0]).unwrap().0.starts_with("The cost\n"));
    assert!(world.git.message(&tip).unwrap().0.starts_with("The notes\n"));
    assert_eq!(world.git.refs()[&format!("refs/blueprint/{RUN}/a")], tip);
    assert_eq!(world.calls(), ["A 0", "A 1"]);
    let events = world.events.lock().unwrap();
    let phases = events.iter().filter_map(|event| match event {
        Event::PhaseEntered { phase, .. } => Some(*phase),
        _ => None,
    });
    assert_eq!(phases.collect::<Vec<_>>(), [Phase::Prepare, Phase::Implement, Phase::Harvest]);
}

#[tokio::test(start_paused = true)]
async fn recorded_work_is_one_step_for_all_items() {
    let mut world = two_items();
    let disk = world.disk.clone();
    let agent = FakeAgent::new(Usage::default(), move |task| {
        assert_eq!(task.step, 0);
        disk.write(task.worktree.join("cost.txt"), "20\n").unwrap();
        disk.write(task.worktree.join("notes/n"), "n\n").unwrap();
        AgentEnd::Finished
    });
    world.ports.agent = Arc::new(agent.whole());
    let harvest = implement(&world).await.unwrap();
    assert_eq!(world.git.parents(&CommitId(harvest.commit)), [world.started.base.clone()]);
    assert!(harvest.unfinished.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_recorded_is_not_repeated_and_a_harvest_is_not_made_again() {
    let world = two_items();
    // Up to the record of the first step.
    let whole = two_items();
    let harvest = implement(&whole).await.unwrap();
    let records = whole.kinds().await.iter().position(|kind| kind == "step").unwrap() + 1;
    world.vanish(records, implement(&world)).await;
    let competition = world.resume().await;
    let facts = world.facts().await;
    assert_eq!(facts.steps[&key("A")].len(), 1);
    let again = competition.implementing.implement(competition.run.plan().variant("A").unwrap(), &facts).await.unwrap();
    // The second step had begun when everything vanished.
    let calls = ["A 0", "A 1", "A 1"];
    assert_eq!((again.as_ref(), world.calls()), (Some(&harvest), calls.map(str::to_owned).to_vec()));
    let facts = world.facts().await;
    let third = competition.implementing.implement(competition.run.plan().variant("A").unwrap(), &facts).await.unwrap();
    assert_eq!((third, world.calls().len()), (again, calls.len()));
}

#[tokio::test(start_paused = true)]
async fn a_variant_without_any_work_is_out_for_what_ended_its_agent() {
    let ends = [
        (AgentEnd::Finished, Disqualification::NothingChanged),
        (AgentEnd::OverTokens, Disqualification::OverBudget { cap: "tokens".to_owned() }),
        (AgentEnd::OverTime, Disqualification::OverBudget { cap: "time".to_owned() }),
        (
            AgentEnd::Failed { message: "no key".to_owned() },
            Disqualification::AgentFailed { message: "no key".to_owned() },
        ),
        (
            AgentEnd::Stuck { message: "silent".to_owned() },
            Disqualification::AgentFailed { message: "silent".to_owned() },
        ),
    ];
    for (end, reason) in ends {
        let mut world = two_items();
        world.ports.agent = Arc::new(FakeAgent::new(Usage::default(), move |_| end.clone()));
        assert_eq!((implement(&world).await, world.outcome("A").await), (None, out(reason)));
    }
}

#[tokio::test(start_paused = true)]
async fn work_of_which_items_are_missing_competes_only_where_the_configuration_lets_it() {
    for judged in [false, true] {
        let mut world = two_items();
        world.settings.implement.judge_unfinished = judged;
        let disk = world.disk.clone();
        world.ports.agent = Arc::new(FakeAgent::new(Usage::default(), move |task| {
            disk.write(task.worktree.join("cost.txt"), "20\n").unwrap();
            AgentEnd::Failed { message: "no key".to_owned() }
        }));
        let (harvest, missing) = (implement(&world).await, vec!["The cost".to_owned(), "The notes".to_owned()]);
        if judged {
            assert_eq!((harvest.unwrap().unfinished, world.outcome("A").await), (missing, None));
        } else {
            let why = "its agent failed: no key".to_owned();
            let reason = Disqualification::Unfinished { missing, why, over_budget: false };
            assert_eq!((harvest, world.outcome("A").await), (None, out(reason)));
            assert!(world.git.refs().contains_key(&format!("refs/blueprint/{RUN}/a")), "it is kept");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_s_own_cap_ends_the_step_and_an_agent_that_fails_the_variant() {
    for (end, calls) in
        [(AgentEnd::OverTokens, 2), (AgentEnd::Failed { message: "x".to_owned() }, 1), (AgentEnd::OverTime, 1)]
    {
        let mut world = two_items();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        world.ports.agent = Arc::new(FakeAgent::new(Usage::default(), move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            end.clone()
        }));
        implement(&world).await;
        assert_eq!(count.load(Ordering::SeqCst), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn set_up_runs_in_the_worktree_before_the_agent_and_what_it_makes_is_nobody_s_work() {
    let mut world = two_items();
    world.settings.judge.setup = vec!["configure --fast".to_owned()];
    world.program("configure", |given| {
        assert_eq!((given.args, given.var("BLUEPRINT_VARIANT")), (&["--fast".to_owned()][..], "A"));
        given.disk.write(given.dir().join("made.cfg"), "x").unwrap();
        given.disk.write(given.dir().join("cost.txt"), "by set-up").unwrap();
        Ran::well("configured\n")
    });
    let harvest = implement(&world).await.unwrap();
    assert_eq!(harvest.changed, ["cost.txt", "notes/n"], "the agent wrote the cost after set-up did");
    assert_eq!(world.exec.started().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_variant_whose_worktree_can_not_be_set_up_is_out_with_the_command_and_what_it_printed() {
    let mut world = two_items();
    world.settings.judge.setup = vec!["configure".to_owned()];
    world.program("configure", |_| Ran::badly(2, "no compiler\n"));
    assert_eq!(implement(&world).await, None);
    let Some(Outcome::Disqualified { reason: Disqualification::SetupFailed { message } }) = world.outcome("A").await
    else {
        panic!("it is in")
    };
    assert_eq!(message, "`configure` ended with exit status 2\nno compiler\nall of it: /kept/logs/a-setup.log");
    assert_eq!(world.disk.text("/kept/logs/a-setup.log"), "no compiler\n");
    assert!(world.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn work_that_breaks_the_contract_is_out_and_kept_even_where_it_was_recorded() {
    let mut world = two_items();
    let disk = world.disk.clone();
    let agent = FakeAgent::new(Usage::default(), move |task| {
        disk.write(task.worktree.join("tests/competition.sh"), "exit 0\n").unwrap();
        AgentEnd::Finished
    });
    world.ports.agent = Arc::new(agent.whole());
    assert_eq!(implement(&world).await, None);
    let reason = Disqualification::ContractBroken { paths: vec!["tests/competition.sh".to_owned()] };
    assert_eq!(world.outcome("A").await, out(reason));
    let kept = &world.git.refs()[&format!("refs/blueprint/{RUN}/a")];
    assert!(!world.git.changes(&world.started.base, kept).await.unwrap().is_empty());
    assert_eq!(world.facts().await.seen.ended.keys().collect::<Vec<_>>(), [&variant("A")]);
}
