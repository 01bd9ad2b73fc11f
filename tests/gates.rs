//! What a document demands, through the binary: notes of weights that gate, bounds at their limit, keys
//! that come to one name, and places for what a run came to.

mod common;

use common::Repo;
use common::arena::{Arena, DOCUMENT};

const NOTE: &str = "must pass all performance tests";

/// The arena with a suite that only a cost from 50 to 80 passes: neither the baseline (90) nor A (20).
fn gated(note: &str, costs: &[(&'static str, u32)]) -> Repo {
    let arena = Arena { costs: costs.to_vec(), ..Arena::default() };
    let repo = arena.build();
    let document = arena
        .document()
        .replace("- sh tests/run.sh\n", "- sh tests/run.sh\n- sh tests/performance.sh\n")
        .replace("- Tests: 50%\n", &format!("- Tests: 50% ({note})\n"));
    repo.write(DOCUMENT, &document);
    let suite = "#!/bin/sh\ncost=$(cat cost.txt)\ntest $cost -ge 50 && test $cost -le 80\n";
    repo.write("tests/performance.sh", suite);
    repo.commit("a gate");
    repo
}

#[test]
fn a_variant_that_fails_a_test_that_the_weights_demand_is_out_also_where_the_baseline_fails_it() {
    let repo = gated(NOTE, &[("A", 20), ("B", 60)]);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "60\n", "{}\n{}", done.out, done.err);
    let out = format!("A is out: the weights say \"{NOTE}\": test failed: sh tests/performance.sh");
    assert!(done.out.contains(&out), "{}", done.out);
    assert!(done.out.contains("the baseline itself misses a gate"), "{}", done.out);
    assert!(repo.read(DOCUMENT).contains(NOTE), "{}", repo.read(DOCUMENT));
    let run = repo.git(&["log", "-1", "--format=%b", "main"]);
    let run = run.split("run ").nth(1).unwrap().trim_end_matches('.').trim().to_owned();
    let json = repo.blueprint(&["report", &run, "--json"]).ends_with(0).out;
    assert!(json.contains("\"misses_gate\""), "{json}");
    repo.blueprint(&["report", &run, "--replay"]).ends_with(0);
}

#[test]
fn a_plan_says_that_the_baseline_misses_a_gate_as_soon_as_that_was_tried() {
    let repo = gated("must pass all performance tests", &[("A", 60), ("B", 70)]);
    // A metric whose name says performance is covered as well; the baseline's is 90 ms.
    for path in [DOCUMENT, "blueprint.yaml"] {
        repo.write(path, &repo.read(path).replace("latency_p95", "load_p95"));
    }
    repo.commit("a metric of performance");
    let before = repo.blueprint(&["plan", DOCUMENT]).ends_with(0).out;
    assert!(!before.contains("the baseline itself misses"), "{before}");
    let after = repo.blueprint(&["plan", "--try", DOCUMENT]).ends_with(0).out;
    for expected in ["the baseline itself misses a gate (run ", "test failed: sh tests/performance.sh", "load_p95 is 9"]
    {
        assert!(after.contains(expected), "`{expected}` is missing in\n{after}");
    }
}

#[test]
fn nothing_lands_where_every_variant_misses_a_gate() {
    let repo = gated(NOTE, &[("A", 20), ("B", 30)]);
    let before = repo.git(&["rev-parse", "main"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(3);
    assert_eq!(repo.read("cost.txt"), "90\n");
    assert_eq!(repo.git(&["rev-list", "--count", &format!("{before}..main"), "--", "cost.txt"]), "0");
}

#[test]
fn the_plan_says_what_each_note_of_the_weights_does() {
    let repo = gated(NOTE, &[("A", 20), ("B", 60)]);
    let plan = repo.blueprint(&["plan", DOCUMENT]).ends_with(0).out;
    for words in [
        format!("tests ({NOTE}): whoever fails a test of performance is out"),
        "also where the baseline fails it; suites: sh tests/performance.sh;".to_owned(),
        "performance (p95 latency): counts latency_p95".to_owned(),
    ] {
        assert!(plan.contains(&words), "`{words}` is missing in:\n{plan}");
    }
    let prose = gated("all unit tests must pass, or nearly", &[("A", 20), ("B", 60)]);
    let plan = prose.blueprint(&["plan", DOCUMENT]).ends_with(0).out;
    assert!(plan.contains("tests (all unit tests must pass, or nearly): prose, nothing is decided by it"), "{plan}");
    let check = prose.blueprint(&["check", DOCUMENT]).ends_with(0);
    let shown = format!("{}{}", check.out, check.err);
    assert!(shown.contains("note[BP301]") && shown.contains("0 errors, 0 warnings, 1 note"), "{shown}");
}

#[test]
fn variants_whose_keys_come_to_one_name_are_refused_before_anything_is_done() {
    for (one, other) in [("A-1", "A_1"), ("a_b-c", "A-B_C")] {
        let repo = Arena { costs: vec![(one, 20), (other, 60)], ..Arena::default() }.build();
        for command in ["check", "plan", "run"] {
            let done = repo.blueprint(&[command, DOCUMENT]).ends_with(2);
            let shown = format!("{}{}", done.out, done.err);
            assert!(shown.contains("BP027"), "{command}: {shown}");
        }
    }
}

#[test]
fn variants_that_are_called_as_leases_and_the_baseline_are_do_not_get_in_their_way() {
    let costs = vec![("A", 20), ("A-judge", 60), ("baseline", 61), ("v-baseline", 62)];
    let repo = Arena { costs, ..Arena::default() }.build();
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n");
    let refs = repo.git(&["for-each-ref", "--format=%(refname:lstrip=3)", "refs/blueprint"]);
    assert_eq!(refs.lines().collect::<Vec<_>>(), ["a", "a-judge", "v-baseline", "v-v-baseline"]);
}

#[test]
fn a_value_at_its_bound_keeps_it_in_whatever_unit_it_is_written() {
    let arena = Arena { costs: vec![("A", 9), ("B", 60)], ..Arena::default() };
    let repo = arena.build();
    repo.write("bench/cost.sh", "#!/bin/sh\nprintf '{\"latency\": {\"p95\": %s}}\\n' \"$(cat cost.txt)\"\n");
    repo.write(DOCUMENT, &arena.document().replace("<80ms", "<=0.009s"));
    repo.commit("a bound that A meets exactly");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "9\n", "{}", done.out);
}

#[test]
fn a_document_without_winner_and_analysis_gets_them_with_its_results() {
    let arena = Arena::default();
    let repo = arena.build();
    let text = arena.document();
    let (table, end) = (text.find("| Variant").unwrap(), text.find("## Budget").unwrap());
    repo.write(DOCUMENT, &format!("{}{}", &text[..table], &text[end..]));
    repo.commit("a bare heading for the results");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    let document = repo.read(DOCUMENT);
    for words in ["| A       | 100.0 |", "\n**Winner**: Variant A (Cost 20)", "\n**Analysis**:\n- Variant A: "] {
        assert!(document.contains(words), "`{words}` is missing in:\n{document}");
    }
}

#[test]
fn a_document_without_a_place_for_results_is_refused_until_it_has_one() {
    let arena = Arena::default();
    let repo = arena.build();
    let text = arena.document();
    let (results, end) = (text.find("### Results").unwrap(), text.find("## Budget").unwrap());
    repo.write(DOCUMENT, &format!("{}{}", &text[..results], &text[end..]));
    repo.commit("no place for results");
    repo.blueprint(&["run", DOCUMENT]).ends_with(2).says(&["BP028"]);
    repo.blueprint(&["check", "--fix", DOCUMENT]).ends_with(0).says(&["fixed: add `### Results`"]);
    repo.blueprint(&["check", DOCUMENT]).ends_with(0);
    assert!(repo.read(DOCUMENT).contains("- Simplicity: 20%\n\n### Results\n\n| Variant |"), "{}", repo.read(DOCUMENT));
}

#[test]
fn a_variant_that_rewrites_the_benchmark_gains_nothing_wherever_the_benchmark_lies_and_the_plan_says_so() {
    let arena = Arena::default();
    let repo = arena.build();
    for folder in ["benchmark", "web/app/benchmarks", "_benchmark"] {
        let script = format!("{folder}/cost.sh");
        let bench = repo.read("bench/cost.sh");
        repo.write(&script, &bench);
        repo.write(DOCUMENT, &arena.document().replace("notes/**", &format!("notes/**, {folder}/**")));
        repo.write("blueprint.yaml", &arena.config().replace("bench/cost.sh", &script));
        let cheat = "cost=\"$(cat cost.txt)\"";
        assert_eq!(bench.matches(cheat).count(), 1);
        let line = bench.lines().position(|line| line.contains(cheat)).unwrap();
        let old = bench.lines().nth(line).unwrap();
        let new = old.replace(cheat, "cost=\"1\"");
        let at = line + 1;
        repo.write("recorded/A.patch", &format!("--- a/{script}\n+++ b/{script}\n@@ -{at} +{at} @@\n-{old}\n+{new}\n"));
        repo.commit("another place");
        let plan = repo.blueprint(&["plan", DOCUMENT]).ends_with(0);
        assert!(plan.out.contains(&format!("`{folder}/**`; what variants do there neither counts")), "{}", plan.out);
        let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
        assert_eq!(repo.read("cost.txt").trim(), "60", "{}", done.out);
        repo.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    }
}

#[test]
fn a_variant_that_is_known_to_improve_by_what_the_document_asks_lands_also_where_the_weights_give_little_for_it() {
    let arena = Arena { costs: vec![("A", 70), ("B", 88)], ..Arena::default() };
    let repo = arena.build();
    let document = arena.document().replace("<80ms", "<=-10%").replace("Performance: 30%", "Performance: 1%");
    repo.write(DOCUMENT, &document.replace("Simplicity: 20%", "Simplicity: 49%"));
    repo.commit("a goal");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "70\n", "{}\n{}", done.out, done.err);
    assert!(done.out.contains("B is out: latency_p95"), "{}", done.out);
    let run = done.out.lines().find_map(|line| line.split("blueprint report ").nth(1)).unwrap().to_owned();
    repo.blueprint(&["report", run.trim(), "--replay"]).ends_with(0);
}
