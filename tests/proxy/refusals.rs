//! What is not let through, and how that is told.

use std::io::Write;
use std::time::Duration;

use blueprint::domain::wire::{Provider, Wire};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::Value;

use crate::bank::{Bank, reported};
use crate::common::model::Reply;
use crate::house::{Got, House, ask, body, client, request, url};

/// An error as a provider's own client reads it.
#[track_caller]
fn error(got: &Got, provider: Provider) -> String {
    let json = got.json();
    let shape = match provider {
        Provider::Anthropic => json["type"] == "error" && json["error"]["type"].is_string(),
        Provider::OpenAi => json["error"]["type"].is_string(),
        Provider::Gemini => json["error"]["code"] == got.status && json["error"]["status"].is_string(),
    };
    assert!(shape, "{provider}: {json}");
    json["error"]["message"].as_str().unwrap().to_owned()
}

fn refusals(lines: &[Value]) -> Vec<u64> {
    lines.iter().filter(|line| line["refused"].is_string()).map(|line| line["status"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cap_does_not_allow_is_refused_with_400_and_told_to_whoever_watches() {
    let house = House::new(|_| Reply::text("x").usage(1000, 100)).await;
    for wire in Wire::ALL {
        let bank = Bank::with_cap(1500);
        let door = house.open("a", &bank).await;
        assert_eq!(ask(door.access(), wire, false).await.status, 200, "{wire}");
        assert!(!door.refused().is_cancelled());
        let got = ask(door.access(), wire, false).await;
        let message = error(&got, wire.provider());
        assert_eq!(got.status, 400, "{wire}");
        assert!(message.contains("budget") && message.contains("Do not retry"), "{message}");
        assert!(door.refused().is_cancelled());
        door.close().await;
        assert_eq!(bank.audit(), [reported(1000, 100)]);
    }
    assert_eq!(refusals(&house.lines("a")), [400; 4]);
    assert_eq!(house.model.calls().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_and_one_of_another_trial_and_none_are_refused_alike() {
    let house = House::new(|_| Reply::text("x")).await;
    let bank = Bank::rich();
    let (door, other) = (house.open("a", &bank).await, house.open("b", &bank).await);
    let theirs = other.access().key.expose();
    let wrong = "0".repeat(64);
    let mut bodies = Vec::new();
    for wire in Wire::ALL {
        for key in [wrong.as_str(), theirs, &theirs[..63], ""] {
            let request = client().post(url(door.access(), wire, false)).body(body(wire, "x", false).to_string());
            let request = if key.is_empty() { request } else { request.bearer_auth(key) };
            let got = Got::of(request.send().await.unwrap()).await;
            error(&got, wire.provider());
            assert_eq!(got.status, 401, "{wire} {key:?}");
            bodies.push((wire.provider(), got.body));
        }
        // Nobody learns which trials there are.
        let unknown = url(door.access(), wire, false).replace("/t/a/", "/t/z/");
        let got = Got::of(client().post(unknown).bearer_auth(theirs).body("{}").send().await.unwrap()).await;
        assert_eq!(got.status, 401);
        bodies.push((wire.provider(), got.body));
    }
    for (provider, body) in &bodies {
        assert!(bodies.iter().all(|(other, text)| other != provider || text == body));
    }
    door.close().await;
    assert_eq!((bank.grants(), house.model.calls().len()), (0, 0));
    assert_eq!(refusals(&house.lines("a")), [401; 16]);
    assert!(!house.text("a").contains(theirs));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_are_not_listed_lead_nowhere() {
    let house = House::new(|_| Reply::text("x")).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let root = &door.access().root;
    for (provider, path) in [
        (Provider::OpenAi, "/openai/v1/files"),
        (Provider::OpenAi, "/openai/v1/batches"),
        (Provider::OpenAi, "/openai/v1/embeddings"),
        (Provider::OpenAi, "/openai/chat/completions"),
        (Provider::OpenAi, "/openai/v1//chat/completions"),
        (Provider::OpenAi, "/openai/v1/chat%2Fcompletions"),
        (Provider::Anthropic, "/anthropic/v1/messages/batches"),
        (Provider::Anthropic, "/anthropic/v1/messages/"),
        (Provider::Gemini, "/gemini/v1beta/cachedContents"),
        (Provider::Gemini, "/gemini/v1beta/models/x:embedContent"),
        (Provider::OpenAi, "/mistral/v1/chat/completions"),
        (Provider::OpenAi, "/"),
    ] {
        let request = client().post(format!("{root}{path}")).bearer_auth(door.access().key.expose()).body("{}");
        let got = Got::of(request.send().await.unwrap()).await;
        assert_eq!(got.status, 404, "{path}");
        error(&got, provider);
    }
    let got = client().delete(url(door.access(), Wire::Chat, false)).bearer_auth(door.access().key.expose());
    assert_eq!(got.send().await.unwrap().status(), 404);
    let elsewhere = format!("{}/v1/chat/completions", root.split("/t/").next().unwrap());
    assert_eq!(client().post(elsewhere).send().await.unwrap().status(), 404);
    door.close().await;
    assert_eq!((bank.grants(), house.model.calls().len()), (0, 0));
    assert_eq!(refusals(&house.lines("a")), [404; 13]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_is_over_admits_nothing() {
    let house = House::new(|_| Reply::text("x")).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let access = door.access().clone();
    door.close().await;
    for wire in Wire::ALL {
        let got = ask(&access, wire, true).await;
        assert_eq!(got.status, 400);
        assert!(error(&got, wire.provider()).contains("over"), "{}", got.body);
    }
    // A door that was only dropped is shut as well.
    drop(house.open("a", &bank).await);
    assert_eq!(ask(&access, Wire::Chat, false).await.status, 400);
    house.open("a", &bank).await.close().await;
    assert_eq!(refusals(&house.lines("a")), [400; 5]);
    assert_eq!((bank.grants(), house.model.calls().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_json_is_refused_before_anything_is_reserved() {
    let house = House::new(|_| Reply::text("x")).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let deep = "[".repeat(100_000);
    for wire in Wire::ALL {
        for text in ["", "{", "nonsense", "[]", "\u{0}", "{\"messages\": 7}", deep.as_str()] {
            let request = client().post(url(door.access(), wire, false)).bearer_auth(door.access().key.expose());
            let got = Got::of(request.body(text.to_owned()).send().await.unwrap()).await;
            assert_eq!(got.status, 400, "{wire} {text:.20}");
            error(&got, wire.provider());
        }
    }
    assert_eq!((bank.grants(), house.model.calls().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_result_of_20_mb_comes_through() {
    let house = House::new(|_| Reply::text("x").usage(6_000_000, 1)).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let result = "0123456789abcdef\n".repeat((20 << 20) / 17);
    let messages = serde_json::json!([
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "run", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": result}]},
    ]);
    let body = serde_json::json!({"model": "scripted", "max_tokens": 100, "messages": messages});
    let got = Got::of(request(door.access(), Wire::Messages, false, &body).send().await.unwrap()).await;
    assert_eq!(got.status, 200, "{}", got.body);
    let call = house.model.calls().remove(0);
    assert!(call.bytes > 20 << 20, "{}", call.bytes);
    assert_eq!(call.body["messages"], body["messages"]);
    door.close().await;
    assert_eq!(bank.only(), reported(6_000_000, 1));
    let line = house.text("a");
    assert!(line.len() < 5 << 19 && line.contains("more bytes"), "{}", line.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_longer_than_64_mib_is_refused_however_it_is_packed() {
    let house = House::new(|_| Reply::text("x")).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let long = vec![b' '; (64 << 20) + 1];
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    bomb.write_all(&long).unwrap();
    let bomb = bomb.finish().unwrap();
    let send = |body: Vec<u8>, coding: &str| {
        let request = client().post(url(door.access(), Wire::Chat, false)).header("content-encoding", coding);
        request.bearer_auth(door.access().key.expose()).body(body).send()
    };
    for (body, coding) in [(bomb, "gzip"), (long, "identity")] {
        let got = Got::of(send(body, coding).await.unwrap()).await;
        assert_eq!(got.status, 413, "{coding}");
        error(&got, Provider::OpenAi);
    }
    assert_eq!((bank.grants(), house.model.calls().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_bodies_are_read_and_those_that_can_not_be_are_refused() {
    let house = House::new(|_| Reply::text("x")).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let plain = body(Wire::Chat, "packed", false).to_string();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(plain.as_bytes()).unwrap();
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(plain.as_bytes()).unwrap();
    let (gzip, deflate) = (gzip.finish().unwrap(), deflate.finish().unwrap());
    for (coding, body, status) in [
        ("gzip", gzip.clone(), 200),
        ("deflate", deflate, 200),
        ("br", gzip.clone(), 400),
        ("zstd", gzip.clone(), 400),
        ("gzip, gzip", gzip.clone(), 400),
        ("deflate", plain.clone().into_bytes(), 400),
        ("gzip", gzip[..20].to_vec(), 400),
    ] {
        let request = client().post(url(door.access(), Wire::Chat, false)).header("content-encoding", coding);
        let got = Got::of(request.bearer_auth(door.access().key.expose()).body(body).send().await.unwrap()).await;
        assert_eq!(got.status, status, "{coding}: {}", got.body);
    }
    let calls = house.model.calls();
    assert_eq!((calls.len(), bank.audit().len()), (2, 2));
    assert!(calls.iter().all(|call| call.text.contains("packed") && !call.headers.contains_key("content-encoding")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_while_waiting_for_tokens_reserves_none() {
    let house = House::new(|_| Reply::text("x").usage(500, 50).delay(Duration::from_millis(600))).await;
    let bank = Bank::with_cap(1500);
    let door = house.open("a", &bank).await;
    let access = door.access().clone();
    let first = tokio::spawn(async move { ask(&access, Wire::Chat, false).await.status });
    while bank.grants() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let access = door.access().clone();
    let second = tokio::spawn(async move { ask(&access, Wire::Chat, false).await.status });
    while bank.asked().len() == 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    second.abort();
    assert_eq!(first.await.unwrap(), 200);
    while door.busy() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    door.close().await;
    assert_eq!((bank.only(), house.model.calls().len()), (reported(500, 50), 1));
    let lines = house.lines("a");
    let hung_up = lines.iter().filter(|line| line["refused"].as_str().is_some_and(|why| why.contains("hung up")));
    assert_eq!(hung_up.count(), 1, "{lines:?}");
}
