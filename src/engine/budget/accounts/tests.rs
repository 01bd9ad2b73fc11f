//! The accounts with a real journal: nothing is forgotten, nothing is counted twice.

use std::time::Duration;

use super::*;
use crate::adapters::journal::{Journal, Sqlite};
use crate::domain::budget::Basis;
use crate::domain::decision::fixtures::started;
use crate::engine::clock::Clock;

fn key(text: &str) -> VariantKey {
    VariantKey::new(text).unwrap()
}

fn ask(input: u64, output: u64) -> Ask {
    Ask { input: Tokens(input), output: Tokens(output), model: "m".to_owned(), by: Basis::Bytes }
}

fn reported(input: u64, output: u64) -> Settlement {
    Settlement::Reported { usage: Usage { input: Tokens(input), output: Tokens(output) } }
}

struct Bench {
    folder: tempfile::TempDir,
    facts: Facts,
}

impl Bench {
    fn new(step: u64, session: u64) -> Self {
        let mut started = started();
        started.plan.budget.step_tokens = Some(Tokens(step));
        started.plan.budget.session_tokens = Some(Tokens(session));
        Self { folder: tempfile::tempdir().unwrap(), facts: Facts::new(started) }
    }

    async fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(Sqlite::open(self.folder.path()).await.unwrap())
    }

    async fn accounts(&self) -> Arc<Accounts> {
        let log = Log::new(self.journal().await, &self.facts.seen.started.run, Clock::resumed(Duration::ZERO));
        if self.facts.elapsed.is_zero() && self.entries().await.is_empty() {
            log.write(&Record::Started(self.facts.seen.started.clone())).await.unwrap();
        }
        let facts = Facts::read(&self.entries().await).unwrap().unwrap();
        Arc::new(Accounts::new(&facts, log, Arc::new(|_| {})).unwrap())
    }

    async fn entries(&self) -> Vec<crate::adapters::journal::Entry> {
        self.journal().await.entries(&self.facts.seen.started.run).await.unwrap()
    }

    /// As the journal has it: what every step used.
    async fn recorded(&self) -> (u64, usize) {
        let facts = Facts::read(&self.entries().await).unwrap().unwrap();
        let used = facts.usage().values().fold(Usage::default(), |sum, usage| sum.plus(*usage)).total().0;
        (used, facts.calls.open().count())
    }
}

#[tokio::test]
async fn a_request_is_in_the_journal_before_it_is_granted_and_charged_when_it_is_settled() {
    let bench = Bench::new(1000, 5000);
    let accounts = bench.accounts().await;
    let purse = StepPurse::new(accounts.clone(), key("A"), 0);
    let grant = purse.reserve(ask(300, 4000)).await.unwrap();
    assert_eq!((grant.input, grant.output), (Tokens(300), Tokens(700)));
    assert_eq!(bench.recorded().await, (0, 1));
    purse.settle(grant, reported(200, 50));
    let next = purse.reserve(ask(300, 100)).await.unwrap();
    assert_eq!(bench.recorded().await, (250, 1));
    purse.settle(next, Settlement::Released { why: "429".to_owned() });
    assert_eq!(accounts.spent_by(&key("A")), Tokens(250));
    let refusal = purse.reserve(ask(900, 100)).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Spent { left: Tokens(750), .. }), "{refusal:?}");
}

#[tokio::test]
async fn what_a_killed_run_had_sent_is_charged_in_full_when_it_goes_on() {
    let bench = Bench::new(1000, 5000);
    {
        let purse = StepPurse::new(bench.accounts().await, key("A"), 0);
        // Killed: what was granted is neither settled nor is the step closed.
        let _grant = purse.reserve(ask(300, 200)).await.unwrap();
    }
    let accounts = bench.accounts().await;
    assert_eq!(accounts.spent_by(&key("A")), Tokens(500));
    let purse = StepPurse::new(accounts, key("A"), 0);
    let grant = purse.reserve(ask(100, 900)).await.unwrap();
    assert_eq!((grant.id, grant.output), (1, Tokens(400)));
    assert_eq!(bench.recorded().await, (500, 1));
}

