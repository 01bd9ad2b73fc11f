//! Bad input: each case ends in an error that says what, where and what to do, and leaves the
//! repository and the cache byte for byte as they were.

mod common;

use common::arena::{Arena, DOCUMENT};
use common::{Done, Repo, tree};

/// Runs and compares everything before and after.
#[track_caller]
fn refused(repo: &Repo, args: &[&str], code: i32, says: &[&str]) -> Done {
    let before = tree(repo.dir.path());
    let done = repo.blueprint(args).ends_with(code).says(says);
    let names = |files: &[(std::path::PathBuf, Vec<u8>)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    let after = tree(repo.dir.path());
    assert_eq!(names(&before), names(&after), "files appeared or went");
    assert!(before == after, "a file changed");
    done
}

/// The arena with its document changed in one place, committed.
fn with_document(from: &str, to: &str) -> Repo {
    let arena = Arena::default();
    let repo = arena.build();
    let text = arena.document();
    assert!(text.contains(from), "`{from}` is not in the document");
    repo.write(DOCUMENT, &text.replacen(from, to, 1));
    repo.commit("change the document");
    repo
}

/// The arena with lines added to its configuration.
fn with_config(lines: &str) -> Repo {
    Arena { config: lines.to_owned(), ..Arena::default() }.build()
}

#[test]
fn outside_a_repository() {
    let repo = Repo::unborn();
    let outside = repo.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("doc.md"), Arena::default().document()).unwrap();
    let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
    let done = Done::of(command.current_dir(&outside).args(["run", "doc.md"]).output().unwrap());
    done.ends_with(2).says(&["not inside a git repository", "git init"]);
}

#[test]
fn before_the_first_commit() {
    let repo = Repo::unborn();
    repo.write(DOCUMENT, &Arena::default().document());
    repo.write("blueprint.yaml", &Arena::default().config());
    refused(&repo, &["run", DOCUMENT], 2, &["no commits", "git commit"]);
}

#[test]
fn with_a_detached_head() {
    let repo = Arena::default().build();
    repo.git(&["checkout", "--quiet", "--detach"]);
    refused(&repo, &["run", DOCUMENT], 2, &["detached", "land"]);
}

#[test]
fn with_a_target_branch_that_does_not_exist() {
    let repo = with_config("land: {branch: release}\n");
    refused(&repo, &["run", DOCUMENT], 2, &["release", "blueprint.yaml"]);
}

#[test]
fn a_document_that_is_not_committed() {
    let repo = Arena::default().build();
    repo.write("docs/blueprints/new.md", &Arena::default().document());
    refused(&repo, &["run", "docs/blueprints/new.md"], 4, &["docs/blueprints/new.md", "git add"]);
}

#[test]
fn a_document_that_nobody_approved() {
    let repo = with_document("**Status**: approved", "**Status**: pending");
    refused(&repo, &["run", DOCUMENT], 4, &["pending", "approve"]);
}

#[test]
fn a_document_that_nobody_approved_is_passed_over_among_others() {
    let arena = Arena::default();
    let repo = arena.build();
    let other = "docs/blueprints/other.md";
    let completed = arena.document().replace("**Status**: approved", "**Status**: completed");
    repo.write(other, &completed);
    repo.write(DOCUMENT, &arena.document().replace("**Status**: approved", "**Status**: drafting"));
    repo.commit("two that are not to run");
    refused(&repo, &["run", DOCUMENT, other], 0, &["drafting", "completed"]);
    std::fs::remove_file(repo.root().join(other)).unwrap();
    refused(&repo, &["run"], 0, &["drafting"]);
}

#[test]
fn a_document_that_was_edited_after_its_approval_was_committed() {
    let arena = Arena::default();
    let repo = arena.build();
    repo.write(DOCUMENT, &arena.document().replace("make it 20", "make it 10"));
    refused(&repo, &["run", DOCUMENT], 4, &["edited after", "make it 20", "make it 10"]);
}

