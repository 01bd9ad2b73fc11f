//! Single steps over fakes: whose word counts for what was used, the contract, and what can't be taken over.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::adapters::agent::fake::FakeAgent;
use crate::adapters::agent::{Agent, AgentEnd, AgentError, AgentReport, Task};
use crate::adapters::git::Git as _;
use crate::adapters::process::{Executor, ProcessError};
use crate::adapters::proxy::Ask;
use crate::adapters::proxy::fake::FakeProxy;
use crate::domain::budget::Basis;
use crate::domain::plan::Variant;
use crate::domain::quantity::Tokens;
use crate::domain::trial::{Disqualification, Usage};
use crate::engine::competition::Competition;
use crate::engine::fixtures::{World, key, variant};
use crate::engine::implement::step::{Step, Stepped};
use crate::engine::resources::lease::{Lease, Purpose};
use crate::error::Error;

fn world() -> World {
    World::of(&[("A", "20"), ("B", "60")])
}

fn used(input: u64, output: u64) -> Usage {
    Usage { input: Tokens(input), output: Tokens(output) }
}

async fn lease(competition: &Competition) -> Lease {
    let mut lease = competition.leases.open_lease(&variant("A"), "a", Purpose::Services).await.unwrap();
    competition.leases.lease_worktree(&mut lease, "a", &competition.run.started.base).await.unwrap();
    lease
}

/// The first step of A, in this lease.
async fn step(competition: &Competition, lease: &Lease) -> Result<Stepped, Error> {
    let (plan, base) = (competition.run.plan(), &competition.run.started.base);
    let before = competition.implementing.git.survey(&lease.worktree(), base, &[]).await.unwrap();
    let (variant, item) = (plan.variant("A").unwrap(), &plan.work_items[0]);
    competition.implementing.step(Step { variant, item, index: 0, lease, parent: base, before: &before }).await
}

