//! Commands that read and write files but carry nothing out: `init`, `new`, `check`, `plan`, `approve`,
//! `status`, `schema`.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use common::Repo;
use common::arena::{Arena, DOCUMENT};

/// Digests, commits, times and places differ from run to run; the rest may not.
fn redacted(text: &str, repo: &Repo) -> String {
    let mut out = text.replace(&repo.root().display().to_string(), "<repository>");
    out = out.replace(&repo.dir.path().display().to_string(), "<directory>");
    // How many CPUs there are is the machine's own affair.
    out = out.lines().filter(|line| !line.starts_with("! measures on")).map(|line| format!("{line}\n")).collect();
    let words = |text: &str, hex: usize| -> Vec<String> {
        let split = text.split(|c: char| !c.is_ascii_alphanumeric());
        let long = split.filter(|w| w.len() >= hex && w.bytes().all(|b| b.is_ascii_hexdigit()));
        long.filter(|w| w.bytes().any(|b| b.is_ascii_digit())).map(str::to_owned).collect()
    };
    for word in words(&out, 7) {
        out = out.replace(&word, "<hex>");
    }
    out
}

#[test]
fn a_new_repository_gets_a_configuration_and_a_document_that_check_accepts_once_they_fit() {
    let repo = Repo::with(&[("README.md", "# A project\n")]);
    repo.blueprint(&["init"]).ends_with(0);
    assert!(repo.read("blueprint.yaml").contains("version: 1"));
    repo.blueprint(&["init"]).ends_with(2).says(&["already exists"]);
    let done = repo.blueprint(&["new", "Faster user listing"]).ends_with(0);
    let path = done.out.trim().strip_prefix("wrote ").unwrap().to_owned();
    assert!(path.starts_with("docs/blueprints/") && path.ends_with("_faster-user-listing.md"), "{path}");
    let text = repo.read(&path);
    assert!(text.contains("# Faster user listing") && !text.contains("{{"), "{text}");
    // The template's own metrics and tests have to be bound; nothing else is wrong with it.
    let checked = repo.blueprint(&["check", &path, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&checked.out).unwrap();
    let codes: Vec<_> = json["diagnostics"].as_array().unwrap().iter().map(|d| d["code"].as_str().unwrap()).collect();
    assert!(codes.iter().all(|code| code.starts_with("BP20")), "{codes:?}");
}

#[test]
fn the_plan_says_what_a_run_would_do_and_does_nothing() {
    let repo = Arena::default().build();
    // What is possible differs from machine to machine.
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace("{budget: 60s}", "{budget: 60s, lanes: off}"));
    repo.commit("one after another");
    let before = common::tree(repo.dir.path());
    let done = repo.blueprint(&["plan", DOCUMENT]).ends_with(0);
    assert!(common::tree(repo.dir.path()) == before, "something was written");
    insta::assert_snapshot!("plan", redacted(&done.out, &repo));
    let dry = repo.blueprint(&["run", "--dry-run", DOCUMENT]).ends_with(0);
    assert_eq!(dry.out, done.out);
}

#[test]
fn the_plan_tells_programs_by_its_exit_code_that_there_is_work() {
    let repo = Arena::default().build();
    repo.blueprint(&["plan", DOCUMENT, "--detailed-exitcode"]).ends_with(10);
    let done = repo.blueprint(&["plan", DOCUMENT, "--json", "--out", "plan.json"]).ends_with(0);
    assert_eq!(repo.read("plan.json"), done.out);
    let json: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((json["schema_version"].as_u64(), json["variants"][0]["key"].as_str()), (Some(1), Some("A")));
    repo.write(DOCUMENT, &Arena::default().document().replace("**Status**: approved", "**Status**: completed"));
    repo.blueprint(&["plan", DOCUMENT, "--detailed-exitcode"]).ends_with(0);
}

#[test]
fn check_repairs_what_needs_no_question_and_leaves_every_other_byte() {
    let repo = Arena::default().build();
    let text = Arena::default().document().replace("| A | | | | | |", "| A | 100.0 | 50.0 | 50.0 | 12.0 | âœ… |");
    repo.write(DOCUMENT, &text);
    let found = repo.blueprint(&["check", DOCUMENT]).ends_with(0);
    assert!(found.out.contains("BP101") && found.out.contains("BP102"), "{}", found.out);
    repo.blueprint(&["check", "--fix", DOCUMENT]).ends_with(0).says(&["fixed:", "0 errors, 0 warnings"]);
    assert_eq!(repo.read(DOCUMENT), text.replace("12.0 | âœ…", "75.0 | ✅"));
}

