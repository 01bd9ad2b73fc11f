//! The ledger: three nested token budgets (step ⊂ variant ⊂ session), reserved before and settled
//! after, so that what is spent never exceeds a cap as long as nothing settles for more than it
//! reserved. What settles for more is recorded as it is, and leaves that much less for the rest.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::{Budget, VariantKey};
use super::quantity::Tokens;
use super::trial::Usage;
use super::wire::Provider;

/// A request that may write this much is let through at once, even where it asked for more and
/// others may still give tokens back: few answers are longer.
pub const USEFUL_OUTPUT: u64 = 4096;
/// What a provider adds to a request by itself: marks between messages, and a text about tools. The longest that is
/// documented has 530 tokens.
pub const ADDED: u64 = 1024;
/// A request that may write less than this is not worth sending; some providers take no lower limit.
const LEAST_OUTPUT: u64 = 16;

/// Tokens that are reserved and spent.
#[derive(Debug, Clone)]
pub struct Ledger {
    step_cap: Option<Tokens>,
    variant_cap: Option<Tokens>,
    session_cap: Option<Tokens>,
    steps: BTreeMap<(VariantKey, usize), Account>,
}

/// One step's side of the ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Account {
    reserved: u64,
    spent: u64,
}

/// Whose budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One step of one variant.
    Step,
    /// All steps of one variant.
    Variant,
    /// All variants together.
    Session,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Step => "step",
            Self::Variant => "variant",
            Self::Session => "session",
        })
    }
}

/// Why tokens are not to be had, now or later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A cap leaves too little.
    #[error("{}", too_little(*scope, *cap, *left, *needed))]
    Spent {
        /// Whose.
        scope: Scope,
        /// The cap.
        cap: Tokens,
        /// What is not spent of it.
        left: Tokens,
        /// What is wanted at the least.
        needed: Tokens,
    },
    /// The step is over.
    #[error("this step is over")]
    Closed,
    /// The accounts can't be kept any more.
    #[error("the accounts can't be kept: {0}")]
    Failed(String),
}

/// That a cap leaves too little, in words that fit how much that is.
fn too_little(scope: Scope, cap: Tokens, left: Tokens, needed: Tokens) -> String {
    if left == cap {
        return format!("the token budget of this {scope} is too small: it is {cap}, and this needs at least {needed}");
    }
    format!(
        "the token budget of this {scope} does not suffice: {left} of {cap} tokens are left, and this needs at least {needed}"
    )
}

/// By what the most that a request reads is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Its bytes: no tokenizer makes more tokens than there are.
    Bytes,
    /// An earlier request of the same conversation, whose input is known, and the bytes that are new.
    Earlier,
    /// The provider counted it.
    Counter,
    /// The tokenizer of its model counted it.
    Tokenizer,
}

/// What came of a reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "settled")]
pub enum Settlement {
    /// The provider said what was used, and it is within what was reserved.
    Reported {
        /// It.
        usage: Usage,
    },
    /// Nobody knows what was used: all that was reserved is charged.
    InFull {
        /// Why it is not known.
        why: String,
    },
    /// Nothing was used: the request did not reach the provider or was answered with an error.
    Released {
        /// What happened.
        why: String,
    },
    /// The provider said less than can be true of what went to it and came from it: the least that can be true
    /// is charged.
    Doubted {
        /// What is charged.
        usage: Usage,
        /// Who said it.
        provider: Provider,
        /// What was said, and what was seen.
        why: String,
    },
    /// More was used than was reserved: the provider did not keep the limit it was given.
    BoundViolated {
        /// What was used, as reported or as counted.
        usage: Usage,
        /// How it is known.
        why: String,
    },
}

impl Settlement {
    /// What it charges, given what was reserved for input and output.
    pub fn charge(&self, input: Tokens, output: Tokens) -> Usage {
        match self {
            Self::Reported { usage } | Self::Doubted { usage, .. } | Self::BoundViolated { usage, .. } => *usage,
            Self::InFull { .. } => Usage { input, output },
            Self::Released { .. } => Usage::default(),
        }
    }
}

/// A claim on tokens. It must be settled, with what was really used; it can't be copied.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a reservation that is not settled holds its tokens for good"]
pub struct Reservation {
    variant: VariantKey,
    step: usize,
    tokens: u64,
}

