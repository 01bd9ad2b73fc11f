//! What `doctor` says of a machine, with programs in the place of those that it looks for.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use common::{Done, Repo};

/// A machine with nothing on its `PATH` but what is put there.
struct Machine {
    repo: Repo,
    bin: PathBuf,
}

impl Machine {
    fn new(config: &str) -> Self {
        Self::of(Repo::with(&[("blueprint.yaml", config)]))
    }

    fn of(repo: Repo) -> Self {
        let bin = repo.dir.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let machine = Self { repo, bin };
        // The real one, of a version that is the same everywhere.
        let real = real_git();
        let lines = format!("[ \"$1\" = --version ] && echo git version 2.99.0 || exec {} \"$@\"", real.display());
        machine.install("git", &lines);
        machine
    }

    fn install(&self, program: &str, lines: &str) {
        let path = self.bin.join(program);
        std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn doctor(&self, args: &[&str]) -> Done {
        let mut command = self.repo.command(env!("CARGO_BIN_EXE_blueprint"));
        command.env("PATH", &self.bin).env("OPENAI_API_KEY", "sk-real-1").env("GEMINI_API_KEY", "");
        // Servers are looked for in other places too.
        command.env("BLUEPRINT_PG_BIN", self.repo.dir.path());
        let done = Done::of(command.arg("doctor").args(args).output().unwrap());
        assert!(!done.out.contains("sk-real-1") && !done.err.contains("sk-real-1"), "{done:?}");
        done
    }
}

fn real_git() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|dir| dir.join("git")).find(|git| git.is_file()).unwrap()
}

