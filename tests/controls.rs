//! The controls of the measuring through the binary: a shadow baseline that finds a harness out, and
//! rehearsals in which the baseline and cheats compete and must not win.

mod common;

use common::Repo;
use common::arena::{Arena, DOCUMENT};
use common::services::{kill_at, left, query};

/// An arena whose benchmark adds a tenth to the cost where this shell condition holds.
fn biased(condition: &str, arena: &Arena) -> Repo {
    let repo = arena.build();
    let bench = repo.read("bench/cost.sh");
    let bench = bench
        .replace("sleep", &format!("cost=$(cat cost.txt)\nif {condition}; then cost=$((cost + cost / 10)); fi\nsleep"));
    repo.write("bench/cost.sh", &bench.replace("-v cost=\"$(cat cost.txt)\"", "-v cost=\"$cost\""));
    repo.commit("a biased benchmark");
    repo
}

/// Nothing landed, and the document is as it was.
#[track_caller]
fn untouched(repo: &Repo, before: &str, document: &str) {
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    assert_eq!(repo.read(DOCUMENT), document);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_benchmark_that_is_slower_in_one_of_two_identical_trees_invalidates_the_run_and_nothing_lands() {
    let arena = Arena::default();
    for condition in ["pwd | grep -q shadow", "pwd | grep -q baseline", "test \"$BLUEPRINT_VARIANT\" = shadow"] {
        let repo = biased(condition, &arena);
        let before = repo.git(&["rev-parse", "main"]);
        let done = repo.blueprint(&["run", DOCUMENT]).ends_with(1).says(&["invalid", "identical trees", "kept under"]);
        assert!(done.out.contains("no winner: two trees of the baseline differ by"), "{condition}: {}", done.out);
        untouched(&repo, &before, &arena.document());
        // A verdict like any other: it is finished, and comes out of the journal again.
        repo.blueprint(&["resume"]).ends_with(0).says(&["nothing to resume"]);
        repo.blueprint(&["report", "--replay"]).ends_with(0);
        let json = repo.blueprint(&["report", "--json"]).ends_with(0).out;
        let report: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(report["verdict"]["detail"]["reason"]["reason"], "harness-biased", "{json}");
        assert_eq!(report["rows"].as_array().unwrap().len(), 3, "the shadow has no row of its own");
    }
}

#[test]
fn a_bias_that_nobody_would_pay_for_changes_nothing() {
    let repo = biased("false", &Arena::default());
    let bench = repo.read("bench/cost.sh").replace(
        "if false; then cost=$((cost + cost / 10))",
        "if pwd | grep -q shadow; then cost=$((cost + cost / 50))",
    );
    repo.write("bench/cost.sh", &bench);
    repo.commit("two percent");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_biased_run_that_was_killed_while_it_measured_is_resumed_to_the_same_end() {
    let arena = Arena { slice: "0.05", ..Arena::default() };
    let repo = biased("pwd | grep -q shadow", &arena);
    let before = repo.git(&["rev-parse", "main"]);
    kill_at(&repo, "kind = 'block'").await;
    repo.blueprint(&["resume"]).ends_with(1).says(&["invalid"]);
    untouched(&repo, &before, &arena.document());
    repo.blueprint(&["report", "--replay"]).ends_with(0);
    assert_eq!(left(&repo).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shadow_is_measured_in_each_block_in_which_the_baseline_is() {
    let repo = Arena::default().build();
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    let with = |who: &str| {
        format!(
            "SELECT data FROM record WHERE kind = 'block' AND EXISTS (SELECT 1 FROM json_each(data, '$.slices') \
                 WHERE json_extract(value, '$.contender') = '{who}')"
        )
    };
    let (own, shadow) =
        (query(&repo, &with("@baseline")).await.unwrap(), query(&repo, &with("@shadow")).await.unwrap());
    assert!(own.len() >= 9, "{}", own.len());
    assert_eq!(own, shadow);
    let leases = "SELECT data FROM record WHERE kind = 'made' AND json_extract(data, '$.contender') = '@shadow'";
    assert!(!query(&repo, leases).await.unwrap().is_empty());
}

#[test]
fn a_test_that_fails_in_every_second_tree_is_told_to_say_nothing() {
    let repo = Arena::default().build();
    repo.write("tests/run.sh", "#!/bin/sh\ntest \"$BLUEPRINT_VARIANT\" != shadow\n");
    repo.commit("a test that does not agree with itself");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0).says(&["1 of 1 tests came out differently", "sh tests/run.sh"]);
}

#[test]
fn there_is_no_shadow_where_performance_counts_for_nothing() {
    let arena = Arena::default();
    let repo = biased("pwd | grep -q shadow", &arena);
    let weights = "- Tests: 80%\n- Performance: 0% (p95 latency)\n- Simplicity: 20%";
    let document =
        arena.document().replace("- Tests: 50%\n- Performance: 30% (p95 latency)\n- Simplicity: 20%", weights);
    assert_ne!(document, arena.document());
    repo.write(DOCUMENT, &document);
    repo.commit("performance does not count");
    let done = repo.blueprint(&["run", DOCUMENT]);
    assert_ne!(done.code, 1, "{}\n{}", done.out, done.err);
    assert!(!done.err.contains("shadow"), "{}", done.err);
}

/// An arena whose agent leaves a trace wherever it is started.
fn traced() -> Repo {
    let agent = "{command: \"sh agent.sh {variant}\"}".to_owned();
    let repo = Arena { agent, ..Arena::default() }.build();
    repo.write("agent.sh", "touch \"$HOME/told/started\"\ncase $1 in A) echo 20 ;; *) echo 60 ;; esac >cost.txt\n");
    repo.commit("an agent");
    repo
}

/// No agent was started and nothing landed.
#[track_caller]
fn only_rehearsed(repo: &Repo, before: &str) {
    assert!(!repo.told("started").exists(), "an agent was started");
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_harness_passes_its_rehearsal_without_an_agent_and_then_carries_the_document_out() {
    let repo = traced();
    let before = repo.git(&["rev-parse", "main"]);
    let done = repo.blueprint(&["run", "--verify-harness=only", DOCUMENT]).ends_with(0);
    for line in ["✓  null ", "✓  exam ", "✓  outside ", "✓  reports ", "✓  shadow baseline "] {
        assert!(done.out.contains(line), "`{line}` is missing:\n{}", done.out);
    }
    assert!(done.out.contains("it changed conftest.py") && done.out.contains("the harness passed"), "{}", done.out);
    assert!(done.out.contains("like the baseline, with 3 files changed"), "{}", done.out);
    only_rehearsed(&repo, &before);
    assert_eq!(left(&repo).await, Vec::<String>::new());
    assert_eq!(repo.blueprint(&["report", "--replay"]).ends_with(0).out.lines().nth(2), done.out.lines().nth(2));
    assert!(repo.blueprint(&["report", "--json"]).ends_with(0).out.contains("\"rehearsal\": true"));
    let done = repo.blueprint(&["run", "--verify-harness", DOCUMENT]).ends_with(0);
    assert!(done.out.contains("the harness passed") && done.out.contains("A wins"), "{}", done.out);
    assert_eq!((repo.read("cost.txt"), repo.told("started").exists()), ("20\n".to_owned(), true));
    let status = repo.blueprint(&["status"]).ends_with(0).out;
    assert_eq!(status.matches("rehearsal: the harness passed").count(), 2, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_harness_that_lets_a_control_through_is_refused_before_any_agent_is_started() {
    let cost = |condition: &str| format!("if {condition}; then echo '{{\"latency\": {{\"p95\": 1}}}}'; exit; fi\n");
    let cases = [
        // Faster where the path says so.
        ("bench/cost.sh", cost("pwd | grep -q null"), "null", "claimed to be better"),
        // Believes a report that the tree brings.
        ("bench/cost.sh", cost("test -e benchmark.json"), "reports", "claimed to be better"),
        // Fails who it does not like.
        ("tests/run.sh", "test \"$BLUEPRINT_VARIANT\" != null || exit 1\n".to_owned(), "null", "nothing in it differs"),
    ];
    for (file, first, control, ended) in cases {
        let repo = traced();
        let text = repo.read(file).replacen("#!/bin/sh\n", &format!("#!/bin/sh\n{first}"), 1);
        repo.write(file, &text);
        let before = repo.commit("a harness with a fault");
        let done = repo.blueprint(&["run", "--verify-harness", DOCUMENT]).ends_with(1).says(&["did not pass", control]);
        let line = done.out.lines().find(|line| line.starts_with(&format!("✗  {control} "))).unwrap_or_default();
        assert!(line.contains(ended), "{control}: {}", done.out);
        only_rehearsed(&repo, &before);
        assert_eq!(query(&repo, "SELECT DISTINCT run FROM record").await.unwrap().len(), 1);
        assert_eq!(left(&repo).await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_that_was_killed_is_resumed_as_one() {
    for kind in ["started", "harvested", "block", "concluded"] {
        let repo = traced();
        let before = repo.git(&["rev-parse", "main"]);
        let mut child = repo.command(env!("CARGO_BIN_EXE_blueprint"));
        let child = child.args(["run", "--verify-harness", DOCUMENT]);
        let mut child = child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        common::services::wait_for(&repo, 0, &format!("kind = '{kind}'")).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let done = repo.blueprint(&["resume"]).ends_with(0);
        assert!(done.out.contains("the harness passed"), "killed at {kind}: {}", done.out);
        only_rehearsed(&repo, &before);
        assert_eq!(left(&repo).await, Vec::<String>::new(), "killed at {kind}");
    }
}

#[test]
fn the_biased_verdict_is_worked_out_again_by_another_program() {
    let repo = biased("pwd | grep -q shadow", &Arena::default());
    repo.blueprint(&["run", DOCUMENT]).ends_with(1);
    let mut python = repo.command("python3");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/recompute");
    python.arg(script).arg(repo.root().join(".git/blueprint/journal.db")).arg("--last").arg(repo.root().join(DOCUMENT));
    // The document's table was not written; who wins is what is compared here.
    let done = common::Done::of(python.output().unwrap()).ends_with(1);
    assert!(!done.out.contains("the race leaves") && !done.out.contains("wins"), "{}", done.out);
}

#[test]
fn a_rehearsal_measures_for_as_many_blocks_as_it_needs_and_no_longer_than_the_time_cap() {
    // Five slices a block, of a tenth of a second or of half a one: a budget of one second has room for two blocks, and
    // a cap of twelve for fewer than nine.
    let arena = |cap: &str, slice| {
        let arena = Arena { slice, budget: format!("- Time cap: {cap}\n"), ..Arena::default() };
        let repo = arena.build();
        // Noise of up to a half, so that nothing is decided soon.
        let bench =
            repo.read("bench/cost.sh").replace("seed % 100000 + cost", "seed % 100000 + length(ENVIRON[\"PWD\"])");
        repo.write("bench/cost.sh", &bench.replace("0.02", "0.5"));
        repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace("budget: 60s", "budget: 1s"));
        repo.commit("a noisy benchmark");
        repo
    };
    let done = arena("15 minutes", "0.1").blueprint(&["run", "--verify-harness=only", DOCUMENT]).ends_with(0);
    let head = done.out.lines().next().unwrap_or_default();
    assert!([", 16 blocks", ", 9 blocks"].iter().any(|n| head.contains(n)), "{head}");
    let done =
        arena("12 seconds", "0.5").blueprint(&["run", "--verify-harness", DOCUMENT]).ends_with(1).says(&["null"]);
    assert!(done.out.contains("the time cap ended after"), "{}", done.out);
}
