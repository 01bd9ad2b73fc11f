//! Suites of different kinds in one document, through the binary.

mod common;

use std::path::Path;

use common::Done;
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

#[test]
fn the_cases_of_cargo_and_of_a_script_that_prints_tap_are_the_same_for_every_contender() {
    let arena = Arena::default();
    let repo = arena.build();
    repo.write("Cargo.toml", "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
    repo.write("src/lib.rs", "#[test]\nfn is_cheap() {\n    assert!(include_str!(\"../cost.txt\").len() < 4)\n}\n");
    repo.write("tests/tap.sh", "echo 1..2\necho \"ok 1 - $PWD/cost.txt is read\"\necho ok 2 - later '# SKIP'\n");
    let document = arena.document().replace("- sh tests/run.sh\n", "- cargo test --lib\n- sh tests/tap.sh\n");
    repo.write(DOCUMENT, &document);
    repo.commit("tests that tell their cases");
    // The toolchain itself: a repository of the tests has a home without one.
    let tools = Path::new(env!("CARGO")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(std::iter::once(tools.to_owned()).chain(std::env::split_paths(&path))).unwrap();
    let mut run = repo.command(env!("CARGO_BIN_EXE_blueprint"));
    Done::of(run.args(["run", DOCUMENT]).env("PATH", path).output().unwrap()).ends_with(0);
    let report = repo.blueprint(&["report", "--junit"]).ends_with(0).out;
    for case in ["tiny (src/lib.rs)::is_cheap", "cost.txt is read", "later"] {
        assert_eq!(report.matches(&format!("name=\"{case}\"")).count(), 3, "{case} in:\n{report}");
    }
}
