//! The agents, each with a real worktree: the fake and the real ones keep the same promises.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use blueprint::adapters::agent::fake::FakeAgent;
use blueprint::adapters::agent::patch::{Material, Source};
use blueprint::adapters::agent::prompt::prompt;
use blueprint::adapters::agent::{
    AGENTS, Agent, AgentEnd, AgentError, AgentReport, AgentSettings, Task, Template, api, build, command, patch, preset,
};
use blueprint::adapters::executor::local::Local;
use blueprint::adapters::process::{Environment, ProcessError, Stop};
use blueprint::domain::measurement::MetricName;
use blueprint::domain::plan::{
    Applies, Budget, ContractKind, DiffContract, EvaluationTest, FilePattern, MetricBound, Mode, Plan, Question,
    Status, Variant, VariantKey, WorkItem,
};
use blueprint::domain::quantity::{Bound, Tokens};
use blueprint::domain::trial::Usage;
use blueprint::domain::weights::{Weight, Weights};
use blueprint::domain::wire::{Access, Secret, Wire};
use common::Repo;
use common::model::{Model, Reply};
use serde_json::json;

fn key(text: &str) -> VariantKey {
    VariantKey::new(text).unwrap()
}

fn plan() -> Plan {
    let variant = |text: &str, name: &str| Variant {
        key: key(text),
        name: name.to_owned(),
        notes: vec!["Add an index".to_owned(), "No caching".to_owned()],
    };
    let item = |title: &str, applies, kind, variant_specific| WorkItem {
        title: title.to_owned(),
        applies,
        files: vec![FilePattern::new("cost.txt").unwrap(), FilePattern::new("notes/**").unwrap()],
        contract: DiffContract { kind, variant_specific },
        tests: vec!["tests/test_cost.py::test_low".to_owned()],
        text: "The file holds one number and {{nothing}} else.".to_owned(),
    };
    let weight = |percent, note: Option<&str>| Weight::new(percent, note.map(str::to_owned));
    let bound = |name: &str, bound: &str, note: Option<&str>| MetricBound {
        name: MetricName::new(name).unwrap(),
        bound: Bound::parse(bound).unwrap(),
        note: note.map(str::to_owned),
    };
    Plan {
        id: "2026-01-05T10:00:00Z_cost".to_owned(),
        title: "Lower the cost".to_owned(),
        status: Status::Approved,
        mode: Mode::Competition,
        approved: None,
        goal: "Lower what `cost.txt` says.".to_owned(),
        assumptions: vec!["One file".to_owned()],
        questions: vec![
            Question { text: "How low?".to_owned(), default: Some("as low as can be".to_owned()) },
            Question { text: "By when?".to_owned(), default: None },
        ],
        variants: vec![variant("A", "Index"), variant("B", "Cache")],
        work_items: vec![
            item("The cost", Applies::All, ContractKind::Patch, false),
            item("The cache", Applies::Only(vec![key("B")]), ContractKind::NewFile, true),
        ],
        tests: vec![EvaluationTest::Command { argv: vec!["sh".to_owned()], text: "sh tests/run.sh".to_owned() }],
        metrics: vec![bound("latency_p95", "<80ms", Some("at depth")), bound("size", "<=+1%", None)],
        weights: Weights {
            tests: weight(50.0, None),
            performance: weight(30.0, Some("p95 latency")),
            simplicity: weight(20.0, None),
        },
        budget: Budget::default(),
        rollback: None,
    }
}

/// A repository with a worktree of it, and all that a task borrows.
struct Bench {
    repo: Repo,
    root: PathBuf,
    plan: Plan,
    worktree: PathBuf,
    scratch: tempfile::TempDir,
    env: Environment,
    stop: Stop,
    refused: Stop,
    access: Option<Access>,
    tokens: Option<Tokens>,
    time: Option<Duration>,
    correction: Option<String>,
}

/// A model that puts 20 into `cost.txt`, and the way to it. It is there for all tests of this file.
static MODEL: LazyLock<(Model, Access)> = LazyLock::new(|| {
    let model = Model::start(|call| match call.turn {
        0 => Reply::tool("edit", json!({"path": "cost.txt", "old": "90", "new": "20"})),
        _ => Reply::tool("finish", json!({"summary": "done"})),
    });
    let access = Access { root: model.url(), key: Secret::new("token") };
    (model, access)
});