#[test]
fn the_seed_is_checked_with_its_own_faults_and_no_others() {
    let repo = Arena::default().build();
    let seed = include_str!("fixtures/documents/seed.md");
    repo.write("docs/blueprints/seed.md", seed);
    repo.write("blueprint.yaml", include_str!("fixtures/seed/blueprint.yaml"));
    repo.commit("the seed");
    let bound = repo.blueprint(&["check", "docs/blueprints/seed.md"]).ends_with(0);
    insta::assert_snapshot!("seed_bound", bound.out);
    repo.write(
        "blueprint.yaml",
        &include_str!("fixtures/seed/blueprint.yaml").replace("Load test with 1000", "Load test of"),
    );
    let config = repo.read("blueprint.yaml").replace("http:\n  serve", "# http:\n  # serve");
    assert!(config.contains("# serve"), "{config}");
    let unbound = repo.blueprint(&["check", "docs/blueprints/seed.md", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&unbound.out).unwrap();
    assert!(json["diagnostics"].as_array().unwrap().len() >= 4, "{}", unbound.out);
}

#[test]
fn status_lists_runs_with_what_they_came_to() {
    let repo = Arena::default().build();
    let none = repo.blueprint(&["status"]).ends_with(0);
    assert_eq!(none.out, "nothing was run here yet\n");
    repo.blueprint(&["report"]).ends_with(2).says(&["nothing was run"]);
    repo.blueprint(&["run", DOCUMENT, "--events", "events.jsonl"]).ends_with(0);
    let one = repo.blueprint(&["status"]).ends_with(0);
    assert!(one.out.contains(DOCUMENT) && one.out.contains("landed"), "{}", one.out);
    repo.blueprint(&["report", "--replay"]).ends_with(0);
    for line in repo.read("events.jsonl").lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["event"].is_string(), "{line}");
    }
    for format in ["--json", "--md", "--junit"] {
        assert!(repo.blueprint(&["report", format]).ends_with(0).out.len() > 100, "{format}");
    }
}

#[test]
fn a_winner_that_is_not_to_be_merged_is_kept_and_nothing_moves() {
    let repo = Arena::default().build();
    let before = repo.git(&["rev-parse", "main"]);
    let done = repo.blueprint(&["run", "--merge", "none", DOCUMENT]).ends_with(0);
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    assert!(done.out.contains("nothing") && done.out.contains("refs/blueprint/"), "{}", done.out);
}

#[test]
fn the_schema_is_json_and_usage_errors_end_with_2() {
    let repo = Repo::with(&[("README.md", "x\n")]);
    let schema: serde_json::Value = serde_json::from_str(&repo.blueprint(&["schema"]).ends_with(0).out).unwrap();
    assert_eq!(schema["title"], "blueprint.yaml");
    repo.blueprint(&["rnu"]).ends_with(2).says(&["rnu", "--help"]);
    repo.blueprint(&["run"]).ends_with(2).says(&["blueprint new"]);
    assert!(repo.blueprint(&["--help"]).ends_with(0).out.contains("Usage: blueprint"));
    insta::assert_snapshot!("help", repo.blueprint(&["--help"]).ends_with(0).out);
}

/// A run in the background that got as far as its journal.
fn begun(repo: &Repo, start: &str) -> std::process::Child {
    // These tests may themselves have been started to outlive a terminal.
    let mut command = repo.command("env");
    let line = format!("{start}; exec \"$0\" run {DOCUMENT}");
    command.args(["--default-signal=HUP", "sh", "-c", &line, env!("CARGO_BIN_EXE_blueprint")]);
    let child = command.stderr(std::process::Stdio::piped()).spawn();
    let journal = repo.root().join(".git/blueprint/journal.db");
    while !journal.exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    child.unwrap()
}

fn send(child: &std::process::Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn a_terminated_run_ends_with_its_own_exit_code_leaves_nothing_and_can_be_resumed_and_so_does_one_whose_terminal_is_closed()
 {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::HUP] {
        let repo = Arena { slice: "0.1", ..Arena::default() }.build();
        let child = begun(&repo, ":");
        send(&child, signal);
        common::Done::of(child.wait_with_output().unwrap()).ends_with(143).says(&["blueprint resume"]);
        assert!(common::tree(&repo.dir.path().join("cache")).is_empty(), "{signal:?}");
        repo.blueprint(&["resume"]).ends_with(0);
        repo.blueprint(&["resume"]).ends_with(0).says(&["nothing to resume"]);
    }
}

#[test]
fn a_run_that_was_started_to_outlive_its_terminal_does() {
    let repo = Arena { slice: "0.1", ..Arena::default() }.build();
    let child = begun(&repo, "trap '' HUP");
    send(&child, rustix::process::Signal::HUP);
    common::Done::of(child.wait_with_output().unwrap()).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n");
}
