//! Files that a plan names and that are not on the branch that a run starts from: `check` and `plan` tell them alike.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]
mod common;

use common::Repo;
use common::arena::{Arena, DOCUMENT};

/// What `check` and `plan` say of files; they must say the same.
#[track_caller]
fn told(repo: &Repo) -> Vec<String> {
    let checked = repo.blueprint(&["check", DOCUMENT]).ends_with(0);
    let check: Vec<_> = checked.out.lines().filter_map(|line| line.strip_prefix("warning: ")).collect();
    let plan = repo.blueprint(&["plan", DOCUMENT]).ends_with(0);
    let plan: Vec<_> = plan.out.lines().filter_map(|line| line.strip_prefix("! ")).collect();
    let json: serde_json::Value = serde_json::from_str(&repo.blueprint(&["plan", "--json", DOCUMENT]).out).unwrap();
    let json: Vec<_> = json["uncommitted"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(check, json);
    assert!(json.iter().all(|line| plan.contains(line)), "{json:?} {plan:?}");
    let machine: serde_json::Value =
        serde_json::from_str(&repo.blueprint(&["check", "--format", "json", DOCUMENT]).out).unwrap();
    assert_eq!(serde_json::json!(check), machine["uncommitted"]);
    check.into_iter().map(str::to_owned).collect()
}

#[test]
fn where_everything_is_committed_nothing_is_told() {
    let repo = Arena::default().build();
    repo.write("src/other.txt", "nobody names this\n");
    assert_eq!(told(&repo), [""; 0]);
}

#[test]
fn each_file_that_the_plan_names_is_told_with_what_to_do_whatever_names_it() {
    let config = "setup: [\"sh tools/setup.sh\"]\ndatabase: {engine: sqlite, seed: [db/seed.sql]}\n";
    let repo = Arena { config: config.to_owned(), ..Arena::default() }.build();
    let append = |path: &str| repo.write(path, &(repo.read(path) + "\n"));
    for path in [DOCUMENT, "blueprint.yaml", "recorded/A.patch", "bench/cost.sh", "tests/run.sh"] {
        append(path);
    }
    repo.write("tools/setup.sh", "true\n");
    repo.write("db/seed.sql", "select 1;\n");
    let all = told(&repo);
    for path in ["blueprint.yaml", "bench/cost.sh", DOCUMENT, "recorded/A.patch", "tests/run.sh"] {
        let sentence = format!("{path} has changes that are not committed on `main`; commit them: git commit {path}");
        assert!(all.contains(&sentence), "{sentence}: {all:?}");
    }
    for path in ["db/seed.sql", "tools/setup.sh"] {
        let sentence = format!("{path} is not committed on `main`; commit it: git add {path} && git commit");
        assert!(all.contains(&sentence), "{sentence}: {all:?}");
    }
    assert_eq!(all.len(), 7, "{all:?}");
}

#[test]
fn a_file_that_git_ignores_is_told_as_well_and_what_set_up_makes_is_not() {
    let repo = Arena::default().build();
    repo.git(&["rm", "--quiet", "-r", "--cached", "recorded"]);
    repo.write(".gitignore", "recorded/\n.venv/\n");
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace("sh bench", ".venv/bin/sh bench"));
    repo.write(".venv/bin/sh", "#!/bin/sh\n");
    repo.commit("recorded work that git ignores");
    let ignored = |path: &str| {
        format!("{path} is only on disk, because git ignores it; commit it: git add --force {path} && git commit")
    };
    assert_eq!(told(&repo), [ignored("recorded/A.patch"), ignored("recorded/B.patch")]);
}

#[test]
fn a_lock_file_that_git_ignores_is_to_be_carried() {
    let repo = Arena { config: "setup: [\"cargo fetch\"]\n".to_owned(), ..Arena::default() }.build();
    repo.write(".gitignore", "Cargo.lock\n");
    repo.write("Cargo.toml", "[workspace]\n");
    repo.commit("a manifest");
    assert_eq!(told(&repo), [""; 0]);
    repo.write("Cargo.lock", "version = 4\n");
    let sentence = "Cargo.lock is only on disk, because git ignores it, and each tree would find versions of its own; name \
        it under `carry`, or commit it: git add --force Cargo.lock && git commit";
    assert_eq!(told(&repo), [sentence]);
    repo.write("blueprint.yaml", &(repo.read("blueprint.yaml") + "carry: [Cargo.lock]\n"));
    repo.commit("carried");
    assert_eq!(told(&repo), [""; 0]);
}

#[test]
fn a_makefile_says_what_a_line_with_make_does_and_its_targets_are_no_files() {
    let repo = Arena::default().build();
    let document = repo.read(DOCUMENT).replace("- sh tests/run.sh\n", "- make -j4 test\n");
    repo.write(DOCUMENT, &document.replace("cost.txt, notes/**", "cost.txt, Makefile"));
    repo.commit("tests by make");
    repo.write("Makefile", "test:\n\tsh tests/run.sh\n");
    repo.write("test/own.txt", "nobody names this\n");
    assert_eq!(told(&repo), ["Makefile is not committed on `main`; commit it: git add Makefile && git commit"]);
    repo.commit("a makefile");
    assert_eq!(told(&repo), [""; 0]);
    let plan = repo.blueprint(&["plan", DOCUMENT]).ends_with(0).out;
    assert!(plan.contains("under Files, and restored from the base before judging: `Makefile`;"), "{plan}");
    repo.write("blueprint.yaml", &(repo.read("blueprint.yaml") + "judge: {trust: [Makefile]}\n"));
    repo.commit("variants are trusted with it");
    let plan = repo.blueprint(&["plan", DOCUMENT]).ends_with(0).out;
    assert!(plan.contains("variants may change what tests or measures them: `Makefile` (make -j4 test);"), "{plan}");
    assert!(plan.contains("variants may change what they are judged by (`judge.trust`): Makefile"), "{plan}");
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_not_missing() {
    let repo = Arena::default().build();
    repo.git(&["sparse-checkout", "set", "--no-cone", "/*", "!/tests/"]);
    assert!(!repo.root().join("tests/run.sh").exists());
    assert_eq!(told(&repo), [""; 0]);
}

#[test]
fn what_is_staged_is_not_committed_and_another_target_is_what_counts() {
    let repo = Arena::default().build();
    repo.write("bench/cost.sh", "#!/bin/sh\n");
    repo.git(&["add", "bench/cost.sh"]);
    assert_eq!(told(&repo).len(), 1);
    repo.git(&["branch", "release"]);
    repo.commit("only on main");
    assert_eq!(told(&repo), [""; 0]);
    repo.write("blueprint.yaml", &(repo.read("blueprint.yaml") + "land: {branch: release}\n"));
    let all = told(&repo);
    assert!(
        all.iter().any(|line| line.starts_with("bench/cost.sh has changes") && line.contains("`release`")),
        "{all:?}"
    );
}
