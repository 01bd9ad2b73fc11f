//! The sample project of `blueprint demo`: its recorded work keeps its tests, and its tests notice
//! a listing that is broken.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::process::{Command, Output};

use common::Repo;

fn project() -> Repo {
    let repo = Repo::unborn();
    for (path, text) in blueprint::demo::files() {
        repo.write(path, text);
    }
    repo.commit("the sample project");
    repo
}

fn python(repo: &Repo, args: &[&str]) -> Output {
    let database = repo.dir.path().join("users.db");
    let mut command = repo.command("python3");
    // Sources are rewritten within a second, which cached bytecode would not notice.
    command.args(args).env("BLUEPRINT_DATABASE_FILE", database).env("PYTHONDONTWRITEBYTECODE", "1");
    command.output().unwrap()
}

fn tests(repo: &Repo) -> Output {
    python(repo, &["-m", "unittest", "discover", "-s", "tests"])
}

#[track_caller]
fn well(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_table_names_every_file_of_the_project() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/demo");
    let found = common::tree(&root);
    let mut paths: Vec<_> = found.iter().map(|(path, _)| path.strip_prefix(&root).unwrap().to_str().unwrap()).collect();
    paths.retain(|path| !path.contains("__pycache__"));
    paths.sort_unstable();
    let mut named: Vec<_> = blueprint::demo::files().iter().map(|(path, _)| *path).collect();
    named.sort_unstable();
    assert_eq!(named, paths);
    assert!(named.contains(&blueprint::demo::DOCUMENT));
}

#[test]
fn each_recorded_variant_applies_keeps_to_its_files_passes_the_tests_and_answers_the_benchmark() {
    let repo = project();
    well(&tests(&repo));
    well(&python(&repo, &["-m", "tools.seed"]));
    let seeded = std::fs::read(repo.dir.path().join("users.db")).unwrap();
    for (variant, files) in [
        ("A", &["app/users.py", "db/migrations/002_listing.sql"][..]),
        ("B", &["app/cache.py", "app/users.py", "db/migrations/002_listing.sql"]),
        ("C", &["app/users.py", "db/migrations/002_listing.sql"]),
    ] {
        repo.git(&["apply", "--index", &format!("recorded/{variant}.patch")]);
        let changed = repo.git(&["diff", "--cached", "--name-only"]);
        assert_eq!(changed.lines().collect::<Vec<_>>(), files, "{variant}");
        well(&tests(&repo));
        std::fs::write(repo.dir.path().join("users.db"), &seeded).unwrap();
        well(&python(&repo, &["-m", "tools.migrate"]));
        let measured = python(&repo, &["-m", "bench.listing"]);
        well(&measured);
        assert_eq!(String::from_utf8_lossy(&measured.stdout).lines().count(), 2);
        repo.git(&["reset", "--quiet", "--hard"]);
    }
}

#[test]
fn a_broken_listing_fails_the_tests() {
    let cases = [
        ("", "created_at DESC, id DESC", "created_at, id"),
        ("", "created_at DESC, id DESC", "created_at DESC"),
        ("", "(created_at, id) >= (?, ?)", "(created_at, id) > (?, ?)"),
        ("", "WHERE status = ?\"\n", "WHERE status <> ?\"\n"),
        ("", "(ACTIVE, size, offset)", "(ACTIVE, size - 1, offset)"),
        ("A", "(created_at, id) < (?, ?)", "(created_at, id) <= (?, ?)"),
        ("A", "(created_at, id) < (?, ?)", "created_at < ? AND ?"),
        ("B", "(token, after, size)", "(after, size)"),
        ("B", "(token, after, size)", "(token, after)"),
        ("C", "LIMIT ? OFFSET ?", "LIMIT ? OFFSET ? + 1"),
    ];
    let repo = project();
    for (variant, from, to) in cases {
        if !variant.is_empty() {
            repo.git(&["apply", "--index", &format!("recorded/{variant}.patch")]);
        }
        let text = repo.read("app/users.py");
        assert!(text.contains(from), "{variant}: `{from}` is not there");
        repo.write("app/users.py", &text.replace(from, to));
        let done = tests(&repo);
        assert!(!done.status.success(), "{variant}: `{from}` as `{to}` went unnoticed");
        repo.git(&["reset", "--quiet", "--hard"]);
    }
}

#[test]
fn the_demo_lands_a_winner_and_says_what_to_try_next_and_writes_over_nothing() {
    let home = tempfile::tempdir().unwrap();
    let demo = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blueprint"));
        command.args(["demo"]).args(args).current_dir(home.path()).env_clear().env("HOME", home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap()).output().unwrap()
    };
    let done = demo(&["sample"]);
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert_eq!(done.status.code(), Some(0), "{out}\n{err}");
    assert!(out.contains("landed") && out.contains("Try next:"), "{out}");
    let document = std::fs::read_to_string(home.path().join("sample").join(blueprint::demo::DOCUMENT)).unwrap();
    assert!(document.contains("**Status**: completed") && document.contains("✅"), "{document}");
    let again = demo(&["sample"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("already exists"));
}