impl Reservation {
    /// How many tokens it holds.
    pub fn tokens(&self) -> Tokens {
        Tokens(self.tokens)
    }
}

/// What asking for tokens came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// Reserved.
    Admitted {
        /// To be settled.
        reservation: Reservation,
        /// How many: what was wanted, or what is left.
        tokens: Tokens,
    },
    /// Too little is free now, and other reservations may give some back.
    Wait,
    /// Too little is free and no more will be.
    Refused(Refusal),
}

/// How many tokens are wanted.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// Less is of no use.
    least: u64,
    /// With this much nobody waits for more.
    useful: u64,
    /// More is not taken.
    most: u64,
    /// Whether what is more than useful is left to others where all want some.
    shares: bool,
}

impl Ledger {
    /// An empty ledger under these caps. Without a cap of its own a variant may use what the session may.
    pub fn new(caps: &Budget) -> Self {
        Self {
            step_cap: caps.step_tokens,
            variant_cap: caps.variant_tokens,
            session_cap: caps.session_tokens,
            steps: BTreeMap::new(),
        }
    }

    /// Reserves what one step may use: what is wanted, or less where a cap leaves less.
    pub fn reserve_step(&mut self, variant: &VariantKey, step: usize, wanted: Tokens) -> Admission {
        self.admit(variant, step, Wanted { least: 1, useful: 1, most: wanted.0, shares: false })
    }

    /// Reserves one request: `input` is an upper bound of what it reads and can't shrink, `output`
    /// the most it may write, which is clamped to what is left. The reservation is their sum.
    pub fn reserve_request(&mut self, variant: &VariantKey, step: usize, input: Tokens, output: Tokens) -> Admission {
        let with = |output: u64| input.0.saturating_add(output);
        let output = output.0.max(1);
        let wanted = Wanted {
            least: with(output.min(LEAST_OUTPUT)),
            useful: with(output.min(USEFUL_OUTPUT)),
            most: with(output),
            shares: true,
        };
        self.admit(variant, step, wanted)
    }

    /// Replaces a reservation by what was used.
    pub fn settle(&mut self, reservation: Reservation, used: Tokens) {
        let account = self.steps.entry((reservation.variant, reservation.step)).or_default();
        account.reserved = account.reserved.saturating_sub(reservation.tokens);
        account.spent = account.spent.saturating_add(used.0);
    }

    /// Adds what an earlier session of the run spent.
    pub fn spent_before(&mut self, variant: &VariantKey, step: usize, used: Tokens) {
        let account = self.steps.entry((variant.clone(), step)).or_default();
        account.spent = account.spent.saturating_add(used.0);
    }

    /// What was spent, all variants together.
    pub fn spent(&self) -> Tokens {
        self.sum(|_| true, |a| a.spent)
    }

    /// What one variant spent.
    pub fn spent_by(&self, variant: &VariantKey) -> Tokens {
        self.sum(|(v, _)| v == variant, |a| a.spent)
    }

    /// What was spent and is reserved, all variants together.
    pub fn committed(&self) -> Tokens {
        self.sum(|_| true, |a| a.spent.saturating_add(a.reserved))
    }

    /// What one step may still spend, were nothing reserved.
    pub fn left(&self, variant: &VariantKey, step: usize) -> Option<Tokens> {
        self.tightest(variant, step, |a| a.spent).map(|(left, ..)| Tokens(left))
    }

    fn sum(&self, of: impl Fn(&(VariantKey, usize)) -> bool, what: impl Fn(&Account) -> u64) -> Tokens {
        let accounts = self.steps.iter().filter(|(key, _)| of(key)).map(|(_, account)| account);
        Tokens(accounts.fold(0, |sum: u64, a| sum.saturating_add(what(a))))
    }

    /// The scope that leaves a step the least, with what it leaves and its cap; `None` without caps.
    fn tightest(
        &self,
        variant: &VariantKey,
        step: usize,
        used: impl Fn(&Account) -> u64,
    ) -> Option<(u64, Scope, Tokens)> {
        let left = |scope: Scope, cap: Option<Tokens>, of: &dyn Fn(&(VariantKey, usize)) -> bool| {
            cap.map(|cap| (cap.saturating_sub(self.sum(of, &used)).0, scope, cap))
        };
        let step = left(Scope::Step, self.step_cap, &|(v, s)| v == variant && *s == step);
        let variant = left(Scope::Variant, self.variant_cap, &|(v, _)| v == variant);
        let session = left(Scope::Session, self.session_cap, &|_| true);
        [step, variant, session].into_iter().flatten().min_by_key(|(left, ..)| *left)
    }

