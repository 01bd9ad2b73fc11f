//! Suites of different kinds in one document, through the binary.

mod common;

use common::arena::{Arena, DOCUMENT};

#[test]
fn a_work_items_tests_are_selected_in_the_suites_that_can_and_a_load_test_runs_whole() {
    let config = "http: {serve: \"python3 -m http.server $PORT --bind 127.0.0.1\", path: /cost.txt}\n";
    let arena = Arena { config: config.to_owned(), ..Arena::default() };
    let repo = arena.build();
    let document = arena
        .document()
        .replace("- sh tests/run.sh\n", "- sh tests/run.sh\n- Load test with 4 concurrent requests\n")
        .replace("**Diff Contract**: patch\n", "**Diff Contract**: patch\n**Tests**: tests/run.sh\n");
    repo.write(DOCUMENT, &document);
    repo.commit("two kinds of tests");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    let report = repo.blueprint(&["report", "--junit"]).ends_with(0).out;
    for case in ["Load test with 4 concurrent requests", "tests/run.sh"] {
        assert!(report.contains(&format!("name=\"{case}\"")), "{case} is missing in:\n{report}");
    }
}