#[test]
fn a_document_that_was_edited_after_approve_even_when_the_edit_is_committed() {
    let repo = Arena::default().build();
    repo.blueprint(&["approve", DOCUMENT]).ends_with(0);
    repo.commit("approved");
    let text = repo.read(DOCUMENT);
    assert!(text.contains("**Approved**: "), "{text}");
    repo.write(DOCUMENT, &text.replace("make it 20", "make it 10"));
    repo.commit("sneak");
    refused(&repo, &["run", DOCUMENT], 4, &["edited after", "make it 20", "make it 10"]);
}

#[test]
fn a_document_with_uncommitted_changes_that_its_landing_would_meet() {
    let arena = Arena::default();
    let repo = arena.build();
    repo.write(DOCUMENT, &arena.document().replace("**Winner**: none yet", "**Winner**: mine, I bet"));
    refused(&repo, &["run", DOCUMENT], 4, &["uncommitted changes", DOCUMENT, "git commit"]);
    repo.git(&["checkout", "--quiet", DOCUMENT]);
    repo.blueprint(&["approve", DOCUMENT]).ends_with(0);
    refused(&repo, &["run", DOCUMENT], 4, &["uncommitted changes", "git commit"]);
}

#[test]
fn a_bound_that_nothing_can_keep() {
    let repo = with_document("latency_p95: <80ms", "latency_p95: <0ms");
    refused(&repo, &["run", DOCUMENT], 2, &["error[BP015]", "latency_p95", "less than 0"]);
    for bound in ["<=-1ms", "<-80ms"] {
        let repo = with_document("latency_p95: <80ms", &format!("latency_p95: {bound}"));
        refused(&repo, &["run", DOCUMENT], 2, &["error[BP015]", "latency_p95", "a difference from the baseline"]);
    }
}

#[test]
fn a_single_variant_in_a_competition() {
    let arena = Arena { costs: vec![("A", 20)], ..Arena::default() };
    refused(&arena.build(), &["run", DOCUMENT], 2, &["variant", DOCUMENT]);
}

#[test]
fn two_variants_of_one_key() {
    let repo = with_document("### Variant B: Cost 60", "### Variant A: Cost 60");
    refused(&repo, &["run", DOCUMENT], 2, &["error[BP013]", "variant A", &format!("{DOCUMENT}:")]);
}

#[test]
fn weights_that_are_not_a_hundred_together() {
    let repo = with_document("- Performance: 30%", "- Performance: 20%");
    refused(&repo, &["run", DOCUMENT], 2, &["error[BP012]", "90", &format!("{DOCUMENT}:")]);
}

#[test]
fn a_bound_of_another_dimension() {
    let repo = with_document("latency_p95: <80ms", "latency_p95: <50MB");
    refused(&repo, &["run", DOCUMENT], 2, &["error[BP", "latency_p95"]);
}

#[test]
fn a_metric_that_nothing_measures() {
    let repo = with_document("- latency_p95: <80ms", "- latency_p95: <80ms\n- warmth: <30ms");
    refused(&repo, &["run", DOCUMENT], 2, &["error[BP", "warmth", "blueprint.yaml"]);
}

#[test]
fn a_prose_test_that_nothing_binds() {
    let repo = with_document("- sh tests/run.sh", "- sh tests/run.sh\n- Load test with 1000 concurrent requests");
    refused(&repo, &["run", DOCUMENT], 2, &["error[BP", "Load test with 1000 concurrent requests", "suites"]);
}

#[test]
fn files_outside_the_repository() {
    for path in ["../outside.txt", "/etc/passwd", ".git/config"] {
        let repo = with_document("**Files**: cost.txt", &format!("**Files**: {path}"));
        refused(&repo, &["run", DOCUMENT], 2, &["error[BP", path]);
    }
}

#[test]
fn a_database_that_does_not_answer() {
    let repo = with_config("database: {url: \"postgresql://bp:secret-word@127.0.0.1:1/app\"}\n");
    let done = refused(&repo, &["run", DOCUMENT], 1, &["127.0.0.1:1", "database.url"]);
    assert!(!done.err.contains("secret-word"), "{}", done.err);
}

