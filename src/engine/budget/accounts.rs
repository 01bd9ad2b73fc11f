//! Keeps the accounts of a run: who may use how many tokens, and what was used. A request to a model
//! is written down before it leaves, and what came of it in front of everything that it makes room for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::adapters::process::Stop;
use crate::adapters::proxy::{Ask, Grant, Purse};
use crate::domain::budget::{Admission, Ledger, Refusal, Reservation, Settlement};
use crate::domain::calls::{Call, Calls};
use crate::domain::event::{Event, Sink};
use crate::domain::measurement::Contender;
use crate::domain::plan::VariantKey;
use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;
use crate::engine::state::{Facts, Log, Record};
use crate::error::Error;

/// The accounts of a run.
pub struct Accounts {
    log: Log,
    events: Arc<dyn Sink>,
    cap: Option<Tokens>,
    book: Mutex<Book>,
    /// Rings at every settlement.
    settled: Notify,
}

struct Book {
    ledger: Ledger,
    calls: Calls,
    /// The claims of the calls that are open.
    claims: BTreeMap<u64, Reservation>,
    /// What was told last of each variant's spending.
    told: BTreeMap<VariantKey, Tokens>,
}

/// Whoever watches is told of a variant's spending when it grew by a twentieth of the cap, or by this.
const TELL_EVERY: Tokens = Tokens(10_000);

impl Accounts {
    /// The accounts as the journal left them. Requests that an earlier session of the run sent and
    /// did not settle are charged in full: nobody knows what they used.
    pub fn new(facts: &Facts, log: Log, events: Arc<dyn Sink>) -> Result<Self, Error> {
        let budget = &facts.seen.started.plan.budget;
        let mut calls = facts.calls.clone();
        let interrupted: Vec<_> = calls.open().map(|call| call.call).collect();
        for call in interrupted {
            let settlement = Settlement::InFull { why: "the run was interrupted before it was answered".to_owned() };
            drop(log.post(&Record::Settled { call, settlement: settlement.clone() })?);
            calls.settled(call, &settlement);
        }
        let mut ledger = Ledger::new(budget);
        for ((variant, step), usage) in facts.usage_with(&calls) {
            ledger.spent_before(&variant, step, usage.total());
        }
        let book = Mutex::new(Book { ledger, calls, claims: BTreeMap::new(), told: BTreeMap::new() });
        Ok(Self { log, events, cap: budget.session_tokens, book, settled: Notify::new() })
    }

    /// Reserves what a step may use whose agent's requests nobody sees. An error where nothing is to be had.
    pub async fn reserve_step(
        &self,
        variant: &VariantKey,
        step: usize,
        wanted: Tokens,
    ) -> Result<(Reservation, Tokens), Refusal> {
        loop {
            let bell = self.settled.notified();
            let admission = self.book().ledger.reserve_step(variant, step, wanted);
            match admission {
                Admission::Admitted { reservation, tokens } => return Ok((reservation, tokens)),
                Admission::Wait => bell.await,
                Admission::Refused(refusal) => return Err(refusal),
            }
        }
    }

    /// Replaces a step's reservation by what its agent used.
    pub(crate) fn settle_step(&self, reservation: Reservation, used: Tokens) {
        self.book().ledger.settle(reservation, used);
        self.settled.notify_waiters();
    }

    /// What a step may still use, were nothing reserved; unlimited where absent.
    pub fn left(&self, variant: &VariantKey, step: usize) -> Option<Tokens> {
        self.book().ledger.left(variant, step)
    }

    /// What the requests of a step are charged so far.
    pub(crate) fn usage_of(&self, variant: &VariantKey, step: usize) -> Usage {
        self.book().calls.of_step(variant, step).unwrap_or_default().usage
    }

    /// What a variant spent so far.
    pub fn spent_by(&self, variant: &VariantKey) -> Tokens {
        self.book().ledger.spent_by(variant)
    }

