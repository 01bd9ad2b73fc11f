//! The whole loop through the binary: documents run, land, and leave nothing behind.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::time::{Duration, Instant};

use common::arena::{Arena, DOCUMENT};
use common::services::spawn;
use common::{Done, Repo};

/// Nothing of a run may be left but refs, the journal and the landed commits.
#[track_caller]
fn nothing_is_left(repo: &Repo) {
    assert_eq!(repo.git(&["worktree", "list"]).lines().count(), 1, "a worktree is left");
    assert_eq!(repo.git(&["branch", "--list", "blueprint/*"]), "", "a branch is left");
    let cache = repo.dir.path().join("cache");
    let left: Vec<_> = common::tree(&cache).into_iter().map(|(path, _)| path).collect();
    assert!(left.is_empty(), "left in the cache: {left:?}");
    assert_eq!(processes(repo), Vec::<String>::new());
}

/// Command lines of processes that carry this repository's cache directory in their environment
/// or arguments.
fn processes(repo: &Repo) -> Vec<String> {
    let marker = repo.dir.path().display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| {
            String::from_utf8_lossy(&std::fs::read(entry.path().join(name)).unwrap_or_default()).into_owned()
        };
        let number = entry.file_name().to_string_lossy().parse::<u32>().ok();
        if number.is_some_and(|n| n != std::process::id()) && read("environ").contains(&marker) {
            found.push(read("cmdline").replace('\0', " "));
        }
    }
    found
}

/// `main` must have moved by one merge commit whose tree is the winner's but for the document.
#[track_caller]
fn landed(repo: &Repo, before: &str, cost: &str) {
    let parents = repo.git(&["log", "-1", "--format=%P", "main"]);
    let parents: Vec<_> = parents.split(' ').collect();
    assert_eq!(parents.len(), 2, "main is not at a merge commit");
    assert_eq!(parents[0], before);
    assert_eq!(repo.git(&["diff", "--name-only", parents[1], "main"]), DOCUMENT);
    assert_eq!(repo.git(&["diff", "--name-only", parents[0], "main"]), format!("cost.txt\n{DOCUMENT}"));
    assert_eq!(repo.read("cost.txt"), cost);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    let document = repo.read(DOCUMENT);
    assert!(document.contains("**Status**: completed"), "{document}");
}

#[test]
fn the_better_variant_lands_by_one_merge_commit_and_the_document_tells_why() {
    let repo = Arena::default().build();
    let before = repo.git(&["rev-parse", "main"]);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo, &before, "20\n");
    let document = repo.read(DOCUMENT);
    assert!(document.contains("**Winner**: Variant A (Cost 20)"), "{document}");
    assert!(done.out.contains("Variant") && done.out.contains("A"), "{}", done.out);
    let refs = repo.git(&["for-each-ref", "--format=%(refname)", "refs/blueprint"]);
    assert!(refs.lines().any(|r| r.ends_with("/b")), "the loser's work is not kept: {refs}");
    nothing_is_left(&repo);
}

