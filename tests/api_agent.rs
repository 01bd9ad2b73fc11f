//! The built-in agent against a scripted model, in both of its protocols: what it does to a
//! worktree, what it tells the model, and how it ends.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use blueprint::adapters::agent::{Agent, AgentEnd, AgentError, AgentReport, AgentSettings, Task, api, build};
use blueprint::adapters::executor::local::Local;
use blueprint::adapters::process::{Environment, Stop};
use blueprint::domain::plan::{
    Applies, Budget, ContractKind, DiffContract, EvaluationTest, FilePattern, Mode, Plan, Status, Variant, VariantKey,
    WorkItem,
};
use blueprint::domain::quantity::Tokens;
use blueprint::domain::trial::Usage;
use blueprint::domain::weights::{Weight, Weights};
use blueprint::domain::wire::{Access, Secret, Wire};
use common::Repo;
use common::arena::{Arena, DOCUMENT};
use common::model::{Call, Model, Reply};
use serde_json::{Value, json};

const WIRES: [Wire; 2] = [Wire::Messages, Wire::Chat];
const TOKEN: &str = "bp-token-of-this-trial";

fn plan() -> Plan {
    let weight = |percent| Weight::new(percent, None);
    let item = WorkItem {
        title: "The cost".to_owned(),
        applies: Applies::All,
        files: vec![FilePattern::new("cost.txt").unwrap(), FilePattern::new("notes/**").unwrap()],
        contract: DiffContract { kind: ContractKind::Patch, variant_specific: false },
        tests: Vec::new(),
        text: String::new(),
    };
    Plan {
        id: "2026-01-05T10:00:00Z_cost".to_owned(),
        title: "Lower the cost".to_owned(),
        status: Status::Approved,
        mode: Mode::Competition,
        approved: None,
        goal: "Lower what `cost.txt` says.".to_owned(),
        assumptions: Vec::new(),
        questions: Vec::new(),
        variants: vec![Variant { key: VariantKey::new("A").unwrap(), name: "Index".to_owned(), notes: Vec::new() }],
        work_items: vec![item],
        tests: Vec::new(),
        metrics: Vec::new(),
        weights: Weights { tests: weight(50.0), performance: weight(30.0), simplicity: weight(20.0) },
        budget: Budget::default(),
        rollback: None,
    }
}

/// A worktree, and all that a task of it borrows.
struct Bench {
    repo: Repo,
    root: PathBuf,
    plan: Plan,
    worktree: PathBuf,
    scratch: tempfile::TempDir,
    env: Environment,
    stop: Stop,
    refused: Stop,
    tokens: Option<Tokens>,
    time: Option<Duration>,
    max_output: Option<Tokens>,
    correction: Option<String>,
}

impl Bench {
    fn new(files: &[(&str, &str)]) -> Self {
        let repo = Repo::with(&[&[("cost.txt", "90\n"), ("other.txt", "as it was\n")], files].concat());
        let worktree = repo.dir.path().join("work");
        repo.git(&["worktree", "add", "--quiet", "-b", "blueprint/a", worktree.to_str().unwrap(), "main"]);
        let root = repo.root();
        Self {
            repo,
            root,
            plan: plan(),
            worktree,
            scratch: tempfile::tempdir().unwrap(),
            env: [("PATH".to_owned(), std::env::var("PATH").unwrap())].into(),
            stop: Stop::new(),
            refused: Stop::new(),
            tokens: None,
            time: None,
            max_output: None,
            correction: None,
        }
    }

    /// With a test of the plan that wants 20 in `cost.txt`.
    fn tested(extra: &str) -> Self {
        let check = format!("{extra}\ngrep -q 20 cost.txt || {{ echo the cost is too high; exit 1; }}\n");
        let mut bench = Self::new(&[("check.sh", &check)]);
        let argv = ["sh", "check.sh"].map(str::to_owned).to_vec();
        bench.plan.tests = vec![EvaluationTest::Command { argv, text: "sh check.sh".to_owned() }];
        bench
    }

    fn agent(&self, wire: Wire) -> std::sync::Arc<dyn Agent> {
        let settings = api::Settings { model: "scripted".to_owned(), wire, max_output: self.max_output };
        build(AgentSettings::Api(settings))
    }

    async fn implement(&self, wire: Wire, access: Option<&Access>) -> Result<AgentReport, AgentError> {
        let task = Task {
            plan: &self.plan,
            variant: &self.plan.variants[0],
            item: &self.plan.work_items[0],
            step: 0,
            worktree: &self.worktree,
            repository: &self.root,
            scratch: self.scratch.path(),
            env: &self.env,
            tokens: self.tokens,
            time: self.time,
            access,
            refused: &self.refused,
            asking: &|| false,
            correction: self.correction.as_deref(),
            patience: Duration::from_secs(600),
            stop: &self.stop,
        };
        self.agent(wire).implement(task, &Local).await
    }

