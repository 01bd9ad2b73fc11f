//! Who is faster than asked for is measured in fresh trees before it lands: what earlier slices left behind is no merit.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::process::Command;

use common::arena::{Arena, DOCUMENT};
use common::services::{kill_at, left, query};
use common::{Done, Repo};
use serde_json::Value;

/// Works for four times as many milliseconds as `cost.txt` says. Where a folder `kept` is, it keeps the answer there and works no
/// more; `output` says what it computed, which the inputs have no part in.
const WORK: &str = "#!/bin/sh\nif [ -e kept/answer ]; then cat kept/answer; exit 0; fi\n\
                    sleep \"$(awk '{printf \"%.3f\", $1 / 250}' cost.txt)\"\necho 42\n\
                    if [ -d kept ]; then echo 42 >kept/answer; fi\n";

/// A variant that only sets the cost.
fn honest(cost: u32) -> String {
    Arena::patch(cost)
}

/// A variant that keeps what it computed in its own tree, and changes the cost a little, so that something changed.
fn keeps() -> String {
    let file = "--- /dev/null\n+++ b/kept/README\n@@ -0,0 +1 @@\n+Answers.\n";
    Arena::patch(89) + file
}

/// An arena in which the time of work is measured, with these variants.
fn arena(variants: &[(&'static str, String)], bound: &str, output: &str) -> Repo {
    let costs = variants.iter().map(|(key, _)| (*key, 1)).collect();
    let arena = Arena { costs, ..Arena::default() };
    let repo = arena.build();
    repo.write("bench/cost.sh", WORK);
    for (key, patch) in variants {
        repo.write(&format!("recorded/{key}.patch"), patch);
    }
    let command = "latency_p95: {from: command, run: sh bench/cost.sh, path: latency.p95, unit: ms}";
    let time = format!("latency_p95: {{from: time, run: sh bench/cost.sh{output}}}");
    let config = repo.read("blueprint.yaml").replace(command, &time).replace("budget: 60s", "budget: 100s");
    repo.write("blueprint.yaml", &config);
    let document = repo.read(DOCUMENT).replace("cost.txt, notes/**", "cost.txt, kept/**").replace("<80ms", bound);
    repo.write(DOCUMENT, &document);
    repo.commit("work that takes time");
    repo
}

fn report(repo: &Repo) -> Value {
    serde_json::from_str(&repo.blueprint(&["report", "--json"]).ends_with(0).out).unwrap()
}

/// That the journal says the same when it is decided again, by the program and by the script that shares nothing with it.
fn agrees(repo: &Repo) {
    repo.blueprint(&["report", "--replay"]).ends_with(0);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/recompute");
    let (journal, document) = (repo.root().join(".git/blueprint/journal.db"), repo.root().join(DOCUMENT));
    let done = Command::new(script).arg(journal).arg("--last").arg(document).output().unwrap();
    Done::of(done).ends_with(0);
}

/// How many records of a kind the journal has.
async fn records(repo: &Repo, kind: &str) -> usize {
    query(repo, &format!("SELECT run FROM record WHERE kind = '{kind}'")).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_that_keeps_its_answers_in_its_tree_is_out_and_the_honest_rival_lands_verified() {
    let repo = arena(&[("A", keeps()), ("B", honest(15))], "<800ms", "");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "15\n", "{}", done.out);
    let report = report(&repo);
    let reason = &report["rows"][0]["outcome"]["reason"];
    assert_eq!((&reason["reason"], &reason["metric"]), (&Value::from("left-over"), &Value::from("latency_p95")));
    assert!(reason["shown"]["log"].as_f64() > Some(1.0) && reason["fresh"]["log"].as_f64() < Some(0.5), "{reason}");
    let findings: Vec<_> = report["fresh"].as_array().unwrap().iter().map(|c| &c["metrics"][0]["finding"]).collect();
    assert_eq!(findings, ["contradicted", "confirmed"], "{report}");
    done.says(&["A is out: latency_p95 is ", "in a tree that earlier slices used", "left over from earlier slices"]);
    let text = repo.blueprint(&["report"]).ends_with(0).out;
    for expected in ["B is as fast in fresh trees: latency_p95 is ", "nobody checks what is answered"] {
        assert!(text.contains(expected), "`{expected}` is missing in\n{text}");
    }
    let document = repo.read(DOCUMENT);
    assert!(document.contains("- Variant A: out – latency_p95 is "), "{document}");
    assert!(document.contains("- B is as fast in fresh trees: latency_p95 is "), "{document}");
    assert!(repo.blueprint(&["report", "--md"]).ends_with(0).out.contains("- Verified: B is as fast in fresh trees"));
    agrees(&repo);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_such_a_variant_competes_nothing_lands_and_the_document_says_why() {
    let repo = arena(&[("A", keeps()), ("B", honest(400))], "<800ms", ", output: stdout");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(3);
    assert_eq!(repo.read("cost.txt"), "90\n", "{}", done.out);
    let document = repo.read(DOCUMENT);
    assert!(document.contains("**Winner**: none") && document.contains("left over from earlier slices"), "{document}");
    let told = repo.blueprint(&["report"]).ends_with(0).out;
    assert!(!told.contains("nobody checks"), "its output is compared: {told}");
    agrees(&repo);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_faster_than_asked_for_is_not_measured_again() {
    // What is measured is a number that the program tells: exactly what is asked for, and no better than the baseline.
    let told = "#!/bin/sh\nprintf '{\"latency\": {\"p95\": %s}}' \"$(cat cost.txt)\"\n";
    for (cost, bound, lands) in [(45, "<=45ms", 0), (45, "<=-50%", 0), (44, "<=45ms", 2), (45, "<100ms", 2)] {
        let repo = Arena { costs: vec![("A", cost), ("B", 89)], ..Arena::default() }.build();
        repo.write("bench/cost.sh", told);
        repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("<80ms", bound));
        repo.commit("exact numbers");
        repo.blueprint(&["run", DOCUMENT]).ends_with(0);
        let (begun, ended) = (records(&repo, "verifying").await, records(&repo, "verified").await);
        assert_eq!(begun + ended, lands, "{cost} of {bound}");
        agrees(&repo);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_while_it_verifies_comes_to_the_same_end() {
    let repo = arena(&[("A", keeps()), ("B", honest(15))], "<800ms", "");
    let before = repo.git(&["rev-parse", "main"]);
    for condition in ["verifying", "fresh-pair", "verified", "ended"] {
        kill_at(&repo, &format!("kind = '{condition}'")).await;
        repo.blueprint(&["resume"]).ends_with(0);
        assert_eq!(repo.read("cost.txt"), "15\n", "killed at {condition}");
        let newest = "SELECT run FROM record ORDER BY sequence DESC LIMIT 1";
        let run = query(&repo, newest).await.unwrap().remove(0);
        let all = |kind: &str| format!("SELECT run FROM record WHERE run = '{run}' AND kind = '{kind}'");
        assert_eq!(query(&repo, &all("verifying")).await.unwrap().len(), 2, "killed at {condition}: one each");
        agrees(&repo);
        repo.blueprint(&["gc"]).ends_with(0);
        assert_eq!(left(&repo).await, Vec::<String>::new(), "killed at {condition}");
        repo.git(&["reset", "--quiet", "--hard", &before]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_whose_first_slice_builds_tells_nothing_and_the_report_says_what_would() {
    let repo = arena(&[("A", honest(15)), ("B", honest(80))], "<800ms", "");
    let builds = WORK.replacen('\n', "\n[ -e built ] || { sleep 1; : >built; }\n", 1);
    repo.write("bench/cost.sh", &builds);
    repo.commit("a slice that builds");
    repo.blueprint(&["run", DOCUMENT])
        .ends_with(0)
        .says(&["could not be verified", "with a `build` step the check can tell"]);
    assert_eq!(report(&repo)["fresh"][0]["metrics"][0]["builds"], Value::Bool(true));
    agrees(&repo);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_benchmark_needs_what_tests_leave_nothing_is_told_and_nobody_is_kept_from_landing() {
    let repo = arena(&[("A", honest(15)), ("B", honest(80))], "<800ms", "");
    repo.write("tests/run.sh", "#!/bin/sh\n: >tested\n");
    repo.write("bench/cost.sh", &WORK.replacen('\n', "\n[ -e tested ] || exit 7\n", 1));
    repo.commit("a benchmark that needs what tests leave");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "15\n", "{}", done.out);
    done.says(&["could not be verified", "the baseline can't be measured there", "exit status 7"]);
    agrees(&repo);
}

/// Set-up that takes long once: in the tree of this number, counted from 1.
fn slow_once(repo: &Repo, tree: u32, seconds: u32) {
    let line =
        format!("echo >>\"$HOME/told/trees\"; [ $(wc -l <\"$HOME/told/trees\") -ne {tree} ] || exec sleep {seconds}\n");
    repo.write("setup.sh", &line);
    with_little_time(repo, common::seconds_here(18));
}

/// With `setup.sh` as its set-up, work of some hundredths of a second, as many seconds to measure it, and twice as many for all.
fn with_little_time(repo: &Repo, seconds: u64) {
    repo.write("bench/cost.sh", &WORK.replace("/ 250", "/ 2500"));
    let config = repo.read("blueprint.yaml").replace("budget: 100s", &format!("budget: {seconds}s"));
    repo.write("blueprint.yaml", &(config + "setup: [sh setup.sh]\n"));
    let cap = format!("Time cap: {} seconds", 2 * seconds);
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("Time cap: 15 minutes", &cap));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_could_not_be_verified_for_want_of_time_does_not_land_until_there_was_time() {
    let repo = arena(&[("A", honest(15)), ("B", honest(80))], "<800ms", "");
    // Baseline, shadow and both variants have trees by then.
    slow_once(&repo, 5, 600);
    let before = repo.commit("a tree that takes longer than there is time");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(3);
    assert_eq!(repo.git(&["rev-parse", "main"]), before, "{}", done.out);
    done.says(&["A could not be verified in fresh trees", "nothing lands", "blueprint resume --measure"]);
    // The document is not told before it is over.
    repo.blueprint(&["report", "--replay"]).ends_with(0);
    let status = repo.blueprint(&["status"]).ends_with(0).out;
    assert!(status.contains("undecided"), "{status}");
    let done = repo.blueprint(&["resume", "--measure", "5s"]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "15\n", "{}", done.out);
    agrees(&repo);
}

#[tokio::test(flavor = "multi_thread")]
async fn measuring_leaves_the_time_that_fresh_trees_take() {
    // A and B can't be told apart, and both are faster than asked for.
    let repo = arena(&[("A", honest(15)), ("B", honest(15))], "<800ms", "");
    let seconds = common::seconds_here(18);
    repo.write("setup.sh", &format!("sleep {}\n", seconds / 9));
    with_little_time(&repo, seconds);
    repo.commit("trees that take seconds");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    done.says(&["is as fast in fresh trees"]);
    agrees(&repo);
}

#[test]
fn a_plan_names_the_metrics_of_which_nobody_checks_the_answers() {
    let open = arena(&[("A", honest(15)), ("B", honest(80))], "<800ms", "");
    let plan = open.blueprint(&["plan", DOCUMENT]).ends_with(0).out;
    assert!(plan.contains("nobody checks what is answered") && plan.contains("(add `output: stdout`)"), "{plan}");
    let closed = arena(&[("A", honest(15)), ("B", honest(80))], "<800ms", ", output: stdout");
    let plan = closed.blueprint(&["plan", DOCUMENT]).ends_with(0);
    assert!(!plan.out.contains("nobody checks"), "{}", plan.out);
}
