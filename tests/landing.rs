//! How a run ends in the repository: what lands, what is recorded of a run that landed nothing, and what
//! of the user's checkout and git settings has no part in it.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use common::arena::{Arena, DOCUMENT};
use common::{Done, Repo};

/// An arena in which every variant misses its bound.
fn losers() -> Arena {
    Arena { costs: vec![("A", 85), ("B", 88)], ..Arena::default() }
}

fn status(repo: &Repo, at: &str) -> String {
    let text = repo.git(&["show", &format!("{at}:{DOCUMENT}")]);
    text.lines().find_map(|line| line.strip_prefix("**Status**: ")).unwrap().trim().to_owned()
}

/// Waits until a file is there.
fn wait_for(path: &Path) {
    let started = Instant::now();
    while !path.exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An arena whose benchmark tells by a file in the home that measuring began, and takes its time.
fn slow(arena: &Arena) -> Repo {
    let repo = arena.build();
    let bench = repo.read("bench/cost.sh").replacen('\n', "\n: > \"$HOME/told/measuring\"; sleep 0.1\n", 1);
    repo.write("bench/cost.sh", &bench);
    repo.commit("a slow benchmark");
    repo
}

fn executable(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_run_that_lands_nothing_says_so_by_a_commit_of_the_document_alone_and_is_not_carried_out_again_unasked() {
    let repo = losers().build();
    let before = repo.git(&["rev-parse", "main"]);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(3);
    assert_eq!(repo.git(&["log", "--format=%P", "-1", "main"]), before, "one commit with one parent");
    assert_eq!(repo.git(&["diff", "--name-only", &before, "main"]), DOCUMENT);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    assert_eq!(status(&repo, "main"), "failed");
    let document = repo.read(DOCUMENT);
    for text in
        ["**Winner**: none", "- Variant A: out – latency_p95 is ", "- Next: ", "- A against the baseline: Tests "]
    {
        assert!(document.contains(text), "`{text}` is missing in\n{document}");
    }
    assert!(document.contains("| A       | 100.0 |"), "{document}");
    assert!(done.out.contains("recorded") && done.out.contains("on main"), "{}", done.out);
    let listed = repo.blueprint(&["status"]).ends_with(0);
    assert!(listed.out.contains("no winner, recorded "), "{}", listed.out);
    let report: serde_json::Value =
        serde_json::from_str(&repo.blueprint(&["report", "--json"]).ends_with(0).out).unwrap();
    assert_eq!(report["recorded"].as_str().unwrap(), repo.git(&["rev-parse", "main"]));
    assert!(report["rows"][0]["against_baseline"]["text"].as_str().unwrap().contains("faster"), "{report}");

    let recorded = repo.git(&["rev-parse", "main"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0).says(&["landed nothing", "--again"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), recorded);
    repo.blueprint(&["run", "--again", DOCUMENT]).ends_with(3);
    assert_eq!(repo.git(&["rev-parse", "main^"]), recorded, "the second end is recorded as well");
}

#[test]
fn a_document_with_a_recorded_end_can_win_when_it_is_asked_for_again() {
    let repo = losers().build();
    repo.blueprint(&["run", DOCUMENT]).ends_with(3);
    repo.write("recorded/A.patch", &Arena::patch(20));
    repo.commit("better work");
    repo.blueprint(&["run", "--again", DOCUMENT]).ends_with(0);
    assert_eq!((repo.read("cost.txt").as_str(), status(&repo, "main").as_str()), ("20\n", "completed"));
}

#[test]
fn an_end_that_somebody_wrote_by_hand_or_edited_since_is_no_approval() {
    let repo = losers().build();
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("**Status**: approved", "**Status**: failed"));
    repo.commit("given up by hand");
    repo.blueprint(&["run", "--again", DOCUMENT]).ends_with(4).says(&["only approved documents run"]);

    let repo = losers().build();
    repo.blueprint(&["run", DOCUMENT]).ends_with(3);
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("latency_p95: <80ms", "latency_p95: <90ms"));
    repo.blueprint(&["run", "--again", DOCUMENT]).ends_with(4).says(&["edited after it was approved", "<90ms"]);
    repo.commit("a bound that they keep");
    repo.blueprint(&["run", "--again", DOCUMENT]).ends_with(4).says(&["edited after it was approved"]);
    repo.blueprint(&["approve", DOCUMENT]).ends_with(0);
    repo.commit("approved");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
}

#[test]
fn what_the_configuration_keeps_out_of_the_branch_and_what_is_not_to_be_merged_is_not_recorded() {
    let cases: [(&str, &[&str]); 3] = [
        ("land: {record: journal}\n", &["run", DOCUMENT]),
        ("", &["run", "--merge", "none", DOCUMENT]),
        ("", &["run", "--verify-harness=only", DOCUMENT]),
    ];
    for (config, args) in cases {
        let repo = Arena { config: config.to_owned(), ..losers() }.build();
        let before = repo.git(&["rev-parse", "main"]);
        repo.blueprint(args);
        assert_eq!(repo.git(&["rev-parse", "main"]), before, "{config} {args:?}");
        assert_eq!(status(&repo, "main"), "approved");
    }
}

#[test]
fn a_recorded_end_leaves_what_is_staged_changed_and_untracked_as_it_is() {
    let repo = losers().build();
    repo.write("a.txt", "one\n");
    repo.commit("a file");
    repo.write("a.txt", "staged\n");
    repo.git(&["add", "a.txt"]);
    repo.write("a.txt", "changed\n");
    repo.write("new.txt", "untracked\n");
    let before = repo.git(&["status", "--porcelain=v2"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(3);
    assert_eq!(status(&repo, "main"), "failed");
    assert_eq!(repo.git(&["status", "--porcelain=v2"]), before);
    assert_eq!((repo.read("a.txt"), repo.git(&["show", ":a.txt"])), ("changed\n".to_owned(), "staged".to_owned()));
}

#[test]
fn a_document_that_is_changed_on_disk_meanwhile_blocks_its_end_until_it_is_out_of_the_way() {
    let repo = slow(&losers());
    let before = repo.git(&["rev-parse", "main"]);
    let child = repo.spawn(&["run", DOCUMENT]);
    wait_for(&repo.told("measuring"));
    let text = repo.read(DOCUMENT);
    repo.write(DOCUMENT, &text.replace("Lower what", "Lower at last what"));
    Done::of(child.wait_with_output().unwrap()).ends_with(6).says(&["uncommitted changes", "blueprint resume"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    assert!(repo.read(DOCUMENT).contains("at last"));
    repo.write(DOCUMENT, &text);
    repo.blueprint(&["resume"]).ends_with(3);
    assert_eq!(status(&repo, "main"), "failed");
}

#[test]
fn a_target_that_moved_meanwhile_gets_the_end_and_an_edit_of_the_document_there_is_told_and_kept() {
    let repo = slow(&losers());
    let child = repo.spawn(&["run", DOCUMENT]);
    wait_for(&repo.told("measuring"));
    repo.write("other.txt", "meanwhile\n");
    let moved = repo.commit("meanwhile");
    Done::of(child.wait_with_output().unwrap()).ends_with(3);
    assert_eq!((repo.git(&["rev-parse", "main^"]), status(&repo, "main")), (moved, "failed".to_owned()));

    let repo = slow(&losers());
    let child = repo.spawn(&["run", DOCUMENT]);
    wait_for(&repo.told("measuring"));
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("Lower what", "Lower at last what"));
    let edited = repo.commit("another goal");
    Done::of(child.wait_with_output().unwrap()).ends_with(3).says(&["was edited on `main` during the run"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), edited);
}

#[test]
fn no_setting_of_the_users_git_keeps_a_winner_from_landing_or_touches_what_is_staged() {
    let settings = [
        ("branch.main.mergeOptions", "--squash"),
        ("branch.main.mergeOptions", "--no-commit"),
        ("merge.autoStash", "true"),
        ("merge.verifySignatures", "true"),
        ("merge.ff", "false"),
        ("pull.rebase", "true"),
        ("core.logAllRefUpdates", "false"),
        ("checkout.defaultRemote", "nowhere"),
    ];
    let repo = Arena::default().build();
    for (key, value) in settings {
        repo.git(&["config", key, value]);
    }
    repo.write("a.txt", "one\n");
    let before = repo.commit("a file");
    repo.write("a.txt", "staged\n");
    repo.git(&["add", "a.txt"]);
    repo.write("a.txt", "changed\n");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.git(&["rev-parse", "main^1"]), before);
    assert_eq!((repo.read("cost.txt"), repo.read("a.txt")), ("20\n".to_owned(), "changed\n".to_owned()));
    assert_eq!(repo.git(&["show", ":a.txt"]), "staged");
    assert_eq!(repo.git(&["status", "--porcelain"]), "MM a.txt");
    assert_eq!(repo.git(&["stash", "list"]), "");
}

#[test]
fn a_file_that_is_staged_and_put_back_on_disk_is_in_the_way_too() {
    let repo = Arena::default().build();
    let before = repo.git(&["rev-parse", "main"]);
    repo.write("cost.txt", "my own idea\n");
    repo.git(&["add", "cost.txt"]);
    repo.write("cost.txt", "90\n");
    repo.blueprint(&["run", DOCUMENT]).ends_with(6).says(&["cost.txt"]);
    assert_eq!(
        (repo.git(&["rev-parse", "main"]), repo.git(&["show", ":cost.txt"])),
        (before, "my own idea".to_owned())
    );
}

#[test]
fn a_checkout_in_the_middle_of_something_is_refused_before_anything_is_spent() {
    let begun: [(&str, &[&str]); 3] =
        [("merge", &["merge", "side"]), ("cherry-pick", &["cherry-pick", "side"]), ("revert", &["revert", "HEAD~1"])];
    for (what, command) in begun {
        let repo = Arena { agent: "{command: \"touch $HOME/told/spent\"}".to_owned(), ..Arena::default() }.build();
        repo.write("a.txt", "one\n");
        repo.commit("one");
        repo.git(&["checkout", "--quiet", "-b", "side"]);
        repo.write("a.txt", "two\n");
        repo.commit("two");
        repo.git(&["checkout", "--quiet", "main"]);
        repo.write("a.txt", "three\n");
        repo.commit("three");
        repo.write("a.txt", "four\n");
        repo.commit("four");
        assert!(!repo.command("git").args(command).output().unwrap().status.success(), "no conflict");
        let conflict = repo.read("a.txt");
        repo.blueprint(&["run", DOCUMENT]).ends_with(4).says(&[what, "--abort"]);
        assert!(!repo.told("spent").exists() && repo.read("a.txt") == conflict);
    }
}

#[test]
fn a_stale_lock_is_told_at_once_blocks_the_landing_and_is_never_deleted() {
    let repo = Arena::default().build();
    let lock = repo.root().join(".git/index.lock");
    std::fs::write(&lock, "").unwrap();
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(6).says(&["warning: ", "index.lock is there", "resume"]);
    assert!(lock.exists(), "{}", done.err);
    std::fs::remove_file(&lock).unwrap();
    repo.blueprint(&["resume"]).ends_with(0);
    assert_eq!((repo.read("cost.txt").as_str(), repo.git(&["status", "--porcelain"]).as_str()), ("20\n", ""));
}

#[test]
fn hooks_are_skipped_unless_they_are_to_run_and_the_plan_says_so() {
    let repo = Arena::default().build();
    executable(&repo.root().join(".git/hooks/commit-msg"), "#!/bin/sh\necho 'no ticket' >&2\nexit 1\n");
    let plan = repo.blueprint(&["plan", DOCUMENT]).ends_with(0);
    assert!(plan.out.contains("hooks are not run on what lands: commit-msg"), "{}", plan.out);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n");
}

#[test]
fn a_hook_that_refuses_blocks_the_landing_with_its_words_and_one_that_passes_may_write_the_message() {
    let repo = Arena { config: "land: {hooks: run}\n".to_owned(), ..Arena::default() }.build();
    let hooks = repo.root().join("hooks");
    executable(&hooks.join("pre-merge-commit"), "#!/bin/sh\necho \"$(cat cost.txt) is too cheap\" >&2\nexit 1\n");
    let before = repo.commit("strict");
    repo.git(&["config", "core.hooksPath", "hooks"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(6).says(&["pre-merge-commit refused", "20 is too cheap", "resume"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    assert_eq!(repo.git(&["worktree", "list"]).lines().count(), 1, "a worktree is left");

    executable(&hooks.join("pre-merge-commit"), "#!/bin/sh\ntest -f \"$(git rev-parse --git-path MERGE_HEAD)\"\n");
    executable(&hooks.join("commit-msg"), "#!/bin/sh\necho 'Ticket: 7' >> \"$1\"\n");
    repo.blueprint(&["resume"]).ends_with(0);
    let message = repo.git(&["log", "-1", "--format=%B", "main"]);
    assert!(message.starts_with("Land variant A") && message.ends_with("Ticket: 7"), "{message}");
    assert_eq!(repo.git(&["worktree", "list"]).lines().count(), 1, "a worktree is left");
    assert_eq!(repo.git(&["branch", "--list", "blueprint/*"]), "");
}

#[test]
fn a_hook_that_changes_what_was_tested_is_refused() {
    let repo = Arena { config: "land: {hooks: run}\n".to_owned(), ..Arena::default() }.build();
    executable(&repo.root().join(".git/hooks/pre-merge-commit"), "#!/bin/sh\necho 1 > cost.txt\ngit add cost.txt\n");
    repo.blueprint(&["run", DOCUMENT]).ends_with(6).says(&["changed what is to be committed"]);
    assert_eq!(repo.read("cost.txt"), "90\n");
}

#[test]
fn what_lands_is_signed_as_git_is_set_to_and_a_signer_that_fails_blocks_it() {
    let repo = Arena { config: "land: {sign: auto}\n".to_owned(), ..Arena::default() }.build();
    let before = repo.git(&["rev-parse", "main"]);
    let key = repo.home().join("key");
    let made = repo.command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap();
    assert!(made.success());
    for (name, value) in [("commit.gpgSign", "true"), ("gpg.format", "ssh"), ("user.signingKey", "/nowhere")] {
        repo.git(&["config", name, value]);
    }
    repo.blueprint(&["run", DOCUMENT]).ends_with(6).says(&["could not be signed", "resume"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    repo.git(&["config", "user.signingKey", key.to_str().unwrap()]);
    repo.blueprint(&["resume"]).ends_with(0);
    assert!(repo.git(&["cat-file", "commit", "main"]).contains("BEGIN SSH SIGNATURE"));
    assert_eq!(repo.read("cost.txt"), "20\n");
}

#[test]
fn retry_competes_on_the_target_as_it_is_now_with_what_the_agents_wrote() {
    let agent = "echo x >> $HOME/told/calls; case $BLUEPRINT_VARIANT in A) echo 20;; *) echo 60;; esac > cost.txt\n";
    let repo = Arena { agent: "{command: \"sh agent.sh\"}".to_owned(), ..Arena::default() }.build();
    repo.write("agent.sh", agent);
    repo.commit("an agent");
    let bench = repo.read("bench/cost.sh").replacen('\n', "\n: > \"$HOME/told/measuring\"; sleep 0.1\n", 1);
    repo.write("bench/cost.sh", &bench);
    repo.commit("a slow benchmark");
    let child = repo.spawn(&["run", DOCUMENT]);
    wait_for(&repo.told("measuring"));
    repo.write("tests/run.sh", "#!/bin/sh\ntest \"$(cat cost.txt)\" -gt 30\n");
    let moved = repo.commit("a stricter test");
    Done::of(child.wait_with_output().unwrap()).ends_with(6).says(&["tests fail after the merge", "blueprint retry"]);
    let calls = || std::fs::read_to_string(repo.told("calls")).unwrap().lines().count();
    assert_eq!(calls(), 2);
    repo.blueprint(&["retry"]).ends_with(0).says(&["A, B of run"]);
    assert_eq!(calls(), 2, "an agent was called again");
    assert_eq!((repo.read("cost.txt").as_str(), repo.git(&["rev-parse", "main^1"])), ("60\n", moved));
}

#[test]
fn retry_does_anew_what_does_not_fit_the_target_any_more() {
    let repo = losers().build();
    repo.blueprint(&["run", DOCUMENT]).ends_with(3);
    repo.write("cost.txt", "91\n");
    for (key, cost) in [("A", 20), ("B", 60)] {
        repo.write(&format!("recorded/{key}.patch"), &Arena::patch(cost).replace("-90", "-91"));
    }
    repo.commit("another cost");
    repo.blueprint(&["retry"]).ends_with(0).says(&["does not fit `main` any more", "nothing of run"]);
    assert_eq!(repo.read("cost.txt"), "20\n");
}

#[test]
fn an_undecided_run_is_not_at_its_end_so_nothing_is_recorded_it_is_skipped_among_others_and_can_be_measured_on() {
    let repo = Arena { slice: "0.3", ..Arena::default() }.build();
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace("budget: 60s", "budget: 4s"));
    repo.write("docs/blueprints/other.md", &repo.read(DOCUMENT).replace("approved", "drafting"));
    let before = repo.commit("little time");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(3);
    assert!(done.out.contains("Next: measure on"), "{}", done.out);
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    let all = repo.blueprint(&["run", DOCUMENT, "docs/blueprints/other.md"]).ends_with(0);
    assert!(all.err.contains("is undecided") && all.err.contains("--measure"), "{}", all.err);
    repo.blueprint(&["resume", "--measure", "90s"]).ends_with(0);
    assert_eq!((repo.read("cost.txt").as_str(), status(&repo, "main").as_str()), ("20\n", "completed"));
    assert_eq!(repo.git(&["rev-parse", "main^1"]), before);
}