    /// The most that one takes of what all share: half of it, so that others can work at the same time, but no less than
    /// is useful.
    fn fair(&self, wanted: Wanted) -> u64 {
        match self.session_cap.filter(|_| wanted.shares) {
            Some(cap) => (cap.saturating_sub(self.committed()).0 / 2).max(wanted.useful).max(wanted.least),
            None => u64::MAX,
        }
    }

    fn admit(&mut self, variant: &VariantKey, step: usize, wanted: Wanted) -> Admission {
        let free =
            self.tightest(variant, step, |a| a.spent.saturating_add(a.reserved)).map_or(u64::MAX, |(left, ..)| left);
        // What others have reserved may come back; what is spent does not.
        let final_left = self.tightest(variant, step, |a| a.spent);
        let in_the_end = final_left.map_or(u64::MAX, |(left, ..)| left);
        let least = wanted.least.max(1);
        if free >= wanted.useful.max(least) || (free >= least && free == in_the_end) {
            let tokens = wanted.most.min(free).min(self.fair(wanted));
            let account = self.steps.entry((variant.clone(), step)).or_default();
            account.reserved = account.reserved.saturating_add(tokens);
            let reservation = Reservation { variant: variant.clone(), step, tokens };
            return Admission::Admitted { reservation, tokens: Tokens(tokens) };
        }
        match final_left {
            Some((left, scope, cap)) if left < least => {
                Admission::Refused(Refusal::Spent { scope, cap, left: Tokens(left), needed: Tokens(least) })
            }
            _ => Admission::Wait,
        }
    }
}

/// Caps in the place of the document's; those that are not given stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Caps {
    /// All variants together, with what is spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Tokens>,
    /// One step of one variant, with what it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Tokens>,
    /// The whole run, with the time that it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Duration>,
}

