//! What is timed on a busy machine: programs are told apart that elapsed time does not tell apart.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::process::{Child, Command, Stdio};

use common::Repo;
use common::arena::{Arena, DOCUMENT};

/// As many programs that do nothing but compute as the machine has cores, and one more.
struct Busy(Vec<Child>);

impl Busy {
    fn start() -> Self {
        let cores = std::thread::available_parallelism().unwrap().get();
        let burn = || {
            // It ends by itself, should nobody end it.
            let line = "end=$(( $(date +%s) + 300 )); while [ $(date +%s) -lt $end ]; do i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; done";
            Command::new("sh").args(["-c", line]).stdout(Stdio::null()).spawn().unwrap()
        };
        Self((0..=cores).map(|_| burn()).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Computes for as many milliseconds of CPU time as `cost.txt` says, in a child as a benchmark does.
const COMPUTES: &str = "import time\nend = time.process_time() + float(open('cost.txt').read()) / 1000\nwhile time.process_time() < end: pass\n";

/// Waits for as many milliseconds, and computes for a tenth of that.
const WAITS: &str = "import time\ncost = float(open('cost.txt').read()) / 1000\ntime.sleep(cost)\nend = time.process_time() + cost / 10\nwhile time.process_time() < end: pass\n";

/// The interpreter itself, which `python3` may be a script in front of.
fn python() -> String {
    let done = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// Variants at 100 and 110 ms beside a baseline at 130, on a busy machine.
fn run(program: &str) -> Repo {
    let arena = Arena { costs: vec![("A", 100), ("B", 110)], ..Arena::default() };
    let repo = arena.build();
    repo.write("bench/cost.py", program);
    repo.write("cost.txt", "130\n");
    for (key, cost) in &arena.costs {
        repo.write(&format!("recorded/{key}.patch"), &Arena::patch(*cost).replace("-90", "-130"));
    }
    let command = "latency_p95: {from: command, run: sh bench/cost.sh, path: latency.p95, unit: ms}";
    let time = format!("latency_p95: {{from: time, run: {} -S bench/cost.py}}", python());
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace(command, &time));
    let weights = [
        ("Tests: 50%", "Tests: 10%"),
        ("Performance: 30%", "Performance: 80%"),
        ("Simplicity: 20%", "Simplicity: 10%"),
    ];
    let document = weights.iter().fold(repo.read(DOCUMENT), |text, (from, to)| text.replace(from, to));
    repo.write(DOCUMENT, &document.replace("<80ms", "<200ms"));
    repo.commit("what is timed");
    let busy = Busy::start();
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    drop(busy);
    repo
}

/// The last run's report.
fn report(repo: &Repo) -> serde_json::Value {
    let done = repo.blueprint(&["report", "--json"]).ends_with(0);
    serde_json::from_str(&done.out).unwrap()
}

/// The one source's clock as the report says it.
fn clock(name: &str) -> serde_json::Value {
    serde_json::json!({ format!("time: {} -S bench/cost.py", python()): name })
}

#[test]
fn ten_per_cent_of_computing_are_found_on_a_machine_with_more_work_than_cores() {
    let repo = run(COMPUTES);
    let report = report(&repo);
    assert_eq!(report["verdict"]["detail"]["verdict"], "winner", "{report:#}");
    assert_eq!(repo.read("cost.txt"), "100\n");
    assert_eq!(report["clocks"], clock("cpu"));
    let said = repo.blueprint(&["report", "--replay"]).ends_with(0);
    assert!(said.out.contains("by CPU time"), "{}", said.out);
    let journal = repo.root().join(".git/blueprint/journal.db");
    let mut check = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/recompute"));
    let check = check.arg(journal).arg("--last").arg(repo.root().join(DOCUMENT)).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}

#[test]
fn a_program_that_waits_is_compared_by_its_time_without_waits_for_a_core() {
    let repo = run(WAITS);
    assert_eq!(report(&repo)["clocks"], clock("unhindered"));
    assert_eq!(repo.read("cost.txt"), "100\n");
}
