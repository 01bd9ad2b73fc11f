//! Whole runs whose agents reach a model through the proxy: every token is counted, caps hold for
//! agents that don't care, and a key goes nowhere but to its provider.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::arena::{Arena, DOCUMENT};
use common::model::{Call, Model, Reply};
use common::{Done, Repo, tree};
use serde_json::{Value, json};

const CANARY: &str = "sk-canary-7f3a91c2d4";

/// The arena with an agent that reaches this model, which wants the canary as its key.
fn arena(model: &Model, agent: &str, budget: &str) -> Repo {
    let url = model.url();
    let arena = Arena {
        agent: agent.to_owned(),
        budget: format!("{budget}- Time cap: 5 minutes\n"),
        config: format!(
            "models:\n  openai: {{url: {url}/v1, key: $THE_KEY}}\n  anthropic: {{url: {url}, key: $THE_KEY}}\n  gemini: {{url: {url}, key: $THE_KEY}}\n"
        ),
        ..Arena::default()
    };
    arena.build()
}

fn run(repo: &Repo) -> Done {
    let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
    Done::of(command.env("THE_KEY", CANARY).args(["run", DOCUMENT]).output().unwrap())
}

fn report(repo: &Repo) -> Value {
    serde_json::from_str(&repo.blueprint(&["report", "--json"]).ends_with(0).out).unwrap()
}

/// The cost that a variant is to reach, told by its prompt.
fn wanted(call: &Call) -> &'static str {
    if call.text.contains("variant A") { "20\n" } else { "60\n" }
}

/// Edits and finishes, whoever asks.
fn diligent(call: &Call) -> Reply {
    match call.turn {
        0 => Reply::tool("edit", json!({"path": "cost.txt", "old": "90\n", "new": wanted(call)})).usage(3000, 40),
        _ => Reply::tool("finish", json!({"summary": "the cost is lower"})).usage(3100, 20),
    }
}

/// Nothing below these folders, and nothing that was printed, holds the key in any form.
fn no_key(repo: &Repo, done: &Done) {
    let escaped = CANARY.replace('-', "%2D");
    let encoded = "c2stY2FuYXJ5LTdmM2E5MWMyZDQ";
    for form in [CANARY, &escaped, encoded, "canary-7f3a"] {
        assert!(!done.out.contains(form) && !done.err.contains(form), "{form} was printed");
        for (path, bytes) in tree(repo.dir.path()) {
            let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
            assert!(!found, "{form} is in {}", path.display());
        }
    }
}

#[test]
fn a_run_with_the_built_in_agent_lands_and_every_token_is_counted() {
    for (wire, name) in [("chat", "gpt-5"), ("messages", "claude-sonnet-4-5")] {
        let model = Model::start(diligent);
        let agent = format!("{{api: {{model: {name}, wire: {wire}}}}}");
        let repo = arena(&model, &agent, "- Max tokens per step: 60000\n- Session token cap: 200000\n");
        let done = run(&repo).ends_with(0);
        assert_eq!(repo.read("cost.txt"), "20\n");
        let tokens = &report(&repo)["tokens"];
        assert_eq!(tokens["spent"], 2 * (3000 + 40 + 3100 + 20), "{tokens:#}");
        assert_eq!(tokens["models"][name]["requests"], 4);
        assert!(tokens["models"][name]["cost"].as_f64().unwrap() > 0.0);
        for call in model.calls() {
            let sent = call.headers.values().any(|value| value.contains(CANARY));
            assert!(sent, "the provider did not get its key: {:?}", call.headers.keys());
        }
        no_key(&repo, &done);
        let run = report(&repo)["run"].as_str().unwrap().to_owned();
        let transcript = repo.read(&format!(".git/blueprint/transcripts/{run}/a.jsonl"));
        assert_eq!(transcript.lines().count(), 2, "{transcript}");
    }
}

/// Asks and asks, whatever it is told, and says that all went well.
const RUNAWAY: &str = r#"
import json, os, sys, time, urllib.request, urllib.error, threading
refused = []
def ask():
    while True:
        body = json.dumps({"model": "m", "max_tokens": 900, "messages": [{"role": "user", "content": "x" * 800}]}).encode()
        request = urllib.request.Request(os.environ["BLUEPRINT_OPENAI_URL"] + "/chat/completions", body,
            {"Authorization": "Bearer " + os.environ["BLUEPRINT_KEY"], "Content-Type": "application/json"})
        try:
            urllib.request.urlopen(request).read()
        except urllib.error.HTTPError as error:
            if not refused:
                refused.append(error.code)
                open(sys.argv[1], "w").write(str(error.code) + " " + error.read().decode())
            time.sleep(0.05)
open("cost.txt", "w").write("20\n" if os.environ["BLUEPRINT_VARIANT"] == "A" else "60\n")
for _ in range(6):
    threading.Thread(target=ask, daemon=True).start()
time.sleep(300)
"#;

