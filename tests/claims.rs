//! Times that a benchmark reports of itself are held against what its slices took.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::process::Command;

use common::Repo;
use common::arena::{Arena, DOCUMENT};

/// A benchmark of `work`, which takes as long as `cost.txt` says, in milliseconds. Its clock is multiplied by what is in
/// `clock.txt`, as a variant can do it from where it is imported.
const BENCHMARK: &str = "import time
from pytest_benchmark.fixture import BenchmarkFixture

clock = float(open('clock.txt').read())
begin = BenchmarkFixture.__init__

def init(self, *arguments, **named):
    begin(self, *arguments, **named)
    timer = self._timer
    self._timer = lambda: timer() * clock

BenchmarkFixture.__init__ = init
time.sleep(float(open('start.txt').read()))

def test_speed(benchmark):
    cost = float(open('cost.txt').read()) / 1000
    benchmark(lambda: time.sleep(cost))
";

/// An arena in which A is what these files say, beside a baseline of 20 ms with a right clock, and B a little slower.
fn arena(cost: &str, clock: &str, start: &str) -> Repo {
    let budget = "- Time cap: 9 minutes\n".to_owned();
    let repo = Arena { costs: vec![("A", 20), ("B", 21)], budget, ..Arena::default() }.build();
    for (name, text) in [("cost.txt", "20\n"), ("clock.txt", "1\n"), ("start.txt", "0\n")] {
        repo.write(name, text);
    }
    repo.write("bench/test_speed.py", BENCHMARK);
    let command = "{from: command, run: sh bench/cost.sh, path: latency.p95, unit: ms}";
    let report = "{from: pytest-benchmark, run: \"python3 -m pytest -q -p no:cacheprovider bench/test_speed.py \
                  --benchmark-max-time=0.5\", stat: median}";
    let config = repo.read("blueprint.yaml").replace(command, report);
    repo.write("blueprint.yaml", &config.replace("{budget: 60s}", "{budget: 400s}"));
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("cost.txt, notes/**", "*.txt"));
    repo.commit("a benchmark that times itself");
    for (key, [cost, clock, start]) in [("A", [cost, clock, start]), ("B", ["21", "1", "0"])] {
        for (name, text) in [("cost.txt", cost), ("clock.txt", clock), ("start.txt", start)] {
            repo.write(name, &format!("{text}\n"));
        }
        let patch = repo.git(&["diff", "--no-color", "--", "cost.txt", "clock.txt", "start.txt"]);
        repo.git(&["checkout", "--quiet", "cost.txt", "clock.txt", "start.txt"]);
        repo.write(&format!("recorded/{key}.patch"), &format!("{patch}\n"));
    }
    repo.commit("recorded work");
    repo
}

/// The journal says the same as the program that wrote it, and as an independent one.
fn decided_alike(repo: &Repo) {
    repo.blueprint(&["report", "--replay"]).ends_with(0);
    let mut check = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/recompute"));
    let journal = repo.root().join(".git/blueprint/journal.db");
    let check = check.arg(journal).arg("--last").arg(repo.root().join(DOCUMENT)).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}

#[test]
fn a_variant_whose_clock_runs_slow_is_out_with_what_it_reports_and_what_its_slices_took() {
    let repo = arena("22", "0.3", "0");
    let done = repo.blueprint(&["run", DOCUMENT]);
    let said = format!("{}{}", done.out, done.err);
    assert_eq!(repo.read("clock.txt"), "1\n", "{said}");
    assert!(said.contains("A is out") && said.contains("the report leaves out time that the work took"), "{said}");
    assert!(said.contains(": reports ") && said.contains(" runs and its slice took "), "{said}");
    assert!(said.contains("Slices with fewer runs follow"), "{said}");
    decided_alike(&repo);
}

#[test]
fn a_variant_that_is_faster_and_takes_longer_to_start_lands() {
    let repo = arena("8", "1", "0.7");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "8\n", "{}{}", done.out, done.err);
    decided_alike(&repo);
}