impl Caps {
    /// Whether any is given.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> VariantKey {
        VariantKey::new(text).unwrap()
    }

    fn ledger(step: u64, session: u64) -> Ledger {
        let caps =
            Budget { step_tokens: Some(Tokens(step)), session_tokens: Some(Tokens(session)), ..Budget::default() };
        Ledger::new(&caps)
    }

    fn admitted(admission: Admission) -> (Reservation, u64) {
        match admission {
            Admission::Admitted { reservation, tokens } => (reservation, tokens.0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_step_gets_what_the_tightest_cap_leaves() {
        let mut ledger = ledger(1000, 1500);
        let (_a, tokens) = admitted(ledger.reserve_step(&key("A"), 0, Tokens(5000)));
        assert_eq!(tokens, 1000);
        let (_b, tokens) = admitted(ledger.reserve_step(&key("B"), 0, Tokens(5000)));
        assert_eq!(tokens, 500);
    }

    #[test]
    fn who_finds_all_reserved_waits_and_who_finds_all_spent_is_refused() {
        let mut ledger = ledger(1000, 1000);
        let (first, _) = admitted(ledger.reserve_step(&key("A"), 0, Tokens(1000)));
        assert_eq!(ledger.reserve_step(&key("B"), 0, Tokens(1000)), Admission::Wait);
        ledger.settle(first, Tokens(400));
        let (second, tokens) = admitted(ledger.reserve_step(&key("B"), 0, Tokens(1000)));
        assert_eq!(tokens, 600);
        ledger.settle(second, Tokens(600));
        assert!(matches!(ledger.reserve_step(&key("C"), 0, Tokens(1)), Admission::Refused(_)));
        assert_eq!(ledger.spent(), Tokens(1000));
    }

    #[test]
    fn a_steps_own_spending_counts_against_it_after_a_resume() {
        let mut ledger = ledger(1000, 9000);
        ledger.spent_before(&key("A"), 0, Tokens(1000));
        assert!(matches!(ledger.reserve_step(&key("A"), 0, Tokens(10)), Admission::Refused(_)));
        let (_r, tokens) = admitted(ledger.reserve_step(&key("A"), 1, Tokens(2000)));
        assert_eq!(tokens, 1000);
    }

    #[test]
    fn a_variants_cap_holds_over_its_steps() {
        let mut ledger = Ledger::new(&Budget {
            step_tokens: Some(Tokens(1000)),
            variant_tokens: Some(Tokens(1200)),
            session_tokens: Some(Tokens(9000)),
            ..Budget::default()
        });
        let (first, _) = admitted(ledger.reserve_step(&key("A"), 0, Tokens(1000)));
        ledger.settle(first, Tokens(1000));
        let (_r, tokens) = admitted(ledger.reserve_step(&key("A"), 1, Tokens(1000)));
        assert_eq!(tokens, 200);
    }

    #[test]
    fn a_requests_output_is_clamped_and_its_input_is_not() {
        let mut ledger = ledger(1000, 9000);
        let (first, tokens) = admitted(ledger.reserve_request(&key("A"), 0, Tokens(700), Tokens(4000)));
        assert_eq!(tokens, 1000);
        ledger.settle(first, Tokens(800));
        assert!(matches!(ledger.reserve_request(&key("A"), 0, Tokens(200), Tokens(10)), Admission::Refused(_)));
    }

    #[test]
    fn a_refusal_says_no_more_than_what_is_so() {
        let mut ledger = ledger(15_000, 90_000);
        let told = |ledger: &mut Ledger| match ledger.reserve_request(&key("A"), 0, Tokens(40_540), Tokens(10)) {
            Admission::Refused(refusal) => refusal.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            told(&mut ledger),
            "the token budget of this step is too small: it is 15,000, and this needs at least 40,550"
        );
        ledger.spent_before(&key("A"), 0, Tokens(14_900));
        assert_eq!(
            told(&mut ledger),
            "the token budget of this step does not suffice: 100 of 15,000 tokens are left, and this needs at least 40,550"
        );
    }

    #[test]
    fn who_asks_for_everything_leaves_enough_for_others_to_work_beside_it() {
        let mut ledger = ledger(1_000_000, 150_000);
        let mut held = Vec::new();
        for variant in ["A", "B", "C", "D"] {
            let (reservation, tokens) =
                admitted(ledger.reserve_request(&key(variant), 0, Tokens(8000), Tokens(1_000_000_000)));
            assert!(tokens >= 8000 + 4096, "{variant}: {tokens}");
            held.push(reservation);
        }
        assert!(ledger.committed() <= Tokens(150_000));
        held.into_iter().for_each(|reservation| ledger.settle(reservation, Tokens(1)));
    }

    #[test]
    fn what_settles_for_more_than_it_reserved_is_recorded_as_it_is() {
        let mut ledger = ledger(1000, 1000);
        let (first, _) = admitted(ledger.reserve_step(&key("A"), 0, Tokens(100)));
        ledger.settle(first, Tokens(1100));
        assert_eq!(ledger.spent(), Tokens(1100));
        assert!(matches!(ledger.reserve_step(&key("B"), 0, Tokens(1)), Admission::Refused(_)));
    }

    proptest::proptest! {
        #[test]
        fn however_trials_interleave_no_cap_is_exceeded(
            step in 1..2000u64,
            session in 1..6000u64,
            moves in proptest::collection::vec((0..4usize, 0..3usize, 0..3000u64, 0..1000u64), 1..200),
        ) {
            let keys = ["A", "B", "C", "D"].map(key);
            let mut ledger = ledger(step, session);
            let mut open: Vec<(Reservation, u64)> = Vec::new();
            for (variant, at, wanted, share) in moves {
                if let Admission::Admitted { reservation, tokens } = ledger.reserve_step(&keys[variant], at, Tokens(wanted)) {
                    proptest::prop_assert!(tokens.0 <= wanted);
                    open.push((reservation, share));
                } else if let Some((reservation, share)) = open.pop() {
                    let used = reservation.tokens().0 * share / 1000;
                    ledger.settle(reservation, Tokens(used));
                }
                proptest::prop_assert!(ledger.committed().0 <= session);
                for variant in &keys {
                    for at in 0..3 {
                        let used = ledger.sum(|(v, s)| v == variant && *s == at, |a| a.spent + a.reserved);
                        proptest::prop_assert!(used.0 <= step);
                    }
                }
            }
            for (reservation, share) in open {
                let used = reservation.tokens().0 * share / 1000;
                ledger.settle(reservation, Tokens(used));
            }
            proptest::prop_assert_eq!(ledger.committed(), ledger.spent());
        }
    }
}
