//! Answers that come compressed although nobody asked for that: metered as what they mean, or refused.

use std::io::Write;

use blueprint::domain::wire::Wire;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::json;

use crate::bank::{Bank, in_full, released, reported, violated};
use crate::common::model::Reply;
use crate::house::{House, KEY, ask};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(text).unwrap();
    out.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut out = ZlibEncoder::new(Vec::new(), Compression::fast());
    out.write_all(text).unwrap();
    out.finish().unwrap()
}

/// An answer of Chat Completions of 80 tokens, in one piece or as a stream.
fn answer(stream: bool) -> (&'static str, String) {
    let usage = json!({"prompt_tokens": 40, "completion_tokens": 80});
    let text = "word ".repeat(80);
    if !stream {
        let choice = json!({"index": 0, "message": {"content": text}, "finish_reason": "stop"});
        return ("application/json", json!({"choices": [choice], "usage": usage}).to_string());
    }
    let delta = json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]});
    let last = json!({"choices": [], "usage": usage});
    ("text/event-stream", format!("data: {delta}\n\ndata: {last}\n\ndata: [DONE]\n\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_compressed_is_metered_and_passed_on_as_what_it_means() {
    for stream in [true, false] {
        let (kind, text) = answer(stream);
        for (coding, bytes) in [
            ("gzip", gzip(text.as_bytes())),
            ("x-gzip", gzip(text.as_bytes())),
            ("deflate", zlib(text.as_bytes())),
            ("deflate, gzip", gzip(&zlib(text.as_bytes()))),
            ("identity", text.clone().into_bytes()),
        ] {
            let house =
                House::new(move |_| Reply::raw(200, kind, bytes.clone()).header("content-encoding", coding)).await;
            let bank = Bank::rich();
            let door = house.open("a", &bank).await;
            let got = ask(door.access(), Wire::Chat, stream).await;
            assert_eq!((got.status, got.whole, got.body.as_str()), (200, true, text.as_str()), "{coding}");
            assert!(!got.headers.contains_key("content-encoding"));
            assert_eq!(bank.only(), reported(40, 80), "{coding}");
            door.close().await;
            assert!(house.text("a").contains("word word"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_unpacked_is_refused_and_charged_in_full() {
    let (kind, text) = answer(false);
    let plain = text.clone().into_bytes();
    for coding in ["br", "zstd", "gzip, br", "compress", "gzip, gzip, gzip, gzip"] {
        let bytes = plain.clone();
        let house = House::new(move |_| Reply::raw(200, kind, bytes.clone()).header("content-encoding", coding)).await;
        for wire in Wire::ALL {
            let bank = Bank::rich();
            let door = house.open("a", &bank).await;
            let got = ask(door.access(), wire, false).await;
            assert_eq!(got.status, 400, "{coding}");
            assert!(got.body.contains("can't be metered") && !got.body.contains("word"), "{}", got.body);
            assert!(in_full(&bank.only()).contains("compressed"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_compressed_as_its_head_says_does_not_reach_the_client() {
    let (kind, text) = answer(false);
    let packed = gzip(text.as_bytes());
    let zstd = [&[0x28, 0xb5, 0x2f, 0xfd][..], text.as_bytes()].concat();
    for (coding, bytes) in [
        ("", packed.clone()),
        ("identity", packed.clone()),
        ("", zstd),
        ("gzip", text.clone().into_bytes()),
        ("deflate", packed.clone()),
        ("gzip", gzip(&packed)),
    ] {
        let sent = bytes.clone();
        let house = House::new(move |_| Reply::raw(200, kind, sent.clone()).header("content-encoding", coding)).await;
        let bank = Bank::rich();
        let door = house.open("a", &bank).await;
        let got = ask(door.access(), Wire::Chat, false).await;
        assert_eq!((got.whole, got.body.as_str()), (false, ""), "{coding}");
        in_full(&bank.only());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_a_compressed_error_is_taken_out() {
    for (coding, bytes, status) in [
        ("gzip", gzip(format!("no such key: {KEY}").as_bytes()), 401),
        ("deflate", zlib(format!("no such key: {KEY}").as_bytes()), 401),
        ("", gzip(format!("no such key: {KEY}").as_bytes()), 400),
        ("br", KEY.as_bytes().to_vec(), 400),
    ] {
        let house =
            House::new(move |_| Reply::raw(401, "text/plain", bytes.clone()).header("content-encoding", coding)).await;
        let bank = Bank::rich();
        let door = house.open("a", &bank).await;
        let got = ask(door.access(), Wire::Chat, false).await;
        assert_eq!(got.status, status, "{coding}: {}", got.body);
        assert!(!got.body.contains("canary") && got.whole, "{}", got.body);
        assert_eq!(released(&bank.only()), "status 401");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_bytes_that_become_very_many_are_cut() {
    let bomb = gzip(format!("{{\"a\": \"{}\"}}", "x".repeat(200 << 20)).as_bytes());
    let house =
        House::new(move |_| Reply::raw(200, "application/json", bomb.clone()).header("content-encoding", "gzip")).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let got = ask(door.access(), Wire::Messages, false).await;
    assert_eq!((got.whole, got.body.as_str()), (false, ""));
    violated(&bank.only());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_in_one_piece_that_ignores_its_limit_is_cut_while_it_comes() {
    let house = House::new(|_| Reply::words(200_000).usage(30, 200_000).ignoring_limit()).await;
    for wire in Wire::ALL {
        let bank = Bank::rich();
        let door = house.open("a", &bank).await;
        let got = ask(door.access(), wire, false).await;
        assert_eq!((got.status, got.whole, got.body.as_str()), (200, false, ""), "{wire}");
        let (_, output) = violated(&bank.only());
        assert!(output >= 100, "{wire}: {output}");
        door.close().await;
    }
    assert!(house.lines("a").iter().all(|line| line["broken"].as_str().unwrap().contains("100 tokens allowed")));
}
