//! Nobody is out by a test that says nothing: one that does not agree with itself, or that wants what a neighbour has.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::process::Command;

use common::arena::{Arena, DOCUMENT};
use common::{Done, Repo, TELLS};

/// An arena with one more test of this name, a shell script.
fn arena(script: &str) -> Repo {
    let repo = Arena::default().build();
    repo.write("tests/odd.sh", script);
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("- sh tests/run.sh\n", "- sh tests/run.sh\n- sh tests/odd.sh\n"));
    repo.commit("one more test");
    repo
}

/// That another program that shares nothing with this one comes to the same table.
fn agrees(repo: &Repo) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/recompute");
    let (journal, document) = (repo.root().join(".git/blueprint/journal.db"), repo.root().join(DOCUMENT));
    Done::of(Command::new(script).arg(journal).arg("--last").arg(document).output().unwrap()).ends_with(0);
}

#[test]
fn a_test_that_comes_out_differently_in_two_trees_of_the_baseline_decides_nothing() {
    // It passes once, in the first tree, which is the baseline's.
    let repo = arena("#!/bin/sh\necho >>\"$HOME/told/runs\"; test $(wc -l <\"$HOME/told/runs\") -eq 1\n");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n", "{}", done.out);
    let done = done.says(&["1 of 2 tests came out differently", "decide nothing: sh tests/odd.sh"]);
    assert!(done.out.contains("100.0"), "points are those of the other test: {}", done.out);
    agrees(&repo);
}

#[test]
fn where_no_test_agrees_with_itself_none_decides() {
    let repo = Arena::default().build();
    repo.write("tests/run.sh", "#!/bin/sh\necho >>\"$HOME/told/runs\"; test $(wc -l <\"$HOME/told/runs\") -ne 1\n");
    repo.commit("a test that fails in its first tree");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n", "{}", done.out);
    agrees(&repo);
}

#[test]
fn a_test_that_agrees_with_itself_puts_out_whoever_breaks_it_beside_one_that_does_not() {
    let repo = arena("#!/bin/sh\necho >>\"$HOME/told/runs\"; test $(wc -l <\"$HOME/told/runs\") -eq 1\n");
    repo.write("tests/run.sh", "#!/bin/sh\ntest \"$(cat cost.txt)\" -ne 20\n");
    repo.commit("a test that A breaks");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "60\n", "{}", done.out);
    done.says(&["A is out: test failed: sh tests/run.sh"]);
    agrees(&repo);
}

#[test]
fn tests_that_want_the_same_port_in_every_tree_are_run_one_after_another_and_put_nobody_out() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let repo = arena("#!/bin/sh\nexec python3 tests/serve.py\n");
    let serve = format!(
        "import socket, time\nserver = socket.socket()\n\
         server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
         server.bind(('127.0.0.1', {port}))\nserver.listen()\ntime.sleep(1)\n"
    );
    repo.write("tests/serve.py", &serve);
    // Each lease has ports of its own otherwise.
    let shared = TELLS.replacen('}', ", network: shared}", 1);
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replacen(TELLS, &shared, 1));
    repo.commit("a test that serves");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n", "{}", done.out);
    assert_eq!(done.err.matches("found a port taken").count(), 1, "{}", done.err);
    assert!(!done.out.contains("is out"), "{}", done.out);
    agrees(&repo);
}