async fn stepped(world: &World) -> Result<Stepped, Error> {
    let competition = world.start().await;
    let lease = lease(&competition).await;
    let stepped = step(&competition, &lease).await;
    competition.leases.close_lease(lease).await.unwrap();
    stepped
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_wrote_becomes_a_commit_and_without_a_proxy_its_word_counts_for_what_it_used() {
    let world = world();
    let Stepped::Done { commit, report } = stepped(&world).await.unwrap() else { panic!("it is not done") };
    assert_eq!((report.end, report.usage), (AgentEnd::Finished, used(70, 30)));
    assert_eq!(world.git.file_at(&commit, "cost.txt").await.unwrap(), Some(b"20\n".to_vec()));
    let (message, _) = world.git.message(&commit).unwrap();
    assert!(message.starts_with("The cost\n\nVariant A of Lower the cost"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_says_it_used_more_than_its_step_may_is_over_its_tokens() {
    let mut world = world();
    world.started.plan.budget.step_tokens = Some(Tokens(99));
    let Stepped::Done { report, .. } = stepped(&world).await.unwrap() else { panic!("it is not done") };
    assert_eq!(report.end, AgentEnd::OverTokens);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_changes_nothing_leaves_the_variant_where_it_was() {
    let mut world = world();
    world.ports.agent = Arc::new(FakeAgent::new(Usage::default(), |_| AgentEnd::Finished));
    let Stepped::Done { commit, .. } = stepped(&world).await.unwrap() else { panic!("it is not done") };
    assert_eq!(commit, world.started.base);
}

/// An agent that makes these requests through its proxy, and says that it used nothing and that all is well.
struct Asking {
    proxy: Arc<FakeProxy>,
    used: Mutex<VecDeque<Usage>>,
}

#[async_trait]
impl Agent for Asking {
    fn describe(&self) -> String {
        "asking".to_owned()
    }

    fn whole_variant(&self) -> bool {
        false
    }

    async fn check(&self, _: &Path, _: &Variant, _: &dyn Executor) -> Result<(), AgentError> {
        Ok(())
    }

    async fn implement(&self, task: Task<'_>, _: &dyn Executor) -> Result<AgentReport, AgentError> {
        while let Some(usage) = { self.used.lock().unwrap().pop_front() } {
            let ask = Ask { input: usage.input, output: usage.output, model: "m".to_owned(), by: Basis::Bytes };
            drop(self.proxy.ask(task.access.unwrap(), ask, usage).await);
        }
        Ok(AgentReport { usage: Usage::default(), end: AgentEnd::Finished, summary: String::new() })
    }
}

fn asking(world: &mut World, requests: &[Usage]) {
    let proxy = Arc::new(FakeProxy::default());
    let used = Mutex::new(requests.iter().copied().collect());
    world.ports.agent = Arc::new(Asking { proxy: Arc::clone(&proxy), used });
    world.ports.proxy = Some(proxy);
}

#[tokio::test(start_paused = true)]
async fn through_a_proxy_what_it_counted_counts_and_not_what_the_agent_says() {
    let mut world = world();
    world.started.plan.budget.step_tokens = Some(Tokens(20_000));
    asking(&mut world, &[used(100, 20), used(200, 5)]);
    let competition = world.start().await;
    let lease = lease(&competition).await;
    let Stepped::Done { report, .. } = step(&competition, &lease).await.unwrap() else { panic!("it is not done") };
    assert_eq!((report.end, report.usage), (AgentEnd::Finished, used(300, 25)));
    assert_eq!(competition.implementing.accounts.usage_of(&key("A"), 0), used(300, 25));
    assert_eq!(world.kinds().await.iter().filter(|kind| ["reserved", "settled"].contains(&kind.as_str())).count(), 4);
    competition.leases.close_lease(lease).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_says_all_is_well_after_it_was_refused_is_over_its_tokens() {
    let mut world = world();
    world.started.plan.budget.step_tokens = Some(Tokens(150));
    asking(&mut world, &[used(100, 20), used(200, 5)]);
    let Stepped::Done { report, .. } = stepped(&world).await.unwrap() else { panic!("it is not done") };
    assert_eq!((report.end, report.usage), (AgentEnd::OverTokens, used(100, 20)));
}

/// An agent that writes a stray file first, and does this when it is told of it.
fn straying(world: &mut World, then: impl Fn(&Task<'_>, &Path) + Send + Sync + 'static) {
    let disk = world.disk.clone();
    world.ports.agent = Arc::new(FakeAgent::new(used(7, 1), move |task| {
        let stray = task.worktree.join("stray.txt");
        match task.correction {
            None => disk.write(&stray, "x").unwrap(),
            Some(_) => then(task, &stray),
        }
        disk.write(task.worktree.join("cost.txt"), "20\n").unwrap();
        AgentEnd::Finished
    }));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_breaks_the_contract_may_put_it_right_once_and_both_attempts_are_paid() {
    let mut world = world();
    let disk = world.disk.clone();
    straying(&mut world, move |task, stray| {
        assert!(task.correction.unwrap().contains("- stray.txt\n"));
        disk.remove(stray);
    });
    let Stepped::Done { commit, report } = stepped(&world).await.unwrap() else { panic!("it is not done") };
    assert_eq!(world.git.file_at(&commit, "stray.txt").await.unwrap(), None);
    assert_eq!(world.git.parents(&commit), [world.started.base.clone()], "one commit without the mistake");
    assert_eq!(report.usage, used(14, 2));
    assert!(world.warnings()[0].contains("changed stray.txt, which no work item of the variant allows"));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_breaks_the_contract_again_says_with_what() {
    let mut world = world();
    straying(&mut world, |_, _| {});
    let stepped = stepped(&world).await.unwrap();
    let Stepped::ContractBroken { paths, report, commit } = stepped else { panic!("it is done") };
    assert_eq!((paths, report.usage), (vec!["stray.txt".to_owned()], used(14, 2)));
    assert!(world.git.file_at(&commit, "stray.txt").await.unwrap().is_some(), "what was done is not lost");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_over_from_what_stands_in_the_place_of_a_worktree() {
    let mut world = world();
    let disk = world.disk.clone();
    disk.write("/elsewhere/cost.txt", "1\n").unwrap();
    world.ports.agent = Arc::new(FakeAgent::new(Usage::default(), move |task| {
        disk.remove(task.worktree);
        disk.link(task.worktree, "/elsewhere").unwrap();
        AgentEnd::Finished
    }));
    let stepped = stepped(&world).await.unwrap();
    let Stepped::Lost(Disqualification::Replaced { message }) = stepped else { panic!("it was taken over") };
    assert!(message.contains("its worktree was replaced by a link"), "{message}");
}

/// An agent that can't work for this reason.
struct Unable(fn() -> AgentError);

#[async_trait]
impl Agent for Unable {
    fn describe(&self) -> String {
        "unable".to_owned()
    }

    fn whole_variant(&self) -> bool {
        false
    }

    async fn check(&self, _: &Path, _: &Variant, _: &dyn Executor) -> Result<(), AgentError> {
        Ok(())
    }

    async fn implement(&self, _: Task<'_>, _: &dyn Executor) -> Result<AgentReport, AgentError> {
        Err((self.0)())
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_can_not_work_is_its_variant_s_trouble_and_a_program_that_is_missing_the_machine_s() {
    let mut world = world();
    world.ports.agent =
        Arc::new(Unable(|| AgentError::Material { what: "a.patch".to_owned(), why: "empty".to_owned() }));
    let stepped_as = stepped(&world).await.unwrap();
    let Stepped::Impossible(error) = stepped_as else { panic!("it could work") };
    assert_eq!(error.to_string(), "a.patch: empty");
    let mut world = self::world();
    world.ports.agent = Arc::new(Unable(|| ProcessError::Missing { program: "codex".to_owned() }.into()));
    let error = stepped(&world).await.err().unwrap();
    assert!(error.is_of_one_trial() && error.message.contains("codex"), "{}", error.message);
}