#[test]
fn a_document_that_was_carried_out_is_left_alone_when_it_is_run_again() {
    let repo = Arena::default().build();
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    let landed = repo.git(&["rev-parse", "main"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0).says(&["completed"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), landed);
}

#[test]
fn nothing_lands_when_every_variant_misses_its_bound() {
    let repo = Arena { costs: vec![("A", 85), ("B", 88)], ..Arena::default() }.build();
    let before = repo.git(&["rev-parse", "main"]);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(3);
    assert!(done.out.contains("latency_p95"), "{}", done.out);
    assert_eq!(repo.git(&["diff", "--name-only", &before, "main"]), DOCUMENT, "nothing but the document tells the end");
    nothing_is_left(&repo);
}

#[test]
fn a_variant_that_is_worse_than_the_code_as_it_is_does_not_land() {
    let arena = Arena { costs: vec![("A", 600), ("B", 700)], ..Arena::default() };
    let repo = arena.build();
    repo.write(DOCUMENT, &arena.document().replace("<80ms", "<1000ms"));
    repo.commit("a bound that all keep");
    let before = repo.git(&["rev-parse", "main"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(3);
    assert_eq!(repo.git(&["diff", "--name-only", &before, "main"]), DOCUMENT);
}

#[test]
fn work_outside_the_contract_is_out_and_named() {
    let repo = Arena::default().build();
    let patch = format!("{}--- /dev/null\n+++ b/elsewhere.txt\n@@ -0,0 +1 @@\n+x\n", Arena::patch(1));
    repo.write("recorded/B.patch", &patch);
    repo.commit("B reaches out");
    let before = repo.git(&["rev-parse", "main"]);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo, &before, "20\n");
    assert!(done.out.contains("elsewhere.txt"), "{}", done.out);
}

#[test]
fn a_variant_that_breaks_a_test_is_out_however_fast_it_is() {
    let repo = Arena::default().build();
    repo.write("tests/run.sh", "#!/bin/sh\ntest \"$(cat cost.txt)\" -gt 30\n");
    repo.commit("a test that A breaks");
    let before = repo.git(&["rev-parse", "main"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo, &before, "60\n");
}

#[test]
fn tests_that_fail_on_the_code_as_it_is_are_told_and_a_variant_that_passes_none_does_not_land() {
    let repo = Arena::default().build();
    repo.write("tests/run.sh", "#!/bin/sh\nexit 1\n");
    let before = repo.commit("a test that nobody passes");
    repo.blueprint(&["run", DOCUMENT]).ends_with(3).says(&["1 of 1 tests fail on the baseline", "sh tests/run.sh"]);
    assert_eq!(repo.git(&["diff", "--name-only", &before, "main"]), DOCUMENT);
    nothing_is_left(&repo);
}

#[test]
fn a_target_that_moved_meanwhile_keeps_its_new_commit_and_gets_the_winner() {
    let arena = Arena { slice: "0.1", ..Arena::default() };
    let repo = arena.build();
    let mut child = spawn(&repo, &["run", DOCUMENT]);
    wait_for(&repo, "block");
    repo.write("other.txt", "meanwhile\n");
    let moved = repo.commit("meanwhile");
    assert!(child.wait().unwrap().success());
    assert_eq!(repo.git(&["rev-parse", "main^1"]), moved);
    assert_eq!((repo.read("cost.txt"), repo.read("other.txt")), ("20\n".to_owned(), "meanwhile\n".to_owned()));
    nothing_is_left(&repo);
}

#[test]
fn a_winner_that_fails_a_test_which_the_target_got_meanwhile_does_not_land() {
    let arena = Arena { slice: "0.1", ..Arena::default() };
    let repo = arena.build();
    let child = repo.spawn(&["run", DOCUMENT]);
    wait_for(&repo, "block");
    repo.write("tests/run.sh", "#!/bin/sh\ntest \"$(cat cost.txt)\" -gt 30\n");
    let moved = repo.commit("a stricter test");
    Done::of(child.wait_with_output().unwrap()).ends_with(6).says(&["tests fail after the merge", "refs/blueprint/"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), moved);
    nothing_is_left(&repo);
}

#[test]
fn a_winner_does_not_land_where_tests_that_it_passes_are_not_there_any_more() {
    let arena = Arena { slice: "0.1", ..Arena::default() };
    let repo = arena.build();
    let cases = "for name in $(cat names.txt); do echo \"<testcase name='$name'/>\"; done";
    let report = format!("{{ echo '<testsuite name=\"all\">'; {cases}; echo '</testsuite>'; }} >\"$BLUEPRINT_JUNIT\"");
    repo.write("tests/run.sh", &format!("#!/bin/sh\n{report}\n"));
    repo.write("names.txt", "one\ntwo\n");
    repo.commit("tests with names");
    let child = repo.spawn(&["run", DOCUMENT]);
    wait_for(&repo, "block");
    repo.write("names.txt", "one\n");
    let moved = repo.commit("a test less");
    let done = Done::of(child.wait_with_output().unwrap()).ends_with(6);
    done.says(&["tests that A passes are not there after the merge: two"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), moved);
    nothing_is_left(&repo);
}

#[test]
fn a_test_that_the_winner_itself_rewrote_is_run_as_it_would_land() {
    let arena = Arena::default();
    let repo = arena.build();
    repo.write(DOCUMENT, &arena.document().replace("**Files**: cost.txt", "**Files**: cost.txt, tests/new.sh"));
    repo.write("tests/run.sh", "#!/bin/sh\ntest ! -e tests/new.sh\n");
    let addition = "--- /dev/null\n+++ b/tests/new.sh\n@@ -0,0 +1 @@\n+false\n";
    repo.write("recorded/A.patch", &format!("{}{addition}", Arena::patch(20)));
    let before = repo.commit("A writes into tests");
    repo.blueprint(&["run", DOCUMENT]).ends_with(6).says(&["tests fail after the merge"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    nothing_is_left(&repo);
}

#[test]
fn uncommitted_work_in_the_way_of_the_winner_blocks_the_landing_until_it_is_out_of_the_way() {
    let repo = Arena::default().build();
    let before = repo.git(&["rev-parse", "main"]);
    repo.write("cost.txt", "my own idea\n");
    repo.blueprint(&["run", DOCUMENT]).ends_with(6).says(&["cost.txt", "resume"]);
    assert_eq!(repo.read("cost.txt"), "my own idea\n");
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    repo.git(&["checkout", "--quiet", "cost.txt"]);
    repo.blueprint(&["resume"]).ends_with(0);
    landed(&repo, &before, "20\n");
    nothing_is_left(&repo);
}

/// Waits until the journal holds a record of this kind.
fn wait_for(repo: &Repo, kind: &str) {
    let journal = repo.root().join(".git/blueprint/journal.db");
    let started = Instant::now();
    let script = "import sqlite3, sys\n\
         try: print(sqlite3.connect(sys.argv[1], timeout=5).execute('select count(*) from record where kind = ?', (sys.argv[2],)).fetchone()[0])\n\
         except sqlite3.Error: print(0)";
    while started.elapsed() < Duration::from_secs(60) {
        let done = std::process::Command::new("python3").args(["-c", script]).arg(&journal).arg(kind).output().unwrap();
        if journal.exists() && String::from_utf8_lossy(&done.stdout).trim() != "0" {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no record `{kind}` in a minute");
}

#[test]
fn a_run_that_was_killed_is_resumed_to_the_same_end_and_gc_finds_nothing_more() {
    for kind in ["intended", "harvested", "tested", "block", "concluded"] {
        let arena = Arena { slice: "0.05", ..Arena::default() };
        let repo = arena.build();
        let before = repo.git(&["rev-parse", "main"]);
        let mut child = spawn(&repo, &["run", DOCUMENT]);
        wait_for(&repo, kind);
        child.kill().unwrap();
        child.wait().unwrap();
        let done = repo.blueprint(&["resume"]);
        assert_eq!(done.code, 0, "killed at {kind}: {}\n{}", done.out, done.err);
        landed(&repo, &before, "20\n");
        repo.blueprint(&["gc"]).ends_with(0);
        nothing_is_left(&repo);
    }
}

#[test]
fn a_run_whose_document_another_run_completed_does_not_land_a_second_time() {
    let repo = Arena { slice: "0.05", ..Arena::default() }.build();
    let mut child = spawn(&repo, &["run", DOCUMENT]);
    wait_for(&repo, "block");
    child.kill().unwrap();
    child.wait().unwrap();
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    let landed = repo.git(&["rev-parse", "main"]);
    repo.blueprint(&["resume"]).ends_with(6).says(&["completed", "is kept"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), landed);
    nothing_is_left(&repo);
}

#[test]
fn a_document_that_was_edited_on_the_target_meanwhile_is_not_landed_on() {
    let arena = Arena { slice: "0.1", ..Arena::default() };
    let repo = arena.build();
    let child = repo.spawn(&["run", DOCUMENT]);
    wait_for(&repo, "block");
    repo.write(DOCUMENT, &arena.document().replace("latency_p95: <80ms", "latency_p95: <10ms"));
    let moved = repo.commit("a stricter bound");
    Done::of(child.wait_with_output().unwrap()).ends_with(6).says(&["edited", "blueprint run"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), moved);
    nothing_is_left(&repo);
}

#[test]
fn gc_alone_removes_what_a_killed_run_left_and_keeps_its_commits() {
    let arena = Arena { slice: "0.05", ..Arena::default() };
    let repo = arena.build();
    let mut child = spawn(&repo, &["run", DOCUMENT]);
    wait_for(&repo, "block");
    child.kill().unwrap();
    child.wait().unwrap();
    let dry = repo.blueprint(&["gc", "--dry-run"]).ends_with(0);
    assert!(dry.out.contains("directory"), "{}", dry.out);
    repo.blueprint(&["gc"]).ends_with(0);
    nothing_is_left(&repo);
    let refs = repo.git(&["for-each-ref", "--format=%(refname)", "refs/blueprint"]);
    assert!(refs.contains("/a") && refs.contains("/b"), "{refs}");
}

#[test]
fn a_live_run_can_be_neither_resumed_nor_collected_by_somebody_else() {
    let arena = Arena { slice: "0.1", ..Arena::default() };
    let repo = arena.build();
    let before = repo.git(&["rev-parse", "main"]);
    let mut child = spawn(&repo, &["run", DOCUMENT]);
    wait_for(&repo, "block");
    repo.blueprint(&["resume"]).ends_with(4).says(&["another process"]);
    repo.blueprint(&["gc"]).ends_with(0);
    assert!(child.wait().unwrap().success());
    landed(&repo, &before, "20\n");
}

#[test]
fn an_interrupted_run_stops_within_seconds_says_how_to_go_on_and_can_be_resumed() {
    let arena = Arena { slice: "0.1", ..Arena::default() };
    let repo = arena.build();
    let before = repo.git(&["rev-parse", "main"]);
    let child = repo.spawn(&["run", DOCUMENT]);
    wait_for(&repo, "block");
    let asked = Instant::now();
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let done = Done::of(child.wait_with_output().unwrap());
    assert!(asked.elapsed() < Duration::from_secs(10));
    done.ends_with(130).says(&["blueprint resume"]);
    nothing_is_left(&repo);
    repo.blueprint(&["resume"]).ends_with(0);
    landed(&repo, &before, "20\n");
}

#[test]
fn a_run_without_a_sandbox_is_gone_on_with_by_git_as_it_was_set_when_it_began_and_tells_what_is_another_now() {
    // It ends in the middle of B's work, who has done nothing yet.
    let agent =
        "case $BLUEPRINT_VARIANT in A) echo 20;; *) test -e \"$HOME/go\" || sleep 60; echo 60;; esac > cost.txt\n";
    let config = "sandbox: off\n".to_owned();
    let repo = Arena { agent: "{command: \"sh agent.sh\"}".to_owned(), config, ..Arena::default() }.build();
    repo.write("agent.sh", agent);
    let before = repo.commit("an agent");
    let child = repo.spawn(&["run", DOCUMENT]);
    wait_for(&repo, "harvested");
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    Done::of(child.wait_with_output().unwrap()).ends_with(143);
    let seen = repo.home().join("seen");
    let notes = format!("sh -c 'echo ran >> {}; cat'", seen.display());
    repo.git(&["config", "filter.planted.clean", &notes]);
    repo.git(&["config", "filter.planted.smudge", &notes]);
    repo.write(".git/info/attributes", "* filter=planted\n");
    repo.write(".git/hooks/post-merge", &format!("#!/bin/sh\necho ran >> {}\n", seen.display()));
    std::fs::set_permissions(
        repo.root().join(".git/hooks/post-merge"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    std::fs::write(repo.home().join("go"), "").unwrap();
    let names = ["filter.planted.clean", "filter.planted.smudge", "hooks/post-merge", "info/attributes"];
    repo.blueprint(&["resume"]).ends_with(0).says(&names).says(&["it goes on with them as they were"]);
    assert_eq!(std::fs::read_to_string(&seen).unwrap_or_default(), "", "what was planted was run");
    assert_eq!(repo.git(&["show", "main:cost.txt"]), "20");
    // A new run is the user's word for what is set now.
    repo.git(&["config", "--unset", "filter.planted.clean"]);
    repo.git(&["reset", "--quiet", "--hard", &before]);
    repo.blueprint(&["retry"]).says(&["filter.planted.smudge", "the new run obeys them as they are now"]);
}

#[test]
fn a_run_of_which_it_is_not_kept_what_it_was_given_is_not_gone_on_with() {
    let repo = Arena { slice: "0.1", config: "sandbox: off\n".to_owned(), ..Arena::default() }.build();
    let child = repo.spawn(&["run", DOCUMENT]);
    wait_for(&repo, "block");
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    Done::of(child.wait_with_output().unwrap()).ends_with(143);
    let kept = std::fs::read_dir(repo.root().join(".git/blueprint/given")).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&kept, text.replace("user.name", "user.nome")).unwrap();
    repo.blueprint(&["resume"]).ends_with(4).says(&["is not kept any more", "blueprint retry"]);
    std::fs::write(&kept, text).unwrap();
    repo.blueprint(&["resume"]).ends_with(0);
}

#[test]
fn the_results_table_is_computed_again_from_the_journal_by_another_program() {
    let repo = Arena { costs: vec![("A", 20), ("B", 60), ("C", 40)], ..Arena::default() }.build();
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/recompute");
    let journal = repo.root().join(".git/blueprint/journal.db");
    let mut python = repo.command("python3");
    let done = python.arg(script).arg(journal).arg("--last").arg(repo.root().join(DOCUMENT)).output();
    let done = Done::of(done.unwrap()).ends_with(0);
    assert!(done.out.contains("every cell of the document's table agrees with the journal"), "{}", done.out);
}

/// The newest run's blocks: who was measured in each.
fn measured(repo: &Repo) -> Vec<Vec<String>> {
    let script = "import json, sqlite3, sys\nfor (data,) in sqlite3.connect(sys.argv[1]).execute(\"SELECT data FROM record WHERE kind = 'block' ORDER BY sequence\"):\n    print(*sorted({s['contender'] for s in json.loads(data)['slices']}))";
    let mut python = repo.command("python3");
    let done = python.args(["-c", script]).arg(repo.root().join(".git/blueprint/journal.db")).output().unwrap();
    let done = Done::of(done).ends_with(0);
    done.out.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

/// A competition in which who costs 79 lies now below and now above 79.8, in turn and not by
/// chance, so that the bound `< 79.8 ms` is never settled for it.
fn with_an_open_bound(arena: &Arena) -> Repo {
    let repo = arena.build();
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("<80ms", "<79.8ms"));
    let in_turn = "cost=$(cat cost.txt)\nturns=\"$HOME/told/turns-$cost\"\necho >> \"$turns\"\n\
                   awk -v cost=\"$cost\" -v turn=\"$(wc -l < \"$turns\")\" 'BEGIN {\n    \
                   printf \"{\\\"latency\\\": {\\\"p95\\\": %.4f}}\\n\", cost + 0.8 + (turn % 2 ? 0.7 : -0.7)\n}'\n";
    repo.write("bench/cost.sh", &format!("#!/bin/sh\nsleep {}\n{in_turn}", arena.slice));
    repo.commit("a bound that is neither kept nor missed");
    repo
}

#[test]
fn a_loser_whose_bound_stays_open_keeps_nobody_waiting() {
    let repo = with_an_open_bound(&Arena { costs: vec![("A", 20), ("B", 79)], ..Arena::default() });
    let before = repo.git(&["rev-parse", "main"]);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo, &before, "20\n");
    assert!(measured(&repo).len() < 40 && done.out.contains("A wins"), "{}", done.out);
}

#[test]
fn the_time_that_is_left_goes_to_a_leader_whose_bound_is_open() {
    let arena = Arena { costs: vec![("A", 79), ("B", 88)], slice: "0.01", ..Arena::default() };
    let repo = with_an_open_bound(&arena);
    let budget = format!("budget: {}s", common::seconds_here(10));
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace("budget: 60s", &budget));
    repo.commit("a short budget");
    let done = repo.blueprint(&["run", DOCUMENT]);
    let blocks = measured(&repo);
    let Some(first) = blocks.iter().position(|who| *who == ["A"]) else { panic!("{}\n{}", done.out, done.err) };
    assert!(blocks[first..].iter().all(|who| *who == ["A"]) && blocks.len() > first + 1, "{blocks:?}");
}
