//! What the program logs of itself, and where.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::arena::{Arena, DOCUMENT};
use common::{Done, Repo};

const SECRET: &str = "sk-kept-out-of-every-line-0123456789";

/// An arena whose set-up names a secret in its command line.
fn arena() -> Repo {
    let repo = Arena { config: format!("setup: [\"true {SECRET}\"]\n"), ..Arena::default() }.build();
    repo.commit("a secret where it should not be");
    repo
}

fn run(repo: &Repo, variable: Option<&str>, args: &[&str]) -> Done {
    let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
    command.env("OPENAI_API_KEY", SECRET).args(args).args(["run", DOCUMENT]);
    variable.map(|filter| command.env("BLUEPRINT_LOG", filter));
    Done::of(command.output().unwrap())
}

#[test]
fn each_v_logs_more_of_a_run_on_standard_error_and_no_secret() {
    let done = run(&arena(), None, &["-v"]).ends_with(0);
    for part in ["run{id=", "trial{variant=A}", "step{index=", "block{index=3}", "landing", "record=landed", "close"] {
        assert!(done.err.contains(part), "{part}: {}", done.err);
    }
    assert!(!done.err.contains("program="), "{}", done.err);
    let done = run(&arena(), None, &["-vv"]).ends_with(0);
    assert!(done.err.contains("program=sh -c 'true [redacted]'"), "{}", done.err);
    assert!(!done.err.contains(SECRET) && !done.out.contains("record="), "{}", done.err);
}

#[test]
fn nothing_is_logged_unless_somebody_asks() {
    let done = run(&arena(), None, &[]).ends_with(0);
    assert!(!done.err.contains("record="), "{}", done.err);
}

#[test]
fn a_variable_says_what_is_logged_of_which_part() {
    let done = run(&arena(), Some("blueprint::adapters=debug"), &[]).ends_with(0);
    assert!(done.err.contains("program=") && !done.err.contains("record="), "{}", done.err);
    let done = run(&arena(), Some("blueprint=loud"), &[]).ends_with(2);
    done.says(&["BLUEPRINT_LOG says nothing that can be logged", "help: a level (error, warn, info, debug, trace)"]);
}

#[test]
fn a_log_file_is_the_users_alone_is_added_to_and_holds_no_secret() {
    let repo = arena();
    let path = repo.dir.path().join("blueprint.log");
    let named = path.display().to_string();
    let done = run(&repo, None, &["--log", &named]).ends_with(0);
    assert!(!done.err.contains("record="), "{}", done.err);
    let first = std::fs::read_to_string(&path).unwrap();
    assert!(first.contains("record=landed") && first.contains("[redacted]") && !first.contains(SECRET), "{first}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    repo.blueprint(&["--log", &named, "-vvv", "status"]).ends_with(0);
    let second = std::fs::read_to_string(&path).unwrap();
    assert!(second.starts_with(&first) && second.len() > first.len());
    let nowhere = run(&repo, None, &["--log", "/nonexistent/folder/log"]).ends_with(2);
    nowhere.says(&["the log /nonexistent/folder/log can't be written", "help: "]);
}
