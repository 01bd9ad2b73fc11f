//! What the proxy and its fake have in common: who is admitted, what is settled, and what a closed door means.

use std::path::PathBuf;
use std::sync::Arc;

use blueprint::adapters::proxy::fake::{FakeProxy, Unanswered};
use blueprint::adapters::proxy::{Ask, Door, Opening, Proxy};
use blueprint::domain::budget::Basis;
use blueprint::domain::quantity::Tokens;
use blueprint::domain::trial::Usage;
use blueprint::domain::wire::{Access, Secret, Wire};

use crate::bank::{Bank, reported};
use crate::common::model::Reply;
use crate::house::{House, ask};

/// A proxy, and how a client asks through it.
enum Home {
    Real(House),
    Fake(FakeProxy),
}

/// How a request ended.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Well,
    Unauthorized,
    Refused,
}

async fn all() -> [Home; 2] {
    [Home::Real(House::new(|_| Reply::words(3).usage(30, 5)).await), Home::Fake(FakeProxy::default())]
}

impl Home {
    fn kind(&self) -> &'static str {
        if matches!(self, Self::Real(_)) { "real" } else { "fake" }
    }

    async fn open(&self, trial: &str, bank: &Arc<Bank>) -> Box<dyn Door> {
        match self {
            Self::Real(house) => house.open(trial, bank).await,
            Self::Fake(proxy) => {
                let (trial, purse, transcript) = (trial.to_owned(), bank.purse("A"), PathBuf::from("/t.jsonl"));
                proxy.open(Opening { trial, purse, transcript, time: None }).await.unwrap()
            }
        }
    }

    /// Asks for 100 tokens; 30 are read and 5 written.
    async fn ask(&self, access: &Access) -> Answer {
        match self {
            Self::Real(_) => match ask(access, Wire::Messages, false).await.status {
                200 => Answer::Well,
                401 => Answer::Unauthorized,
                _ => Answer::Refused,
            },
            Self::Fake(proxy) => {
                let wanted =
                    Ask { input: Tokens(40), output: Tokens(100), model: "scripted".to_owned(), by: Basis::Bytes };
                match proxy.ask(access, wanted, Usage { input: Tokens(30), output: Tokens(5) }).await {
                    Ok(_) => Answer::Well,
                    Err(Unanswered::Unauthorized) => Answer::Unauthorized,
                    Err(Unanswered::Refused(_)) => Answer::Refused,
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_reserved_and_then_settled_as_it_came_out() {
    for home in all().await {
        let (kind, bank) = (home.kind(), Bank::rich());
        let door = home.open("a", &bank).await;
        assert_eq!(home.ask(door.access()).await, Answer::Well, "{kind}");
        assert_eq!(home.ask(door.access()).await, Answer::Well, "{kind}");
        assert!(!door.refused().is_cancelled(), "{kind}");
        door.close().await;
        assert_eq!(bank.audit(), [reported(30, 5), reported(30, 5)], "{kind}");
        assert_eq!(bank.asked().iter().map(|ask| ask.output.0).collect::<Vec<_>>(), [100, 100], "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_a_spent_cap_refuses_is_told_to_whoever_watches_the_door() {
    for home in all().await {
        let (kind, bank) = (home.kind(), Bank::with_cap(10));
        let door = home.open("a", &bank).await;
        assert_eq!(home.ask(door.access()).await, Answer::Refused, "{kind}");
        assert!(door.refused().is_cancelled() && !door.busy(), "{kind}");
        door.close().await;
        assert_eq!(bank.audit(), [], "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_has_one_key_for_all_of_its_steps_and_nobody_else_has_it() {
    for home in all().await {
        let (kind, bank) = (home.kind(), Bank::rich());
        let first = home.open("a", &bank).await;
        let (access, other) = (first.access().clone(), home.open("b", &bank).await);
        assert!(access.root != other.access().root && access.key != other.access().key, "{kind}");
        let stolen = Access { key: other.access().key.clone(), ..access.clone() };
        let made_up = Access { key: Secret::new("guess"), ..access.clone() };
        let nowhere = Access { root: format!("{}x", access.root), ..access.clone() };
        for wrong in [stolen, made_up, nowhere] {
            assert_eq!(home.ask(&wrong).await, Answer::Unauthorized, "{kind}: {}", wrong.root);
        }
        first.close().await;
        let second = home.open("a", &bank).await;
        assert_eq!(*second.access(), access, "{kind}");
        assert_eq!(home.ask(&access).await, Answer::Well, "{kind}");
        second.close().await;
        other.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_admitted_once_a_door_is_closed_or_dropped() {
    for home in all().await {
        let (kind, bank) = (home.kind(), Bank::rich());
        let door = home.open("a", &bank).await;
        let access = door.access().clone();
        door.close().await;
        assert_eq!(home.ask(&access).await, Answer::Refused, "{kind}");
        let door = home.open("a", &bank).await;
        drop(door);
        assert_eq!(home.ask(&access).await, Answer::Refused, "{kind}");
        assert_eq!((bank.grants(), bank.audit()), (0, Vec::new()), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waits_for_tokens_keeps_the_door_busy_and_ends_with_it() {
    for home in all().await {
        let (kind, bank) = (home.kind(), Bank::waiting());
        let door = home.open("a", &bank).await;
        let access = door.access().clone();
        let waits = home.ask(&access);
        tokio::pin!(waits);
        let closes = async {
            while !door.busy() || bank.asked().is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            door.close().await;
        };
        let (answer, ()) = tokio::join!(waits, closes);
        assert_eq!(answer, Answer::Refused, "{kind}");
        assert_eq!(bank.audit(), [], "{kind}: nothing is left reserved");
    }
}
