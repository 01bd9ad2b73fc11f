//! Keys and tokens: who sees them, and who must not.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use blueprint::adapters::proxy::{LoopbackProxy, Opening, Proxy, Settings, Upstream};
use blueprint::domain::quantity::Tokens;
use blueprint::domain::wire::{Provider, Secret, Wire};
use serde_json::json;

use crate::bank::Bank;
use crate::common::model::Reply;
use crate::house::{Got, House, KEY, ask, body, client, request, settings, url};

/// The key in every spelling that somebody may use: plain, escaped for JSON and for URLs, in base64 alone
/// and after a user's name.
const SPELLINGS: [&str; 6] = [
    KEY,
    "sk-canary\\/0123456789",
    "sk-canary%2F0123456789",
    "\\u0073\\u006b-canary/0123456789",
    "c2stY2FuYXJ5LzAxMjM0NTY3ODk=",
    "dTpzay1jYW5hcnkvMDEyMzQ1Njc4OQ==",
];

/// What of the spellings gives the key away even where an end is missing.
const TELLTALES: [&str; 4] = ["canary", "stY2FuYXJ5LzAxMjM0NTY3", "ay1jYW5hcnkvMDEyMzQ1Njc4", "006b-can"];

#[track_caller]
fn tells_nothing(what: &str, text: &str) {
    for telltale in TELLTALES {
        assert!(!text.contains(telltale), "{what} holds `{telltale}`: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_tells_the_key_does_not_give_it_to_the_agent_or_to_the_transcript() {
    let echo = SPELLINGS.join(" ");
    let said = echo.clone();
    let house = House::new(move |call| match call.text.as_str() {
        text if text.contains("error") => Reply::status(401, said.clone()).header("x-request-id", KEY),
        text if text.contains("middle") => Reply::words(3).error_after(1, said.repeat(9)),
        text if text.contains("raw") => Reply::raw(200, "application/json", said.clone()).header("request-id", KEY),
        _ => Reply::tool("run", json!({"command": said.clone()})),
    })
    .await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    for wire in Wire::ALL {
        for (text, stream) in [("error", true), ("raw", false), ("tool", false), ("middle", true)] {
            let got =
                Got::of(request(door.access(), wire, stream, &body(wire, text, stream)).send().await.unwrap()).await;
            assert!(got.body.contains("[redacted]"), "{wire} {text}: {}", got.body);
            tells_nothing("the answer", &got.body);
            tells_nothing("its headers", &format!("{:?}", got.headers));
        }
    }
    // An agent that knows a key from elsewhere may say it; nobody else reads it.
    let shout =
        Got::of(request(door.access(), Wire::Chat, false, &body(Wire::Chat, &echo, false)).send().await.unwrap());
    assert_eq!(shout.await.status, 200);
    let token = door.access().key.expose().to_owned();
    let own = body(Wire::Chat, &format!("error {token} authorization: Bearer abcdef0123456789abcdef"), false);
    drop(Got::of(request(door.access(), Wire::Chat, false, &own).send().await.unwrap()).await);
    let in_query = format!("{}?key={token}", url(door.access(), Wire::Gemini, false));
    let got =
        Got::of(client().post(in_query).body(body(Wire::Gemini, "x", false).to_string()).send().await.unwrap()).await;
    assert_eq!(got.status, 200);
    door.close().await;
    let transcript = house.text("a");
    tells_nothing("the transcript", &transcript);
    assert!(!transcript.contains(&token) && !transcript.contains("abcdef0123456789"));
    assert_eq!(house.lines("a").len(), 19);
    // The journal keeps these.
    for settlement in bank.audit() {
        let text = format!("{settlement:?}");
        tells_nothing("a settlement", &text);
        assert!(text.len() < 500, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_can_be_printed_holds_a_key_or_a_token() {
    let house = House::new(|_| Reply::text("x")).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let with_password = Upstream {
        url: "http://user:sk-canary-password@127.0.0.1:1/v1".to_owned(),
        key: Some(Secret::new(KEY)),
        default_output: Tokens(1),
    };
    let all = Settings { upstreams: vec![(Provider::OpenAi, with_password)], models: Vec::new() };
    for (what, text) in [
        ("the proxy", format!("{:?}", house.proxy)),
        ("settings", format!("{:?} {:?}", settings("http://127.0.0.1:1"), all)),
        ("the plan", all.describe()),
        ("the access", format!("{:?}", door.access())),
    ] {
        tells_nothing(what, &text);
        assert!(!text.contains(door.access().key.expose()), "{what}: {text}");
    }
    assert_eq!(all.describe(), "openai at http://127.0.0.1:1/v1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_used_is_refused_at_the_start_without_being_told() {
    for (url, key) in [
        ("nonsense sk-canary", "fine-key"),
        ("ftp://sk-canary@host", "fine-key"),
        ("http://host/?key=sk-canary", "fine-key"),
        ("http://host", "sk-canary\n"),
    ] {
        let upstream = Upstream { url: url.to_owned(), key: Some(Secret::new(key)), default_output: Tokens(1) };
        let settings = Settings { upstreams: vec![(Provider::Gemini, upstream)], models: Vec::new() };
        let error = LoopbackProxy::start(settings).await.unwrap_err();
        tells_nothing(url, &format!("{error} {error:?}"));
        assert!(error.to_string().contains("gemini"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transcript_is_its_owners_alone_and_is_not_started_over() {
    let house = House::new(|_| Reply::text("x")).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("private/of/a.jsonl");
    let bank = Bank::rich();
    for steps in 1..=2 {
        let opening = Opening { trial: "a".to_owned(), purse: bank.purse("A"), transcript: path.clone(), time: None };
        let door = house.proxy.open(opening).await.unwrap();
        ask(door.access(), Wire::Chat, false).await;
        door.close().await;
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), steps);
    }
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let opening = Opening { trial: "b".to_owned(), purse: bank.purse("B"), transcript: path.join("x"), time: None };
    let error = house.proxy.open(opening).await.err().unwrap().to_string();
    assert!(error.contains("a.jsonl/x") && error.contains("transcript"), "{error}");
}