/// How many cores there are is the machine's own affair.
fn redacted(text: &str) -> String {
    let lines = text.lines().map(|line| if line.starts_with("   cores") { "   cores <cores>" } else { line });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_whole_look_at_a_machine_with_one_client() {
    let machine = Machine::new("version: 1\nagent: {preset: codex, model: gpt-5.5}\n");
    machine.install("codex", "test \"$*\" = --version && echo codex-cli 0.169.0");
    machine.install("redis-server", "echo 'Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64'");
    insta::assert_snapshot!(redacted(&machine.doctor(&[]).ends_with(0).out));
}

#[test]
fn an_agent_that_is_missing_or_broken_is_named_with_what_to_do_and_ends_with_1() {
    let machine = Machine::new("version: 1\nagent: {preset: pi, model: m}\n");
    let missing = machine.doctor(&[]).ends_with(1);
    let head: Vec<_> = missing.out.lines().take(4).collect();
    insta::assert_snapshot!(head.join("\n"), @"
    The agent of this repository
    ✗ preset pi m
        preset pi: `pi` is not installed; install it: npm install --global @mariozechner/pi-coding-agent
        its requests to models go to openai at https://api.openai.com/v1
    ");
    machine.install("pi", "echo 'needs a newer node' >&2; exit 3");
    let broken = machine.doctor(&[]).ends_with(1);
    let head: Vec<_> = broken.out.lines().take(4).collect();
    insta::assert_snapshot!(head.join("\n"), @"
    The agent of this repository
    ✗ preset pi m
        preset pi: `pi --version` ended with exit status 3
        needs a newer node
    ");
}

#[test]
fn without_an_agent_or_a_repository_there_is_nothing_that_could_not_run() {
    let machine = Machine::new("version: 1\n");
    assert!(machine.doctor(&[]).ends_with(0).out.contains("– none is configured"));
    let elsewhere = machine.repo.dir.path().display().to_string();
    assert!(machine.doctor(&["-C", &elsewhere]).ends_with(0).out.contains("– none is configured"));
}

#[test]
fn a_machine_without_git_is_looked_at_all_the_same() {
    let machine = Machine::new("version: 1\n");
    std::fs::remove_file(machine.bin.join("git")).unwrap();
    let out = machine.doctor(&[]).out;
    assert!(out.contains("git         not found; install git 2.36 or newer"), "{out}");
}

#[test]
fn programs_that_lines_of_the_project_call_and_the_machine_lacks_are_told_with_the_line() {
    let lines = "setup: [\"uv sync --locked\", \"cd web && pnpm install\"]\nmetrics:\n  \
        t: {from: time, run: \"git --version; .venv/bin/python bench.py\"}\n";
    let machine = Machine::new(&format!("version: 1\n{lines}"));
    let told = machine.doctor(&[]).ends_with(0).out;
    let of = |program: &str| told.lines().find(|line| line.split_whitespace().nth(1) == Some(program));
    assert!(
        of("uv").is_some_and(|line| line.starts_with('✗') && line.contains("`uv sync --locked` calls it")),
        "{told}"
    );
    assert!(of("pnpm").is_some_and(|line| line.contains("`cd web && pnpm install` calls it")), "{told}");
    assert!(of(".venv/bin/python").is_none() && told.matches(" calls it").count() == 2, "{told}");
    machine.install("uv", "true");
    machine.install("pnpm", "true");
    assert!(!machine.doctor(&[]).ends_with(0).out.contains(" calls it"));
}

#[test]
fn without_a_configuration_it_is_what_init_would_write_that_has_to_run() {
    let test = ("tests/test_a.py", "def test_a():\n    pass\n");
    let repo = Repo::with(&[("pyproject.toml", "[tool.poetry]\n"), ("poetry.lock", ""), test]);
    let told = Machine::of(repo).doctor(&[]).ends_with(0).out;
    let lines: Vec<_> = told.lines().filter(|line| line.contains(" calls it")).collect();
    assert!(lines.len() == 1 && lines[0].contains("poetry") && lines[0].contains("not found"), "{told}");
}

#[test]
fn other_agents_are_checked_too() {
    let machine = Machine::new("version: 1\nagent: {command: \"my-agent {prompt_file}\"}\n");
    assert!(machine.doctor(&[]).ends_with(1).out.contains("the program `my-agent` was not found"));
    machine.install("my-agent", "true");
    machine.doctor(&[]).ends_with(0);
    machine.repo.write("blueprint.yaml", "version: 1\nagent: {preset: codec}\n");
    machine.doctor(&[]).ends_with(2).says(&["there is no preset `codec`", "codex"]);
}

#[test]
fn recorded_work_must_be_there_and_complete_for_the_documents_that_are_still_to_run() {
    let machine = Machine::new("version: 1\nagent: {patch: recorded}\n");
    assert!(machine.doctor(&[]).ends_with(1).out.contains("the folder recorded/ is not there"));
    let arena = common::arena::Arena::default();
    machine.repo.write(common::arena::DOCUMENT, &arena.document());
    machine
        .repo
        .write("docs/blueprints/old.md", &arena.document().replace("Status**: approved", "Status**: completed"));
    machine.repo.write("docs/blueprints/notes.md", "# Notes\n");
    machine.repo.write("recorded/A.patch", &common::arena::Arena::patch(20));
    let out = machine.doctor(&[]).ends_with(1).out;
    let problems: Vec<_> = out.lines().skip(2).take_while(|line| line.starts_with("    ")).collect();
    assert_eq!(problems.len(), 1, "{out}");
    assert!(
        problems[0].contains("docs/blueprints/cost.md, variant B: ") && problems[0].contains("recorded/B.patch"),
        "{out}"
    );
    machine.repo.write("recorded/B.patch", &common::arena::Arena::patch(60));
    assert!(machine.doctor(&[]).ends_with(0).out.contains("✓ patch recorded"));
}

#[test]
fn programs_get_one_json_document() {
    let machine =
        Machine::new("version: 1\nagent: {preset: gemini}\nmodels: {gemini: {url: \"http://127.0.0.1:1\"}}\n");
    machine.install("gemini", "echo 0.61.0");
    let json: serde_json::Value = serde_json::from_str(&machine.doctor(&["--json"]).ends_with(0).out).unwrap();
    assert_eq!((&json["can_run"], &json["agent"]["agent"]), (&true.into(), &"preset gemini".into()));
    assert_eq!(json["agent"]["call"]["env"]["GEMINI_API_KEY"], "KEY");
    let gemini = json["clients"].as_array().unwrap().iter().find(|client| client["name"] == "gemini").unwrap();
    assert_eq!((&gemini["found"]["version"], &gemini["wires"][0]), (&"0.61.0".into(), &"gemini".into()));
    let set: Vec<_> = json["keys"].as_array().unwrap().iter().map(|key| key["set"].as_bool().unwrap()).collect();
    assert_eq!(set, [false, true, false]);
}

#[test]
fn what_a_sandbox_promises_is_tried_on_this_machine_statement_by_statement() {
    let repo = Repo::with(&[("blueprint.yaml", "version: 1\n")]);
    let told = repo.blueprint(&["doctor"]).ends_with(0).out;
    let (_, tried) = told.split_once("Programs of a run, as tried here\n").unwrap();
    let tried: Vec<_> = tried.lines().take_while(|line| !line.is_empty()).collect();
    assert!(tried.len() == 8 && tried.iter().all(|line| line.starts_with("✓ ")), "{told}");
    let json: serde_json::Value =
        serde_json::from_str(&repo.blueprint(&["doctor", "--json"]).ends_with(0).out).unwrap();
    let promises = json["promises"].as_array().unwrap();
    assert!(promises.len() == 8 && promises.iter().all(|promise| promise.get("broken").is_none()), "{promises:?}");
}
