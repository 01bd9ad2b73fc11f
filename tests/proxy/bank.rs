//! A purse over the real ledger that remembers everything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use blueprint::adapters::proxy::{Ask, Grant, Purse};
use blueprint::domain::budget::{Admission, Ledger, Refusal, Reservation, Settlement};
use blueprint::domain::plan::{Budget, VariantKey};
use blueprint::domain::quantity::Tokens;
use blueprint::domain::trial::Usage;
use tokio::sync::Notify;

/// The accounts of a session.
pub struct Bank {
    books: Mutex<Books>,
    bell: Notify,
    cap: u64,
    waiting: bool,
}

struct Books {
    ledger: Ledger,
    open: HashMap<u64, Reservation>,
    asked: Vec<Ask>,
    granted: Vec<(u64, Tokens, Tokens)>,
    settled: Vec<(u64, Settlement)>,
    waited: Vec<String>,
}

/// One variant's purse.
struct Own {
    bank: Arc<Bank>,
    variant: VariantKey,
}

impl Bank {
    /// With this cap for all together.
    pub fn with_cap(cap: u64) -> Arc<Self> {
        Self::new(cap, false)
    }

    /// In which whoever asks has to wait for others, who never settle.
    pub fn waiting() -> Arc<Self> {
        Self::new(1 << 40, true)
    }

    fn new(cap: u64, waiting: bool) -> Arc<Self> {
        let ledger = Ledger::new(&Budget { session_tokens: Some(Tokens(cap)), ..Budget::default() });
        let (asked, granted, settled, waited) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let books = Books { ledger, open: HashMap::new(), asked, granted, settled, waited };
        Arc::new(Self { books: Mutex::new(books), bell: Notify::new(), cap, waiting })
    }

    pub fn rich() -> Arc<Self> {
        Self::with_cap(1 << 40)
    }

    pub fn purse(self: &Arc<Self>, variant: &str) -> Arc<dyn Purse> {
        Arc::new(Own { bank: Arc::clone(self), variant: VariantKey::new(variant).unwrap() })
    }

    /// Everything that was settled, in order, after checking that nothing was lost or told twice.
    #[track_caller]
    pub fn audit(&self) -> Vec<Settlement> {
        let books = self.books.lock().unwrap();
        let mut ids: Vec<_> = books.settled.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        let granted: Vec<_> = books.granted.iter().map(|(id, ..)| *id).collect();
        assert_eq!(granted, ids, "each grant is settled exactly once");
        assert!(books.open.is_empty());
        let charge = |(id, how): &(u64, Settlement)| {
            let (_, input, output) = books.granted[usize::try_from(*id).unwrap()];
            how.charge(input, output).total().0
        };
        let charged: u64 = books.settled.iter().map(charge).sum();
        assert_eq!((books.ledger.spent().0, books.ledger.committed().0), (charged, charged));
        books.settled.iter().map(|(_, how)| how.clone()).collect()
    }

    /// The one settlement that there is.
    #[track_caller]
    pub fn only(&self) -> Settlement {
        let mut all = self.audit();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// Waits until so many requests are settled.
    pub async fn settled(&self, count: usize) -> Vec<Settlement> {
        for _ in 0..1000 {
            if self.books.lock().unwrap().settled.len() >= count {
                return self.audit();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?} after 10 s", self.books.lock().unwrap().settled);
    }

    pub fn spent(&self) -> u64 {
        self.books.lock().unwrap().ledger.spent().0
    }

    pub fn asked(&self) -> Vec<Ask> {
        self.books.lock().unwrap().asked.clone()
    }

    /// What the last grant allowed: input and output.
    pub fn granted(&self) -> (Tokens, Tokens) {
        let (_, input, output) = *self.books.lock().unwrap().granted.last().unwrap();
        (input, output)
    }

    /// What requests were said to wait for, in order.
    pub fn waited(&self) -> Vec<String> {
        self.books.lock().unwrap().waited.clone()
    }

    pub fn grants(&self) -> usize {
        self.books.lock().unwrap().granted.len()
    }
}

#[async_trait]
impl Purse for Own {
    async fn reserve(&self, ask: Ask) -> Result<Grant, Refusal> {
        self.bank.books.lock().unwrap().asked.push(ask.clone());
        loop {
            let bell = self.bank.bell.notified();
            tokio::pin!(bell);
            bell.as_mut().enable();
            if !self.bank.waiting {
                let mut books = self.bank.books.lock().unwrap();
                match books.ledger.reserve_request(&self.variant, 0, ask.input, ask.output) {
                    Admission::Admitted { reservation, tokens } => {
                        let id = books.granted.len() as u64;
                        let output = tokens.saturating_sub(ask.input);
                        books.open.insert(id, reservation);
                        books.granted.push((id, ask.input, output));
                        assert!(books.ledger.committed().0 <= self.bank.cap);
                        return Ok(Grant { id, input: ask.input, output });
                    }
                    Admission::Refused(refusal) => return Err(refusal),
                    Admission::Wait => {}
                }
            }
            bell.await;
        }
    }

    fn settle(&self, grant: Grant, settlement: Settlement) {
        let mut books = self.bank.books.lock().unwrap();
        let reservation = books.open.remove(&grant.id).expect("a grant that is open");
        books.ledger.settle(reservation, settlement.charge(grant.input, grant.output).total());
        books.settled.push((grant.id, settlement));
        drop(books);
        self.bank.bell.notify_waiters();
    }

    fn waits(&self, what: Option<String>) {
        self.bank.books.lock().unwrap().waited.extend(what);
    }
}

/// What a provider reports.
pub fn reported(input: u64, output: u64) -> Settlement {
    Settlement::Reported { usage: Usage { input: Tokens(input), output: Tokens(output) } }
}

/// The reason, where all that was reserved was charged.
#[track_caller]
pub fn in_full(settlement: &Settlement) -> &str {
    match settlement {
        Settlement::InFull { why } => why,
        other => panic!("{other:?}"),
    }
}

/// The reason, where nothing was charged.
#[track_caller]
pub fn released(settlement: &Settlement) -> &str {
    match settlement {
        Settlement::Released { why } => why,
        other => panic!("{other:?}"),
    }
}

/// What was charged where a provider broke its word: input, output.
#[track_caller]
pub fn violated(settlement: &Settlement) -> (u64, u64) {
    match settlement {
        Settlement::BoundViolated { usage, .. } => (usage.input.0, usage.output.0),
        other => panic!("{other:?}"),
    }
}