impl Bench {
    fn new(files: &[(&str, &str)]) -> Self {
        Self::of(Repo::with(files))
    }

    /// A worktree of what the repository's `main` holds now.
    fn of(repo: Repo) -> Self {
        let worktree = repo.dir.path().join("work");
        repo.git(&["worktree", "add", "--quiet", "-b", "blueprint/a", worktree.to_str().unwrap(), "main"]);
        let bin = repo.dir.path().join("bin");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let env = [("PATH".to_owned(), path), ("BLUEPRINT_VARIANT".to_owned(), "A".to_owned())].into();
        let scratch = tempfile::tempdir().unwrap();
        let root = repo.root();
        let (stop, refused) = (Stop::new(), Stop::new());
        let (access, tokens, time, correction) = (None, None, None, None);
        Self { repo, root, plan: plan(), worktree, scratch, env, stop, refused, access, tokens, time, correction }
    }

    fn task(&self, step: usize) -> Task<'_> {
        Task {
            plan: &self.plan,
            variant: &self.plan.variants[0],
            item: &self.plan.work_items[step],
            step,
            worktree: &self.worktree,
            repository: &self.root,
            scratch: self.scratch.path(),
            env: &self.env,
            tokens: self.tokens,
            time: self.time,
            access: self.access.as_ref(),
            refused: &self.refused,
            asking: &|| false,
            correction: self.correction.as_deref(),
            patience: Duration::from_secs(60),
            stop: &self.stop,
        }
    }

    async fn implement(&self, agent: &dyn Agent) -> Result<AgentReport, AgentError> {
        agent.implement(self.task(0), &Local).await
    }

    async fn check(&self, agent: &dyn Agent) -> Result<(), AgentError> {
        agent.check(&self.repo.root(), &self.plan.variants[0], &Local).await
    }

    fn left(&self, path: &str) -> String {
        std::fs::read_to_string(self.worktree.join(path)).unwrap_or_default()
    }

    fn status(&self) -> String {
        self.repo.git(&["-C", self.worktree.to_str().unwrap(), "status", "--porcelain", "--untracked-files=all"])
    }
}

fn recorded(source: Source) -> Arc<dyn Agent> {
    build(AgentSettings::Patch(patch::Settings { source }))
}

fn folder() -> Arc<dyn Agent> {
    recorded(Source::directory("recorded/").unwrap())
}

fn material(text: &str) -> Arc<dyn Agent> {
    recorded(Source::Each(BTreeMap::from([(key("a"), Material::parse(text).unwrap())])))
}

fn program(line: &str) -> Arc<dyn Agent> {
    build(AgentSettings::Command(command::Settings { command: Template::from_line(line).unwrap(), model: None }))
}

fn script(text: &str) -> Arc<dyn Agent> {
    let words = ["sh".to_owned(), "-c".to_owned(), text.to_owned()];
    build(AgentSettings::Command(command::Settings { command: Template::from_words(&words).unwrap(), model: None }))
}

fn built_in(wire: Wire) -> Arc<dyn Agent> {
    build(AgentSettings::Api(api::Settings { model: "scripted".to_owned(), wire, max_output: None }))
}

const PATCH: &str = "--- a/cost.txt\n+++ b/cost.txt\n@@ -1 +1 @@\n-90\n+20\n";

/// Every agent, made to put 20 into `cost.txt`.
fn everyone() -> Vec<(&'static str, Arc<dyn Agent>)> {
    let fake = FakeAgent::new(Usage::default(), |task| {
        std::fs::write(task.worktree.join("cost.txt"), "20\n").unwrap();
        AgentEnd::Finished
    });
    vec![
        ("fake", Arc::new(fake) as Arc<dyn Agent>),
        ("patch", folder()),
        ("patch", material("branch:done")),
        ("api", built_in(Wire::Messages)),
        ("api", built_in(Wire::Chat)),
        ("command", script("echo 20 > cost.txt")),
        ("preset", client()),
    ]
}

