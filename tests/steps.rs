//! Steps through the binary: one work item at a time, each with its own commit, its contract, and an
//! end for whoever shows no sign of life.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::time::{Duration, Instant};

use common::Repo;
use common::arena::{Arena, DOCUMENT};

const COST: &str = "case $BLUEPRINT_VARIANT in A) echo 20;; *) echo 60;; esac > cost.txt\n";

/// An arena whose agent is this script, and whose configuration says this of it besides.
fn arena(script: &str, more: &str) -> Repo {
    let agent = format!("{{command: \"sh agent.sh\"{more}}}");
    let arena = Arena { agent, config: "unfinished: judge\n".to_owned(), ..Arena::default() };
    let repo = arena.build();
    repo.write("agent.sh", script);
    repo.commit("an agent");
    repo
}

fn report(repo: &Repo) -> serde_json::Value {
    serde_json::from_str(&repo.blueprint(&["report", "--json"]).ends_with(0).out).unwrap()
}

fn outcome(report: &serde_json::Value, variant: &str) -> serde_json::Value {
    let rows = report["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["contender"] == variant || row["contender"]["variant"] == variant);
    row.unwrap_or_else(|| panic!("{rows:#?}"))["outcome"].clone()
}

#[test]
fn a_step_that_breaks_the_contract_is_told_so_once_and_may_put_it_right() {
    // Only who is told which file it was puts it back.
    let script = format!(
        "{COST}if grep -q '^- stray.txt$' \"$BLUEPRINT_PROMPT\"; then rm stray.txt; \
         else echo x > stray.txt; fi\n"
    );
    let repo = arena(&script, "");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert!(done.err.contains("stray.txt, which no work item of the variant allows"), "{}", done.err);
    assert_eq!(repo.read("cost.txt"), "20\n");
    assert!(!repo.root().join("stray.txt").exists());
    // What the winner's branch brought holds one commit of the step, and no trace of the mistake.
    assert_eq!(repo.git(&["log", "--format=%s", "main^1..main^2"]), "The cost");
    assert_eq!(repo.git(&["log", "--format=%H", "main", "--", "stray.txt"]), "");
}

#[test]
fn a_step_that_breaks_the_contract_again_ends_the_trial_and_its_work_is_kept() {
    let script = format!(
        "echo . >> calls\n{COST}[ $BLUEPRINT_VARIANT = A ] && echo x > stray.txt\necho {{\\\"input_tokens\\\": 7, \\\"output_tokens\\\": 1}} > $BLUEPRINT_USAGE\n"
    );
    let repo = arena(&script, "");
    repo.write(".gitignore", "calls\n");
    repo.commit("calls are nobody's business");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "60\n", "B wins");
    let report = report(&repo);
    let reason = outcome(&report, "A").to_string();
    assert!(reason.contains("contract-broken") && reason.contains("stray.txt"), "{reason}");
    let refs = repo.git(&["for-each-ref", "--format=%(refname)", "refs/blueprint"]);
    let kept = refs.lines().find(|name| name.ends_with("/a")).unwrap_or_else(|| panic!("{refs}"));
    assert_eq!(repo.git(&["show", &format!("{kept}:stray.txt")]), "x");
    // Two calls of A and one of B are counted.
    assert_eq!(report["tokens"]["spent"], 24);
}

#[test]
fn every_work_item_is_a_step_with_a_commit_of_its_own() {
    let arena = Arena { agent: "{command: \"sh agent.sh\"}".to_owned(), ..Arena::default() };
    let repo = arena.build();
    let second = "### The notes\n\n**Files**: notes/**\n**Diff Contract**: new file\n\n## Evaluation Criteria";
    repo.write(DOCUMENT, &arena.document().replace("## Evaluation Criteria", second));
    repo.write(
        "agent.sh",
        &format!("case $BLUEPRINT_STEP in 1) {COST};; *) mkdir -p notes; echo n > notes/$BLUEPRINT_STEP;; esac\n"),
    );
    repo.commit("two items");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.git(&["log", "--format=%s", "main^1..main^2"]), "The notes\nThe cost");
    assert_eq!(repo.read("notes/2"), "n\n");
}

#[test]
fn a_program_without_any_sign_of_life_is_stopped_and_what_it_left_is_judged() {
    let repo = arena(&format!("{COST}exec sleep 120\n"), ", patience: 2s");
    let started = Instant::now();
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    assert_eq!(repo.read("cost.txt"), "20\n");
    drop(done);
}

#[test]
fn a_program_that_only_computes_or_only_writes_files_is_alive() {
    let busy = "i=0; while [ $i -lt 40 ]; do j=0; while [ $j -lt 40000 ]; do j=$((j+1)); done; i=$((i+1)); done\n";
    let writes = "i=0; while [ $i -lt 30 ]; do sleep 0.2; mkdir -p notes; echo $i > notes/i; i=$((i+1)); done\n";
    for work in [busy, writes] {
        let repo = arena(&format!("{work}{COST}"), ", patience: 2s");
        repo.blueprint(&["run", DOCUMENT]).ends_with(0);
        assert_eq!(repo.read("cost.txt"), "20\n", "{work}");
    }
}

#[test]
fn a_program_without_any_sign_of_life_that_left_nothing_is_out_for_that() {
    let repo = arena("exec sleep 120\n", ", patience: 1s");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(3);
    assert!(done.out.contains("no output, no change in the worktree and no CPU time for 1.0 s"), "{}", done.out);
}
