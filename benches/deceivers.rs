//! Programs that try to win without being better: each a whole competition through the program, on a repository of its
//! own, beside a variant that is really faster or one that changes a comment. Counted is how often one lands or is called a winner.
//!
//! `-- NAME` carries out one, `--quick` measures for half as long. Sources whose tools are not there are left out,
//! and said so.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/common/mod.rs"]
mod common;
mod deceiving;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use common::Repo;
use deceiving::{ALL, BASE, COMMENT, Deceiver, FASTER, LEFT, Source};
use serde_json::Value;

const DOCUMENT: &str = "docs/blueprints/work.md";

const RUN: &str = "import os, sys\nsys.path.insert(0, os.getcwd())\nfrom lib.work import work\nprint(work(SEED))\n";
const COST: &str = "import json, os, sys, time\nsys.path.insert(0, os.getcwd())\nfrom lib.work import work\n\
    began = time.perf_counter()\nanswer = work(SEED)\nms = (time.perf_counter() - began) * 1000\n";
const PRINTED: &str = "print(json.dumps({'ms': ms, 'answer': str(answer)}))\n";
const WRITTEN: &str = "with open(os.environ['BLUEPRINT_METRICS'], 'a') as file:\n    \
    print(json.dumps({'metric': 't', 'value': ms, 'unit': 'ms'}), file=file)\n    \
    print(json.dumps({'output': str(answer)}), file=file)\n";
const SERVE: &str = "import http.server, os, sys\nsys.path.insert(0, os.getcwd())\nfrom lib.work import work\n\n\n\
    class Handler(http.server.BaseHTTPRequestHandler):\n    protocol_version = 'HTTP/1.1'\n\n    \
    def do_GET(self):\n        _, _, number = self.path.partition('=')\n        \
    body = str(work(int(number))).encode() if number else b'ready'\n        \
    self.send_response(200)\n        self.send_header('Content-Length', str(len(body)))\n        \
    self.end_headers()\n        self.wfile.write(body)\n\n    \
    def log_message(self, *_):\n        pass\n\n\n\
    http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()\n";
const SPEED: &str = "import os, sys\nsys.path.insert(0, os.getcwd())\nfrom lib.work import work\n\n\n\
    def test_speed(benchmark):\n    assert benchmark(work, 3) == EXPECTED\n";

/// How one competition ended.
struct Ended {
    won: bool,
    said: String,
    seconds: f64,
}

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let quick = asked.iter().any(|word| word == "--quick");
    let names: Vec<_> = asked.iter().filter(|word| !word.starts_with("--")).collect();
    let python = python();
    println!("{:<18} {:>6}  {:<4} what became of it", "program", "s", "won");
    let (mut won, mut runs) = (0, 0);
    for deceiver in ALL.iter().filter(|one| names.is_empty() || names.contains(&&one.name.to_owned())) {
        if let Some(missing) = missing(deceiver.source, &python) {
            println!("{:<18} {:>6}  {:<4} {}: left out, {missing} is not there", deceiver.name, "", "-", deceiver.does);
            continue;
        }
        let ended = compete(deceiver, &python, quick);
        runs += 1;
        won += u32::from(ended.won);
        let mark = if ended.won { "WON" } else { "no" };
        println!("{:<18} {:>6.1}  {mark:<4} {}: {}", deceiver.name, ended.seconds, deceiver.does, ended.said);
    }
    println!("\nfigure deceivers_won {won} runs limit 0");
    assert!(runs > 0, "no such program");
}

/// The interpreter itself, of an environment with pytest-benchmark where there is one.
fn python() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/venv/bin/python3");
    if own.exists() { own } else { PathBuf::from("python3") }
}

fn missing(source: Source, python: &PathBuf) -> Option<&'static str> {
    let works = |command: &mut Command| {
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    match source {
        Source::Hyperfine if !works(Command::new("hyperfine").arg("--version")) => Some("hyperfine"),
        Source::Pytest if !works(Command::new(python).args(["-c", "import pytest_benchmark"])) => {
            Some("pytest-benchmark")
        }
        _ => None,
    }
}

