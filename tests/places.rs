//! Runs where the checkout, its git directory or the target are in unusual places or states: linked and deleted
//! worktrees, `.git` as a link or a file, shared repositories, submodules, and rebases.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::arena::{Arena, DOCUMENT};
use common::{Done, Repo};

const COST: &str = "case $BLUEPRINT_VARIANT in A) echo 20;; *) echo 60;; esac > cost.txt\n";

/// An arena whose agent is this script, and whose configuration says this besides.
fn with_agent(script: &str, config: &str) -> Repo {
    let agent = "{command: \"sh agent.sh\"}".to_owned();
    let repo = Arena { agent, config: config.to_owned(), ..Arena::default() }.build();
    repo.write("agent.sh", script);
    repo.commit("an agent");
    repo
}

#[track_caller]
fn landed(repo: &Repo, branch: &str) {
    assert_eq!(repo.git(&["show", &format!("{branch}:cost.txt")]), "20");
    assert_eq!(repo.git(&["for-each-ref", "refs/heads/blueprint/"]), "");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

fn in_folder(repo: &Repo, folder: &Path, program: &str, args: &[&str]) -> Done {
    Done::of(repo.command(program).current_dir(folder).args(args).output().unwrap())
}

#[test]
fn a_target_that_a_linked_worktree_holds_moves_with_that_worktree_and_one_that_a_deleted_held_moves_alone() {
    let repo = with_agent(COST, "land: {branch: main}\n");
    let linked = repo.dir.path().join("linked");
    repo.git(&["checkout", "--quiet", "-b", "other"]);
    repo.git(&["worktree", "add", "--quiet", linked.to_str().unwrap(), "main"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo, "main");
    assert_eq!(std::fs::read_to_string(linked.join("cost.txt")).unwrap(), "20\n");
    assert_eq!(in_folder(&repo, &linked, "git", &["status", "--porcelain"]).out, "");
    assert_eq!(repo.read("cost.txt"), "90\n", "the other checkout moved too");

    let repo = with_agent(COST, "land: {branch: main}\n");
    let linked = repo.dir.path().join("linked");
    repo.git(&["checkout", "--quiet", "-b", "other"]);
    repo.git(&["worktree", "add", "--quiet", linked.to_str().unwrap(), "main"]);
    std::fs::remove_dir_all(&linked).unwrap();
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo, "main");
}

#[test]
fn a_run_in_a_linked_worktree_lands_there() {
    let repo = with_agent(COST, "");
    let linked = repo.dir.path().join("linked");
    repo.git(&["worktree", "add", "--quiet", "-b", "feature", linked.to_str().unwrap()]);
    in_folder(&repo, &linked, env!("CARGO_BIN_EXE_blueprint"), &["run", DOCUMENT]).ends_with(0);
    landed(&repo, "feature");
    assert_eq!(in_folder(&repo, &linked, "git", &["status", "--porcelain"]).out, "");
    assert_eq!(std::fs::read_to_string(linked.join("cost.txt")).unwrap(), "20\n");
    assert_eq!(repo.git(&["show", "main:cost.txt"]), "90");
}

#[test]
fn a_git_directory_that_is_a_link_or_named_by_a_file_works() {
    for by_file in [false, true] {
        let repo = with_agent(COST, "");
        let (shown, real) = (repo.root().join(".git"), repo.dir.path().join("elsewhere"));
        std::fs::rename(&shown, &real).unwrap();
        if by_file {
            std::fs::write(&shown, format!("gitdir: {}\n", real.display())).unwrap();
        } else {
            std::os::unix::fs::symlink(&real, &shown).unwrap();
        }
        repo.blueprint(&["run", DOCUMENT]).ends_with(0);
        landed(&repo, "main");
        assert_eq!(repo.read("cost.txt"), "20\n");
        assert!(!real.join("cost.txt").exists(), "the git directory was taken for the checkout");
    }
}

#[test]
fn a_checkout_that_git_does_not_find_is_not_guessed() {
    let repo = with_agent(COST, "land: {branch: main}\n");
    let linked = repo.dir.path().join("linked");
    repo.git(&["worktree", "add", "--quiet", "-b", "feature", linked.to_str().unwrap()]);
    let (shown, real) = (repo.root().join(".git"), repo.dir.path().join("elsewhere"));
    std::fs::rename(&shown, &real).unwrap();
    std::os::unix::fs::symlink(&real, &shown).unwrap();
    std::fs::write(linked.join(".git"), format!("gitdir: {}/worktrees/linked\n", real.display())).unwrap();
    let done = in_folder(&repo, &linked, env!("CARGO_BIN_EXE_blueprint"), &["run", DOCUMENT]).ends_with(2);
    done.says(&["`main` is checked out somewhere", "run there"]);
    assert_eq!(repo.git(&["show", "main:cost.txt"]), "90");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo, "main");
}

