//! Providers that refuse, break off, keep silent or are not there.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use blueprint::adapters::proxy::{LoopbackProxy, Opening, Proxy};
use blueprint::domain::wire::Wire;
use serde_json::json;

use crate::bank::{Bank, in_full, released, reported};
use crate::common::model::Reply;
use crate::house::{Got, House, ask, body, impatient, request, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_that_stay_are_passed_on_at_once_and_cost_nothing() {
    for status in [400, 401, 403, 404] {
        let house = House::new(move |_| Reply::status(status, "no, and no again").header("request-id", "r-1")).await;
        for wire in Wire::ALL {
            let bank = Bank::rich();
            let door = house.open("a", &bank).await;
            let got = ask(door.access(), wire, true).await;
            assert_eq!((got.status, got.whole), (status, true), "{wire}");
            assert!(got.body.contains("no, and no again"), "{}", got.body);
            assert_eq!(got.headers["request-id"], "r-1");
            assert_eq!(released(&bank.only()), format!("status {status}"));
            door.close().await;
        }
        assert_eq!(house.model.calls().len(), 4, "{status}");
        let line = &house.lines("a")[0];
        assert_eq!((line["status"].as_u64(), line["request_id"].as_str()), (Some(u64::from(status)), Some("r-1")));
    }
}

/// Answers the first request with this, and all others well; how long the client waited.
async fn second_time_lucky(first: Reply) -> Duration {
    let house =
        House::new(move |call| if call.index == 0 { first.clone() } else { Reply::text("x").usage(9, 1) }).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let began = Instant::now();
    let got = ask(door.access(), Wire::Messages, true).await;
    let waited = began.elapsed();
    assert_eq!((got.status, got.whole, house.model.calls().len()), (200, true, 2), "{}", got.body);
    assert_eq!((bank.only(), bank.grants()), (reported(9, 1), 1));
    door.close().await;
    assert_eq!(house.lines("a")[0]["retried"].as_array().unwrap().len(), 1);
    waited
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_429_is_tried_again_after_the_pause_that_it_names() {
    let waited = second_time_lucky(Reply::status(429, "slow down").retry_after("1")).await;
    assert!(waited >= Duration::from_secs(1) && waited < Duration::from_secs(3), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_429_is_tried_again_at_the_date_that_it_names() {
    let date = jiff::Timestamp::now() + Duration::from_secs(3);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap();
    let waited = second_time_lucky(Reply::status(429, "slow down").retry_after(&date)).await;
    // Dates have whole seconds.
    assert!(waited >= Duration::from_millis(1500) && waited < Duration::from_secs(6), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_429_that_names_no_pause_is_tried_again_soon() {
    let waited = second_time_lucky(Reply::status(429, "slow down")).await;
    assert!(waited >= Duration::from_millis(250) && waited < Duration::from_secs(2), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_fails_for_a_moment_is_tried_again() {
    let tries = [500, 502, 503, 504, 529].map(|status| tokio::spawn(second_time_lucky(Reply::status(status, "later"))));
    for tried in tries {
        assert!(tried.await.unwrap() < Duration::from_secs(3));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_time_for_waiting_is_up_the_providers_own_answer_goes_to_the_client() {
    for (pause, time) in [("3600", None), ("5", Some(Duration::from_secs(2))), ("1", Some(Duration::from_millis(1500)))]
    {
        let house = House::new(move |_| Reply::status(429, "come back later").retry_after(pause)).await;
        let bank = Bank::rich();
        let door = house.open_for("a", &bank, time).await;
        let began = Instant::now();
        let got = ask(door.access(), Wire::Chat, false).await;
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        assert_eq!((got.status, got.headers["retry-after"].to_str().unwrap()), (429, pause));
        assert!(got.body.contains("come back later"));
        assert_eq!(released(&bank.only()), "status 429");
        assert_eq!(house.model.calls().len(), if pause == "1" { 2 } else { 1 });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_one_trial_is_told_holds_for_all_others() {
    let house =
        House::new(
            |call| {
                if call.index == 0 { Reply::status(429, "slow down").retry_after("2") } else { Reply::text("x") }
            },
        )
        .await;
    let bank = Bank::rich();
    let (one, two) = (house.open("a", &bank).await, house.open("b", &bank).await);
    let began = Instant::now();
    let access = one.access().clone();
    let first = tokio::spawn(async move { ask(&access, Wire::Chat, false).await.status });
    while house.model.calls().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    // Another provider is not concerned.
    assert_eq!(ask(two.access(), Wire::Messages, false).await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(ask(two.access(), Wire::Responses, false).await.status, 200);
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((first.await.unwrap(), bank.audit().len(), house.model.calls().len()), (200, 3, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_never_answered_is_charged_in_full_and_not_sent_again() {
    let house = House::with(impatient(), |_| Reply::hang()).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let got = ask(door.access(), Wire::Gemini, false).await;
    assert_eq!((got.status, got.json()["error"]["code"].as_u64(), house.model.calls().len()), (502, Some(502), 1));
    assert!(in_full(&bank.only()).contains("no answer within"), "{:?}", bank.audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_falls_silent_is_broken_off_and_charged_in_full() {
    let house = House::with(impatient(), |_| Reply::words(3).pace(Duration::from_secs(30))).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let got = ask(door.access(), Wire::Messages, true).await;
    assert_eq!((got.status, got.whole), (200, false));
    assert!(got.body.contains("message_start"), "{}", got.body);
    assert!(in_full(&bank.only()).contains("nothing more came"), "{:?}", bank.audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_cut_in_the_middle_reaches_the_client_as_far_as_it_came_and_is_charged_in_full() {
    let house = House::new(|_| Reply::words(20).usage(30, 20).cut_after(4)).await;
    for wire in Wire::ALL {
        for stream in [true, false] {
            let bank = Bank::rich();
            let door = house.open("a", &bank).await;
            let got = ask(door.access(), wire, stream).await;
            assert_eq!((got.status, got.whole), (200, false), "{wire} {stream}");
            assert!(!stream || got.body.contains("data:"), "{wire}: {}", got.body);
            assert!(in_full(&bank.only()).contains("broke off"), "{:?}", bank.audit());
            door.close().await;
        }
    }
    assert_eq!(house.model.calls().len(), 8);
    assert!(house.lines("a").iter().all(|line| line["broken"].as_str().unwrap().contains("broke off")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_in_the_middle_of_a_stream_is_passed_on_and_charged_in_full() {
    let house = House::new(|_| Reply::words(5).error_after(3, "overloaded, sorry")).await;
    for wire in Wire::ALL {
        for stream in [true, false] {
            let bank = Bank::rich();
            let door = house.open("a", &bank).await;
            let got = ask(door.access(), wire, stream).await;
            assert_eq!((got.status, got.whole), (200, true), "{wire} {stream}");
            assert!(got.body.contains("overloaded, sorry"), "{wire} {stream}: {}", got.body);
            let why = bank.only();
            assert!(in_full(&why).contains("overloaded, sorry"), "{wire} {stream}: {why:?}");
            door.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_no_json_is_passed_on_and_charged_in_full() {
    for text in ["{\"choices\": [", "<html>", ""] {
        let house = House::new(move |_| Reply::raw(200, "application/json", text)).await;
        for wire in Wire::ALL {
            let bank = Bank::rich();
            let door = house.open("a", &bank).await;
            let got = ask(door.access(), wire, false).await;
            assert_eq!((got.status, got.body.as_str(), got.whole), (200, text, true));
            assert!(in_full(&bank.only()).contains("no usage"), "{:?}", bank.audit());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_call_with_invalid_arguments_is_the_clients_matter() {
    let house = House::new(|_| Reply::tool("run", json!("{\"command\": ")).usage(8, 4)).await;
    for wire in [Wire::Messages, Wire::Chat, Wire::Responses] {
        let bank = Bank::rich();
        let door = house.open("a", &bank).await;
        let got = ask(door.access(), wire, true).await;
        assert_eq!((got.status, got.whole), (200, true), "{wire}");
        assert!(got.body.contains("command"), "{}", got.body);
        assert_eq!(bank.only(), reported(8, 4), "{wire}");
    }
}

/// Takes requests to their end and breaks the connection instead of answering.
fn rude() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    // Ends with the test's process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 65536];
            let length = stream.read(&mut buffer).unwrap_or(0);
            if length > 0 {
                seen.fetch_add(1, Ordering::SeqCst);
            }
            // An answer's first bytes are no answer.
            drop(stream.write_all(b"HTTP/1.1 "));
        }
    });
    (url, count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_connection_breaks_after_it_was_written_is_never_sent_twice() {
    let (url, count) = rude();
    let proxy = LoopbackProxy::start(settings(&url)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let bank = Bank::rich();
    let transcript = dir.path().join("a.jsonl");
    let opening = Opening { trial: "a".to_owned(), purse: bank.purse("A"), transcript, time: None };
    let door = proxy.open(opening).await.unwrap();
    for (n, wire) in Wire::ALL.into_iter().enumerate() {
        let got = ask(door.access(), wire, true).await;
        assert_eq!((got.status, count.load(Ordering::SeqCst)), (502, n + 1), "{}", got.body);
        in_full(&bank.settled(n + 1).await[n]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_not_there_is_tried_for_as_long_as_there_is_time_and_costs_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let unknown = "http://no-such-host.invalid".to_owned();
    for (url, said) in [(url, "refused"), (unknown, "lookup")] {
        let proxy = LoopbackProxy::start(settings(&url)).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let bank = Bank::rich();
        let (transcript, time) = (dir.path().join("a.jsonl"), Some(Duration::from_millis(1200)));
        let opening = Opening { trial: "a".to_owned(), purse: bank.purse("A"), transcript: transcript.clone(), time };
        let door = proxy.open(opening).await.unwrap();
        let got = ask(door.access(), Wire::Messages, false).await;
        assert_eq!((got.status, got.json()["type"].as_str()), (502, Some("error")), "{}", got.body);
        assert!(got.body.contains(said) && !got.body.contains(&url), "{}", got.body);
        assert!(released(&bank.only()).contains(said), "{:?}", bank.audit());
        let waited = bank.waited();
        assert!(waited.iter().any(|what| what.contains(said) && what.contains("asked again in")), "{waited:?}");
        door.close().await;
        let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(transcript).unwrap()).unwrap();
        assert!(!line["retried"].as_array().unwrap().is_empty(), "{line}");
    }
}

/// A server that encrypts, with a certificate that nobody vouches for; gone with what is returned.
struct SelfSigned {
    program: std::process::Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl SelfSigned {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let openssl = || {
            let mut command = std::process::Command::new("openssl");
            command.current_dir(dir.path()).stdin(std::process::Stdio::null());
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            command
        };
        let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
        let named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
        let files = ["-keyout", "key.pem", "-out", "cert.pem"];
        assert!(openssl().args(new).args(named).args(files).status().expect("openssl").success());
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let place = format!("127.0.0.1:{port}");
        let serve = ["s_server", "-accept", &place, "-cert", "cert.pem", "-key", "key.pem", "-www", "-quiet"];
        let program = openssl().args(serve).spawn().unwrap();
        let listens = || std::net::TcpStream::connect(&place).is_ok();
        assert!((0..500).any(|_| listens() || {
            std::thread::sleep(Duration::from_millis(10));
            false
        }));
        Self { program, port, _dir: dir }
    }
}

impl Drop for SelfSigned {
    fn drop(&mut self) {
        drop(self.program.kill());
        drop(self.program.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_does_not_hold_is_told_at_once_and_not_tried_again() {
    let server = SelfSigned::start();
    for host in ["localhost", "127.0.0.1"] {
        let proxy = LoopbackProxy::start(settings(&format!("https://{host}:{}", server.port))).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let bank = Bank::rich();
        let transcript = dir.path().join("a.jsonl");
        let opening =
            Opening { trial: "a".to_owned(), purse: bank.purse("A"), transcript: transcript.clone(), time: None };
        let door = proxy.open(opening).await.unwrap();
        let began = Instant::now();
        let got = ask(door.access(), Wire::Messages, true).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(got.status, 400, "{}", got.body);
        assert!(got.body.contains("certificate") && got.body.contains("Do not retry"), "{}", got.body);
        assert!(released(&bank.only()).contains("certificate"), "{:?}", bank.audit());
        assert!(bank.waited().is_empty(), "{:?}", bank.waited());
        door.close().await;
        let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(transcript).unwrap()).unwrap();
        assert!(line["retried"].as_array().is_none_or(Vec::is_empty), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_can_not_be_spoken_to_is_not_tried_again() {
    // What answers at an address with `https` encrypts nothing.
    let (url, count) = rude();
    let proxy = LoopbackProxy::start(settings(&url.replace("http://", "https://"))).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let bank = Bank::rich();
    let transcript = dir.path().join("a.jsonl");
    let opening = Opening { trial: "a".to_owned(), purse: bank.purse("A"), transcript, time: None };
    let door = proxy.open(opening).await.unwrap();
    let began = Instant::now();
    let got = ask(door.access(), Wire::Messages, true).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!((got.status, count.load(Ordering::SeqCst)), (400, 1), "{}", got.body);
    assert!(got.body.contains("can't be asked") && got.body.contains("Do not retry"), "{}", got.body);
    released(&bank.only());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_in_the_middle_is_charged_what_the_provider_reports() {
    let house = House::new(|_| Reply::words(8).usage(12, 8).pace(Duration::from_millis(50))).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let mut response = request(door.access(), Wire::Chat, true, &body(Wire::Chat, "x", true)).send().await.unwrap();
    response.chunk().await.unwrap().unwrap();
    drop(response);
    assert_eq!(bank.settled(1).await, [reported(12, 8)]);
    // The same before the answer's first byte.
    let house = House::new(|_| Reply::text("x").usage(12, 1).delay(Duration::from_millis(300))).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let access = door.access().clone();
    let asked = tokio::spawn(async move { ask(&access, Wire::Chat, false).await.status });
    while house.model.calls().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    asked.abort();
    assert_eq!(bank.settled(1).await, [reported(12, 1)]);
    assert!(asked.await.unwrap_err().is_cancelled());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_waits_for_is_given_up_in_the_end() {
    let house = House::with(impatient(), |_| Reply::words(1000).pace(Duration::from_millis(100))).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let response = request(door.access(), Wire::Chat, true, &body(Wire::Chat, "x", true)).send().await.unwrap();
    drop(response);
    let settled = bank.settled(1).await;
    assert!(in_full(&settled[0]).contains("hung up"), "{settled:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_breaks_off_what_is_under_way_and_charges_it_in_full() {
    let house = House::new(|_| Reply::words(50).pace(Duration::from_millis(200))).await;
    let bank = Bank::rich();
    for shut in [true, false] {
        let door = house.open("a", &bank).await;
        let access = door.access().clone();
        let streaming = tokio::spawn(async move { ask(&access, Wire::Messages, true).await });
        let access = door.access().clone();
        let waiting = tokio::spawn(async move { ask(&access, Wire::Messages, false).await });
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(door.busy());
        let began = Instant::now();
        if shut {
            door.close().await
        } else {
            drop(door)
        }
        let got: Got = streaming.await.unwrap();
        assert_eq!((got.status, got.whole), (200, false));
        drop(waiting.await.unwrap());
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
    let settled = bank.settled(4).await;
    let broken = settled.iter().filter(|how| matches!(how, blueprint::domain::budget::Settlement::InFull { .. }));
    assert!(broken.count() >= 2, "{settled:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_ends_the_waiting_for_a_provider() {
    let house = House::new(|_| Reply::status(503, "later").retry_after("60")).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let access = door.access().clone();
    let asked = tokio::spawn(async move { ask(&access, Wire::Responses, true).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(door.busy());
    door.close().await;
    assert!(released(&bank.only()).contains("closed"), "{:?}", bank.audit());
    assert_eq!((asked.await.unwrap().status, house.model.calls().len()), (400, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_holds_up_neither_the_settlement_nor_the_closing() {
    let noise = ": nothing to see here\n\n".repeat(1 << 20);
    let house = House::with(impatient(), move |_| Reply::raw(200, "text/event-stream", noise.clone())).await;
    for waits in [true, false] {
        let bank = Bank::rich();
        let door = house.open("a", &bank).await;
        let request = request(door.access(), Wire::Chat, true, &body(Wire::Chat, "x", true));
        let response = request.send().await.unwrap();
        if waits {
            in_full(&bank.settled(1).await[0]);
            assert!(!Got::of(response).await.whole);
        }
        let began = Instant::now();
        door.close().await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        in_full(&bank.only());
    }
}
