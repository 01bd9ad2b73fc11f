//! Several documents at once, and what `plan` promises of what `run` would do.

mod common;

use common::Repo;
use common::arena::{Arena, DOCUMENT};

const NOTES: &str = "docs/blueprints/notes.md";

fn notes(repo: &Repo) {
    repo.write(NOTES, "# Notes\n\n## Goal\n\nTo remember.\n");
}

#[test]
fn notes_among_documents_are_one_line_and_alone_they_get_every_finding() {
    let repo = Arena::default().build();
    notes(&repo);
    repo.write("docs/blueprints/empty.md", "");
    for args in [&["check", DOCUMENT, NOTES][..], &["check"], &["plan", DOCUMENT, NOTES], &["run", "--dry-run"]] {
        let done = repo.blueprint(args).ends_with(0).says(&["docs/blueprints/notes.md is not a blueprint; skipped\n"]);
        assert!(!done.out.contains("BP0") && !done.err.contains("BP0"), "{done:?}");
    }
    let alone = repo.blueprint(&["check", NOTES]).ends_with(2);
    assert!(alone.out.contains("the Blueprint ID is missing"), "{}", alone.out);
    repo.blueprint(&["check", NOTES, "docs/blueprints/empty.md"]).ends_with(2).says(&["there is no blueprint"]);
}

#[test]
fn what_only_lacks_its_id_is_a_blueprint_all_the_same() {
    let repo = Arena::default().build();
    let text = Arena::default().document();
    let without: String =
        text.lines().filter(|line| !line.contains("Blueprint ID")).map(|l| format!("{l}\n")).collect();
    repo.write("docs/blueprints/other.md", &without);
    let done = repo.blueprint(&["check"]).ends_with(2);
    assert!(done.out.contains("the Blueprint ID is missing"), "{}", done.out);
}

#[test]
fn a_run_of_several_documents_ends_with_a_table_over_them() {
    let repo = Arena::default().build();
    notes(&repo);
    let text = Arena::default().document();
    repo.write("docs/blueprints/later.md", &text.replace("**Status**: approved", "**Status**: drafting"));
    repo.write("docs/blueprints/odd.md", &text.replace("Tests: 50%", "Tests: 10%"));
    repo.commit("three documents");
    let done = repo.blueprint(&["run"]).ends_with(2);
    let commit = repo.git(&["rev-parse", "--short=7", "main"]);
    let table: Vec<_> =
        done.out.lines().rev().take(4).map(|line| line.split("  ").next().unwrap().to_owned()).collect();
    assert_eq!(table, ["docs/blueprints/odd.md", "docs/blueprints/later.md", DOCUMENT, "Document"]);
    let line = |path: &str| done.out.lines().rev().find(|line| line.starts_with(path)).unwrap().to_owned();
    assert!(line(DOCUMENT).contains("landed") && line(DOCUMENT).contains(&commit), "{}", done.out);
    assert!(line("docs/blueprints/later.md").contains("nothing to do"), "{}", done.out);
    assert!(line("docs/blueprints/odd.md").contains("not valid"), "{}", done.out);
    let status: serde_json::Value =
        serde_json::from_str(&repo.blueprint(&["status", "--json"]).ends_with(0).out).unwrap();
    let run = &status["runs"][0];
    assert_eq!(
        (&status["schema_version"], &run["state"], &run["document"]),
        (&1.into(), &"landed".into(), &DOCUMENT.into())
    );
    assert!(run["landed"].as_str().unwrap().starts_with(&commit) && run["elapsed_seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn plans_of_several_documents_are_an_array_for_programs() {
    let repo = Arena::default().build();
    repo.write("docs/blueprints/more.md", &Arena::default().document().replace("Lower the cost", "Lower it again"));
    let json: serde_json::Value = serde_json::from_str(&repo.blueprint(&["plan", "--json"]).ends_with(0).out).unwrap();
    let titles: Vec<_> = json.as_array().unwrap().iter().map(|plan| plan["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Lower the cost", "Lower it again"]);
    let none: serde_json::Value =
        serde_json::from_str(&Repo::with(&[("a", "")]).blueprint(&["status", "--json"]).out).unwrap();
    assert_eq!(none["runs"], serde_json::json!([]));
}

/// `plan --detailed-exitcode` must end as `run` does, and with 10 where `run` starts.
#[track_caller]
fn agrees(repo: &Repo, documents: &[&str], expected: i32) {
    let call = |words: &[&str]| repo.blueprint(&[words, documents].concat());
    let plan = call(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, expected, "{plan:?}");
    let run = call(&["run", "--events", "/dev/null"]);
    let started = run.err.contains(" carries out ") || run.err.contains("run 20");
    assert_eq!(started, expected == 10, "{run:?}");
    if !started {
        assert_eq!(run.code, expected, "{run:?}");
    }
}

#[test]
fn the_plans_exit_code_says_what_run_would_do() {
    let status =
        |status: &str| Arena::default().document().replace("**Status**: approved", &format!("**Status**: {status}"));
    let approved = Arena::default().build();
    agrees(&approved, &[DOCUMENT], 10);
    // It landed: there is nothing left to do.
    agrees(&approved, &[DOCUMENT], 0);
    let repo = Arena::default().build();
    for (text, expected) in [
        (status("drafting"), 4),
        (status("pending"), 4),
        (status("rejected"), 4),
        (status("completed"), 0),
        // Edited after its approval was committed.
        (status("approved").replace("<80ms", "<90ms"), 4),
        // Changed in what a run rewrites, and not committed.
        (status("approved").replace("- none yet", "- a word"), 4),
        (status("approved").replace("Tests: 50%", "Tests: 10%"), 2),
        // Not bound besides, which does not matter before it is approved.
        (status("approved").replace("latency_p95", "latency_p99"), 4),
    ] {
        repo.write(DOCUMENT, &text);
        agrees(&repo, &[DOCUMENT], expected);
    }
    repo.write(DOCUMENT, &status("approved").replace("latency_p95", "latency_p99"));
    repo.commit("not bound");
    agrees(&repo, &[DOCUMENT], 2);
    repo.write(DOCUMENT, &status("approved"));
    repo.commit("bound again");
    repo.write("docs/blueprints/new.md", &status("approved"));
    agrees(&repo, &["docs/blueprints/new.md"], 4);
    // Among others a document that is not to run now is nothing to do.
    repo.write("docs/blueprints/new.md", &status("drafting"));
    repo.write("docs/blueprints/old.md", &status("completed"));
    agrees(&repo, &["docs/blueprints/new.md", "docs/blueprints/old.md"], 0);
    std::fs::remove_file(repo.root().join("recorded/A.patch")).unwrap();
    agrees(&repo, &[DOCUMENT], 2);
}

#[test]
fn without_the_option_a_plan_ends_with_0_and_shows_where_the_document_stands() {
    let repo = Arena::default().build();
    repo.write(DOCUMENT, &Arena::default().document().replace("<80ms", "<90ms"));
    let done = repo.blueprint(&["plan", DOCUMENT]).ends_with(0);
    assert!(done.out.contains("approval is not valid"), "{}", done.out);
}
