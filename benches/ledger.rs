//! Whether caps hold, and how much of them can be used: 48 callers at once under caps in three
//! scopes, on the accounts as a run keeps them (journal on disk included), against an upstream
//! that honours its output limit. Beside it the same traffic with what proxies commonly do: look
//! whether the cap is reached, send, add what was used.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints its figures and ends at a failure")]

mod accounts;
#[path = "accounts/heavy.rs"]
mod heavy;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blueprint::adapters::journal::{Journal, Sqlite};
use blueprint::adapters::proxy::{Ask, Purse};
use blueprint::domain::budget::{Basis, Settlement};
use blueprint::domain::plan::VariantKey;
use blueprint::domain::quantity::Tokens;
use blueprint::domain::statistics;
use blueprint::domain::trial::Usage;
use blueprint::engine::budget::accounts::StepPurse;
use blueprint::engine::state::{Facts, Record, read};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use tokio::task::JoinSet;

const CALLERS: u64 = 48;
const VARIANTS: [&str; 4] = ["A", "B", "C", "D"];
const STEPS: usize = 3;

/// The caps of one row, and which of them ends the traffic.
#[derive(Clone, Copy)]
struct Caps {
    name: &'static str,
    step: u64,
    variant: u64,
    session: u64,
}

const ROWS: [Caps; 4] = [
    Caps { name: "session 100,000", step: 40_000, variant: 60_000, session: 100_000 },
    Caps { name: "variant 100,000", step: 80_000, variant: 100_000, session: 1_000_000 },
    Caps { name: "step 100,000", step: 100_000, variant: 1_000_000, session: 10_000_000 },
    Caps { name: "session 1,000,000", step: 200_000, variant: 400_000, session: 1_000_000 },
];

/// A session in which two clients with large requests work.
const HEAVY: u64 = 400_000;

/// One caller's conversation with a model that keeps its word.
struct Conversation {
    random: ChaCha8Rng,
    /// True tokens of what was said so far, and bytes said since its last true count was told.
    known: Option<u64>,
    fresh_bytes: u64,
}

/// A request: the bound that a proxy can know, and what will come out.
struct Turn {
    bound: u64,
    input: u64,
    wanted: u64,
}

impl Conversation {
    fn new(seed: u64, caller: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed * 1000 + caller);
        let fresh_bytes = between(&mut random, 600, 2400);
        Self { random, known: None, fresh_bytes }
    }

    /// Text has three to four and a half bytes a token; a request that extends a known one is bounded by it.
    fn turn(&mut self) -> Turn {
        let ratio = between(&mut self.random, 300, 450);
        let fresh = self.fresh_bytes * 100 / ratio;
        let bound = self.known.map_or(self.fresh_bytes + 1024, |known| known + self.fresh_bytes + 64);
        Turn { bound, input: self.known.unwrap_or(0) + fresh, wanted: between(&mut self.random, 20, 700) }
    }

    /// The answer and a tool's result go into the next request.
    fn went_on(&mut self, turn: &Turn, output: u64) {
        self.known = Some(turn.input);
        self.fresh_bytes = output * 4 + between(&mut self.random, 100, 900);
    }
}

fn between(random: &mut ChaCha8Rng, from: u64, to: u64) -> u64 {
    from + random.next_u64() % (to - from)
}

