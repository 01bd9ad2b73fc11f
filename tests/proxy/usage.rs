//! Providers whose usage can't be true: no request is charged less than what was seen of it.

use blueprint::domain::budget::Settlement;
use blueprint::domain::wire::{Provider, Wire};
use serde_json::{Value, json};

use crate::bank::{Bank, in_full, reported};
use crate::common::model::Reply;
use crate::house::{Got, House, ask, body, request};

/// A request that has at least 1,000 tokens.
fn long(wire: Wire, stream: bool) -> Value {
    body(wire, &"all of this is read ".repeat(400), stream)
}

/// What is charged where a provider was not believed: who, input, output.
#[track_caller]
fn doubted(settlement: &Settlement) -> (Provider, u64, u64) {
    match settlement {
        Settlement::Doubted { usage, provider, .. } => (*provider, usage.input.0, usage.output.0),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn less_than_was_sent_or_came_is_not_believed_in_any_protocol() {
    for (input, output) in [(0, 0), (1, 1), (100, 20), (1, 20)] {
        let house = House::new(move |_| Reply::words(100).usage(input, output)).await;
        for wire in Wire::ALL {
            for stream in [true, false] {
                let bank = Bank::rich();
                let door = house.open("a", &bank).await;
                let got = Got::of(request(door.access(), wire, stream, &long(wire, stream)).send().await.unwrap());
                assert_eq!(got.await.status, 200, "{wire}");
                let (provider, read, written) = doubted(&bank.only());
                assert_eq!(provider, wire.provider());
                // 8,000 characters went, 499 came.
                assert!((1000..1100).contains(&read), "{wire} {stream}: {read}");
                assert_eq!(written, 46.max(output), "{wire} {stream}");
                door.close().await;
            }
        }
        assert!(house.lines("a").iter().all(|line| line["settlement"]["settled"] == "doubted"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_is_not_bounded_by_an_input_that_can_not_be_true() {
    let house = House::new(|_| Reply::words(3).usage(1, 3)).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    for _ in 0..3 {
        Got::of(request(door.access(), Wire::Chat, false, &long(Wire::Chat, false)).send().await.unwrap()).await;
    }
    assert!(bank.asked().iter().all(|ask| ask.input.0 >= 1000), "{:?}", bank.asked());
    assert!(bank.spent() >= 3000, "{}", bank.spent());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_ends_a_provider_that_reports_nothing() {
    let house = House::new(|_| Reply::words(100).usage(0, 0)).await;
    let bank = Bank::with_cap(15_000);
    let door = house.open("a", &bank).await;
    for asked in 0.. {
        assert!(asked < 20, "never refused");
        let got =
            Got::of(request(door.access(), Wire::Messages, true, &long(Wire::Messages, true)).send().await.unwrap());
        if got.await.status == 400 {
            break;
        }
    }
    assert!(door.refused().is_cancelled());
}

/// An answer of Chat Completions with 400 characters and this usage.
fn answer(usage: &Value) -> Reply {
    let message = json!({"role": "assistant", "content": "word ".repeat(80)});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    Reply::raw(200, "application/json", json!({"choices": [choice], "usage": usage}).to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_number_of_tokens_is_no_usage_and_all_that_was_reserved_is_charged() {
    for usage in [
        json!(null),
        json!({}),
        json!("40"),
        json!({"prompt_tokens": -40, "completion_tokens": 80}),
        json!({"prompt_tokens": 40, "completion_tokens": null}),
        json!({"prompt_tokens": 40.5, "completion_tokens": 80}),
        json!({"prompt_tokens": "40", "completion_tokens": "80"}),
        json!({"prompt_tokens": 999_999_999, "completion_tokens": 80}),
        json!({"prompt_tokens": 40, "completion_tokens": 18_446_744_073_709_551_615_u64}),
        // Another protocol's names.
        json!({"input_tokens": 40, "output_tokens": 80}),
        json!({"total_tokens": 120}),
    ] {
        let told = usage.clone();
        let house = House::new(move |_| answer(&told)).await;
        let bank = Bank::rich();
        let door = house.open("a", &bank).await;
        assert_eq!(ask(door.access(), Wire::Chat, false).await.status, 200);
        assert!(in_full(&bank.only()).contains("no usage"), "{usage}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cached_was_read_whatever_the_input_is_said_to_be() {
    let house = House::new(|_| {
        answer(&json!({"prompt_tokens": 40, "completion_tokens": 80, "prompt_tokens_details": {"cached_tokens": 900}}))
    })
    .await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    ask(door.access(), Wire::Chat, false).await;
    assert_eq!(bank.only(), reported(900, 80));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_that_shrinks_while_an_answer_comes_is_charged_by_its_highest() {
    let chat = |usage: Value, finish: Value| json!({"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": finish}], "usage": usage});
    let of = |input: u64, output: u64| json!({"prompt_tokens": input, "completion_tokens": output});
    let messages = [
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 90, "output_tokens": 60}}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 30, "output_tokens": 2}}),
        json!({"type": "message_stop"}),
    ];
    let gemini = |input: u64, output: u64| {
        json!({"candidates": [{"content": {"parts": [{"text": "word "}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": input, "candidatesTokenCount": output}})
    };
    for (wire, events) in [
        (Wire::Chat, vec![chat(of(90, 60), json!(null)), chat(of(30, 2), json!("stop"))]),
        (Wire::Messages, messages.to_vec()),
        (Wire::Gemini, vec![gemini(90, 60), gemini(30, 2)]),
    ] {
        let text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        let house = House::new(move |_| Reply::raw(200, "text/event-stream", text.clone())).await;
        let bank = Bank::rich();
        let door = house.open("a", &bank).await;
        ask(door.access(), wire, true).await;
        assert_eq!(bank.only(), reported(90, 60), "{wire}");
    }
}
