//! What bounds a request: who counts it where its bytes tell too little.

use blueprint::domain::budget::Basis;
use blueprint::domain::wire::Wire;
use serde_json::{Value, json};

use crate::bank::Bank;
use crate::common::model::{Call, Reply};
use crate::house::{Got, House, KEY, body, request};

/// About 40,000 bytes and 10,000 tokens.
fn long(wire: Wire, model: &str, first: &str) -> Value {
    let mut body =
        body(wire, &format!("{first}{}", "You read the files, and then you change them. ".repeat(870)), true);
    if wire != Wire::Gemini {
        body["model"] = json!(model);
    }
    body
}

async fn sent(house: &House, bank: &std::sync::Arc<Bank>, wire: Wire, model: &str) -> Got {
    conversation(house, bank, wire, model, "").await
}

/// One that begins so: what a known one reads is known.
async fn conversation(house: &House, bank: &std::sync::Arc<Bank>, wire: Wire, model: &str, first: &str) -> Got {
    let door = house.open("a", bank).await;
    let got = Got::of(request(door.access(), wire, true, &long(wire, model, first)).send().await.unwrap()).await;
    door.close().await;
    got
}

fn honest(call: &Call) -> Reply {
    Reply::text("x").usage(call.bytes as u64 / 4, 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_its_bytes_would_forbid_fits_where_its_provider_counts_it() {
    let house = House::new(honest).await;
    for wire in [Wire::Messages, Wire::Gemini] {
        let bank = Bank::with_cap(15_000);
        let got = sent(&house, &bank, wire, "m").await;
        assert_eq!(got.status, 200, "{}", got.body);
        let asked = bank.asked().remove(0);
        assert_eq!(asked.by, Basis::Counter, "{wire}");
        assert!((10_000..11_500).contains(&asked.input.0), "{wire}: {}", asked.input);
    }
    let counted: Vec<_> = house.model.calls().into_iter().filter(|call| call.counting).collect();
    assert_eq!(counted.len(), 2);
    assert!(counted[0].body.get("max_tokens").is_none() && counted[0].body["messages"].is_array());
    assert!(counted[1].body["generateContentRequest"]["contents"].is_array(), "{}", counted[1].body);
    assert!(house.lines("a").iter().all(|line| line["bound_by"] == "counter"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_does_not_count_is_asked_once_and_bytes_bound_its_requests() {
    let house = House::new(|call| if call.counting { Reply::status(404, "no such path") } else { honest(call) }).await;
    for _ in 0..3 {
        let bank = Bank::rich();
        assert_eq!(sent(&house, &bank, Wire::Messages, "m").await.status, 200);
        // A conversation that is known is bounded by what it read.
        let by = bank.asked().remove(0).by;
        assert!([Basis::Bytes, Basis::Earlier].contains(&by));
    }
    let calls = house.model.calls();
    assert_eq!(calls.iter().filter(|call| call.counting).count(), 1);
    assert_eq!(house.lines("a")[0]["bound_by"], "bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_that_tells_nothing_of_use_is_not_believed() {
    for answer in ["{}", "{\"input_tokens\": 0}", "{\"input_tokens\": -4}", "nothing", "{\"input_tokens\": 900000}"] {
        let house = House::new(
            move |call| {
                if call.counting { Reply::raw(200, "application/json", answer) } else { honest(call) }
            },
        )
        .await;
        let bank = Bank::rich();
        sent(&house, &bank, Wire::Messages, "m").await;
        assert_eq!(bank.asked().remove(0).by, Basis::Bytes, "{answer}");
    }
    // Less than can be true is no bound.
    let house = House::new(|call| {
        if call.counting { Reply::raw(200, "application/json", "{\"input_tokens\": 5}") } else { honest(call) }
    })
    .await;
    let bank = Bank::rich();
    sent(&house, &bank, Wire::Messages, "m").await;
    assert!(bank.asked()[0].input.0 >= 4000, "{:?}", bank.asked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_that_fails_again_and_again_is_not_asked_any_more_and_one_that_failed_once_is() {
    for wire in [Wire::Messages, Wire::Gemini] {
        for failing in
            [Reply::status(429, "slow down"), Reply::status(500, "no"), Reply::raw(200, "text/html", "<html>")]
        {
            let house = House::new(move |call| if call.counting { failing.clone() } else { honest(call) }).await;
            for number in 0..5 {
                let bank = Bank::rich();
                let got = conversation(&house, &bank, wire, "m", &format!("{number} times asked. ")).await;
                assert_eq!(got.status, 200);
                assert_eq!(bank.asked().remove(0).by, Basis::Bytes);
            }
            assert_eq!(house.model.calls().iter().filter(|call| call.counting).count(), 3, "{wire}");
        }
        let house = House::new(move |call| match call.counting {
            true if call.index == 0 => Reply::status(529, "overloaded"),
            _ => honest(call),
        })
        .await;
        for (by, first) in [(Basis::Bytes, "one "), (Basis::Counter, "two "), (Basis::Counter, "three ")] {
            let bank = Bank::rich();
            conversation(&house, &bank, wire, "m", first).await;
            assert_eq!(bank.asked().remove(0).by, by, "{wire}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_that_does_not_answer_holds_a_request_up_only_so_long_and_a_key_that_it_tells_goes_nowhere() {
    let house = House::new(|call| if call.counting { Reply::hang() } else { honest(call) }).await;
    let bank = Bank::rich();
    let began = std::time::Instant::now();
    assert_eq!(sent(&house, &bank, Wire::Gemini, "m").await.status, 200);
    assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(bank.asked().remove(0).by, Basis::Bytes);
    let house = House::new(|call| if call.counting { Reply::status(403, KEY) } else { honest(call) }).await;
    let got = sent(&house, &Bank::rich(), Wire::Messages, "m").await;
    assert!(got.status == 200 && !got.body.contains(KEY) && !house.text("a").contains(KEY), "{}", got.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_whose_tokenizer_is_known_are_bounded_by_it_and_others_by_bytes() {
    let house = House::new(honest).await;
    for (wire, model, by) in [
        (Wire::Chat, "gpt-5.1", Basis::Tokenizer),
        (Wire::Responses, "o4-mini", Basis::Tokenizer),
        (Wire::Chat, "openai/gpt-4o", Basis::Tokenizer),
        (Wire::Chat, "qwen3-coder", Basis::Bytes),
        (Wire::Responses, "my-own", Basis::Bytes),
    ] {
        let bank = Bank::rich();
        assert_eq!(sent(&house, &bank, wire, model).await.status, 200);
        let asked = bank.asked().remove(0);
        assert_eq!(asked.by, by, "{model}");
        let bytes = 40_020..42_000;
        let tokens = 8000..16_000;
        assert!(if by == Basis::Bytes { bytes } else { tokens }.contains(&asked.input.0), "{model}: {}", asked.input);
    }
    assert!(house.model.calls().iter().all(|call| !call.counting));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_conversation_with_the_same_head_needs_no_more_than_the_first_read() {
    let house = House::new(honest).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let system = "You are a careful engineer who reads first. ".repeat(2000);
    for text in ["the first task", "another task, in a step of its own"] {
        let mut body = body(Wire::Chat, text, false);
        let message = json!({"role": "system", "content": system});
        body["messages"].as_array_mut().unwrap().insert(0, message);
        Got::of(request(door.access(), Wire::Chat, false, &body).send().await.unwrap()).await;
    }
    let asked = bank.asked();
    assert_eq!([asked[0].by, asked[1].by], [Basis::Bytes, Basis::Earlier]);
    assert!(asked[0].input.0 > 80_000 && asked[1].input.0 < 25_000, "{asked:?}");
}