/// What came of one row and seed.
struct Outcome {
    /// Tokens above a cap, the most in any scope at any moment.
    over: u64,
    /// Share of the cap that ends the traffic, in percent: over all steps or variants that have one, and the least of them.
    used: (f64, f64),
    requests: u64,
}

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let seeds = if quick { 3 } else { 20 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("{CALLERS} callers, {} variants of {STEPS} steps, {seeds} seeds a row, journal on disk\n", VARIANTS.len());
    println!(
        "{:<20} {:<20} {:>10} {:>12} {:>12} {:>12}",
        "cap that ends it", "way", "requests", "overspent", "cap used %", "least used %"
    );
    let (mut over, mut used) = (0, f64::INFINITY);
    for caps in ROWS {
        let mut rows = [Vec::new(), Vec::new()];
        for seed in 0..seeds {
            rows[0].push(runtime.block_on(reserved(caps, seed)));
            rows[1].push(runtime.block_on(checked(caps, seed)));
        }
        for (way, row) in ["reserve and wait", "check, then charge"].iter().zip(&rows) {
            let most = row.iter().map(|o| o.over).max().unwrap();
            let share = median(row.iter().map(|o| o.used.0));
            let least = median(row.iter().map(|o| o.used.1));
            let requests = median(row.iter().map(|o| o.requests as f64));
            println!("{:<20} {way:<20} {requests:>10.0} {most:>12} {share:>12.1} {least:>12.1}", caps.name);
        }
        over = over.max(rows[0].iter().map(|o| o.over).max().unwrap());
        used = f64::min(used, median(rows[0].iter().map(|o| o.used.0)));
    }
    println!("\nfigure overspend_tokens {over} tokens limit 0");
    println!("figure cap_used_percent {used:.1} % limit 97");
    let shares: Vec<f64> = (0..seeds).map(|seed| runtime.block_on(usable(seed))).collect();
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "two clients of 20,000 tokens a request, session {HEAVY}: {:.1} % at the median",
        median(shares.into_iter())
    );
    println!("figure usable_share_percent {least:.1} % limit 90");
}

/// The share of a session's cap that two clients have used when both are refused, in percent.
async fn usable(seed: u64) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let journal: Arc<dyn Journal> = Arc::new(Sqlite::open(folder.path()).await.unwrap());
    let (accounts, ..) = accounts::accounts(journal, [HEAVY; 3]).await;
    let mut clients = JoinSet::new();
    for (at, variant) in VARIANTS.into_iter().take(2).enumerate() {
        let variant = VariantKey::new(variant).unwrap();
        let purse = StepPurse::new(accounts.clone(), variant.clone(), 0);
        let accounts = accounts.clone();
        clients.spawn(async move {
            let mut client = heavy::Heavy::new(seed * 2 + at as u64);
            loop {
                let request = client.request();
                let (input, by) = request.bound;
                let ask = Ask { input, output: heavy::ASKS, model: "m".to_owned(), by };
                let Ok(grant) = purse.reserve(ask).await else { return accounts.spent_by(&variant) };
                let output = request.wanted.min(grant.output.0);
                tokio::time::sleep(Duration::from_micros(500 + output * 5)).await;
                purse.settle(
                    grant,
                    Settlement::Reported { usage: Usage { input: request.input, output: Tokens(output) } },
                );
                client.went_on(&request, output);
            }
        });
    }
    let spent: u64 = clients.join_all().await.into_iter().map(|tokens| tokens.0).sum();
    100.0 * spent as f64 / HEAVY as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    statistics::median(&values.collect::<Vec<_>>()).unwrap()
}

/// Where a caller belongs.
fn place(caller: u64) -> (VariantKey, usize) {
    let at = usize::try_from(caller).unwrap();
    (VariantKey::new(VARIANTS[at % VARIANTS.len()]).unwrap(), at / VARIANTS.len() % STEPS)
}

async fn answer(turn: &Turn, limit: u64) -> u64 {
    let output = turn.wanted.min(limit);
    tokio::time::sleep(Duration::from_micros(500 + output * 5)).await;
    output
}

