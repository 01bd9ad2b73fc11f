//! A provider that tells the key that it was sent in pieces: no client puts them together.

use std::time::Duration;

use blueprint::adapters::proxy::Patience;
use blueprint::domain::wire::Wire;
use serde_json::{Value, json};

use crate::bank::in_full;
use crate::drip::{Tap, drip};
use crate::house::{KEY, ask};

/// What a client reads in the events of a stream, field by field put together.
fn told(body: &str) -> String {
    let events = body.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    events.map(|event| texts(&event)).collect()
}

fn texts(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(texts).collect(),
        Value::Object(fields) => fields.values().map(texts).collect(),
        _ => String::new(),
    }
}

fn events(wire: Wire, pieces: &[&str]) -> String {
    let event = |text: &&str| match wire {
        Wire::Messages => json!({"type": "content_block_delta", "delta": {"type": "", "partial_json": text}}),
        Wire::Chat => json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}}]}),
        Wire::Responses => json!({"type": "response.output_text.delta", "delta": text}),
        Wire::Gemini => json!({"candidates": [{"content": {"parts": [{"text": text}]}}]}),
    };
    pieces.iter().map(|piece| format!("data: {}\n\n", event(piece))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_several_deltas_make_up_does_not_reach_the_client() {
    let escaped = "sk-canary\\/0123456789";
    let spellings: [Vec<&str>; 4] = [
        vec!["here: sk-can", "ary/0123", "456789", " that was it"],
        KEY.split("").filter(|letter| !letter.is_empty()).collect(),
        vec!["sk-canary/012345678", "9"],
        vec![&escaped[..12], &escaped[12..]],
    ];
    for wire in Wire::ALL {
        for pieces in &spellings {
            let text = events(wire, pieces);
            let url = drip("text/event-stream", std::iter::once(text.into_bytes()), Duration::ZERO);
            let tap = Tap::open(&url, Patience::default()).await;
            let got = ask(tap.door.access(), wire, true).await;
            assert!(!got.whole, "{wire}");
            let heard = told(&got.body);
            assert!(!heard.contains("0123") && !heard.contains("canary"), "{wire} {pieces:?}: {heard}");
            assert!(in_full(&tap.bank.only()).contains("key"), "{wire}");
            let transcript = tap.transcript().await;
            assert!(!transcript.contains("456789") && !transcript.contains("012345678"), "{transcript}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_written_in_several_packets_does_not_reach_the_client() {
    let stream = events(Wire::Chat, &["before", &format!("it is {KEY}."), "after"]);
    let whole = json!({"choices": [{"message": {"content": format!("it is {KEY}.")}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 9}});
    for (kind, text, streamed) in [
        ("text/event-stream", stream, true),
        ("application/json", whole.to_string(), false),
        ("text/plain", KEY.to_owned(), false),
    ] {
        for size in [1, 7, 19] {
            let pieces: Vec<Vec<u8>> = text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
            let url = drip(kind, pieces.into_iter(), Duration::from_millis(1));
            let tap = Tap::open(&url, Patience::default()).await;
            let got = ask(tap.door.access(), Wire::Chat, streamed).await;
            assert!(got.whole && got.body == text.replace(KEY, "[redacted]"), "{size}: {}", got.body);
            assert!(!tap.transcript().await.contains("canary"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_only_starts_like_a_key_passes_unchanged() {
    for pieces in [&["sk-", "ate"][..], &["a sk-can", "ter"], &["sk-canary"], &["s", "k", "-", "can"]] {
        let text = events(Wire::Chat, pieces) + "data: [DONE]\n\n";
        let sent = text.clone().into_bytes();
        let url = drip("text/event-stream", std::iter::once(sent), Duration::ZERO);
        let tap = Tap::open(&url, Patience::default()).await;
        let got = ask(tap.door.access(), Wire::Chat, true).await;
        assert_eq!((got.whole, got.body), (true, text), "{pieces:?}");
    }
}