    /// Lets the agent work with a model that follows a script.
    async fn scripted(&self, wire: Wire, script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Done {
        let model = Model::start(script);
        let access = Access { root: model.url(), key: Secret::new(TOKEN) };
        let report = self.implement(wire, Some(&access)).await.unwrap();
        Done { report, calls: model.calls() }
    }

    /// The same with one answer a turn, and `finish` behind the last.
    async fn answers(&self, wire: Wire, answers: Vec<Reply>) -> Done {
        self.scripted(wire, move |call| answers.get(call.turn).cloned().unwrap_or_else(finish)).await
    }

    fn left(&self, path: &str) -> String {
        std::fs::read_to_string(self.worktree.join(path)).unwrap_or_default()
    }

    fn status(&self) -> String {
        self.repo.git(&["-C", self.worktree.to_str().unwrap(), "status", "--porcelain", "--untracked-files=all"])
    }
}

struct Done {
    report: AgentReport,
    calls: Vec<Call>,
}

impl Done {
    /// What the model was told last before its turn `turn`: results and a note.
    fn told(&self, turn: usize) -> Vec<String> {
        let messages = self.calls[turn].body["messages"].as_array().unwrap();
        let from = messages.iter().rposition(|message| message["role"] == "assistant").unwrap();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let part = |part: &Value| text(&part["content"]).or_else(|| text(&part["text"]));
        let told = messages[from + 1..].iter().flat_map(|message| match &message["content"] {
            Value::Array(parts) => parts.iter().filter_map(part).collect(),
            whole => text(whole).into_iter().collect::<Vec<_>>(),
        });
        told.collect()
    }

    #[track_caller]
    fn ends(&self, end: &AgentEnd) {
        assert_eq!(self.report.end, *end, "{}", self.report.summary);
    }

