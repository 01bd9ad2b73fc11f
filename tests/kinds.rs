//! Runs on kinds of repositories as they really are: whatever git itself can do in one works, and what does not is
//! refused before anything is spent, in one sentence with a way out.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use common::Repo;
use common::arena::{Arena, DOCUMENT};

const COST: &str = "case $BLUEPRINT_VARIANT in A) echo 20;; *) echo 60;; esac > cost.txt\n";

/// An arena whose agent is this script.
fn with_agent(script: &str) -> Repo {
    let repo = Arena { agent: "{command: \"sh agent.sh\"}".to_owned(), ..Arena::default() }.build();
    repo.write("agent.sh", script);
    repo.commit("an agent");
    repo
}

/// With a second work item.
fn with_two_steps(script: &str) -> Repo {
    let repo = with_agent(script);
    let second = "### Notes\n\n**Files**: cost.txt, notes/**\n**Diff Contract**: patch\n\n## Evaluation Criteria";
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("## Evaluation Criteria", second));
    repo.commit("two work items");
    repo
}

/// What main has must be the winner's, the checkout clean, and nothing left.
#[track_caller]
fn landed(repo: &Repo) {
    assert_eq!(repo.git(&["show", "main:cost.txt"]), "20");
    assert!(repo.git(&["show", &format!("main:{DOCUMENT}")]).contains("**Status**: completed"));
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    left_nothing(repo);
}

#[track_caller]
fn left_nothing(repo: &Repo) {
    assert_eq!(repo.git(&["worktree", "list"]).lines().count(), 1);
    assert_eq!(repo.git(&["for-each-ref", "refs/heads/blueprint/"]), "");
}

/// What the agent of a variant wrote into a file of its home.
fn seen(repo: &Repo, file: &str) -> String {
    std::fs::read_to_string(repo.home().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn a_step_begins_with_a_clean_checkout_of_what_the_step_before_it_left() {
    let script = format!(
        "if [ $BLUEPRINT_STEP = 1 ]; then {COST} echo new > notes.new; mkdir notes; mv notes.new notes/new; exit; fi\n\
         (git status --porcelain; git symbolic-ref HEAD; git diff HEAD --stat; git ls-files notes) > \"$HOME/$BLUEPRINT_VARIANT\"\n\
         echo 999 > cost.txt; git checkout -q -- cost.txt; echo n > notes/n\n"
    );
    let repo = with_two_steps(&script);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo);
    let seen = seen(&repo, "A");
    let lines: Vec<_> = seen.lines().collect();
    assert!(matches!(lines[..], [head, "notes/new"] if head.starts_with("refs/heads/blueprint/")), "{seen}");
    assert_eq!(repo.git(&["ls-tree", "-r", "--name-only", "main", "notes"]), "notes/n\nnotes/new");
}

#[test]
fn an_agent_that_left_its_branch_staged_half_and_stopped_in_a_merge_finds_its_branch_again() {
    let script = format!(
        "if [ $BLUEPRINT_STEP = 1 ]; then git checkout -q -b side-$BLUEPRINT_VARIANT; {COST} git add cost.txt\n\
         git commit -qm mine; git checkout -q --detach HEAD~1; echo 7 > cost.txt; git commit -qam other\n\
         git merge -q side-$BLUEPRINT_VARIANT; {COST} exit 0; fi\n\
         (git status --porcelain; git symbolic-ref HEAD; git merge HEAD; git stash list; git diff HEAD) \
         > \"$HOME/$BLUEPRINT_VARIANT\" 2>&1\nmkdir -p notes; echo n > notes/n\n"
    );
    let repo = with_two_steps(&script);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo);
    let seen = seen(&repo, "A");
    let lines: Vec<_> = seen.lines().collect();
    assert!(matches!(lines[..], [head, "Already up to date."] if head.starts_with("refs/heads/blueprint/")), "{seen}");
}

#[test]
fn what_set_up_changed_is_still_there_in_the_next_step_and_is_not_the_agents() {
    let script = format!(
        "if [ $BLUEPRINT_STEP = 1 ]; then {COST} exit; fi\ngit status --porcelain > \"$HOME/$BLUEPRINT_VARIANT\"\n\
         mkdir -p notes; echo n > notes/n\n"
    );
    let repo = with_two_steps(&script);
    repo.write("made.lock", "1\n");
    repo.write("blueprint.yaml", &(repo.read("blueprint.yaml") + "setup: [\"echo 2 > made.lock; echo x > left\"]\n"));
    repo.commit("set-up writes");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo);
    assert_eq!(seen(&repo, "A"), " M made.lock\n?? left\n");
    assert_eq!(repo.git(&["show", "main:made.lock"]), "1");
}

#[test]
fn in_a_sparse_checkout_steps_see_what_is_left_out_as_unchanged_and_so_does_recorded_work() {
    let script = format!(
        "if [ $BLUEPRINT_STEP = 1 ]; then {COST} exit; fi\n\
         (git status --porcelain; git ls-files -t huge) > \"$HOME/$BLUEPRINT_VARIANT\"; mkdir -p notes; echo n > notes/n\n"
    );
    let repo = with_two_steps(&script);
    repo.write("huge/file", "x\n");
    repo.commit("huge");
    repo.git(&["sparse-checkout", "set", "docs", "tests", "bench", "recorded"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo);
    assert_eq!(seen(&repo, "A"), "S huge/file\n");

    let repo = Arena::default().build();
    repo.write("huge/file", "x\n");
    repo.commit("huge");
    repo.git(&["sparse-checkout", "set", "docs", "tests", "bench", "recorded"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo);
    assert_eq!(repo.git(&["show", "main:huge/file"]), "x");
    assert!(!repo.root().join("huge").exists(), "the checkout was widened");
}

#[test]
fn names_of_files_are_bytes_and_need_not_be_text() {
    let named = |name: &[u8]| OsStr::from_bytes(name).to_owned();
    let script = format!("{COST}mkdir -p notes; echo n > \"$(printf 'notes/caf\\351.txt')\"; echo n > 'notes/\"ü ✓'\n");
    let repo = with_agent(&script);
    for name in [&b"tests/caf\xe9.txt"[..], b"tests/two\nlines", b"na\xefve.md", b"quo\"te.md", b"back\\slash\t"] {
        std::fs::write(repo.root().join(named(name)), "x").unwrap();
    }
    let exam = "#!/bin/sh\ntest -e \"$(printf 'tests/caf\\351.txt')\" && test \"$(cat cost.txt)\" -lt 1000\n";
    repo.write("tests/run.sh", exam);
    repo.commit("names");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo);
    let notes = repo.command("git").args(["ls-tree", "-r", "-z", "--name-only", "main", "notes"]).output().unwrap();
    assert_eq!(notes.stdout, [&b"notes/\"\xc3\xbc \xe2\x9c\x93\0"[..], b"notes/caf\xe9.txt\0"].concat());
}
