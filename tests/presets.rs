//! Known clients as agents, with programs in their place that do what the clients do.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use blueprint::adapters::agent::preset::{Settings, clients};
use blueprint::adapters::agent::{Agent, AgentEnd, AgentError, AgentReport, AgentSettings, Task, build};
use blueprint::adapters::executor::local::Local;
use blueprint::adapters::process::{Environment, Stop};
use blueprint::domain::document::Document;
use blueprint::domain::plan::Plan;
use blueprint::domain::quantity::Tokens;
use blueprint::domain::wire::{Access, Secret};
use common::Repo;
use common::arena::Arena;

const KEY: &str = "bp-trial-key-1";

/// A worktree with a client on its `PATH`, and all that a task borrows.
struct Bench {
    repo: Repo,
    bin: PathBuf,
    plan: Plan,
    scratch: PathBuf,
    env: Environment,
    access: Option<Access>,
    stop: Stop,
    refused: Stop,
}

impl Bench {
    /// With a program of this name that runs these lines of shell.
    fn new(program: &str, lines: &str) -> Self {
        let repo = Repo::with(&[("cost.txt", "90\n")]);
        let bin = repo.dir.path().join("bin");
        let scratch = repo.dir.path().join("scratch");
        std::fs::create_dir(&bin).unwrap();
        std::fs::create_dir(&scratch).unwrap();
        install(&bin, program, lines);
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let home = repo.home().display().to_string();
        let env = [("PATH", path), ("HOME", home), ("PORT", "4000".to_owned())].map(|(k, v)| (k.to_owned(), v)).into();
        Self {
            plan: Document::parse(Arena::default().document().as_bytes()).unwrap().plan().clone(),
            repo,
            bin,
            scratch,
            env,
            access: Some(Access { root: "http://127.0.0.1:1/t/a".to_owned(), key: Secret::new(KEY) }),
            stop: Stop::new(),
            refused: Stop::new(),
        }
    }

    async fn implement(&self, agent: &dyn Agent) -> Result<AgentReport, AgentError> {
        let worktree = self.repo.root();
        let task = Task {
            plan: &self.plan,
            variant: &self.plan.variants[0],
            item: &self.plan.work_items[0],
            step: 0,
            worktree: &worktree,
            repository: &worktree,
            scratch: &self.scratch,
            env: &self.env,
            tokens: Some(Tokens(10_000)),
            time: Some(Duration::from_secs(60)),
            access: self.access.as_ref(),
            refused: &self.refused,
            asking: &|| false,
            correction: None,
            patience: Duration::from_secs(60),
            stop: &self.stop,
        };
        agent.implement(task, &Local).await
    }

    fn left(&self, path: &str) -> String {
        std::fs::read_to_string(self.repo.root().join(path)).unwrap_or_default()
    }
}