    /// Tells whoever watches what a variant spent.
    pub fn tell(&self, variant: &VariantKey) {
        let tokens = self.spent_by(variant);
        let before = self.book().told.insert(variant.clone(), tokens);
        if tokens > before.unwrap_or_default() {
            let contender = Contender::Variant(variant.clone());
            self.events.send(Event::Spent { contender, tokens, cap: self.cap });
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the first step of a call: claims its tokens and gives its record a place in the journal.
    fn claim(&self, variant: &VariantKey, step: usize, ask: &Ask) -> Claim {
        let mut book = self.book();
        let (reservation, tokens) = match book.ledger.reserve_request(variant, step, ask.input, ask.output) {
            Admission::Admitted { reservation, tokens } => (reservation, tokens),
            Admission::Wait => return Claim::Wait,
            Admission::Refused(refusal) => return Claim::Refused(refusal),
        };
        let output = tokens.saturating_sub(ask.input);
        let call = Call {
            call: book.calls.next(),
            variant: variant.clone(),
            step,
            model: ask.model.clone(),
            input: ask.input,
            output,
            by: Some(ask.by),
        };
        match self.log.post(&Record::Reserved(call.clone())) {
            Ok(written) => {
                book.claims.insert(call.call, reservation);
                book.calls.reserved(call.clone());
                Claim::Made { call, written }
            }
            Err(error) => {
                book.ledger.settle(reservation, Tokens::ZERO);
                Claim::Refused(Refusal::Failed(error.to_string()))
            }
        }
    }

    /// Settles a call that is open. Its record stands in front of whatever is admitted after it, so
    /// that a journal cut off anywhere never holds more than the caps allow.
    fn settle(&self, call: u64, settlement: Settlement) {
        let (worth_telling, liar) = {
            let mut book = self.book();
            let Some(claim) = book.claims.remove(&call) else { return };
            let told = book.calls.doubted().len();
            // Where it is lost, all later records fail, and the run with them.
            drop(self.log.post(&Record::Settled { call, settlement: settlement.clone() }));
            let Some((known, charged)) = book.calls.settled(call, &settlement) else { return };
            book.ledger.settle(claim, charged.total());
            let news = book
                .ledger
                .spent_by(&known.variant)
                .saturating_sub(book.told.get(&known.variant).copied().unwrap_or_default());
            let every = self.cap.map_or(TELL_EVERY, |cap| Tokens(cap.0 / 20));
            let liar = match &settlement {
                Settlement::Doubted { provider, why, .. } if book.calls.doubted().len() > told => Some(format!(
                    "What {provider} says of the tokens that were used can't be true ({why}); such requests are \
                         charged by what was sent and came back"
                )),
                _ => None,
            };
            ((news >= every).then_some(known.variant), liar)
        };
        self.settled.notify_waiters();
        if let Some(text) = liar {
            self.events.send(Event::Warning { text });
        }
        if let Some(variant) = worth_telling {
            self.tell(&variant);
        }
    }
}

enum Claim {
    Made { call: Call, written: crate::adapters::journal::Appended },
    Wait,
    Refused(Refusal),
}

/// A call that was claimed and not handed out yet; it never leaves if this is dropped.
struct Unsent<'a> {
    accounts: &'a Accounts,
    call: Option<u64>,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.accounts.settle(call, Settlement::Released { why: "it was not sent".to_owned() });
        }
    }
}

/// The purse of one step.
pub struct StepPurse {
    accounts: Arc<Accounts>,
    variant: VariantKey,
    step: usize,
    closed: Stop,
}

impl StepPurse {
    /// A purse for a step.
    pub fn new(accounts: Arc<Accounts>, variant: VariantKey, step: usize) -> Self {
        Self { accounts, variant, step, closed: Stop::new() }
    }

    /// Ends the step: nothing is admitted any more, and what is still open is charged in full.
    pub fn close(&self) {
        self.closed.cancel();
        let open: Vec<_> = {
            let book = self.accounts.book();
            let own = book.calls.open().filter(|c| c.variant == self.variant && c.step == self.step);
            own.map(|c| c.call).collect()
        };
        for call in open {
            self.accounts.settle(call, Settlement::InFull { why: "the step ended before it was answered".to_owned() });
        }
    }
}

#[async_trait]
impl Purse for StepPurse {
    async fn reserve(&self, ask: Ask) -> Result<Grant, Refusal> {
        loop {
            let bell = self.accounts.settled.notified();
            tokio::pin!(bell);
            // A settlement between looking and waiting must not be missed.
            bell.as_mut().enable();
            if self.closed.is_cancelled() {
                return Err(Refusal::Closed);
            }
            match self.accounts.claim(&self.variant, self.step, &ask) {
                Claim::Made { call, written } => {
                    let mut unsent = Unsent { accounts: &self.accounts, call: Some(call.call) };
                    written.await.map_err(|error| Refusal::Failed(error.to_string()))?;
                    unsent.call = None;
                    return Ok(Grant { id: call.call, input: call.input, output: call.output });
                }
                Claim::Refused(refusal) => return Err(refusal),
                Claim::Wait => {
                    self.waits(Some("tokens that are reserved for others".to_owned()));
                    tokio::select! {
                        () = &mut bell => {}
                        () = self.closed.cancelled() => {}
                    }
                    self.waits(None);
                }
            }
        }
    }

    fn waits(&self, what: Option<String>) {
        let contender = Contender::Variant(self.variant.clone());
        self.accounts.events.send(Event::Waits { contender, what });
    }

    fn settle(&self, grant: Grant, settlement: Settlement) {
        self.accounts.settle(grant.id, settlement);
    }
}

#[cfg(test)]
mod tests;