#[test]
fn a_redis_that_does_not_answer() {
    let repo = with_config("cache: {url: \"redis://:secret-word@127.0.0.1:1/0\", isolation: acl}\n");
    let done = refused(&repo, &["run", DOCUMENT], 1, &["127.0.0.1:1", "cache.url"]);
    assert!(!done.err.contains("secret-word"), "{}", done.err);
}

#[test]
fn a_program_that_is_not_installed() {
    let arena = Arena { agent: "{command: \"no-such-program-anywhere {prompt_file}\"}".to_owned(), ..Arena::default() };
    refused(&arena.build(), &["run", DOCUMENT], 2, &["no-such-program-anywhere", "install"]);
}

#[test]
fn a_test_program_that_is_not_installed() {
    let repo = with_document("- sh tests/run.sh", "- `no-such-program-anywhere tests/run.sh`");
    refused(&repo, &["run", DOCUMENT], 2, &["no-such-program-anywhere", "install"]);
}

#[test]
fn a_seed_that_is_not_there() {
    for database in ["{engine: sqlite, seed: [db/missing.sql]}", "{engine: postgres, seed: [db/missing.sql]}"] {
        let repo = with_config(&format!("database: {database}\n"));
        refused(&repo, &["run", DOCUMENT], 1, &["db/missing.sql"]);
    }
}

#[test]
fn recorded_work_that_is_missing() {
    let repo = Arena::default().build();
    std::fs::remove_file(repo.root().join("recorded/B.patch")).unwrap();
    refused(&repo, &["run", DOCUMENT], 2, &["B", "recorded"]);
}

#[test]
fn a_test_that_nobody_has_written() {
    let repo =
        with_document("**Diff Contract**: patch", "**Diff Contract**: patch\n**Tests**: tests/missing.py::test_it");
    refused(&repo, &["run", DOCUMENT], 2, &["tests/missing.py", "by_contestants"]);
}

#[test]
fn tests_of_a_work_item_that_no_command_can_run() {
    let repo = with_document("**Diff Contract**: patch", "**Diff Contract**: patch\n**Tests**: tests/run.sh");
    let text = repo.read(DOCUMENT).replace("- sh tests/run.sh", "- Load test with 2 concurrent requests");
    repo.write(DOCUMENT, &text);
    let config = repo.read("blueprint.yaml") + "http: {serve: ./serve, path: /}\n";
    repo.write("blueprint.yaml", &config);
    repo.commit("nothing but a load test");
    refused(&repo, &["run", DOCUMENT], 2, &["tests/run.sh", "Evaluation Criteria"]);
}

#[test]
fn an_unknown_key_of_the_configuration() {
    let repo = with_config("budgett: 3\n");
    refused(&repo, &["run", DOCUMENT], 2, &["budgett", "blueprint.yaml"]);
}

#[test]
fn bytes_that_are_not_text_an_empty_file_a_directory_and_nothing_at_all() {
    let repo = Arena::default().build();
    std::fs::write(repo.root().join("bad.md"), b"# Title\n\xff\xfe\n").unwrap();
    repo.write("empty.md", "");
    refused(&repo, &["run", "bad.md"], 2, &["UTF-8", "bad.md"]);
    refused(&repo, &["run", "empty.md"], 2, &["empty"]);
    refused(&repo, &["run", "docs"], 2, &["docs", "directory"]);
    refused(&repo, &["run", "missing.md"], 2, &["missing.md"]);
    for (file, word) in
        [("bad.md", "UTF-8"), ("empty.md", "empty"), ("docs", "directory"), ("missing.md", "missing.md")]
    {
        refused(&repo, &["plan", file], 2, &[word]);
        // What `check` finds is its result; that there is nothing to check is an error.
        let done = refused(&repo, &["check", file], 2, &[]);
        assert!(done.out.contains(word) || done.err.contains(word), "{}{}", done.out, done.err);
    }
}

#[test]
fn fifty_megabytes_of_anything_are_answered_in_seconds() {
    let repo = Arena::default().build();
    let line = "- word | `tick` **bold** <b> [x](y) 12 %\n";
    repo.write("huge.md", &line.repeat(50_000_000 / line.len()));
    let started = std::time::Instant::now();
    repo.blueprint(&["run", "huge.md"]).ends_with(2).says(&["huge.md"]);
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
