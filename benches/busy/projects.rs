//! One project a metric source, whose variants differ in one number: how much work the measured program does.

use std::path::Path;

use crate::common::Repo;
use crate::live::{Pace, Work};

/// The document's path.
pub const DOCUMENT: &str = "docs/blueprints/work.md";

/// What is measured, and by what.
#[derive(Debug, Clone, Copy)]
pub struct Project {
    /// The source's name, as `from` has it.
    pub source: &'static str,
    /// The metric's line after `from`, and more of the configuration.
    config: &'static str,
    /// Files of the harness.
    files: &'static [(&'static str, &'static str)],
    /// The file that holds the number, and what stands around it.
    place: (&'static str, &'static str),
    /// Milliseconds of one run of the work at true time 1.
    run: f64,
    /// In what the number counts.
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Steps of the benchmark's own program.
    Native,
    /// Rounds of a loop in Python.
    Python,
}

/// Steps that a loop of Python takes, timed by itself; the least of some.
const PYTHON: &str = "
import time, work
def took(units):
    began = time.perf_counter(); work.work(units); return time.perf_counter() - began
print(min(took(20000) for _ in range(15)) / 20000)
";

const PYTHON_WORK: &str = "
def work(units):
    total = 0
    for i in range(units):
        total = (total * 31 + i) & 0xffffffff
    return total
";

const CARGO: &str = r#"[package]
name = "work"
version = "0.1.0"
edition = "2021"

[lib]
bench = false

[dev-dependencies]
criterion = { version = "0.8", default-features = false, features = ["cargo_bench_support"] }

[[bench]]
name = "work"
harness = false
"#;

/// All of them.
pub const PROJECTS: [Project; 7] = [
    Project {
        source: "time",
        config: "run: sh bench/run.sh}",
        files: &[("bench/run.sh", "exec @PROGRAM@ --program compute \"$(cat units.txt)\"\n")],
        place: ("units.txt", "@\n"),
        run: 60.0,
        unit: Unit::Native,
    },
    Project {
        source: "command",
        config: "run: sh bench/run.sh, path: ms, unit: ms}",
        files: &[("bench/run.sh", "exec @PROGRAM@ --timed compute \"$(cat units.txt)\"\n")],
        place: ("units.txt", "@\n"),
        run: 40.0,
        unit: Unit::Native,
    },
    Project {
        source: "file",
        config: "run: sh bench/run.sh}",
        files: &[(
            "bench/run.sh",
            "@PROGRAM@ --timed compute \"$(cat units.txt)\" | sed 's/.*: \\(.*\\)}/{\"metric\": \"speed\", \"value\": \\1, \
             \"unit\": \"ms\"}/' > \"$BLUEPRINT_METRICS\"\n",
        )],
        place: ("units.txt", "@\n"),
        run: 40.0,
        unit: Unit::Native,
    },
    Project {
        source: "pytest-benchmark",
        config: "run: \"python3 -m pytest -q -p no:cacheprovider bench --benchmark-warmup=off --benchmark-min-rounds=5 \
                 --benchmark-max-time=0.5\", stat: min}",
        files: &[
            ("work.py", PYTHON_WORK),
            (
                "bench/test_speed.py",
                "import work, units\n\ndef test_speed(benchmark):\n    benchmark(work.work, units.UNITS)\n",
            ),
            ("conftest.py", ""),
        ],
        place: ("units.py", "UNITS = @\n"),
        run: 20.0,
        unit: Unit::Python,
    },
    Project {
        source: "hyperfine",
        config: "run: sh bench/run.sh, stat: median}",
        files: &[(
            "bench/run.sh",
            "exec hyperfine -N --style none --warmup 1 --runs 5 \"@PROGRAM@ --program compute $(cat units.txt)\" \"$@\"\n",
        )],
        place: ("units.txt", "@\n"),
        run: 20.0,
        unit: Unit::Native,
    },
    Project {
        source: "criterion",
        config: "run: \"cargo bench --offline --bench work -- --warm-up-time 0.1 --measurement-time 0.3 --sample-size 10 \
                 --noplot\", stat: median}\nbuild: {run: [\"cargo bench --no-run --bench work\"], cache: [target]}\n\
                 pass_env: [CARGO_HOME, RUSTUP_HOME]",
        files: &[("Cargo.toml", CARGO), (".gitignore", "target\nCargo.lock\n")],
        place: ("src/units.rs", "/// Steps.\npub const UNITS: u64 = @;\n"),
        run: 5.0,
        unit: Unit::Native,
    },
    Project {
        source: "http",
        config: "stat: p50, http: {serve: sh bench/run.sh, path: /, rate: 40, slice: 500ms}}",
        files: &[("bench/run.sh", "exec @PROGRAM@ --serve compute \"$(cat units.txt)\"\n")],
        place: ("units.txt", "@\n"),
        run: 5.0,
        unit: Unit::Native,
    },
];