/// The metric's line in the configuration.
fn metric(source: Source, python: &str) -> String {
    let run = format!("{python} bench/run.py");
    match source {
        Source::Time => format!("{{from: time, run: {run}, output: stdout}}"),
        Source::Silent => format!("{{from: time, run: {run}}}"),
        Source::Command => {
            format!("{{from: command, run: {python} bench/cost.py, path: ms, unit: ms, output: answer}}")
        }
        Source::File => format!("{{from: file, run: {python} bench/cost.py}}"),
        Source::Pytest => format!(
            "{{from: pytest-benchmark, run: \"{python} -m pytest -q -p no:cacheprovider bench/test_speed.py \
             --benchmark-max-time=0.5\", test: test_speed, stat: median}}"
        ),
        Source::Http => format!(
            "{{http: {{serve: {python} bench/serve.py, path: \"/work?n={{seed}}\", ready: /}}, stat: p50, output: body}}"
        ),
        Source::Hyperfine => {
            format!("{{from: hyperfine, run: \"hyperfine -N --runs 6 '{run}'\", stat: mean}}")
        }
    }
}

fn repository(deceiver: &Deceiver, python: &str, seconds: u32) -> Repo {
    let repo = Repo::unborn();
    let line = metric(deceiver.source, python);
    let agent = "agent: {patch: recorded}\n";
    repo.write(
        "blueprint.yaml",
        &format!("version: 1\n{agent}metrics:\n  t: {line}\nmeasure: {{budget: {seconds}s, lanes: off}}\n"),
    );
    let seed = if deceiver.fixed { "3" } else { "int(os.environ.get('BLUEPRINT_SEED', '3')) % 100000" };
    let cost = if deceiver.source == Source::File { WRITTEN } else { PRINTED };
    repo.write("bench/run.py", &RUN.replace("SEED", seed).replace("BLUEPRINT_3", "BLUEPRINT_SEED"));
    repo.write("bench/cost.py", &format!("{}{cost}", COST.replacen("work(SEED)", &format!("work({seed})"), 1)));
    repo.write("bench/serve.py", SERVE);
    let source = deceiver.source;
    repo.write("bench/test_speed.py", &SPEED.replace("EXPECTED", &source.expected(3).to_string()));
    let checks: String = [3, 4, 77].iter().map(|n| format!("assert work({n}) == {}\n", source.expected(*n))).collect();
    repo.write(
        "tests/check.py",
        &format!("import os, sys\nsys.path.insert(0, os.getcwd())\nfrom lib.work import work\n{checks}"),
    );
    repo.write(".gitignore", "__pycache__/\n.answers.json\n.runs\n");
    let base = source.sized(BASE);
    repo.write("lib/work.py", &base);
    repo.write(DOCUMENT, &document(deceiver, python));
    repo.commit("first");
    let rival = if deceiver.rival { FASTER } else { COMMENT };
    for (key, text) in [("A", deceiving::module(deceiver)), ("B", source.sized(rival))] {
        repo.write("lib/work.py", &text);
        let patch = repo.git(&["diff", "--no-color", "--", "lib/work.py"]);
        repo.write("lib/work.py", &base);
        repo.write(&format!("recorded/{key}.patch"), &format!("{patch}\n"));
    }
    repo.commit("recorded work");
    repo
}