    fn failure(&self) -> &str {
        match &self.report.end {
            AgentEnd::Failed { message } => message,
            end => panic!("{end:?}"),
        }
    }
}

fn finish() -> Reply {
    Reply::tool("finish", json!({"summary": "The cost is low."}))
}

fn tool(name: &str, arguments: Value) -> Reply {
    Reply::tool(name, arguments)
}

fn run(command: &str) -> Reply {
    tool("run", json!({"command": command}))
}

fn lower() -> Reply {
    tool("edit", json!({"path": "cost.txt", "old": "90", "new": "20"}))
}

#[tokio::test]
async fn it_looks_changes_tries_and_finishes_in_both_protocols() {
    for wire in WIRES {
        let bench = Bench::new(&[]);
        let patch = "--- a/notes/new.txt\n+++ b/notes/new.txt\n@@ -0,0 +1 @@\n+why\n"
            .replace("--- a/notes/new.txt", "--- /dev/null");
        let answers = vec![
            tool("read", json!({"path": "cost.txt"}))
                .and_tool("search", json!({"pattern": "was"}))
                .usage(100, 10)
                .cached(60, 20),
            lower().and_tool("patch", json!({"patch": patch})).usage(200, 20),
            run("cat cost.txt; exit 3").usage(300, 30),
            finish().usage(400, 40),
        ];
        let done = bench.answers(wire, answers).await;
        done.ends(&AgentEnd::Finished);
        assert_eq!(bench.status(), " M cost.txt\n?? notes/new.txt");
        assert_eq!(bench.left("cost.txt"), "20\n");
        assert_eq!(done.report.usage, Usage { input: Tokens(1000), output: Tokens(100) });
        assert_eq!(done.report.summary, "The cost is low.");
        assert_eq!(done.told(1), ["1\t90\n", "other.txt:1:as it was\n"]);
        assert_eq!(done.told(2), ["`cost.txt` was changed in line 1", "changed: `notes/new.txt`"]);
        let ran = &done.told(3)[0];
        assert!(ran.starts_with("exit status 3 after ") && ran.ends_with("\n20"), "{ran}");
        for call in &done.calls {
            assert!(call.stream && call.wire == wire);
            assert_eq!(call.tools, ["read", "search", "edit", "patch", "run", "finish"]);
            let header = if wire == Wire::Messages { "x-api-key" } else { "authorization" };
            assert!(call.headers[header].ends_with(TOKEN));
        }
    }
}

#[tokio::test]
async fn the_model_is_told_the_task_the_tools_and_what_is_left() {
    let mut bench = Bench::new(&[]);
    bench.tokens = Some(Tokens(50_000));
    let done = bench.answers(Wire::Messages, vec![]).await;
    let call = &done.calls[0];
    for word in ["Lower what `cost.txt` says.", "variant A", "- notes/**", "50,000 tokens for this step", "`finish`"] {
        assert!(call.text.contains(word), "{word}");
    }
    assert!(call.body["system"][0]["cache_control"].is_object());
    insta::assert_snapshot!("how_it_is_told_to_work", call.body["system"][0]["text"].as_str().unwrap());
    // All of it is paid for with every turn.
    assert!(call.bytes < 10_000, "{}", call.bytes);
}

#[tokio::test]
async fn calls_that_make_no_sense_are_told_what_is_wrong_and_end_nothing() {
    for wire in WIRES {
        let bench = Bench::new(&[]);
        let answers = vec![
            tool("read", json!("{\"path\": \"cost")),
            tool("cat.file", json!({"path": "cost.txt"})),
            tool("read", json!({"path": "cost.txt", "offset": 3})).and_tool("run", json!({})),
            tool("edit", json!({"path": "cost.txt", "old": "80", "new": "20"})),
            tool("read", json!([1])),
        ];
        let done = bench.answers(wire, answers).await;
        done.ends(&AgentEnd::Finished);
        assert!(done.told(1)[0].starts_with("the arguments are no JSON object"), "{:?}", done.told(1));
        assert_eq!(
            done.told(2),
            ["there is no tool `cat.file`; there are `read`, `search`, `edit`, `patch`, `run`, `finish`"]
        );
        assert!(done.told(3)[0].starts_with("`offset` is not known; `read` takes `path`"));
        assert!(done.told(3)[1].starts_with("`command` is missing; `run` takes"));
        assert!(done.told(4)[0].starts_with("`cost.txt`: `old` does not stand in it"));
        assert!(done.told(5)[0].starts_with("the arguments are no JSON object"));
        assert_eq!(bench.status(), "");
    }
}

#[tokio::test]
async fn the_same_failing_call_is_remarked_upon() {
    let bench = Bench::new(&[]);
    let missing = || tool("read", json!({"path": "none"}));
    let done = bench.answers(Wire::Chat, vec![missing(), missing(), missing()]).await;
    assert!(!done.told(2)[0].contains("Do something else"));
    assert!(done.told(3)[0].ends_with("This same call has failed 3 times now. Do something else."));
}

#[tokio::test]
async fn files_outside_of_the_work_item_are_read_and_not_changed() {
    let bench = Bench::new(&[]);
    let outside = "--- a/other.txt\n+++ b/other.txt\n@@ -1 +1 @@\n-as it was\n+changed\n";
    let both = format!("--- a/cost.txt\n+++ b/cost.txt\n@@ -1 +1 @@\n-90\n+20\n{outside}");
    let answers = vec![
        tool("read", json!({"path": "other.txt"})),
        tool("edit", json!({"path": "other.txt", "old": "was", "new": "is"})),
        tool("edit", json!({"path": "new.txt", "old": "", "new": "x"})),
        tool("patch", json!({"patch": both})),
        tool(
            "patch",
            json!({"patch": "diff --git a/other.txt b/cost.txt\nrename from other.txt\nrename to notes/x\n"}),
        ),
    ];
    let done = bench.answers(Wire::Messages, answers).await;
    assert_eq!(done.told(1), ["1\tas it was\n"]);
    let why = "may not be changed: this work item is about `cost.txt`, `notes/**` and nothing else";
    assert_eq!(done.told(2), [format!("`other.txt` {why}")]);
    assert_eq!(done.told(3), [format!("`new.txt` {why}")]);
    assert_eq!(done.told(4), [format!("nothing was changed: `other.txt` {why}")]);
    assert!(done.told(5)[0].starts_with("a file is not moved or copied by a patch here"));
    assert_eq!(bench.status(), "");
}

#[tokio::test]
async fn where_a_step_is_put_right_it_is_told_why_and_what_puts_a_file_back() {
    let mut bench = Bench::new(&[]);
    bench.correction = Some("- other.txt".to_owned());
    std::fs::write(bench.worktree.join("other.txt"), "changed").unwrap();
    let answers = vec![
        tool("edit", json!({"path": "other.txt", "old": "changed", "new": "as it was"})),
        run("git checkout --quiet HEAD -- other.txt"),
    ];
    let done = bench.answers(Wire::Messages, answers).await;
    assert!(done.calls[0].text.contains("what came of it can't stand:\n\n- other.txt\n"));
    assert!(done.told(1)[0].ends_with("and nothing else; put it back with `run`, as git has it"));
    assert_eq!(bench.status(), "");
}

#[tokio::test]
async fn a_patch_is_applied_whole_however_its_lines_are_counted() {
    let mut bench = Bench::new(&[]);
    bench.plan.work_items[0].files.push(FilePattern::new("other.txt").unwrap());
    let cost = "--- a/cost.txt\n+++ b/cost.txt\n@@ -1,7 +1,9 @@\n-90\n+20\n+21\n";
    let other = |line: &str| format!("--- a/other.txt\n+++ b/other.txt\n@@ -1 +1 @@\n-{line}\n+changed");
    let patch = |text: String| tool("patch", json!({"patch": text}));
    let answers = vec![patch(format!("{cost}{}", other("not so"))), patch(format!("{cost}{}", other("as it was")))];
    let done = bench.answers(Wire::Chat, answers).await;
    assert_eq!(done.told(1), ["nothing was changed: patch failed: other.txt:1; other.txt: patch does not apply"]);
    assert_eq!(done.told(2), ["changed: `cost.txt`, `other.txt`"]);
    assert_eq!((bench.left("cost.txt"), bench.left("other.txt")), ("20\n21\n".to_owned(), "changed\n".to_owned()));
}

#[tokio::test]
async fn where_files_must_be_new_those_that_are_there_stay() {
    let mut bench = Bench::new(&[("notes/old.txt", "old\n")]);
    bench.plan.work_items[0].contract.kind = ContractKind::NewFile;
    let answers = vec![
        tool("edit", json!({"path": "notes/old.txt", "old": "old", "new": "new"})),
        tool("edit", json!({"path": "notes/new.txt", "old": "", "new": "one"})),
        tool("edit", json!({"path": "notes/new.txt", "old": "one", "new": "two"})),
    ];
    let done = bench.answers(Wire::Messages, answers).await;
    assert!(done.told(1)[0].ends_with("this work item may only add files, and it is there already"));
    assert_eq!((bench.left("notes/new.txt").as_str(), bench.status().as_str()), ("two", "?? notes/new.txt"));
}

#[tokio::test]
async fn no_path_leads_out_of_the_worktree() {
    let mut bench = Bench::new(&[]);
    bench.plan.work_items[0].files.push(FilePattern::new("**").unwrap());
    let beside = bench.repo.dir.path().join("secret.txt");
    std::fs::write(&beside, "nobody's business").unwrap();
    std::os::unix::fs::symlink("..", bench.worktree.join("up")).unwrap();
    std::os::unix::fs::symlink("../secret.txt", bench.worktree.join("leak")).unwrap();
    let patch = "--- /dev/null\n+++ b/up/planted\n@@ -0,0 +1 @@\n+x\n";
    let beside_text = beside.to_str().unwrap();
    let paths = ["../secret.txt", "up/secret.txt", "leak", beside_text, ".git", "/etc/hostname"];
    let mut answers: Vec<_> = paths.iter().map(|path| tool("read", json!({"path": path}))).collect();
    answers.extend(paths.iter().map(|path| tool("edit", json!({"path": path, "old": "", "new": "x"}))));
    answers.push(tool("patch", json!({"patch": patch})));
    answers
        .push(tool("search", json!({"pattern": "business"})).and_tool("search", json!({"pattern": ".", "path": "up"})));
    // What is swapped in while it works is not followed either.
    answers.push(run("rm -f notes; ln -s .. notes"));
    answers.push(tool("edit", json!({"path": "notes/planted", "old": "", "new": "x"})));
    let count = answers.len();
    let before = common::tree(bench.repo.dir.path());
    let done = bench.answers(Wire::Messages, answers).await;
    done.ends(&AgentEnd::Finished);
    assert!(!done.calls.iter().any(|call| call.text.contains("nobody's")));
    assert!(done.told(count)[0].contains("is a symbolic link"), "{:?}", done.told(count));
    std::fs::remove_file(bench.worktree.join("notes")).unwrap();
    assert_eq!(common::tree(bench.repo.dir.path()), before);
}

#[tokio::test]
async fn commands_end_at_their_limit_and_much_output_is_cut() {
    let bench = Bench::new(&[]);
    let answers = vec![
        tool("run", json!({"command": "echo begun; sleep 60", "seconds": 1})),
        run("head -c 10000000 /dev/zero | tr '\\0' 'x'; echo; echo the end"),
    ];
    let started = Instant::now();
    let done = bench.answers(Wire::Chat, answers).await;
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(done.told(1), ["stopped after 1.0 s, which is its time limit\nbegun"]);
    let told = &done.told(2)[0];
    assert!(told.len() < 17_000 && told.contains("bytes left out") && told.ends_with("the end"), "{}", told.len());
    assert_eq!(std::fs::read_dir(bench.scratch.path()).unwrap().count(), 1, "only the log stays");
}

#[tokio::test]
async fn a_file_of_20_mb_fits_into_the_conversation() {
    let bench = Bench::new(&[]);
    std::fs::write(bench.worktree.join("big.txt"), "a line of text\n".repeat(1_400_000)).unwrap();
    std::fs::write(bench.worktree.join("one-line.txt"), "x".repeat(20 << 20)).unwrap();
    std::fs::write(bench.worktree.join("image"), [0; 4096]).unwrap();
    let read = |path: &str| tool("read", json!({"path": path}));
    let done = bench.answers(Wire::Messages, vec![read("big.txt"), read("one-line.txt"), read("image")]).await;
    assert!(done.told(1)[0].ends_with("… lines 2001 to 1400000 are left out; read on with `start` 2001"));
    assert!(done.told(2)[0].len() < 3000);
    assert_eq!(done.told(3), ["`image` is a binary file of 4096 bytes"]);
    assert!(done.calls.iter().all(|call| call.bytes < 100_000));
}

#[tokio::test]
async fn a_command_finds_the_leases_environment_and_never_the_token() {
    let mut bench = Bench::new(&[]);
    bench.env.insert("DATABASE_URL".to_owned(), "sqlite:here".to_owned());
    let done = bench.answers(Wire::Chat, vec![run("env; pwd")]).await;
    let told = &done.told(1)[0];
    assert!(told.contains("DATABASE_URL=sqlite:here") && !told.contains("API_KEY"), "{told}");
    let log = std::fs::read_to_string(bench.scratch.path().join("api.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 4, "the task, two turns and the end");
    assert!(!log.contains(TOKEN) && !done.calls.iter().any(|call| call.body.to_string().contains(TOKEN)));
}

// Ending.

#[tokio::test]
async fn finishing_waits_for_the_tests_and_their_failure_is_told() {
    for wire in WIRES {
        let bench = Bench::tested("");
        let done = bench.answers(wire, vec![finish(), lower()]).await;
        done.ends(&AgentEnd::Finished);
        assert_eq!(done.calls.len(), 3);
        assert_eq!(
            done.told(1),
            ["not finished, a test of the plan fails: `sh check.sh`: exit status 1\nthe cost is too high"]
        );
    }
}

#[tokio::test]
async fn tests_that_pass_after_a_change_are_told_and_words_are_enough_to_end_then() {
    for change in [lower(), run("echo 20 > cost.txt")] {
        let bench = Bench::tested("");
        let done = bench.answers(Wire::Chat, vec![change, Reply::text("That was all.")]).await;
        done.ends(&AgentEnd::Finished);
        assert_eq!(done.calls.len(), 2);
        assert_eq!(done.told(1)[1], "The plan's tests pass now. When the work item is done, call `finish`.");
        assert_eq!(done.report.summary, "That was all.");
    }
}

#[tokio::test]
async fn a_model_that_goes_on_and_on_after_the_tests_pass_is_not_asked_any_more() {
    let bench = Bench::tested("");
    let look = || tool("read", json!({"path": "cost.txt"}));
    let done = bench.scripted(Wire::Messages, move |call| if call.turn == 0 { lower() } else { look() }).await;
    done.ends(&AgentEnd::Finished);
    assert_eq!(done.calls.len(), 11, "the change, and ten turns that changed nothing");
    assert_eq!(bench.left("cost.txt"), "20\n");
}

#[tokio::test]
async fn tests_that_never_pass_are_left_to_the_judge_after_three_times() {
    let bench = Bench::tested("exit 1");
    let done = bench.answers(Wire::Messages, vec![]).await;
    done.ends(&AgentEnd::Finished);
    assert_eq!(done.calls.len(), 4);
}

#[tokio::test]
async fn what_the_tests_leave_behind_is_taken_away() {
    let bench = Bench::tested(
        "mkdir -p cache; echo junk > cache/x; echo kept > notes.txt; mkdir -p notes; echo 1 > notes/by-test",
    );
    let done = bench.answers(Wire::Messages, vec![lower()]).await;
    done.ends(&AgentEnd::Finished);
    assert_eq!(bench.status(), " M cost.txt\n?? notes/by-test");
}

#[tokio::test]
async fn finishing_beside_a_call_that_fails_is_not_finishing() {
    let bench = Bench::new(&[]);
    let both = run("exit 1").and_tool("finish", json!({"summary": "x"}));
    let done = bench.answers(Wire::Messages, vec![both]).await;
    assert_eq!(done.told(1)[1], "not finished: another call of the same answer failed; see to that first");
    assert_eq!(done.calls.len(), 2);
}

#[tokio::test]
async fn an_answer_without_a_call_is_remarked_upon_once() {
    for wire in WIRES {
        let bench = Bench::new(&[]);
        let done = bench.scripted(wire, |_| Reply::text("I think it is done.")).await;
        done.ends(&AgentEnd::Finished);
        assert_eq!(done.calls.len(), 2);
        assert!(done.told(1)[0].starts_with("An answer without a call leads nowhere"));
        assert_eq!(done.report.summary, "I think it is done.");
    }
}

#[tokio::test]
async fn a_model_that_declines_is_quoted() {
    let bench = Bench::new(&[]);
    let event = json!({"choices": [{"delta": {"refusal": "I can't do that."}, "finish_reason": "stop"}]});
    let done =
        bench.answers(Wire::Chat, vec![Reply::raw(200, "text/event-stream", format!("data: {event}\n\n"))]).await;
    assert_eq!(done.failure(), "the model declined to go on: I can't do that.");
}

#[tokio::test]
async fn a_model_that_never_comes_to_an_end_is_stopped() {
    let bench = Bench::new(&[]);
    let done =
        bench.scripted(Wire::Chat, |call| tool("read", json!({"path": "cost.txt", "start": call.turn + 1}))).await;
    assert_eq!(done.failure(), "it did not come to an end within 200 turns");
}

/// What a model says, turn by turn.
type Script = Box<dyn Fn(&Call) -> Reply + Send + Sync>;

#[tokio::test]
async fn a_model_that_repeats_itself_is_told_so_after_three_turns_and_stopped_after_six() {
    let look = |path: &str| tool("read", json!({"path": path}));
    let edit = |old: &str, new: &str| tool("edit", json!({"path": "cost.txt", "old": old, "new": new}));
    let one = |_: &Call| run("cat cost.txt");
    let two = move |call: &Call| look(["cost.txt", "other.txt"][call.turn % 2]);
    let back = move |call: &Call| if call.turn.is_multiple_of(2) { edit("90", "80") } else { edit("80", "90") };
    let scripts: [(usize, Script); 3] = [(1, Box::new(one)), (2, Box::new(two)), (2, Box::new(back))];
    for (new, script) in scripts {
        let bench = Bench::new(&[]);
        let done = bench.scripted(Wire::Chat, script).await;
        assert_eq!(done.failure(), "it repeated itself: 6 turns in a row had no new call");
        assert_eq!(done.calls.len(), new + 6);
        let told = |turn: usize| done.calls[turn].text.contains("had all been made before");
        assert!(told(new + 3) && !told(new + 2));
    }
}

#[tokio::test]
async fn a_command_that_is_run_again_after_each_change_is_no_repetition() {
    let bench = Bench::new(&[]);
    let script = |call: &Call| match call.turn {
        20 => finish(),
        turn if turn.is_multiple_of(2) => run("cat cost.txt"),
        turn => tool(
            "edit",
            json!({"path": "cost.txt", "old": format!("{}", 91 - turn.div_ceil(2)), "new": format!("{}", 90 - turn.div_ceil(2))}),
        ),
    };
    bench.scripted(Wire::Messages, script).await.ends(&AgentEnd::Finished);
}

#[tokio::test]
async fn answers_that_are_cut_are_told_so() {
    for wire in WIRES {
        let mut bench = Bench::new(&[]);
        bench.max_output = Some(Tokens(30));
        let cut = tool("edit", json!("{\"path\": \"cost.txt\", \"old\": \"9")).usage(100, 500);
        let done = bench.answers(wire, vec![Reply::words(80), cut, lower()]).await;
        done.ends(&AgentEnd::Finished);
        assert_eq!(done.told(1), ["Your answer was cut at its limit. Go on from there, in smaller parts."]);
        assert!(done.told(2)[0].starts_with("your answer was cut at its limit before this call was whole"));
        assert_eq!(bench.left("cost.txt"), "20\n");
        assert_eq!(done.calls[1].limit, Some(30));
        let said = done.calls[1].body["messages"].to_string();
        assert!(said.contains("word word"), "what was said is kept: {said}");
    }
}

// Budgets and stops.

#[tokio::test]
async fn a_refusal_for_lack_of_budget_ends_the_step_at_its_cap() {
    let spent = "the token budget of this variant is spent: 12 of 1,000 tokens are left and this needs at least 400";
    for wire in WIRES {
        let bench = Bench::new(&[]);
        let done = bench.answers(wire, vec![lower(), Reply::status(400, spent)]).await;
        done.ends(&AgentEnd::OverTokens);
        assert_eq!((bench.left("cost.txt").as_str(), done.calls.len()), ("20\n", 2));
    }
    let bench = Bench::new(&[]);
    bench.refused.cancel();
    bench.answers(Wire::Messages, vec![Reply::status(400, "no")]).await.ends(&AgentEnd::OverTokens);
}

#[tokio::test]
async fn a_provider_that_refuses_is_quoted_and_not_asked_again() {
    for (code, words) in [
        (400, "max_tokens: too large"),
        (401, "invalid key"),
        (403, "no"),
        (404, "no such model"),
        (429, "slow down"),
        (529, "busy"),
    ] {
        for wire in WIRES {
            let bench = Bench::new(&[]);
            let words = format!("{words}, {TOKEN}");
            let done = bench.answers(wire, vec![Reply::status(code, words)]).await;
            let failure = done.failure();
            assert!(failure.starts_with(&format!("the model's provider answered {code}")), "{failure}");
            assert!(failure.contains(", …") && !failure.contains(TOKEN), "{failure}");
            assert_eq!(done.calls.len(), 1);
        }
    }
}

#[tokio::test]
async fn it_ends_by_itself_when_too_little_is_left_for_a_turn() {
    for wire in WIRES {
        let mut bench = Bench::new(&[]);
        bench.tokens = Some(Tokens(12_000));
        let done = bench.scripted(wire, |_| run("seq 200")).await;
        done.ends(&AgentEnd::OverTokens);
        assert!(done.report.usage.total() <= Tokens(12_000), "{:?}", done.report.usage);
        assert!(done.calls.len() > 2, "{}", done.calls.len());
        assert!(done.calls.last().unwrap().text.contains("of 12,000 tokens are left for this step"));
        let unreported = bench.scripted(wire, |_| run("seq 200").no_usage()).await;
        unreported.ends(&AgentEnd::OverTokens);
        assert!(unreported.calls.len() > 1 && unreported.report.usage == Usage::default());
    }
}

#[tokio::test]
async fn results_are_cut_to_what_the_proxy_can_let_through() {
    let mut bench = Bench::new(&[]);
    bench.tokens = Some(Tokens(30_000));
    std::fs::write(bench.worktree.join("big.txt"), "a line of text\n".repeat(10_000)).unwrap();
    let read = || tool("read", json!({"path": "big.txt"}));
    let twice = read().and_tool("read", json!({"path": "big.txt", "start": 3000}));
    let done = bench.answers(Wire::Chat, vec![twice]).await;
    done.ends(&AgentEnd::Finished);
    let told = done.told(1);
    assert!(told[0].len() < 10_000 && told[0].contains("bytes left out"), "{}", told[0].len());
    assert!(told[1].len() < 600, "{}", told[1].len());
    assert!(done.calls[1].bytes < 20_000);
}

/// A request's messages without marks for a cache, which move.
fn messages(call: &Call) -> Vec<String> {
    let mut messages = call.body["messages"].as_array().unwrap().clone();
    for part in messages.iter_mut().filter_map(|m| m["content"].as_array_mut()).flatten() {
        part.as_object_mut().unwrap().remove("cache_control");
    }
    messages.iter().map(Value::to_string).collect()
}

#[tokio::test]
async fn a_long_conversation_is_made_shorter_in_a_few_large_steps() {
    for wire in WIRES {
        let mut bench = Bench::new(&[]);
        bench.tokens = Some(Tokens(300_000));
        std::fs::write(bench.worktree.join("big.txt"), "a line of text\n".repeat(1000)).unwrap();
        let read = |call: &Call| tool("read", json!({"path": "big.txt", "lines": 250 + call.turn}));
        let done = bench.scripted(wire, read).await;
        done.ends(&AgentEnd::OverTokens);
        let mut left: u64 = 300_000;
        let mut broken = 0;
        for pair in done.calls.windows(2) {
            // The scripted model reports a token for every four bytes.
            left -= pair[0].bytes as u64 / 4;
            // The task and the newest three results stay whatever is left.
            assert!(pair[1].bytes as u64 <= left + 30_000, "{} bytes with {left} tokens left", pair[1].bytes);
            let (before, after) = (messages(&pair[0]), messages(&pair[1]));
            broken += usize::from(!after.starts_with(&before));
        }
        assert!(
            (1..=8).contains(&broken),
            "{broken} of {} requests do not go on from the one before",
            done.calls.len()
        );
        assert!(done.calls.len() > 24, "{} turns; 20 are had where nothing is left out", done.calls.len());
        let last = done.calls.last().unwrap();
        assert!(last.text.contains("of `read big.txt` were left out to save tokens"));
        assert!(last.text.contains("Lower what `cost.txt` says."), "the task stays");
    }
}

#[tokio::test]
async fn a_stop_and_the_end_of_the_time_reach_it_while_the_model_is_silent() {
    for wire in WIRES {
        let mut bench = Bench::new(&[]);
        let stop = bench.stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            stop.cancel();
        });
        let started = Instant::now();
        let done = bench.answers(wire, vec![lower(), Reply::hang()]).await;
        assert_eq!(done.failure(), "stopped on request");
        assert_eq!(bench.left("cost.txt"), "20\n");
        bench.stop = Stop::new();
        bench.time = Some(Duration::from_millis(300));
        bench.answers(wire, vec![Reply::hang()]).await.ends(&AgentEnd::OverTime);
        bench.answers(wire, vec![run("sleep 60")]).await.ends(&AgentEnd::OverTime);
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

// What goes wrong on the way.

#[tokio::test]
async fn an_answer_that_breaks_is_asked_for_again_twice() {
    for wire in WIRES {
        let bench = Bench::new(&[]);
        let done = bench
            .scripted(wire, |call| match call.index {
                0 => lower().cut_after(3),
                1 => lower().error_after(3, "Overloaded"),
                2 => lower(),
                _ => finish(),
            })
            .await;
        done.ends(&AgentEnd::Finished);
        assert_eq!((bench.left("cost.txt").as_str(), done.calls.len()), ("20\n", 4));
        let done = bench.scripted(wire, |_| Reply::words(50).error_after(3, "Overloaded")).await;
        assert_eq!(done.failure(), "the model gave no whole answer, 3 times: Overloaded");
        let done = bench.scripted(wire, |_| Reply::raw(200, "text/html", "<html>a gateway</html>")).await;
        assert!(done.failure().ends_with("it is no stream of events: <html>a gateway</html>"), "{}", done.failure());
        let done = bench.scripted(wire, |_| Reply::raw(200, "text/event-stream", "data: {\"type\n\n")).await;
        assert!(done.failure().contains("an event of its answer is not JSON"), "{}", done.failure());
        let done = bench.scripted(wire, |_| Reply::words(50).cut_after(5)).await;
        assert!(done.failure().starts_with("the model gave no whole answer, 3 times: "), "{}", done.failure());
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_tried_a_few_times() {
    let bench = Bench::new(&[]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let access = Access { root: format!("http://127.0.0.1:{port}/t/{TOKEN}"), key: Secret::new(TOKEN) };
    let report = bench.implement(Wire::Messages, Some(&access)).await.unwrap();
    let AgentEnd::Failed { message } = report.end else { panic!("{report:?}") };
    assert!(message.starts_with("the model can't be reached: ") && !message.contains(TOKEN), "{message}");
}

#[tokio::test]
async fn without_a_way_to_a_model_or_with_a_protocol_it_does_not_speak_it_can_not_work() {
    let bench = Bench::new(&[]);
    let error = bench.implement(Wire::Chat, None).await.unwrap_err().to_string();
    assert!(error.starts_with("api scripted (chat): it needs a way to its model and the run has none"), "{error}");
    let agent = bench.agent(Wire::Gemini);
    let error = agent.check(&bench.root, &bench.plan.variants[0], &Local).await.unwrap_err().to_string();
    assert_eq!(error, "api scripted (gemini): the built-in agent speaks `messages` and `chat`, not `gemini`");
    assert_eq!(bench.agent(Wire::Chat).wires(), [Wire::Chat]);
}

// Whole runs.

#[test]
fn a_model_that_never_stops_uses_most_of_its_cap_through_the_proxy_and_no_more() {
    for wire in WIRES {
        let model = Model::start(|call| {
            let cost = if call.text.contains("variant A") { "20" } else { "60" };
            match call.turn {
                0 => tool("edit", json!({"path": "cost.txt", "old": "90", "new": cost})),
                // It goes on changing something, so that it never looks done.
                _ => run("mkdir -p notes; date +%N > notes/now; seq 300"),
            }
        });
        let url = model.url();
        let arena = Arena {
            agent: format!("{{api: {{model: scripted, wire: {wire}}}}}"),
            budget: "- Max tokens per step: 15000\n- Session token cap: 40000\n- Time cap: 5 minutes\n".to_owned(),
            config: format!("unfinished: judge\nmodels:\n  openai: {{url: {url}/v1}}\n  anthropic: {{url: {url}}}\n"),
            ..Arena::default()
        };
        let repo = arena.build();
        let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
        assert!(done.out.contains("over budget"), "{}", done.out);
        assert_eq!(repo.read("cost.txt"), "20\n", "what was done is judged");
        let report: Value = serde_json::from_str(&repo.blueprint(&["report", "--json"]).ends_with(0).out).unwrap();
        for variant in ["A", "B"] {
            let spent = report["tokens"]["variants"][variant]["spent"].as_u64().unwrap();
            assert!((10_000..=15_000).contains(&spent), "{variant}: {:#}", report["tokens"]);
        }
    }
}
