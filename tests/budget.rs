//! Caps hold through the binary: tokens by step and by session, and the time of the whole run.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::time::{Duration, Instant};

use common::arena::{Arena, DOCUMENT};
use common::{Done, Repo};

/// An arena whose agent is this script.
fn arena(script: &str, budget: &str) -> (Arena, Repo) {
    let agent = "{command: \"sh agent.sh\"}".to_owned();
    let config = "unfinished: judge\n".to_owned();
    let arena = Arena { agent, config, budget: budget.to_owned(), ..Arena::default() };
    let repo = arena.build();
    repo.write("agent.sh", script);
    repo.commit("an agent");
    (arena, repo)
}

fn report(repo: &Repo) -> serde_json::Value {
    let done: Done = repo.blueprint(&["report", "--json"]).ends_with(0);
    serde_json::from_str(&done.out).unwrap()
}

const COST: &str = "case $BLUEPRINT_VARIANT in A) echo 20;; *) echo 60;; esac > cost.txt\n";

#[test]
fn an_agent_that_reports_more_than_its_step_may_use_is_stopped_and_judged_by_what_it_left() {
    let script =
        format!("{COST}echo '{{\"input_tokens\": 900, \"output_tokens\": 200}}' > \"$BLUEPRINT_USAGE\"\nsleep 60\n");
    let (_, repo) = arena(&script, "- Max tokens per step: 1000\n- Session token cap: 10000\n- Time cap: 15 minutes\n");
    let started = Instant::now();
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert!(started.elapsed() < Duration::from_secs(50), "the agent was not stopped: {:?}", started.elapsed());
    assert_eq!(repo.read("cost.txt"), "20\n");
    assert!(done.out.contains("over budget") || done.err.contains("over budget"), "{}\n{}", done.out, done.err);
}

#[test]
fn a_run_whose_budget_ends_before_there_is_anything_to_judge_says_so_by_its_exit_code() {
    let script = "echo '{\"input_tokens\": 5000, \"output_tokens\": 0}' > \"$BLUEPRINT_USAGE\"\nsleep 60\n";
    let (_, repo) = arena(script, "- Max tokens per step: 1000\n- Session token cap: 10000\n- Time cap: 15 minutes\n");
    let before = repo.git(&["rev-parse", "main"]);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(5);
    assert!(done.out.contains("token cap reached"), "{}", done.out);
    assert_eq!(repo.git(&["diff", "--name-only", &before, "main"]), DOCUMENT);
}

#[test]
fn the_sessions_cap_holds_over_all_variants_together() {
    let script = format!(
        "{COST}echo \"{{\\\"input_tokens\\\": $BLUEPRINT_TOKENS, \\\"output_tokens\\\": 0}}\" > \"$BLUEPRINT_USAGE\"\n"
    );
    let (_, repo) = arena(&script, "- Max tokens per step: 1000\n- Session token cap: 1500\n- Time cap: 15 minutes\n");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    let spent = report(&repo)["tokens"]["spent"].as_u64().unwrap();
    assert_eq!(spent, 1500);
}

#[test]
fn an_agent_past_the_deadline_is_stopped_even_if_it_ignores_that_and_what_it_left_is_judged() {
    let script = format!("trap '' TERM INT HUP\n{COST}while :; do sleep 1; done\n");
    let seconds = common::seconds_here(30);
    let (arena, repo) = arena(&script, &format!("- Time cap: {seconds} seconds\n"));
    repo.write("blueprint.yaml", &arena.config().replace("budget: 60s", &format!("budget: {}s", seconds * 3 / 5)));
    repo.commit("less time to measure");
    let started = Instant::now();
    let done = repo.blueprint(&["run", DOCUMENT]);
    assert!(started.elapsed() < Duration::from_secs(seconds * 4 / 3), "{:?}", started.elapsed());
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    assert_eq!(repo.read("cost.txt"), "20\n");
}