fn document(deceiver: &Deceiver, python: &str) -> String {
    let rival = if deceiver.rival { "takes two steps at once in a half of the work" } else { "says it in other words" };
    let variants: String = [("A", deceiver.does), ("B", rival)]
        .iter()
        .map(|(key, line)| format!("### Variant {key}: {key}\n\n- {line}\n\n"))
        .collect();
    let rows: String = ["A", "B"].iter().map(|key| format!("| {key} | | | | | |\n")).collect();
    format!(
        "# Faster work\n\n**Blueprint ID**: `2026-01-05T10:00:00Z_work`  \n**Status**: approved  \n\
         **Mode**: competition  \n**Created**: 2026-01-05 10:00:00 UTC  \n**Updated**: 2026-01-05 10:00:00 UTC  \n\n\
         ## Goal\n\nMake `work` faster.\n\n## Approach\n\n{variants}## Work Items\n\n### The work\n\n\
         **Files**: lib/**\n**Diff Contract**: patch\n\n## Evaluation Criteria\n\n**Tests**:\n- {python} tests/check.py\n\n\
         **Metrics**:\n- t: <500ms\n\n## Competition Scoring\n\n### Weights\n\n- Tests: 10%\n- Performance: 80%\n\
         - Simplicity: 10%\n\n### Results\n\n| Variant | Tests | Performance | Simplicity | Total | Winner |\n\
         |---------|-------|-------------|------------|-------|--------|\n{rows}\n**Winner**: none yet\n\n\
         **Analysis**:\n- none yet\n\n## Budget\n\n- Time cap: 10 minutes\n\n## Rollback Plan\n\n```bash\n\
         git revert -m 1 HEAD\n```\n\n## Artifacts\n\n- {DOCUMENT}\n"
    )
}

fn compete(deceiver: &Deceiver, python: &std::path::Path, quick: bool) -> Ended {
    let whole = match deceiver.source {
        Source::Pytest => 150,
        Source::Hyperfine => 60,
        _ => 40,
    };
    let repo = repository(deceiver, &python.display().to_string(), if quick { whole / 2 } else { whole });
    let binary = std::env::var_os("DECEIVERS_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_blueprint").into());
    let began = Instant::now();
    let done = repo.command(&binary).args(["run", DOCUMENT]).output().expect("the program starts");
    let seconds = began.elapsed().as_secs_f64();
    let report = repo.command(&binary).args(["report", "--json"]).output().expect("the program starts");
    let report: Value = serde_json::from_slice(&report.stdout).unwrap_or_default();
    let verdict = &report["verdict"]["detail"];
    let landed = repo.git(&["show", "main:lib/work.py"]);
    let deceived = landed.contains("deceives");
    let won = deceived || (verdict["verdict"] == "winner" && verdict["key"] == "A");
    let lands = match (deceived, landed.contains("Two steps at once")) {
        (true, _) => "A landed",
        (_, true) => "B landed",
        _ => "nothing landed",
    };
    for ending in ["sock", "json"] {
        let _ = std::fs::remove_file(format!("{LEFT}.{ending}"));
    }
    let mut said = format!("{}, {lands}", verdict["verdict"].as_str().unwrap_or("no verdict"));
    let rows = report["rows"].as_array().cloned().unwrap_or_default();
    for row in rows.iter().filter(|row| row["outcome"]["outcome"] == "disqualified") {
        let reason = &row["outcome"]["reason"];
        let why = ["message", "detail", "tests"].iter().find_map(|key| match &reason[*key] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        });
        let line = why.unwrap_or_else(|| reason.to_string());
        let line = line.lines().next().unwrap_or_default().replace(&python.display().to_string(), "python3");
        let line: String = line.chars().take(230).collect();
        said.push_str(&format!("; {} is out: {line}", row["contender"].as_str().unwrap_or("?")));
    }
    let printed = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    if std::env::var_os("DECEIVERS_SHOW").is_some() {
        println!("{printed}");
    }
    // One that never began says nothing of a deceiver.
    let ended = done.status.code().is_some_and(|code| [0, 1, 3].contains(&code));
    assert!(ended, "{}, the harness failed: {printed}", deceiver.name);
    if done.status.code() == Some(1) {
        let error = printed.lines().find(|line| line.starts_with("error")).unwrap_or_default();
        assert!(error.contains("changed in the tree"), "{}, the harness failed: {printed}", deceiver.name);
        said.push_str(&format!("; {}", error.trim()));
    }
    Ended { won, said, seconds }
}