#[tokio::test]
async fn a_step_that_closes_charges_what_is_open_and_sends_the_waiting_away() {
    let bench = Bench::new(1000, 5000);
    let accounts = bench.accounts().await;
    let purse = Arc::new(StepPurse::new(accounts.clone(), key("A"), 0));
    let first = purse.reserve(ask(300, 700)).await.unwrap();
    let waiting = tokio::spawn({
        let purse = Arc::clone(&purse);
        async move { purse.reserve(ask(500, 100)).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    purse.close();
    assert_eq!(waiting.await.unwrap(), Err(Refusal::Closed));
    assert_eq!(accounts.spent_by(&key("A")), Tokens(1000));
    // Too late to count.
    purse.settle(first, reported(1, 1));
    assert_eq!(accounts.spent_by(&key("A")), Tokens(1000));
}

#[tokio::test]
async fn who_waits_for_tokens_is_told_of_until_there_are_some() {
    let bench = Bench::new(1000, 1500);
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let log = Log::new(bench.journal().await, &bench.facts.seen.started.run, Clock::resumed(Duration::ZERO));
    log.write(&Record::Started(bench.facts.seen.started.clone())).await.unwrap();
    let sink = move |event| {
        if let Event::Waits { what, .. } = event {
            heard.lock().unwrap().push(what);
        }
    };
    let accounts = Arc::new(Accounts::new(&bench.facts, log, Arc::new(sink)).unwrap());
    let (a, b) = (StepPurse::new(accounts.clone(), key("A"), 0), StepPurse::new(accounts, key("B"), 0));
    let held = a.reserve(ask(900, 100)).await.unwrap();
    let waiting =
        tokio::spawn(async move { b.reserve(ask(900, 100)).await.map(|grant| b.settle(grant, reported(1, 1))) });
    while told.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    a.settle(held, reported(10, 10));
    waiting.await.unwrap().unwrap();
    let told = told.lock().unwrap();
    assert!(
        told[0].as_ref().is_some_and(|what| what.contains("reserved for others")) && told.last() == Some(&None),
        "{told:?}"
    );
}

#[tokio::test]
async fn who_gives_up_before_the_reservation_is_on_disk_holds_nothing() {
    let bench = Bench::new(1000, 5000);
    let accounts = bench.accounts().await;
    let purse = StepPurse::new(accounts.clone(), key("A"), 0);
    for _ in 0..20 {
        let asked = purse.reserve(ask(300, 700));
        tokio::select! {
            biased;
            grant = asked => purse.settle(grant.unwrap(), Settlement::Released { why: "test".to_owned() }),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(accounts.spent_by(&key("A")), Tokens::ZERO);
    let grant = purse.reserve(ask(300, 700)).await.unwrap();
    assert_eq!(grant.output, Tokens(700));
    purse.settle(grant, reported(300, 700));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_many_callers_a_journal_cut_off_anywhere_keeps_the_caps() {
    let bench = Bench::new(20_000, 30_000);
    let accounts = bench.accounts().await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..24u64 {
        let purse = StepPurse::new(accounts.clone(), key(if caller % 2 == 0 { "A" } else { "B" }), 0);
        callers.spawn(async move {
            for round in 0..200u64 {
                let Ok(grant) = purse.reserve(ask(100 + caller, 400)).await else { return };
                tokio::time::sleep(Duration::from_millis((caller + round) % 3)).await;
                let settlement = match (caller + round) % 7 {
                    0 => Settlement::InFull { why: "cut".to_owned() },
                    1 => Settlement::Released { why: "500".to_owned() },
                    _ => reported(90, grant.output.0 / 2),
                };
                purse.settle(grant, settlement);
            }
        });
    }
    while callers.join_next().await.is_some() {}
    // What came before it is on disk when this is.
    accounts.log.write(&Record::Resumed).await.unwrap();
    let entries = bench.entries().await;
    let mut facts = Facts::new(bench.facts.seen.started.clone());
    for entry in &entries {
        facts.take(crate::engine::state::read(entry).unwrap());
        let spent = facts.usage();
        let of = |variant: &str| {
            let spent = spent.get(&(key(variant), 0)).copied().unwrap_or_default().total().0;
            let open = facts.calls.open().filter(|c| c.variant == key(variant));
            spent + open.map(|c| c.input.0 + c.output.0).sum::<u64>()
        };
        assert!(of("A") <= 20_000 && of("B") <= 20_000 && of("A") + of("B") <= 30_000, "at {}", entry.sequence);
    }
    assert_eq!(facts.calls.open().count(), 0);
    assert!(facts.usage().values().map(|u| u.total().0).sum::<u64>() > 28_000);
}
