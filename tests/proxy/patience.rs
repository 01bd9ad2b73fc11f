//! What never comes to an end by itself: it ends by patience, without a cap on time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use blueprint::adapters::proxy::Patience;
use blueprint::domain::wire::Wire;
use serde_json::json;

use crate::bank::{Bank, in_full};
use crate::common::model::Reply;
use crate::drip::{Tap, drip};
use crate::house::{Got, House, ask, body, impatient, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_only_shows_that_it_lives_is_given_up() {
    for ping in [
        ": ping\n\n",
        "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        "data: {\"choices\": [{\"index\": 0, \"delta\": {\"content\": \"\"}}]}\n\n",
        "data: {\"type\": \"response.in_progress\"}\n\n",
        " ",
    ] {
        let url = drip("text/event-stream", std::iter::repeat(ping.as_bytes().to_vec()), Duration::from_millis(30));
        for wire in Wire::ALL {
            let tap = Tap::open(&url, impatient()).await;
            let began = Instant::now();
            let got = ask(tap.door.access(), wire, true).await;
            assert!(!got.whole && began.elapsed() < Duration::from_secs(5), "{wire} {ping:?}: {:?}", began.elapsed());
            assert!(in_full(&tap.bank.only()).contains("signs of life"), "{wire} {ping:?}: {:?}", tap.bank.audit());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_goes_on_a_letter_at_a_time_is_given_up_in_the_end() {
    let letter = "data: {\"choices\": [{\"index\": 0, \"delta\": {\"content\": \"a\"}}]}\n\n";
    let url = drip("text/event-stream", std::iter::repeat(letter.as_bytes().to_vec()), Duration::from_millis(100));
    let tap = Tap::open(&url, impatient()).await;
    let began = Instant::now();
    let got = ask(tap.door.access(), Wire::Chat, true).await;
    assert!(!got.whole && began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(in_full(&tap.bank.only()).contains("did not end within"), "{:?}", tap.bank.audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_its_request_a_byte_at_a_time_does_not_count_as_busy_for_long() {
    let patience = Patience { between: Duration::from_secs(2), ..impatient() };
    let house = House::with(patience, |_| Reply::text("x")).await;
    let bank = Bank::rich();
    let door = house.open("a", &bank).await;
    let access = door.access().clone();
    let place = access.root.strip_prefix("http://").unwrap().to_owned();
    let (host, path) = place.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let head = format!(
        "POST /{path}/openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 1000\r\n\r\n",
        access.key.expose()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let began = Instant::now();
    let mut seen_busy = false;
    let mut answer = [0; 1000];
    let length = loop {
        assert!(began.elapsed() < Duration::from_secs(20), "it is still read");
        seen_busy |= door.busy();
        tokio::time::sleep(Duration::from_millis(30)).await;
        if stream.write_all(b" ").is_err() {
            break 0;
        }
        if let Ok(length) = stream.read(&mut answer) {
            break length;
        }
    };
    assert!(seen_busy, "{}", String::from_utf8_lossy(&answer[..length]));
    assert!(length == 0 || String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 400"));
    while door.busy() {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((bank.grants(), house.model.calls().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_hangs_makes_others_wait_only_as_long_as_it_is_waited_for() {
    let house =
        House::with(impatient(), |call| if call.index == 0 { Reply::hang() } else { Reply::text("x").usage(40, 1) })
            .await;
    // Enough for one at a time.
    let bank = Bank::with_cap(3000);
    let (one, two) = (house.open("a", &bank).await, house.open("b", &bank).await);
    let big = |text: &str| {
        let mut body = body(Wire::Chat, text, false);
        body["max_tokens"] = json!(600);
        body
    };
    let access = one.access().clone();
    let first = tokio::spawn(async move {
        Got::of(request(&access, Wire::Chat, false, &big("first")).send().await.unwrap()).await.status
    });
    while bank.grants() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    let second = Got::of(request(two.access(), Wire::Chat, false, &big("second")).send().await.unwrap()).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!((first.await.unwrap(), second.status), (502, 200), "{}", second.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_ask_for_everything_run_side_by_side() {
    let house = House::new(|_| Reply::text("x").usage(40, 1).delay(Duration::from_millis(800))).await;
    let bank = Bank::with_cap(100_000);
    let doors = [house.open("a", &bank).await, house.open("b", &bank).await, house.open("c", &bank).await];
    let began = Instant::now();
    let asked = doors.iter().map(|door| {
        let access = door.access().clone();
        tokio::spawn(async move {
            let mut body = body(Wire::Chat, "x", false);
            body["max_tokens"] = json!(1_000_000_000);
            Got::of(request(&access, Wire::Chat, false, &body).send().await.unwrap()).await.status
        })
    });
    for answer in asked.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), 200);
    }
    assert!(began.elapsed() < Duration::from_millis(1550), "one after another: {:?}", began.elapsed());
    assert!(house.model.calls().iter().all(|call| call.limit.unwrap() >= 4096));
}