impl Project {
    /// A repository whose variants take these times, as shares of the shortest, and its baseline this one.
    pub fn build(&self, times: &[f64], baseline: f64, seconds: u64) -> Repo {
        let repo = Repo::unborn();
        let program = std::env::current_exe().expect("this program").display().to_string();
        for (path, text) in self.files {
            repo.write(path, &text.replace("@PROGRAM@", &program));
        }
        if self.source == "criterion" {
            criterion(&repo);
        }
        let steps = self.steps(&repo);
        let (place, text) = self.place;
        let said = |time: f64| text.replace('@', &((steps * time) as u64).to_string());
        repo.write(place, &said(baseline));
        repo.write("tests/run.sh", "true\n");
        repo.write(DOCUMENT, &document(times.len(), place));
        let config = self.config;
        repo.write(
            "blueprint.yaml",
            &format!(
                "version: 1\nagent: {{patch: recorded}}\nmeasure: {{budget: {seconds}s}}\nland: {{record: journal}}\n\
                 metrics:\n  speed: {{from: {}, {config}\n",
                self.source
            ),
        );
        repo.commit("first");
        let base = repo.git(&["rev-parse", "HEAD"]);
        for (index, time) in times.iter().enumerate() {
            // Variants that take as long differ all the same, as comments do.
            repo.write(place, &said(*time));
            if *time == baseline {
                repo.write("notes.txt", &format!("variant {index}\n"));
            }
            repo.git(&["add", "--all"]);
            let patch = repo.git(&["diff", "--cached", &base]);
            repo.git(&["reset", "--quiet", "--hard", &base]);
            std::fs::create_dir_all(repo.root().join("recorded")).expect("a folder");
            std::fs::write(repo.dir.path().join(format!("{}.patch", key(index))), patch + "\n").expect("a patch");
        }
        for index in 0..times.len() {
            let from = repo.dir.path().join(format!("{}.patch", key(index)));
            std::fs::create_dir_all(repo.root().join("recorded")).expect("a folder");
            std::fs::copy(from, repo.root().join(format!("recorded/{}.patch", key(index)))).expect("a patch");
        }
        repo.commit("recorded");
        repo
    }

    /// Steps of the work at true time 1.
    fn steps(&self, repo: &Repo) -> f64 {
        match self.unit {
            Unit::Native => {
                let Pace { fixed, unit } = Work::Compute.pace();
                (self.run / 1e3 - fixed) / unit
            }
            Unit::Python => {
                let done = repo.command("python3").args(["-c", PYTHON]).output().expect("python3");
                let step: f64 = String::from_utf8_lossy(&done.stdout).trim().parse().expect("seconds a step");
                self.run / 1e3 / step
            }
        }
    }

    /// Whether this machine has what it takes; the name of what is missing.
    pub fn lacks(&self) -> Option<&'static str> {
        let program = match self.source {
            "pytest-benchmark" => "pytest",
            "hyperfine" => "hyperfine",
            "criterion" => "cargo",
            _ => return None,
        };
        let found = std::env::var_os("PATH")
            .is_some_and(|all| std::env::split_paths(&all).any(|folder| Path::new(&folder).join(program).is_file()));
        (!found).then_some(program)
    }
}

fn criterion(repo: &Repo) {
    let body = "fn compute(units: u64) -> u64 {\n    let mut state = 1_u64;\n    for _ in 0..units {\n        state = \
                state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) ^ (state >> 29);\n    \
                }\n    state\n}\n";
    repo.write("src/lib.rs", &format!("//! Work.\n\nmod units;\npub use units::UNITS;\n\n/// Does it.\npub {body}"));
    repo.write(
        "benches/work.rs",
        "use criterion::{criterion_group, criterion_main, Criterion};\nuse std::hint::black_box;\n\nfn bench(c: &mut Criterion) {\n    \
         c.bench_function(\"work\", |b| b.iter(|| work::compute(black_box(work::UNITS))));\n}\n\n\
         criterion_group!(all, bench);\ncriterion_main!(all);\n",
    );
}

/// A variant's key.
pub fn key(index: usize) -> String {
    char::from(b'A' + u8::try_from(index).expect("few variants")).to_string()
}

fn document(variants: usize, place: &str) -> String {
    let all: String =
        (0..variants).map(|i| format!("### Variant {0}: Number {0}\n\n- change the number\n\n", key(i))).collect();
    let rows: String = (0..variants).map(|i| format!("| {} | | | | | |\n", key(i))).collect();
    format!(
        "# Do less work\n\n**Blueprint ID**: `2026-01-05T10:00:00Z_work`  \n**Status**: approved  \n**Mode**: competition  \n\
         **Created**: 2026-01-05 10:00:00 UTC  \n**Updated**: 2026-01-05 10:00:00 UTC  \n\n## Goal\n\nLess time.\n\n\
         ## Approach\n\n{all}## Work Items\n\n### The number\n\n**Files**: {place}, notes.txt\n**Diff Contract**: patch\n\n\
         ## Evaluation Criteria\n\n**Tests**:\n- sh tests/run.sh\n\n**Metrics**:\n- speed: <=+50%\n\n\
         ## Competition Scoring\n\n### Weights\n\n- Tests: 20%\n- Performance: 60%\n- Simplicity: 20%\n\n### Results\n\n\
         | Variant | Tests | Performance | Simplicity | Total | Winner |\n\
         |---------|-------|-------------|------------|-------|--------|\n{rows}\n**Winner**: none yet\n\n\
         **Analysis**:\n- none yet\n\n## Budget\n\n- Time cap: 30 minutes\n\n## Rollback Plan\n\n```bash\n\
         git revert -m 1 HEAD\n```\n\n## Artifacts\n\n- {DOCUMENT}\n"
    )
}
