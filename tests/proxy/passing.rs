//! What comes through, in which order and how fast.

use std::time::{Duration, Instant};

use blueprint::domain::wire::{Provider, Wire};
use serde_json::json;

use crate::bank::{Bank, reported};
use crate::common::model::Reply;
use crate::house::{Got, House, KEY, ask, body, client, request, url};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_protocol_comes_through_and_is_charged_what_the_provider_reports() {
    let house = House::new(|_| Reply::text("one two three").usage(21, 3)).await;
    for wire in Wire::ALL {
        for stream in [false, true] {
            let bank = Bank::rich();
            let door = house.open("a", &bank).await;
            let got = ask(door.access(), wire, stream).await;
            assert_eq!((got.status, got.whole), (200, true), "{wire} {stream}: {}", got.body);
            assert!(got.body.contains("three"), "{wire} {stream}: {}", got.body);
            assert_eq!(bank.only(), reported(21, 3), "{wire} {stream}");
            assert_eq!(bank.granted().1.0, 100, "{wire} {stream}");
            door.close().await;
        }
    }
    for call in house.model.calls() {
        let key = match call.wire.provider() {
            Provider::Anthropic => call.headers.get("x-api-key").cloned(),
            Provider::OpenAi => call.headers["authorization"].strip_prefix("Bearer ").map(str::to_owned),
            Provider::Gemini => call.headers.get("x-goog-api-key").cloned(),
        };
        assert_eq!(key.as_deref(), Some(KEY), "{}", call.wire);
        assert_eq!(call.limit, Some(100), "{}", call.wire);
    }
    for line in house.lines("a") {
        assert_eq!((line["status"].as_u64(), line["settlement"]["settled"].as_str()), (Some(200), Some("reported")));
        assert!(line["request"].as_str().unwrap().contains("hello"), "{line}");
        assert!(line["response"].as_str().unwrap().contains("three"), "{line}");
    }
    assert_eq!(house.lines("a").len(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bytes_of_a_stream_arrive_unchanged() {
    let stream = ": a comment\r\nid: 7\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ä\\u0000 \"}}] }\r\n\r\n\
                  data:{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    let house = House::new(move |_| Reply::raw(200, "text/event-stream; x=y", stream)).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let got = ask(door.access(), Wire::Chat, true).await;
    assert_eq!((got.body.as_str(), got.headers["content-type"].to_str().unwrap()), (stream, "text/event-stream; x=y"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_byte_of_a_stream_does_not_wait_for_the_second_event() {
    let house = House::new(|_| Reply::words(3).pace(Duration::from_millis(500))).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let began = Instant::now();
    let mut response = request(door.access(), Wire::Chat, true, &body(Wire::Chat, "x", true)).send().await.unwrap();
    response.chunk().await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_millis(450), "{:?}", began.elapsed());
    assert!(door.busy());
    drop(Got::of(response).await);
    assert!(began.elapsed() > Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_a_provider_needs_to_know_is_passed_on_to_it() {
    let house =
        House::new(|_| Reply::text("x").header("x-ratelimit-remaining-tokens", "9").header("set-cookie", "a=b")).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let token = door.access().key.expose().to_owned();
    let url = format!("{}&key={token}", url(door.access(), Wire::Messages, false));
    let request = client().post(url).body(body(Wire::Messages, "x", false).to_string());
    let request = request.header("cookie", "c=d").header("x-forwarded-for", "1.2.3.4").header("user-agent", "agent/1");
    let request = request.header("anthropic-beta", "b-1").header("accept-encoding", "gzip").bearer_auth(&token);
    let got = Got::of(request.send().await.unwrap()).await;
    assert_eq!((got.status, got.headers.get("set-cookie")), (200, None));
    assert_eq!(got.headers["x-ratelimit-remaining-tokens"], "9");
    let call = house.model.calls().remove(0);
    assert_eq!((call.path.as_str(), call.query.as_str()), ("/v1/messages", "beta=true"));
    for (name, value) in [("user-agent", "agent/1"), ("anthropic-beta", "b-1")] {
        assert_eq!(call.headers[name], value);
    }
    for name in ["cookie", "x-forwarded-for", "authorization", "accept-encoding"] {
        assert!(!call.headers.contains_key(name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counting_costs_nothing_and_models_are_listed_here() {
    let house = House::new(|_| Reply::text("x").usage(7, 1)).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let access = door.access();
    let count = client().post(format!("{}/v1/messages/count_tokens", access.base(Provider::Anthropic)));
    let count = count.header("x-api-key", access.key.expose()).body(body(Wire::Messages, "x", false).to_string());
    let got = Got::of(count.send().await.unwrap()).await;
    assert_eq!((got.status, got.json()["input_tokens"].as_u64()), (200, Some(7)));
    for (provider, path, pointer) in [
        (Provider::Anthropic, "/v1/models", "/data/1/id"),
        (Provider::OpenAi, "/models", "/data/1/id"),
        (Provider::Gemini, "/v1beta/models", "/models/1/displayName"),
        (Provider::OpenAi, "/models/second", "/id"),
    ] {
        let list = client().get(format!("{}{path}", access.base(provider))).bearer_auth(access.key.expose());
        assert_eq!(Got::of(list.send().await.unwrap()).await.json().pointer(pointer), Some(&json!("second")), "{path}");
    }
    let unknown = client().get(format!("{}/models/third", access.base(Provider::OpenAi)));
    assert_eq!(unknown.bearer_auth(access.key.expose()).send().await.unwrap().status(), 404);
    assert_eq!((bank.audit().len(), house.model.calls().len()), (0, 1));
    assert_eq!(house.model.calls()[0].headers["x-api-key"], KEY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_that_goes_on_is_bounded_by_what_its_last_request_was_charged() {
    let house = House::new(|_| Reply::text("x").usage(1050, 1)).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let long = "a long first message ".repeat(200);
    let turn = |texts: &[&str]| {
        let messages: Vec<_> = texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
        json!({"model": "scripted", "max_tokens": 10, "messages": messages})
    };
    for body in [turn(&[&long]), turn(&[&long, "more"])] {
        Got::of(request(door.access(), Wire::Messages, false, &body).send().await.unwrap()).await;
    }
    let asked = bank.asked();
    assert!(asked[0].input.0 > 4200 && asked[1].input.0 < 1400, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_eight_callers_share_a_cap_and_none_is_lost() {
    let house =
        House::new(
            |call| {
                if call.index % 7 == 3 { Reply::words(40).cut_after(2) } else { Reply::words(40).usage(60, 40) }
            },
        )
        .await;
    let bank = Bank::with_cap(60_000);
    let door = house.open("a", &bank).await;
    let callers = (0..48).map(|n| {
        let access = door.access().clone();
        tokio::spawn(async move {
            for _ in 0..4 {
                let got = ask(&access, Wire::ALL[n % 4], n % 3 == 0).await;
                assert!([200, 400].contains(&got.status), "{} {}", got.status, got.body);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    door.close().await;
    let settled = bank.audit();
    assert!(settled.len() > 48 && bank.spent() <= 60_000, "{} settled, {} spent", settled.len(), bank.spent());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_keeps_its_address_and_token_over_its_steps() {
    let house = House::new(|_| Reply::text("x")).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let first = door.access().clone();
    ask(&first, Wire::Chat, false).await;
    door.close().await;
    let door = house.open("a", &bank).await;
    assert_eq!(*door.access(), first);
    assert_eq!(ask(&first, Wire::Chat, false).await.status, 200);
    assert_ne!(house.open("b", &bank).await.access().key, first.key);
    door.close().await;
    assert_eq!((bank.audit().len(), house.lines("a").len()), (2, 2));
}
