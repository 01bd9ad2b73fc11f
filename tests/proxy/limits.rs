//! Providers that write or read more than they were allowed to.

use blueprint::domain::wire::Wire;

use crate::bank::{Bank, in_full, reported, violated};
use crate::common::model::Reply;
use crate::house::{House, ask};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_ignores_its_limit_is_cut_and_charged_by_the_highest_count() {
    let house = House::new(|_| Reply::words(2000).usage(30, 2000).ignoring_limit()).await;
    for wire in Wire::ALL {
        let bank = Bank::rich();
        let door = house.open("a", &bank).await;
        let got = ask(door.access(), wire, true).await;
        assert_eq!((got.status, got.whole), (200, false), "{wire}");
        // A word and its space are five characters; eight a token are believed.
        let words = got.body.matches("word").count();
        assert!((100..400).contains(&words), "{wire}: {words}");
        let (_, output) = violated(&bank.only());
        assert!((100..=2000).contains(&output), "{wire}: {output}");
        door.close().await;
    }
    for line in house.lines("a") {
        assert_eq!(line["settlement"]["settled"], "bound-violated", "{line}");
        assert!(line["broken"].as_str().unwrap().contains("allowed"), "{}", line["broken"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_reports_more_than_its_limit_is_cut_before_its_end() {
    let house = House::new(|_| Reply::words(3).usage(30, 101).ignoring_limit()).await;
    for wire in Wire::ALL {
        let bank = Bank::rich();
        let door = house.open("a", &bank).await;
        let got = ask(door.access(), wire, true).await;
        assert_eq!((got.status, got.whole, violated(&bank.only())), (200, false, (30, 101)), "{wire}: {}", got.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_was_reserved_is_charged_as_it_is_and_recorded_as_a_broken_bound() {
    for (input, output) in [(30, 5000), (1_000_000, 1)] {
        let house = House::new(move |_| Reply::words(3).usage(input, output).ignoring_limit()).await;
        for wire in Wire::ALL {
            let bank = Bank::rich();
            let door = house.open("a", &bank).await;
            let got = ask(door.access(), wire, false).await;
            assert_eq!((got.status, got.whole), (200, true), "{wire}");
            assert_eq!(violated(&bank.only()), (input, output), "{wire}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_tells_no_usage_is_charged_in_full() {
    let house = House::new(|_| Reply::words(3).no_usage()).await;
    for wire in Wire::ALL {
        for stream in [true, false] {
            let bank = Bank::rich();
            let door = house.open("a", &bank).await;
            let got = ask(door.access(), wire, stream).await;
            assert_eq!((got.status, got.whole), (200, true), "{wire}");
            in_full(&bank.only());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_sent_with_what_is_left_where_it_asks_for_more() {
    let house = House::new(|_| Reply::words(400).usage(30, 400)).await;
    let bank = Bank::with_cap(1400);
    let door = house.open("a", &bank).await;
    let got = ask(door.access(), Wire::Chat, false).await;
    assert_eq!(got.status, 200, "{}", got.body);
    let (input, output) = bank.granted();
    assert!(output.0 < 100 || input.0 + 100 <= 1400);
    let limit = house.model.calls()[0].limit;
    assert_eq!(limit, Some(output.0));
    assert_eq!(bank.only(), reported(30, output.0));
}