fn install(bin: &Path, program: &str, lines: &str) {
    let path = bin.join(program);
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn preset(name: &str, model: Option<&str>) -> Arc<dyn Agent> {
    let settings = Settings::new(name, model.map(str::to_owned), Vec::new(), BTreeMap::new()).unwrap();
    build(AgentSettings::Preset(settings))
}

/// Prints this file of a real client's output, whatever shell reads it.
fn prints(bench: &Bench, output: &str) -> String {
    let file = bench.repo.dir.path().join("output");
    std::fs::write(&file, output).unwrap();
    format!("cat {}", file.display())
}

/// Writes down all that a client is given, and does its work.
const LOOKS: &str = "
printf '%s\\n' \"$@\" > args.txt
env | sort > env.txt
(cd \"$HOME\" && find . -type f -exec stat -c '%a %n' {} + && find . -type f -exec cat {} +) > home.txt
stat -c '%a' \"$HOME\" > mode.txt
cat > stdin.txt
echo 20 > cost.txt";

#[tokio::test]
async fn every_client_finds_its_model_its_key_and_an_empty_home_and_no_argument_holds_the_key() {
    for client in clients() {
        let name = client.name.as_str();
        let bench = Bench::new(&client.program(), LOOKS);
        std::fs::write(bench.repo.home().join(".secret"), "mine").unwrap();
        let report = bench.implement(&*preset(name, Some("model-1"))).await.unwrap();
        assert_eq!(report.end, AgentEnd::Finished, "{name}: {}", report.summary);
        assert_eq!(bench.left("cost.txt"), "20\n", "{name}");

        let (args, env, home) = (bench.left("args.txt"), bench.left("env.txt"), bench.left("home.txt"));
        assert!(!args.contains(KEY), "{name}: {args}");
        assert!(args.contains("Lower the cost") || args.contains("prompt.md"), "{name}: {args}");
        assert!(env.contains(&format!("BLUEPRINT_KEY={KEY}\n")) && env.contains("PORT=4000\n"), "{name}: {env}");
        let base = bench.access.as_ref().unwrap().base(client.wires()[0].provider());
        let told = [env.as_str(), home.as_str()].iter().filter(|text| text.contains(&base)).count();
        // Once among our own variables, and where the client itself looks.
        assert!(
            env.matches(&base).count() + usize::from(home.contains(&base)) >= 2 && told > 0,
            "{name}: {env}\n{home}"
        );
        assert!([&args, &env, &home].iter().any(|text| text.contains("model-1")), "{name}");

        let scratch = bench.scratch.display().to_string();
        let theirs = env.lines().find_map(|line| line.strip_prefix("HOME=")).unwrap();
        assert!(theirs.starts_with(&scratch) && !Path::new(theirs).exists(), "{name}: {theirs}");
        assert_eq!((bench.left("mode.txt").as_str(), bench.left("stdin.txt").as_str()), ("700\n", ""), "{name}");
        assert!(!home.contains("mine"), "{name}: {home}");
        for line in home.lines().filter(|line| line.contains(" ./")) {
            assert!(line.starts_with("600 "), "{name}: {line}");
        }
        let left: Vec<_> = std::fs::read_dir(&bench.scratch).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["agent.log"], "{name}: only the log stays");
    }
}

/// Fetches what opencode fetches, by the rule that it has for it, and leaves something for whoever comes next.
const FETCHES: &str = "
config=$XDG_CONFIG_HOME/opencode
find \"$HOME\" -name planted >> found.txt
if [ ! -e \"$config/node_modules\" ] || ! python3 - \"$config/package-lock.json\" <<'END'
import json, sys
sys.exit('@opencode-ai/plugin' not in json.load(open(sys.argv[1]))['packages']['']['dependencies'])
END
then
    echo fetched >> fetched.txt
fi
mkdir -p \"$config/node_modules/planted\" && echo plan >> \"$config/package-lock.json\"
echo step >> steps.txt";

#[tokio::test]
async fn opencode_fetches_no_packages_and_finds_none_that_the_step_before_left() {
    for model in ["qwen3", "anthropic/claude-sonnet-4-5"] {
        let bench = Bench::new("opencode", FETCHES);
        for _ in 0..2 {
            let report = bench.implement(&*preset("opencode", Some(model))).await.unwrap();
            assert_eq!(report.end, AgentEnd::Finished, "{model}: {}", report.summary);
        }
        let left = ["steps.txt", "fetched.txt", "found.txt"].map(|file| bench.left(file));
        assert_eq!(left, ["step\nstep\n", "", ""], "{model}");
    }
}

#[tokio::test]
async fn without_a_way_to_a_model_nothing_is_started() {
    let mut bench = Bench::new("codex", "touch started");
    bench.access = None;
    let error = bench.implement(&*preset("codex", None)).await.unwrap_err();
    assert!(error.to_string().starts_with("preset codex: no model can be reached"), "{error}");
    assert!(!bench.repo.root().join("started").exists());
}

#[tokio::test]
async fn a_client_that_is_refused_is_over_its_budget_however_it_ends() {
    for status in [0, 1] {
        let bench = Bench::new("pi", &format!("echo 20 > cost.txt; exit {status}"));
        bench.refused.cancel();
        let report = bench.implement(&*preset("pi", Some("m"))).await.unwrap();
        assert_eq!((report.end, bench.left("cost.txt").as_str()), (AgentEnd::OverTokens, "20\n"));
    }
}

#[tokio::test]
async fn a_client_that_goes_on_after_it_was_refused_is_stopped_and_what_it_did_stays() {
    let bench = Bench::new("gemini", "trap '' TERM; echo 20 > cost.txt; while :; do sleep 1; done");
    bench.refused.cancel();
    let started = Instant::now();
    let report = bench.implement(&*preset("gemini", None)).await.unwrap();
    assert_eq!((report.end, bench.left("cost.txt").as_str()), (AgentEnd::OverTokens, "20\n"));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_client_whose_exit_says_nothing_has_failed_when_its_last_message_says_so() {
    let error = r#"{"type":"message_end","message":{"role":"assistant","content":[],"usage":{"input":9,"output":1},"stopReason":"error","errorMessage":"400 no such model"}}"#;
    let mut bench = Bench::new("pi", "");
    install(&bench.bin, "pi", &prints(&bench, error));
    let report = bench.implement(&*preset("pi", Some("m"))).await.unwrap();
    let AgentEnd::Failed { message } = report.end else { panic!("{report:?}") };
    assert_eq!(message, "`pi` ended with exit status 0\n400 no such model");
    // Whoever ends well otherwise is believed.
    bench = Bench::new("codex", "");
    install(&bench.bin, "codex", &prints(&bench, r#"{"type":"error","message":"Reconnecting... 1/5"}"#));
    assert_eq!(bench.implement(&*preset("codex", None)).await.unwrap().end, AgentEnd::Finished);
}

#[tokio::test]
async fn a_client_that_fails_is_named_with_what_it_said() {
    let bench = Bench::new("codex", "");
    let events = "{\"type\":\"thread.started\"}\n{\"type\":\"turn.failed\",\"error\":{\"message\":\"stream error\"}}\n";
    install(&bench.bin, "codex", &format!("{}; exit 1", prints(&bench, events)));
    let report = bench.implement(&*preset("codex", None)).await.unwrap();
    assert_eq!(report.end, AgentEnd::Failed { message: "`codex` ended with exit status 1\nstream error".to_owned() });
    let bench = Bench::new("mini", "echo Traceback; echo 'no module named mcp' >&2; exit 1");
    let report = bench.implement(&*preset("mini-swe-agent", Some("m"))).await.unwrap();
    let AgentEnd::Failed { message } = report.end else { panic!("{report:?}") };
    assert_eq!(message, "`mini` ended with exit status 1\nTraceback\nno module named mcp");
}

#[tokio::test]
async fn a_prompt_too_long_for_an_argument_is_handed_over_as_a_file() {
    let mut bench = Bench::new(
        "codex",
        "printf '%s' \"$*\" > args.txt; for last; do :; done; cat \"$(echo \"$last\" | sed 's/.*file \\(.*\\.md\\)\\. .*/\\1/')\" > prompt.txt",
    );
    bench.plan.goal = "long ".repeat(40_000);
    let report = bench.implement(&*preset("codex", None)).await.unwrap();
    assert_eq!(report.end, AgentEnd::Finished, "{}", report.summary);
    assert!(bench.left("args.txt").len() < 2_000 && bench.left("prompt.txt").len() > 200_000);
}

#[tokio::test]
async fn what_a_client_says_last_and_what_it_says_it_used_are_told() {
    let events = "starting up\n\
        {\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"The cost is 20.\"}}\n\
        {\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":900,\"cached_input_tokens\":100,\"output_tokens\":20}}\n";
    let bench = Bench::new("codex", "");
    install(&bench.bin, "codex", &format!("{}; echo warned >&2", prints(&bench, events)));
    let report = bench.implement(&*preset("codex", None)).await.unwrap();
    assert_eq!((report.usage.input, report.usage.output), (Tokens(900), Tokens(20)));
    assert_eq!(report.summary, "The cost is 20.\nstarting up\nwarned");
}

#[test]
fn a_preset_is_shown_with_its_model_and_says_by_which_protocol_it_is_reached() {
    assert_eq!(preset("codex", None).describe(), "preset codex");
    let pi = preset("pi", Some("anthropic/claude-sonnet-4-5"));
    assert_eq!((pi.describe().as_str(), pi.wires()[0].as_str()), ("preset pi anthropic/claude-sonnet-4-5", "messages"));
}