/// As a run does it. What was over is read from the journal, record by record.
async fn reserved(caps: Caps, seed: u64) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let journal: Arc<dyn Journal> = Arc::new(Sqlite::open(folder.path()).await.unwrap());
    let (accounts, log, started) = accounts::accounts(journal.clone(), [caps.step, caps.variant, caps.session]).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (variant, step) = place(caller);
        let purse = StepPurse::new(accounts.clone(), variant, step);
        callers.spawn(async move {
            let mut conversation = Conversation::new(seed, caller);
            loop {
                let turn = conversation.turn();
                let ask =
                    Ask { input: Tokens(turn.bound), output: Tokens(16_384), model: "m".to_owned(), by: Basis::Bytes };
                let Ok(grant) = purse.reserve(ask).await else { return };
                let output = answer(&turn, grant.output.0).await;
                let usage = Usage { input: Tokens(turn.input), output: Tokens(output) };
                purse.settle(grant, Settlement::Reported { usage });
                conversation.went_on(&turn, output);
            }
        });
    }
    while callers.join_next().await.is_some() {}
    log.write(&Record::Finished).await.unwrap();
    let mut facts = Facts::new(started);
    let mut over = 0;
    for entry in journal.entries("r").await.unwrap() {
        facts.take(read(&entry).unwrap());
        let mut committed: BTreeMap<_, u64> = facts.usage().into_iter().map(|(at, u)| (at, u.total().0)).collect();
        for call in facts.calls.open() {
            *committed.entry((call.variant.clone(), call.step)).or_default() += call.input.0 + call.output.0;
        }
        over = over.max(over_caps(caps, &committed));
    }
    let requests = facts.calls.by_model().values().map(|m| m.calls).sum();
    let spent = facts.usage().into_iter().map(|(at, u)| (at, u.total().0)).collect();
    Outcome { over, used: used(caps, &spent), requests }
}

type Spent = BTreeMap<(VariantKey, usize), u64>;

/// The same traffic where a cap is only looked at before a request is sent.
async fn checked(caps: Caps, seed: u64) -> Outcome {
    let spent: Arc<Mutex<Spent>> = Arc::default();
    let requests = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (spent, requests, place) = (spent.clone(), requests.clone(), place(caller));
        callers.spawn(async move {
            let mut conversation = Conversation::new(seed, caller);
            loop {
                let turn = conversation.turn();
                if reached(caps, &spent.lock().unwrap(), &place) {
                    return;
                }
                let output = answer(&turn, 16_384).await;
                *spent.lock().unwrap().entry(place.clone()).or_default() += turn.input + output;
                requests.fetch_add(1, Ordering::Relaxed);
                conversation.went_on(&turn, output);
            }
        });
    }
    while callers.join_next().await.is_some() {}
    let spent = spent.lock().unwrap().clone();
    Outcome { over: over_caps(caps, &spent), used: used(caps, &spent), requests: requests.load(Ordering::Relaxed) }
}

fn by_variant(spent: &Spent) -> BTreeMap<&VariantKey, u64> {
    let mut sums: BTreeMap<&VariantKey, u64> = BTreeMap::new();
    for ((variant, _), tokens) in spent {
        *sums.entry(variant).or_default() += tokens;
    }
    sums
}

fn reached(caps: Caps, spent: &Spent, place: &(VariantKey, usize)) -> bool {
    spent.get(place).is_some_and(|tokens| *tokens >= caps.step)
        || by_variant(spent).get(&place.0).is_some_and(|tokens| *tokens >= caps.variant)
        || spent.values().sum::<u64>() >= caps.session
}

fn over_caps(caps: Caps, spent: &Spent) -> u64 {
    let steps = spent.values().map(|tokens| tokens.saturating_sub(caps.step)).max().unwrap_or(0);
    let variants = by_variant(spent).values().map(|tokens| tokens.saturating_sub(caps.variant)).max().unwrap_or(0);
    steps.max(variants).max(spent.values().sum::<u64>().saturating_sub(caps.session))
}

/// Of the scope whose cap ends the traffic: what was used of it, over all that have one and at the least.
fn used(caps: Caps, spent: &Spent) -> (f64, f64) {
    let share = |tokens: Vec<u64>, cap: u64| {
        let of = |tokens: u64| 100.0 * tokens as f64 / cap as f64;
        let mean = of(tokens.iter().sum()) / tokens.len() as f64;
        (mean, of(tokens.into_iter().min().unwrap()))
    };
    if caps.name.starts_with("session") {
        share(vec![spent.values().sum()], caps.session)
    } else if caps.name.starts_with("variant") {
        share(by_variant(spent).into_values().collect(), caps.variant)
    } else {
        share(spent.values().copied().collect(), caps.step)
    }
}