#[test]
fn in_a_shared_repository_what_is_made_stays_open_to_the_group() {
    let repo = with_agent(COST, "");
    repo.git(&["config", "core.sharedRepository", "group"]);
    repo.git(&["init", "--quiet", "--shared=group"]);
    repo.git(&["gc", "--quiet", "--prune=now"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo, "main");
    let objects = repo.root().join(".git/objects");
    let folders: Vec<_> = std::fs::read_dir(&objects).unwrap().flatten().map(|entry| entry.path()).collect();
    let made = folders.iter().filter(|path| path.file_name().unwrap().len() == 2).count();
    assert!(made > 3, "{folders:?}");
    let index = repo.root().join(".git/index");
    for path in folders.iter().chain([&index]) {
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o060, 0o060, "{}: {mode:o}", path.display());
    }
}

#[test]
fn where_another_user_ran_one_is_refused_with_a_way_out() {
    let repo = with_agent(COST, "");
    let state = repo.root().join(".git/blueprint");
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, PermissionsExt::from_mode(0o000)).unwrap();
    // Permissions mean nothing to root, who is nobody else.
    let root = std::fs::read_dir(&state).is_ok();
    for command in ["plan", "run", "status"] {
        let args: &[&str] = if command == "status" { &["status"] } else { &[command, DOCUMENT] };
        let done = repo.blueprint(args);
        if !root {
            done.ends_with(4).says(&["is of another user", "a clone of your own"]);
        }
    }
    std::fs::set_permissions(&state, PermissionsExt::from_mode(0o700)).unwrap();
    repo.blueprint(&["run", "--again", DOCUMENT]).ends_with(0);
}

#[test]
fn a_submodule_stays_at_its_commit_its_files_can_be_carried_and_another_commit_of_it_is_refused() {
    let (take, script) = (
        "git -c protocol.file.allow=always submodule --quiet update --init && git -C sub checkout -q origin/main",
        "cat sub/file > \"$HOME/told/seen\" 2> /dev/null; git status --porcelain >> \"$HOME/told/seen\" 2>&1",
    );
    for (config, script, expected) in [
        ("", COST.to_owned(), 0),
        ("carry: [sub]\n", format!("{script}\n{COST}"), 0),
        ("", format!("{COST}{take}\n"), 3),
    ] {
        let repo = with_agent(&script, config);
        let other = Repo::with(&[("file", "one\n")]);
        other.write("file", "two\n");
        other.commit("second");
        let place = other.root().display().to_string();
        repo.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &place, "sub"]);
        repo.git(&["-C", "sub", "checkout", "--quiet", "HEAD~1"]);
        // Where the submodule comes from is a place that an agent reads.
        let opened = format!("{}, read: [\"{place}\"]}}\n", common::TELLS.trim_end().trim_end_matches('}'));
        repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace(common::TELLS, &opened));
        repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("notes/**", "notes/**, sub"));
        repo.commit("a submodule");
        let before = repo.git(&["rev-parse", "main:sub"]);
        let done = repo.blueprint(&["run", DOCUMENT]).ends_with(expected);
        assert_eq!(repo.git(&["rev-parse", "main:sub"]), before);
        assert_eq!(repo.git(&["status", "--porcelain"]), "");
        if expected == 0 {
            landed(&repo, "main");
        } else {
            done.says(&["`sub` is a submodule", "can't be tested"]);
        }
        if !config.is_empty() {
            assert_eq!(std::fs::read_to_string(repo.told("seen")).unwrap(), "one\n");
        }
    }
}

/// An arena with a submodule that may be changed, and another commit of it.
fn with_submodule(script: &str, config: &str) -> (Repo, String) {
    let repo = with_agent(script, config);
    let other = Repo::with(&[("file", "one\n")]);
    let place = other.root().display().to_string();
    repo.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &place, "sub"]);
    let files = "notes/**, sub, sub/**, new, .gitmodules";
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("notes/**", files));
    repo.commit("a submodule");
    (repo, "1234567890123456789012345678901234567890".to_owned())
}