/// A known client; the arena has a program in its place.
fn client() -> Arc<dyn Agent> {
    build(AgentSettings::Preset(preset::Settings::new("codex", None, Vec::new(), BTreeMap::new()).unwrap()))
}

fn access() -> Access {
    Access { root: "http://127.0.0.1:1/t/a".to_owned(), key: Secret::new("trial-key") }
}

fn arena() -> Bench {
    let repo = Repo::with(&[("cost.txt", "90\n"), ("recorded/A.patch", PATCH)]);
    repo.git(&["checkout", "--quiet", "-b", "done"]);
    repo.write("cost.txt", "20\n");
    repo.commit("done before");
    repo.git(&["checkout", "--quiet", "main"]);
    repo.write("later.txt", "main went on\n");
    repo.commit("main went on");
    let bin = repo.dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("codex"), "#!/bin/sh\necho 20 > cost.txt\n").unwrap();
    std::fs::set_permissions(bin.join("codex"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    Bench::of(repo)
}

#[tokio::test]
async fn every_agent_leaves_its_change_in_the_worktree_and_nothing_else_anywhere() {
    let everyone = everyone();
    for name in AGENTS {
        assert!(everyone.iter().any(|(known, _)| known == name), "{name} is not tested here");
    }
    for (name, agent) in everyone {
        let mut bench = arena();
        bench.access = Some(MODEL.1.clone());
        // Whether a client is installed is looked up on our own path; tests/doctor.rs has one of its own.
        if name != "preset" {
            bench.check(&*agent).await.unwrap();
        }
        let report = bench.implement(&*agent).await.unwrap();
        assert_eq!(report.end, AgentEnd::Finished, "{name}: {}", report.summary);
        assert_eq!(bench.status(), " M cost.txt", "{name}");
        assert_eq!(bench.left("cost.txt"), "20\n", "{name}");
        assert_eq!(bench.repo.git(&["status", "--porcelain"]), "", "{name}");
        assert!(agent.describe().starts_with(name), "{}", agent.describe());
    }
}

#[tokio::test]
async fn every_agent_that_is_asked_to_stop_ends_within_its_grace_and_says_so() {
    for (name, agent) in everyone() {
        let mut bench = arena();
        bench.access = Some(MODEL.1.clone());
        bench.stop.cancel();
        let report = bench.implement(&*agent).await.unwrap();
        assert!(matches!(report.end, AgentEnd::Failed { .. }), "{name}: {report:?}");
    }
    let bench = arena();
    let agent = script("trap '' TERM; echo 20 > cost.txt; sleep 60 & wait; sleep 60");
    let started = Instant::now();
    let asked = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        bench.stop.cancel();
    };
    let (report, ()) = tokio::join!(bench.implement(&*agent), asked);
    assert_eq!(report.unwrap().end, AgentEnd::Failed { message: "stopped on request".to_owned() });
    assert_eq!(bench.left("cost.txt"), "20\n");
    assert!((3..10).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

// Recorded work.

fn words(error: &AgentError) -> String {
    assert!(matches!(error, AgentError::Material { .. }), "{error:?}");
    error.to_string()
}

/// Everything that a diff can hold, as a branch.
fn rich() -> Repo {
    let repo = Repo::unborn();
    repo.git(&["config", "core.autocrlf", "false"]);
    let root = repo.root();
    let bytes: Vec<u8> = (0..3000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(root.join("image"), &bytes).unwrap();
    repo.write("dos.txt", "a\r\nb\r\nc\r\n");
    repo.write("eol.bat", "x\r\ny\r\n");
    repo.write(".gitattributes", "*.bat text eol=crlf\n");
    repo.write("gone.txt", "gone\n");
    repo.write("old name.txt", "1\n2\n3\n4\n5\n6\n7\n8\n");
    repo.write("run.sh", "true\n");
    repo.commit("first");
    repo.git(&["checkout", "--quiet", "-b", "done"]);
    std::fs::write(root.join("image"), [bytes.as_slice(), b"more"].concat()).unwrap();
    std::fs::write(root.join("new image"), [0, 159, 146, 150]).unwrap();
    repo.write("dos.txt", "a\r\nB\r\nc\r\n");
    repo.write("eol.bat", "x\r\nz\r\n");
    std::fs::remove_file(root.join("gone.txt")).unwrap();
    std::fs::rename(root.join("old name.txt"), root.join("näw.txt")).unwrap();
    repo.write("deep/er/new.txt", "no line end  ");
    std::os::unix::fs::symlink("dos.txt", root.join("link")).unwrap();
    repo.git(&["update-index", "--chmod=+x", "run.sh"]);
    std::fs::set_permissions(root.join("run.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    repo.commit("done");
    repo
}

#[tokio::test]
async fn binary_files_new_ones_deletions_renames_modes_and_line_ends_are_applied_from_a_file_and_a_branch() {
    for renames in ["--no-renames", "--find-renames=50%"] {
        let repo = rich();
        let done = repo.dir.path().join("repo/recorded");
        std::fs::create_dir(&done).unwrap();
        repo.git(&["diff", "--binary", renames, "--output=recorded/a.diff", "main", "done"]);
        repo.git(&["checkout", "--quiet", "main"]);
        for agent in [folder(), material("branch:done")] {
            let bench = Bench::of(Repo { dir: copy(&repo) });
            bench.check(&*agent).await.unwrap();
            let report = bench.implement(&*agent).await.unwrap();
            assert_eq!(report.end, AgentEnd::Finished);
            let work = bench.worktree.to_str().unwrap();
            bench.repo.git(&["-C", work, "add", "--all"]);
            assert_eq!(bench.repo.git(&["-C", work, "diff", "--cached", "--stat", "done"]), "");
            assert_eq!(bench.left("eol.bat"), "x\r\nz\r\n");
        }
    }
}

/// Another repository with the same content, in a place of its own.
fn copy(repo: &Repo) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let done = std::process::Command::new("cp").arg("-a").args([repo.root(), repo.home()]).arg(dir.path()).status();
    assert!(done.unwrap().success());
    dir
}

#[tokio::test]
async fn a_branch_counts_from_where_it_left_the_base_and_is_never_checked_out() {
    let bench = arena();
    bench.implement(&*material("branch:done")).await.unwrap();
    assert_eq!(bench.left("later.txt"), "main went on\n");
    assert_eq!(bench.repo.git(&["branch", "--show-current"]), "main");
}

#[tokio::test]
async fn work_that_is_missing_or_is_no_patch_is_found_beforehand() {
    let bench = Bench::new(&[
        ("cost.txt", "90\n"),
        ("empty.patch", ""),
        ("prose.patch", "Set the cost to 20, please.\n"),
        ("cut.patch", "--- a/cost.txt\n+++ b/cost.txt\n@@ -1,3 +1,3 @@\n-90\n"),
    ]);
    let other = recorded(Source::Each(BTreeMap::from([(key("B"), Material::File("empty.patch".to_owned()))])));
    let mut said = Vec::new();
    for agent in [
        folder(),
        material("none.patch"),
        material("empty.patch"),
        material("prose.patch"),
        material("cut.patch"),
        material("branch:none"),
        other,
    ] {
        said.push(words(&bench.check(&*agent).await.unwrap_err()));
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    recorded/A.patch: the folder can't be read: No such file or directory (os error 2)
    none.patch: there is no such file
    empty.patch: No valid patches in input
    prose.patch: No valid patches in input
    cut.patch: corrupt patch at line 5
    branch none: there is no refs/heads/none
    recorded work for variant A: the configuration names none (it does for: B)
    ");
}

#[tokio::test]
async fn a_patch_that_does_not_apply_changes_nothing_and_is_named_with_gits_words() {
    let half = format!("--- a/later.txt\n+++ b/later.txt\n@@ -1 +1 @@\n-first\n+second\n{PATCH}");
    let bench = Bench::new(&[("cost.txt", "40\n"), ("later.txt", "first\n"), ("recorded/A.patch", &half)]);
    bench.check(&*folder()).await.unwrap();
    let error = bench.implement(&*folder()).await.unwrap_err();
    insta::assert_snapshot!(words(&error), @"recorded/A.patch: patch failed: cost.txt:1; cost.txt: patch does not apply");
    assert_eq!(bench.status(), "");
}

#[tokio::test]
async fn a_patch_stays_in_the_worktree() {
    let new = |path: &str| format!("--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+planted\n");
    let link = "diff --git a/out b/out\nnew file mode 120000\n--- /dev/null\n+++ b/out\n@@ -0,0 +1 @@\n+..\n\\ No newline at end of file\n";
    for text in [
        new("../evil"),
        new("deep/../../evil"),
        new(".git/hooks/evil"),
        new("/tmp/evil"),
        format!("{link}{}", new("out/evil")),
    ] {
        let bench = Bench::new(&[("cost.txt", "90\n"), ("recorded/A.patch", &text)]);
        let before = common::tree(bench.repo.dir.path());
        words(&bench.implement(&*folder()).await.unwrap_err());
        assert_eq!(common::tree(bench.repo.dir.path()), before, "{text}");
    }
}

#[tokio::test]
async fn configuration_that_the_repository_holds_has_no_say_in_applying() {
    let bench = arena();
    bench.repo.git(&["config", "apply.whitespace", "error-all"]);
    bench.repo.git(&["config", "core.fsmonitor", "touch planted; false"]);
    bench.repo.git(&["config", "diff.noprefix", "true"]);
    bench.repo.git(&["config", "diff.external", "touch planted; false"]);
    for agent in [folder(), material("branch:done")] {
        bench.implement(&*agent).await.unwrap();
        assert_eq!(bench.left("cost.txt"), "20\n");
        std::fs::write(bench.worktree.join("cost.txt"), "90\n").unwrap();
    }
    assert!(!bench.worktree.join("planted").exists() && !bench.repo.root().join("planted").exists());
}

#[tokio::test]
async fn a_branch_without_changes_is_said_to_have_none() {
    let bench = Bench::new(&[("cost.txt", "90\n")]);
    bench.repo.git(&["branch", "idle"]);
    let error = bench.implement(&*material("branch:idle")).await.unwrap_err();
    assert_eq!(words(&error), "branch idle: changes nothing since it left the base");
}

// Programs.

#[tokio::test]
async fn a_program_finds_its_task_in_its_arguments_and_its_environment() {
    let mut bench = arena();
    bench.tokens = Some(Tokens(1500));
    let agent = program(
        "sh -c 'printf \"%s|\" \"$@\" > notes.txt; env | grep ^BLUEPRINT_ | sort >> notes.txt; head -1 \"$BLUEPRINT_PROMPT\" >> notes.txt; cmp \"$1\" \"$BLUEPRINT_PROMPT\"; cat' agent {prompt_file} {variant} --step={step} {tokens} {worktree}",
    );
    let report = bench.implement(&*agent).await.unwrap();
    assert_eq!(report.end, AgentEnd::Finished, "{}", report.summary);
    let scratch = bench.scratch.path().display().to_string();
    let text = bench.left("notes.txt").replace(&scratch, "SCRATCH");
    let text = text.replace(&bench.worktree.display().to_string(), "WORKTREE");
    let text: Vec<_> = text.lines().map(redact).collect();
    insta::assert_snapshot!(text.join("\n"), @r"
    SCRATCH/x-/prompt.md|A|--step=1|1500|WORKTREE|BLUEPRINT_PROMPT=SCRATCH/x-/prompt.md
    BLUEPRINT_STEP=1
    BLUEPRINT_TOKENS=1500
    BLUEPRINT_USAGE=SCRATCH/x-/usage.json
    BLUEPRINT_VARIANT=A
    # Lower the cost
    ");
    assert_eq!(std::fs::read_dir(bench.scratch.path()).unwrap().count(), 1, "only the log stays");
}

/// Without the random part of private directories.
fn redact(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("/x-") {
        let end = after.find('/').unwrap_or(after.len());
        out.push_str(before);
        out.push_str("/x-");
        rest = &after[end..];
    }
    out + rest
}

#[tokio::test]
async fn a_program_is_told_its_model_and_how_to_reach_it() {
    let mut bench = arena();
    bench.access = Some(access());
    let line = "sh -c 'printf \"%s|\" \"$@\" > notes.txt; env | grep -E \"^BLUEPRINT_(KEY|MODEL|.*_URL)\" | sort >> notes.txt' agent {model} {key} {base_anthropic} {base_openai} {base_gemini}";
    let command = Template::from_line(line).unwrap();
    let agent = build(AgentSettings::Command(command::Settings { command, model: Some("m-1".to_owned()) }));
    assert_eq!(bench.implement(&*agent).await.unwrap().end, AgentEnd::Finished);
    insta::assert_snapshot!(bench.left("notes.txt").replace('|', "\n"), @r"
    m-1
    trial-key
    http://127.0.0.1:1/t/a/anthropic
    http://127.0.0.1:1/t/a/openai/v1
    http://127.0.0.1:1/t/a/gemini
    BLUEPRINT_ANTHROPIC_URL=http://127.0.0.1:1/t/a/anthropic
    BLUEPRINT_GEMINI_URL=http://127.0.0.1:1/t/a/gemini
    BLUEPRINT_KEY=trial-key
    BLUEPRINT_MODEL=m-1
    BLUEPRINT_OPENAI_URL=http://127.0.0.1:1/t/a/openai/v1
    ");
}

#[tokio::test]
async fn where_the_proxy_counts_a_programs_own_count_ends_nothing_and_a_refusal_does() {
    let mut bench = arena();
    bench.access = Some(access());
    bench.tokens = Some(Tokens(10));
    let report = bench.implement(&*script(REPORT)).await.unwrap();
    assert_eq!((report.end, report.usage.total()), (AgentEnd::Finished, Tokens(1100)));
    bench.refused.cancel();
    assert_eq!(bench.implement(&*script("true")).await.unwrap().end, AgentEnd::OverTokens);
    let started = Instant::now();
    let report = bench.implement(&*script("echo 20 > cost.txt; sleep 60")).await.unwrap();
    assert_eq!((report.end, bench.left("cost.txt").as_str()), (AgentEnd::OverTokens, "20\n"));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_prompt_is_one_argument_and_no_shell_reads_it() {
    let mut bench = arena();
    bench.plan.goal = "$(touch planted) `touch planted` \"; touch planted; '".to_owned();
    let agent = program("sh -c 'printf \"%s\" \"$1\" > notes.txt; test $# = 1' agent {prompt}");
    assert_eq!(bench.implement(&*agent).await.unwrap().end, AgentEnd::Finished);
    assert_eq!(bench.left("notes.txt"), prompt(&bench.task(0)).trim_end().to_owned() + "\n");
    assert!(!bench.worktree.join("planted").exists());
}

#[tokio::test]
async fn a_prompt_too_long_for_an_argument_is_refused_with_the_way_out() {
    let mut bench = arena();
    bench.plan.goal = "long ".repeat(40_000);
    let error = bench.implement(&*program("true {prompt}")).await.unwrap_err();
    assert!(words(&error).contains("use {prompt_file}"), "{error}");
    assert_eq!(bench.implement(&*program("true {prompt_file}")).await.unwrap().end, AgentEnd::Finished);
}

#[tokio::test]
async fn without_a_cap_there_is_no_number_of_tokens() {
    let bench = arena();
    let report = bench.implement(&*script("test -z \"${BLUEPRINT_TOKENS+set}\" && test -z '{tokens}'")).await.unwrap();
    assert_eq!(report.end, AgentEnd::Finished);
}

const REPORT: &str = "echo '{\"input_tokens\": 900, \"output_tokens\": 200}' > \"$BLUEPRINT_USAGE\"\n";

#[tokio::test]
async fn a_program_that_reports_more_than_its_cap_is_stopped_and_what_it_left_stays() {
    for stubborn in ["", "trap '' TERM\n"] {
        let mut bench = arena();
        bench.tokens = Some(Tokens(1000));
        let started = Instant::now();
        let text = format!("{stubborn}echo 20 > cost.txt\n{REPORT}sleep 60 & wait\nsleep 60\n");
        let report = bench.implement(&*script(&text)).await.unwrap();
        assert_eq!(report.end, AgentEnd::OverTokens);
        assert_eq!((report.usage.input, report.usage.output), (Tokens(900), Tokens(200)));
        assert_eq!(bench.left("cost.txt"), "20\n");
        let most = if stubborn.is_empty() { 5 } else { 12 };
        assert!(started.elapsed() < Duration::from_secs(most), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn usage_at_the_cap_is_within_it_and_is_read_once_more_after_the_end() {
    for (cap, end) in [(1100, AgentEnd::Finished), (1099, AgentEnd::OverTokens)] {
        let mut bench = arena();
        bench.tokens = Some(Tokens(cap));
        let report = bench.implement(&*script(REPORT)).await.unwrap();
        assert_eq!((report.end, report.usage.total()), (end, Tokens(1100)));
    }
}

#[tokio::test]
async fn usage_is_reported_without_a_cap_too() {
    let report = arena().implement(&*script(REPORT)).await.unwrap();
    assert_eq!((report.end, report.usage.total()), (AgentEnd::Finished, Tokens(1100)));
}

#[tokio::test]
async fn malformed_usage_counts_as_none_and_is_said() {
    for write in [
        "echo 'about 5k' > \"$BLUEPRINT_USAGE\"",
        "ln -s /etc/passwd \"$BLUEPRINT_USAGE\"",
        "mkfifo \"$BLUEPRINT_USAGE\"",
    ] {
        let mut bench = arena();
        bench.tokens = Some(Tokens(1000));
        let report = bench.implement(&*script(&format!("echo said; {write}; sleep 0.5"))).await.unwrap();
        assert_eq!((report.end, report.usage), (AgentEnd::Finished, Usage::default()));
        assert!(report.summary.starts_with("said\nthe usage file can't be read ("), "{}", report.summary);
    }
}

#[tokio::test]
async fn a_program_past_its_time_is_stopped_and_what_it_left_stays() {
    let mut bench = arena();
    bench.time = Some(Duration::from_millis(400));
    let report = bench.implement(&*script("echo 20 > cost.txt; sleep 60")).await.unwrap();
    assert_eq!((report.end, bench.left("cost.txt").as_str()), (AgentEnd::OverTime, "20\n"));
}

#[tokio::test]
async fn a_program_that_fails_is_named_with_what_it_said_last() {
    let report = arena().implement(&*program("sh -c 'echo out of luck >&2; exit 3'")).await.unwrap();
    let AgentEnd::Failed { message } = report.end else { panic!("{report:?}") };
    assert_eq!(message, "`sh -c 'echo out of luck >&2; exit 3'` ended with exit status 3\nout of luck");
}

#[tokio::test]
async fn a_program_that_is_not_installed_is_found_beforehand() {
    let bench = arena();
    for line in ["no-such-program-anywhere {prompt}", "/no/such/program"] {
        let error = bench.check(&*program(line)).await.unwrap_err();
        assert!(matches!(error, AgentError::Process(ProcessError::Missing { .. })), "{error:?}");
    }
    // A path inside the worktree may be made by set-up.
    bench.check(&*program(".venv/bin/agent")).await.unwrap();
}

// The prompt.

#[test]
fn an_agent_is_told_all_that_it_is_judged_by() {
    let mut bench = arena();
    bench.tokens = Some(Tokens(15_000));
    bench.time = Some(Duration::from_secs(600));
    insta::assert_snapshot!(prompt(&bench.task(0)));
    bench.tokens = None;
    bench.time = None;
    bench.plan.assumptions.clear();
    bench.plan.work_items[1].text.clear();
    let sparse = prompt(&bench.task(1));
    assert!(sparse.contains("## Assumptions\n\n- none\n"), "{sparse}");
    assert!(sparse.contains("must be new files") && sparse.contains("No cap on tokens or time."), "{sparse}");
}

#[test]
fn an_agent_that_has_to_put_something_right_is_told_what() {
    let mut bench = arena();
    let before = prompt(&bench.task(0));
    bench.correction = Some("The step changed files that may not change:\n\n- other.txt\n".to_owned());
    let told = prompt(&bench.task(0));
    let (section, rest) = told.split_once("## To be put right\n\n").unwrap().1.split_once("## How").unwrap();
    insta::assert_snapshot!(section, @r"
    This work item was carried out before, and what came of it can't stand:

    The step changed files that may not change:

    - other.txt

    What was done is still in the working directory. Put it right; keep what is good.
    ");
    assert!(before.ends_with(rest) && !before.contains("{{correction}}"));
}