#[test]
fn an_agent_that_never_stops_asking_spends_no_more_than_its_caps_and_is_stopped_soon_after() {
    let model = Model::start(|_| Reply::words(700).usage(250, 700).delay(Duration::from_millis(20)));
    let agent = "{command: [sh, -c, \"exec python3 agent.py ~/told/refusal-$BLUEPRINT_VARIANT\"]}".to_owned();
    let budget = "- Max tokens per step: 20000\n- Variant token cap: 20000\n- Session token cap: 30000\n";
    let repo = arena(&model, &agent, budget);
    repo.write("agent.py", RUNAWAY);
    repo.write("blueprint.yaml", &format!("{}unfinished: judge\n", repo.read("blueprint.yaml")));
    repo.commit("an agent that never stops");
    let started = Instant::now();
    let done = run(&repo).ends_with(0);
    assert!(started.elapsed() < Duration::from_secs(75), "{:?}", started.elapsed());
    assert!(done.out.contains("over budget"), "{}", done.out);
    assert_eq!(repo.read("cost.txt"), "20\n", "what was done is judged");
    let tokens = report(&repo)["tokens"].clone();
    let spent = tokens["spent"].as_u64().unwrap();
    assert!((28_000..=30_000).contains(&spent), "{tokens:#}");
    let of = |variant: &str| tokens["variants"][variant]["spent"].as_u64().unwrap();
    assert!(of("A") <= 20_000 && of("B") <= 20_000);
    // The last answers are cut short by the limit that is left.
    let counted: u64 = model.calls().iter().map(|call| 250 + call.body["max_tokens"].as_u64().unwrap().min(700)).sum();
    assert_eq!(spent, counted, "what the provider counted");
    let told = |variant| std::fs::read_to_string(repo.told(format!("refusal-{variant}")));
    let told = told("A").or_else(|_| told("B"));
    let told = told.unwrap();
    assert!(told.starts_with("400 ") && told.contains("budget"), "{told}");
    no_key(&repo, &done);
}

#[test]
fn a_provider_that_says_that_nothing_was_used_is_named_once_and_its_requests_are_charged_by_what_was_seen() {
    let model = Model::start(|call| diligent(call).usage(1, 0));
    let repo = arena(&model, "{api: {model: m, wire: chat}}", "- Session token cap: 200000\n");
    let done = run(&repo).ends_with(0);
    assert_eq!(
        done.err.matches("can't be true").count() + done.out.matches("can't be true").count(),
        1,
        "{}",
        done.err
    );
    assert!(
        done.out.contains("4 requests charged by what was seen: openai said less than can be true"),
        "{}",
        done.out
    );
    let tokens = &report(&repo)["tokens"];
    assert_eq!(tokens["models"]["m"]["doubted"], 4, "{tokens:#}");
    assert!(tokens["spent"].as_u64().unwrap() > 4 * 400, "{tokens:#}");
}

#[test]
fn what_a_killed_run_had_sent_is_charged_in_full_and_never_asked_again_by_itself() {
    let hung = AtomicBool::new(false);
    let model = Model::start(move |call| {
        if call.text.contains("variant A") && !hung.swap(true, Ordering::SeqCst) {
            Reply::hang()
        } else {
            diligent(call)
        }
    });
    let agent = "{api: {model: m, wire: chat, max_output: 500}}";
    let repo = arena(&model, agent, "- Max tokens per step: 60000\n- Session token cap: 200000\n");
    let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
    let mut child = command
        .env("THE_KEY", CANARY)
        .args(["run", DOCUMENT])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !model.calls().iter().any(|call| call.text.contains("variant A")) {
        assert!(started.elapsed() < Duration::from_secs(60), "A never asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = repo.blueprint(&["report"]).ends_with(0);
    for told in ["still open: A has carried out 0 of 1 work item", "to models without an answer", "tokens reserved"] {
        assert!(left.out.contains(told), "{}", left.out);
    }
    let mut resume = repo.command(env!("CARGO_BIN_EXE_blueprint"));
    let done = Done::of(resume.env("THE_KEY", CANARY).args(["resume"]).output().unwrap()).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n");
    let tokens = report(&repo)["tokens"].clone();
    assert!(tokens["models"]["m"]["charged_in_full"].as_u64().unwrap() >= 1, "{tokens:#}");
    assert!(done.out.contains("charged in full, because nobody knows what was used"), "{}", done.out);
    let a = tokens["variants"]["A"]["spent"].as_u64().unwrap();
    assert!(a > 6160 + 500, "the lost request's input and output are charged: {tokens:#}");
    no_key(&repo, &done);
}

#[test]
fn a_model_that_no_key_is_set_for_is_named_before_anything_is_spent() {
    let arena = Arena { agent: "{api: {model: claude-sonnet-4-5}}".to_owned(), ..Arena::default() };
    let repo = arena.build();
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(2);
    done.says(&["anthropic", "export ANTHROPIC_API_KEY=", "models: {anthropic: {url:"]);
    assert_eq!(repo.git(&["for-each-ref", "refs/blueprint"]), "");
    // A review needs no key, and says what is missing.
    let plan = repo.blueprint(&["plan", DOCUMENT]);
    assert!(plan.out.contains("can't reach its models"), "{}", plan.out);
}