#[test]
fn whatever_an_agent_does_to_a_submodule_is_taken_over_or_puts_it_out_and_is_never_dropped() {
    let make = "git init -q new && git -C new -c user.name=a -c user.email=a@l commit -q --allow-empty -m x";
    let refused = [
        ("git update-index --cacheinfo 160000,$OTHER,sub", "`sub` is a submodule", "another commit"),
        (
            "git update-index --cacheinfo 160000,$OTHER,sub; git commit -qm bump",
            "`sub` is a submodule",
            "another commit",
        ),
        ("git update-index --add --cacheinfo 160000,$OTHER,new; mkdir new", "`new` is a submodule", "a new one"),
        (&format!("{make}; git add new; rm -rf new/.git"), "`new` is a submodule", "a new one"),
        ("echo x > sub/file", "`sub` is a submodule", "files in its place"),
        (
            "git -C sub init -q; git -C sub -c user.name=a -c user.email=a@l commit -q --allow-empty -m x",
            "`sub`",
            "commit",
        ),
    ];
    for (how, named, why) in refused {
        let script =
            format!("case $BLUEPRINT_VARIANT in A) echo 20 > cost.txt; {how};; *) echo 60 > cost.txt;; esac\n");
        let (repo, other) = with_submodule("", "land: {require: leader}\n");
        repo.write("agent.sh", &format!("OTHER={other}\n{script}"));
        repo.commit("an agent");
        let before = repo.git(&["rev-parse", "main:sub"]);
        let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
        assert_eq!(repo.read("cost.txt"), "60\n", "{how}: B lands: {}", done.out);
        let out = done.out.lines().find(|line| line.contains("A is out")).unwrap_or_default();
        assert!(out.contains(named) && out.contains(why), "{how}: {}", done.out);
        assert_eq!(repo.git(&["rev-parse", "main:sub"]), before, "{how}");
    }
}

#[test]
fn a_submodule_that_an_agent_removes_is_removed_with_what_says_where_it_comes_from() {
    let (repo, _) =
        with_submodule("git rm -qf sub; case $BLUEPRINT_VARIANT in A) echo 20;; *) echo 60;; esac > cost.txt\n", "");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.git(&["ls-tree", "--name-only", "main", "sub"]), "");
    assert_eq!(repo.git(&["show", "main:.gitmodules"]), "");
    assert_eq!(repo.git(&["show", "main:cost.txt"]), "20");
}

#[test]
fn recorded_work_that_moves_a_submodule_is_refused_before_anything_is_spent_and_a_branch_is_out() {
    let (repo, other) = with_submodule("", "");
    let old = repo.git(&["rev-parse", "main:sub"]);
    let moves = format!(
        "diff --git a/sub b/sub\nindex {old}..{other} 160000\n--- a/sub\n+++ b/sub\n@@ -1 +1 @@\n-Subproject commit {old}\n+Subproject commit {other}\n"
    );
    let configured = |repo: &Repo, agent: &str| {
        let config =
            Arena { agent: agent.to_owned(), config: "land: {require: leader}\n".to_owned(), ..Arena::default() }
                .config();
        repo.write("blueprint.yaml", &config);
    };
    configured(&repo, "{patch: recorded}");
    repo.write("recorded/A.patch", &format!("{}{moves}", Arena::patch(20)));
    repo.commit("recorded");
    repo.blueprint(&["run", DOCUMENT]).ends_with(2).says(&["recorded/A.patch", "it moves a submodule"]);
    repo.git(&["switch", "--quiet", "--create", "work"]);
    repo.git(&["update-index", "--cacheinfo", &format!("160000,{other},sub")]);
    repo.git(&["commit", "--quiet", "-m", "bump"]);
    repo.git(&["switch", "--quiet", "main"]);
    configured(&repo, "{patch: {A: \"branch:work\", B: recorded/B.patch}}");
    repo.commit("a branch");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert!(done.out.contains("A is out") && done.out.contains("it moves a submodule"), "{}", done.out);
    assert_eq!(repo.read("cost.txt"), "60\n");
}

/// A commit on `main` and one on `up` that conflict.
fn in_conflict(repo: &Repo) {
    for (branch, text) in [("up", "1\n"), ("main", "2\n")] {
        repo.git(&["checkout", "--quiet", "-B", branch]);
        if branch == "main" {
            repo.git(&["reset", "--quiet", "--hard", "up~1"]);
        }
        repo.write("x", text);
        repo.commit(branch);
    }
}

#[test]
fn a_rebase_that_is_not_concluded_is_refused_at_the_start_and_blocks_the_landing_when_it_begins_later() {
    let repo = with_agent(COST, "");
    in_conflict(&repo);
    assert!(!repo.command("git").args(["rebase", "--quiet", "up"]).output().unwrap().status.success());
    repo.blueprint(&["run", DOCUMENT]).ends_with(4).says(&["in the middle of a rebase", "git rebase --continue"]);
    repo.git(&["rebase", "--abort"]);

    let script = format!(
        "{COST}[ $BLUEPRINT_VARIANT = A ] || exit 0\ncd \"$HOME/../repo\" && git rebase -q up > /dev/null 2>&1; exit 0\n"
    );
    let repo = with_agent(&script, "sandbox: off\n");
    in_conflict(&repo);
    let before = repo.git(&["rev-parse", "main"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(6).says(&["`main` is being rebased", "blueprint resume"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    repo.git(&["rebase", "--abort"]);
    repo.blueprint(&["resume"]).ends_with(0);
    landed(&repo, "main");
}
