//! What a run may conclude and what may land by it, through the binary on real repositories.

mod common;

use std::time::{Duration, Instant};

use common::Repo;
use common::arena::{Arena, DOCUMENT};

/// A benchmark whose time has nothing to do with the variant, and varies a lot.
const NOISE: &str = "#!/bin/sh\npython3 -c \"import random, time; time.sleep(0.02 + random.random() ** 3 / 4)\"\n";

/// An arena whose metric is the time of its benchmark, with so much time to measure.
fn timed(bench: &str, budget: &str) -> Repo {
    let repo = Arena { costs: vec![("A", 20), ("B", 60)], ..Arena::default() }.build();
    repo.write("bench/cost.sh", bench);
    let config = format!(
        "version: 1\nagent: {{patch: recorded}}\nmetrics: {{latency_p95: {{from: time, run: sh bench/cost.sh}}}}\n\
         measure: {{budget: {budget}}}\n"
    );
    repo.write("blueprint.yaml", &config);
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("<80ms", "<2s"));
    repo
}

#[test]
fn variants_that_differ_from_the_baseline_in_nothing_that_counts_do_not_land_and_what_to_do_is_said() {
    let repo = timed(NOISE, "8s");
    let before = repo.commit("noise");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(3);
    assert_eq!(repo.git(&["show", "HEAD:cost.txt"]), repo.git(&["show", &format!("{}:cost.txt", before.trim())]));
    assert!(done.out.contains("nothing lands: no variant was shown to be better than the baseline"), "{}", done.out);
}

#[test]
fn an_undecided_run_is_measured_on_without_repeating_anything_and_then_lands() {
    let arena = Arena { slice: "0.4", agent: "{command: sh agent.sh}".to_owned(), ..Arena::default() };
    let repo = arena.build();
    repo.write(
        "agent.sh",
        "echo once >> ../../../../asked\ncase $BLUEPRINT_VARIANT in A|a) echo 20 > cost.txt;; *) echo 60 > cost.txt;; esac\n",
    );
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace("budget: 60s", "budget: 8s"));
    repo.commit("too little time");
    repo.blueprint(&["run", DOCUMENT]).ends_with(3);
    let refused = repo.blueprint(&["resume", "--measure", "nonsense"]).ends_with(2);
    assert!(refused.err.contains("nonsense"), "{}", refused.err);
    let done = repo.blueprint(&["resume", "--measure", "60s"]).ends_with(0);
    assert!(done.out.contains("A wins"), "{}", done.out);
    assert_eq!(repo.git(&["show", "HEAD:cost.txt"]).trim(), "20");
    let report = repo.blueprint(&["report", "--json"]).ends_with(0);
    let steps = report.out.matches("\"step\"").count();
    assert!(steps <= 2, "no step was repeated: {}", report.out);
    repo.blueprint(&["report", "--replay"]).ends_with(0);
    let again = repo.blueprint(&["resume", "--measure", "5s"]).ends_with(4);
    assert!(again.err.contains("undecided") || again.err.contains("landed"), "{}", again.err);
}

#[test]
fn measuring_ends_within_its_budget_however_long_a_block_takes() {
    let repo = timed("#!/bin/sh\nsleep 0.5\n", "10s");
    repo.commit("slow");
    let done = repo.blueprint(&["run", DOCUMENT, "--events", "events.jsonl"]).ends_with(3);
    let events = repo.read("events.jsonl");
    let spent: Vec<f64> = events
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|event| event["event"] == "block-measured")
        .map(|event| event["elapsed"]["secs"].as_f64().unwrap() + event["elapsed"]["nanos"].as_f64().unwrap() / 1e9)
        .collect();
    assert!(spent.iter().all(|elapsed| *elapsed <= 10.0), "{spent:?}");
    assert!(!spent.is_empty() && done.out.contains("undecided"), "{}", done.out);
}

#[test]
fn a_variant_that_never_ends_does_not_take_the_time_of_the_others_for_granted() {
    // B's benchmark hangs: it is cut by the end of the budget, and nobody is blamed for that.
    let repo = timed("#!/bin/sh\ncase $(cat cost.txt) in 60) sleep 600;; esac\nsleep 0.02\n", "4s");
    repo.commit("a benchmark that hangs for B");
    let began = Instant::now();
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(5);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let told = done.out + &done.err;
    assert!(!told.contains("invalid measurement") && told.contains("budget"), "{told}");
}

#[test]
fn a_baseline_that_misses_a_bound_gives_way_to_a_variant_that_keeps_it_at_the_price_of_some_points() {
    // Performance weighs next to nothing, so that the baseline has more points.
    let repo = Arena { costs: vec![("A", 20), ("B", 85)], ..Arena::default() }.build();
    let document = repo.read(DOCUMENT);
    let document = document.replace("- Tests: 50%", "- Tests: 79%").replace("- Performance: 30%", "- Performance: 1%");
    repo.write(DOCUMENT, &document);
    repo.commit("hardly any weight on performance");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.git(&["show", "HEAD:cost.txt"]).trim(), "20");
    assert!(done.out.contains("B is out"), "{}", done.out);
}

#[test]
fn whoever_is_ahead_lands_only_where_the_configuration_says_so() {
    let arena = Arena { slice: "0.4", config: "land: {require: leader}\n".to_owned(), ..Arena::default() };
    let repo = arena.build();
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace("budget: 60s", "budget: 8s"));
    repo.commit("too little time, and the leader lands");
    let plan = repo.blueprint(&["plan", DOCUMENT]).ends_with(0);
    assert!(plan.out.contains("whoever leads when the time ends, shown to be better or not"), "{}", plan.out);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert!(done.out.contains("A lands although nothing shows that it is better"), "{}", done.out);
    assert_eq!(repo.git(&["show", "HEAD:cost.txt"]).trim(), "20");
    assert!(repo.git(&["show", &format!("HEAD:{DOCUMENT}")]).contains("not supported by the measurements"));
}
